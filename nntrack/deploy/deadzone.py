"""The client's dead-zone filter: a movement that is small beside the net's stated deviation hardly passes.

The net states the deviation of what it sees in the frame; an unscented transform turns it into that of the head in
space (van der Merwe, "Sigma-point Kalman filters", 2004).
"""

import math
from collections.abc import Callable

import numpy as np

from nntrack.contract import DEADZONE
from nntrack.deploy.world_pose import WorldPose
from nntrack.geometry.rotations import quat_conjugate, quat_multiply, quat_to_rotvec, rotvec_to_quat

ToWorld = Callable[[np.ndarray, np.ndarray], WorldPose]

_COUNT = 6  # of dimensions: position, rotation
_METRE = 1000.0  # mm: with positions in metres all numbers are of about the same size
_LEAST_SIZE = 0.1  # of the predicted size: a point further out than this would be a head of negative size


def smooth(
    previous: WorldPose,
    quat: np.ndarray,
    pos_size: np.ndarray,
    rotation_tril: np.ndarray,
    pos_size_tril: np.ndarray,
    to_world: ToWorld,
) -> WorldPose:
    """The filtered pose: the previous one, moved by a part of the way to the new one.

    Args:
        previous: quat (4,), position (3,) mm.
        quat: (4,) xyzw, as predicted in the frame.
        pos_size: (3,) px, as predicted in the frame.
        rotation_tril: (3, 3) lower factor of the covariance of the rotation vector, radians, applied on the right.
        pos_size_tril: (3, 3) lower factor of the covariance of ``pos_size``, px.
        to_world: (quat (n, 4), pos_size (n, 3) px) to poses in space.
    """
    points, mean_weights, covariance_weights = _sigma_points(rotation_tril, pos_size_tril)
    moved = pos_size + points[:, :3]
    moved[:, 2] = np.maximum(_LEAST_SIZE * pos_size[2], moved[:, 2])
    found = to_world(quat_multiply(np.asarray(quat, np.float64), rotvec_to_quat(points[:, 3:])), moved)
    turn = quat_to_rotvec(quat_multiply(quat_conjugate(previous.quat), found.quat))
    offsets = np.concatenate([(found.position - previous.position) / _METRE, turn], axis=1)  # (13, 6)
    offset = mean_weights @ offsets
    away = offsets - offset
    step = offset * attenuation(offset, (covariance_weights[:, None] * away).T @ away)
    return WorldPose(quat_multiply(previous.quat, rotvec_to_quat(step[3:])), previous.position + step[:3] * _METRE)


def attenuation(offset: np.ndarray, covariance: np.ndarray) -> float:
    """The part 0..1 of an offset (n,) that passes: sigmoid(hardness (d - size)), d its length in standard deviations.

    All of it where the covariance (n, n) is not positive definite.
    """
    try:
        np.linalg.cholesky(covariance)
    except np.linalg.LinAlgError:
        return 1.0
    length = math.sqrt(max(0.0, float(offset @ np.linalg.solve(covariance, offset))))
    return 1 / (1 + math.exp(-DEADZONE.hardness * (length - DEADZONE.size)))


def _sigma_points(rotation_tril: np.ndarray, pos_size_tril: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Offsets (13, 6) from the prediction, of pos_size and rotation, and their weights in mean and covariance (13,)."""
    tril = np.zeros((_COUNT, _COUNT))
    tril[:3, :3], tril[3:, 3:] = pos_size_tril, rotation_tril
    spread = 3 * DEADZONE.spread**2  # n + lambda, with kappa = 3 - n
    points = np.concatenate([np.zeros((1, _COUNT)), tril.T * math.sqrt(spread), -tril.T * math.sqrt(spread)])
    mean = np.full(len(points), 0.5 / spread)
    mean[0] = (spread - _COUNT) / spread
    covariance = mean.copy()
    covariance[0] += 1 - DEADZONE.spread**2 + DEADZONE.prior
    return points, mean, covariance
