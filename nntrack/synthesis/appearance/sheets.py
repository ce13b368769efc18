"""Sheets: surfaces with a texture of their own that lie over the head. Frame and unit of `geometry.neutral_face`."""

from typing import NamedTuple

import numpy as np

from nntrack.geometry.neutral_face import SKULL_CENTRE
from nntrack.synthesis.mesh import grid_triangles

ROWS, COLUMNS = 22, 72  # vertices of a dome
TEXELS = (96, 384)  # of its texture


class Sheet(NamedTuple):
    """A surface with a texture of its own that is rendered over the head.

    points (n, 3), triangles (m, 3), uv (n, 2) in 0..1, texture (H, W, 2): brightness and opacity 0..1; follows (n,): 0
    where it moves with the head, 1 with the shoulders; casts: whether it throws a shadow on the face.
    """

    points: np.ndarray
    triangles: np.ndarray
    uv: np.ndarray
    texture: np.ndarray
    follows: np.ndarray
    casts: bool = False


def azimuths() -> np.ndarray:
    """Angles (columns,) around the head: 0 in front, minus and plus pi at the back."""
    return np.linspace(-np.pi, np.pi, COLUMNS)


def dome(
    azimuth: np.ndarray,
    ends: np.ndarray,
    axes: np.ndarray,
    flare: float = 0.0,
    wave: tuple[float, float, float] = (0.0, 0.0, 0.0),
) -> np.ndarray:
    """Vertices (n, 3) of a sheet from the crown over the skull's ellipsoid and then hanging down.

    Args:
        azimuth: (columns,), see `_azimuths`.
        ends: (columns,), y at which the sheet ends.
        axes: (3,), half axes of the ellipsoid.
        flare: how much wider the sheet gets per unit that it hangs.
        wave: amplitude, frequency and phase of its undulation.
    """
    drop = ends - SKULL_CENTRE[1]
    total = np.where(drop < 0, np.arccos(np.clip(-drop / axes[1], -1, 1)), np.pi / 2 + np.maximum(drop, 0))
    reach = np.linspace(0, 1, ROWS)[:, None] * total  # (rows, columns)
    hang = np.maximum(reach - np.pi / 2, 0)
    across = np.sin(np.minimum(reach, np.pi / 2)) * (1 + flare * hang / (1 + hang))
    across = across * (1 + wave[0] * np.sin(wave[1] * hang + wave[2]) * np.minimum(1, hang))
    down = -axes[1] * np.cos(np.minimum(reach, np.pi / 2)) + hang
    points = np.stack([axes[0] * across * np.sin(azimuth), down, -axes[2] * across * np.cos(azimuth)], axis=-1)
    # long hair falls along the neck, behind the shoulders' front
    points[..., 2] += 0.25 * np.minimum(hang, 1) * (points[..., 2] < 0)
    return (points + SKULL_CENTRE).reshape(-1, 3)


def cap(points: np.ndarray, brightness: np.ndarray, opacity: np.ndarray) -> Sheet:
    """A sheet of the points (ROWS * COLUMNS, 3) of a `dome`. brightness, opacity: TEXELS."""
    v, u = (a.ravel() for a in np.meshgrid(np.linspace(0, 1, ROWS), np.linspace(0, 1, COLUMNS), indexing="ij"))
    texture = np.stack([np.clip(brightness, 0.01, 1), opacity], axis=-1).astype(np.float32)
    follows = np.clip((points[:, 1] - 0.8) / 0.85, 0, 1)
    return Sheet(
        points, grid_triangles(ROWS, COLUMNS).astype(np.int32), np.column_stack([u, v]), texture, follows, True
    )
