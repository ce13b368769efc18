"""Pose of a head from its 68 landmarks in three dimensions: a robust fit of the neutral head."""

from typing import NamedTuple

import numpy as np

from nntrack.geometry.neutral_face import NEUTRAL_LANDMARKS
from nntrack.geometry.rotations import rotmat_to_quat

# A landmark this far (head radii) from the fitted neutral head has half its weight: mouths open, brows rise, fits slip.
_TOLERANCE = 0.08
_ROUNDS = 6


class Rigid(NamedTuple):
    """quat (n, 4); pos_size (n, 3), unit of the landmarks; shape (n, 68, 3): the landmarks un-posed, head radii.

    misfit (n,): rms distance between shape and neutral head, head radii.
    """

    quat: np.ndarray
    pos_size: np.ndarray
    shape: np.ndarray
    misfit: np.ndarray


def fit(landmarks: np.ndarray) -> Rigid:
    """Rotation, position and size of heads with landmarks (n, 68, 3) in an image frame, z into the screen.

    Iteratively reweighted least squares of similarities (Umeyama 1991) with Cauchy weights.
    """
    weights = np.ones(landmarks.shape[:2])  # (n, 68)
    for _ in range(_ROUNDS):
        rotation, scale, shift = _similarity(landmarks, weights)
        shape = np.einsum("nij,nki->nkj", rotation, landmarks - shift[:, None]) / scale[:, None, None]
        square = ((shape - NEUTRAL_LANDMARKS) ** 2).sum(axis=-1)  # (n, 68)
        weights = 1 / (1 + square / _TOLERANCE**2)
    pos_size = np.concatenate([shift[:, :2], scale[:, None]], axis=-1)
    return Rigid(rotmat_to_quat(rotation), pos_size, shape, np.sqrt(square.mean(axis=-1)))


def rms(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Root mean square distance (...) of points (..., k, 3)."""
    return np.sqrt(((a - b) ** 2).sum(axis=-1).mean(axis=-1))


def _similarity(points: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rotations (n, 3, 3), scales (n,) and shifts (n, 3) that take the neutral head nearest to points (n, 68, 3)."""
    weights = (weights / weights.sum(axis=-1, keepdims=True))[..., None]  # (n, 68, 1)
    mean, mean0 = (weights * points).sum(axis=1), (weights * NEUTRAL_LANDMARKS).sum(axis=1)  # (n, 3)
    centred = NEUTRAL_LANDMARKS - mean0[:, None]
    covariance = np.swapaxes(weights * (points - mean[:, None]), 1, 2) @ centred  # (n, 3, 3)
    u, spread, v = np.linalg.svd(covariance)
    sign = np.ones_like(spread)
    sign[:, 2] = np.sign(np.linalg.det(u @ v))  # a mirror image is no rotation
    rotation = (u * sign[:, None]) @ v
    scale = (spread * sign).sum(axis=-1) / (weights * centred**2).sum(axis=(1, 2))
    # points all in one place have no size; they must not divide by zero
    scale = np.maximum(scale, 1e-9)
    return rotation, scale, mean - scale[:, None] * np.einsum("nij,nj->ni", rotation, mean0)
