"""Cuts a scanned or parametric head into what is seen of it, and puts it into clothes.

Frame and unit of `geometry.neutral_face`.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.interpolate import CubicSpline

from nntrack.geometry.neutral_face import SKULL_CENTRE
from nntrack.synthesis.heads import atlas
from nntrack.synthesis.mesh import Mesh, Part, grid_triangles

LOWEST = 1.8  # y; the skin below is under the clothes
EYE_RADIUS = 0.116  # of an eyeball whose texture is neither stretched nor compressed
_DEEP = 0.3  # z; what of the mouth lies behind is not seen
_COLLAR, _HEM = 1.42, 11.0  # y where clothes begin and end
# Shoulders and chest: y, half width, half depth, z of the middle
_BODY = np.array(
    [
        (0.45, 0.52, 0.42, 0.98), (0.85, 0.585, 0.50, 0.99), (1.12, 0.59, 0.53, 1.03), (1.38, 0.62, 0.55, 1.08),
        (1.56, 0.74, 0.60, 1.12), (1.70, 1.02, 0.68, 1.15), (1.83, 1.42, 0.76, 1.15), (1.98, 1.80, 0.86, 1.14),
        (2.20, 2.05, 0.95, 1.12), (2.60, 2.20, 1.08, 1.08), (3.30, 2.20, 1.15, 1.05), (5.0, 2.10, 1.15, 1.05),
        (7.5, 2.00, 1.10, 1.05), (11.0, 2.10, 1.15, 1.05),
    ]
) - (0, 0, 0, 0.08)  # fmt: skip


class Piece(NamedTuple):
    """A part of the mesh, and its vertices' indices among all."""

    mesh: Mesh
    source: np.ndarray


def cut(points: np.ndarray, triangles: np.ndarray, part: Part, uv: Callable[[np.ndarray], np.ndarray]) -> Piece:
    """Triangles (m, 3) of points (n, 3) as a mesh of their own; ``uv`` takes vertex indices to their texels."""
    source, local = np.unique(triangles, return_inverse=True)
    mesh = Mesh(points[source], local.reshape(-1, 3).astype(np.int32), uv(source), np.full(len(source), part))
    return Piece(mesh, source)


def within(triangles: np.ndarray, which: range) -> np.ndarray:
    """The triangles (m, 3) all of whose corners are among ``which``."""
    return triangles[((triangles >= which.start) & (triangles < which.stop)).all(axis=1)]


def front_only(points: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """The triangles (m, 3) that lie so far in front that they may be seen through the mouth."""
    return triangles[(points[triangles, 2] < _DEEP).all(axis=1)]


def eyeball(points: np.ndarray, triangles: np.ndarray, which: range) -> Piece:
    """The front of an eyeball, with its texture as seen from the front; irises of all eyeballs are equally large."""
    ball = points[which.start : which.stop]
    # the sphere through its vertices, by least squares
    solution = np.linalg.lstsq(np.column_stack([2 * ball, np.ones(len(ball))]), np.sum(ball * ball, axis=1))[0]
    centre = solution[:3]
    radius = np.sqrt(solution[3] + centre @ centre)

    def uv(source: np.ndarray) -> np.ndarray:
        offset = points[source] - centre
        offset = offset / np.linalg.norm(offset, axis=1, keepdims=True)
        flat = np.maximum(np.hypot(offset[:, 0], offset[:, 1]), 1e-9)
        reach = np.arccos(np.clip(-offset[:, 2], -1, 1)) * radius / EYE_RADIUS / 4 / flat
        return atlas.EYE_PATCH.place(*np.clip(0.5 + reach[:, None] * offset[:, :2], 0.01, 0.99).T)

    own = within(triangles, which)
    return cut(points, own[(points[own, 2] < centre[2] + 0.2 * radius).all(axis=1)], Part.EYE, uv)


def one_texel(source: np.ndarray, patch: atlas.Patch) -> np.ndarray:
    """Texture coordinates (k, 2) of vertices that all have the same tone."""
    return patch.place(np.full(len(source), 0.47), np.full(len(source), 0.4))


def side_view(points: np.ndarray, patch: atlas.Patch) -> np.ndarray:
    """Texture coordinates (k, 2) of points (k, 3) as seen from the side, over 0.8 head radii."""
    return patch.place(*np.clip(0.5 + (points[:, [2, 1]] - (0.85, 0.1)) / 0.8, 0.02, 0.98).T)


def clothes() -> Mesh:
    """What covers shoulders and chest: rings from the collar downward. v of the cloth patch begins at the collar."""
    first, last = np.interp([_COLLAR, _HEM], _BODY[:, 0], np.arange(len(_BODY)))
    rows = np.linspace(first, last, 18)
    y, wide, deep, middle = (CubicSpline(np.arange(len(_BODY)), _BODY[:, i])(rows)[:, None] for i in range(4))
    turns = np.linspace(0, 2 * np.pi, 37)[None]
    # rounded boxes for the shoulders, ellipses for the collar, which hangs lower in front
    power = np.clip((y - 1.45) * 0.5, 0, 0.25)
    x = wide * np.sign(np.sin(turns)) * np.abs(np.sin(turns)) ** (1 - power)
    z = middle - deep * np.sign(np.cos(turns)) * np.abs(np.cos(turns)) ** (1 - power)
    sag = 0.16 * np.clip((y - 1.15) / 0.25, 0, 1) * np.cos(turns)
    points = np.stack([x, y + sag, z], axis=-1).reshape(-1, 3)
    # what is near the face takes more of the texture
    down = np.broadcast_to(np.clip((y - _COLLAR) / (_HEM - _COLLAR), 0, 1), x.shape).ravel()
    uv = atlas.CLOTH_PATCH.place(0.5 + 0.46 * points[:, 0] / np.abs(points[:, 0]).max(), 0.04 + 0.9 * np.sqrt(down))
    return Mesh(points, grid_triangles(*x.shape).astype(np.int32), uv, np.full(len(points), Part.BODY))


def vary_build(rng: np.random.Generator, points: np.ndarray, neck: np.ndarray) -> np.ndarray:
    """Points (n, 3) with neck and shoulders of a random width and depth; ``neck`` as in `HeadModel`."""
    build = np.clip(rng.normal(1.0, 0.1), 0.8, 1.25)
    return points * (1 + (build - 1) * neck[:, None] * (1, 0, 1))


def skull(rest: np.ndarray, surface_points: np.ndarray, hair_freedom: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """See `HeadModel.skull`, which has these arguments as its attributes."""
    chosen = (surface_points[:, 1] < -0.1) & (hair_freedom > 0.5)
    own, neutral = rest[: len(chosen)][chosen], surface_points[chosen]
    larger = np.ptp(own, axis=0) / np.ptp(neutral, axis=0)
    middle = [(points.min(axis=0) + points.max(axis=0)) / 2 for points in (own, neutral)]
    return larger, middle[0] + larger * (SKULL_CENTRE - middle[1])
