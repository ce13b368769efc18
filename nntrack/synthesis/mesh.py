"""Triangle meshes with texture coordinates: what they hold, and how they are built and joined.

Head frame: x right, y down, z into the screen; unit head radii (100 mm).
"""

from collections.abc import Sequence
from enum import IntEnum
from typing import NamedTuple

import numpy as np


class Part(IntEnum):
    """What a vertex belongs to; it decides how shiny the vertex is and from which sides it is seen."""

    SKIN = 0
    RIM = 1  # the inner edge of lids and lips
    EYE = 2
    MOUTH = 3
    UPPER_TEETH = 4
    LOWER_TEETH = 5
    EAR = 6
    BODY = 7  # neck and shoulders
    WORN = 8  # glasses, hair, hats, arms


class Mesh(NamedTuple):
    """points (n, 3), triangles (m, 3) int32, uv (n, 2) in 0..1, part (n,): a `Part` for each vertex."""

    points: np.ndarray
    triangles: np.ndarray
    uv: np.ndarray
    part: np.ndarray


def merge(meshes: Sequence[Mesh]) -> Mesh:
    """Several meshes as one."""
    starts = np.cumsum([0, *(len(mesh.points) for mesh in meshes[:-1])])
    triangles = [mesh.triangles + start for mesh, start in zip(meshes, starts, strict=True)]
    columns = zip(*((m.points, m.uv, m.part) for m in meshes), strict=True)
    points, uv, part = (np.concatenate(column) for column in columns)
    return Mesh(points, np.concatenate(triangles).astype(np.int32), uv, part)


def grid_triangles(rows: int, columns: int, wrap: bool = False) -> np.ndarray:
    """Two triangles for each cell of a grid of vertices in row order; ``wrap`` joins the last column to the first."""
    index = np.arange(rows * columns).reshape(rows, columns)
    if wrap:
        index = np.concatenate([index, index[:, :1]], axis=1)
    a, b, c, d = index[:-1, :-1], index[:-1, 1:], index[1:, :-1], index[1:, 1:]
    return np.concatenate([np.stack([a, c, b], -1).reshape(-1, 3), np.stack([b, c, d], -1).reshape(-1, 3)])


def tube(line: np.ndarray, radii: np.ndarray, sides: int, reference: np.ndarray, closed: bool = False) -> np.ndarray:
    """Rings of vertices around a line, (n, sides + 1, 3); the last vertex of a ring lies on the first.

    Args:
        line: (n, 3).
        radii: (n,), of the rings.
        sides: vertices of a ring.
        reference: (3,) or (n, 3), a direction that the line does not follow; it decides where rings begin.
        closed: whether the line goes on from its last point to its first.
    """
    ahead = np.roll(line, -1, axis=0) - np.roll(line, 1, axis=0) if closed else np.gradient(line, axis=0)
    ahead = ahead / np.linalg.norm(ahead, axis=1, keepdims=True)
    first = np.cross(ahead, reference)
    first = first / np.linalg.norm(first, axis=1, keepdims=True)
    second = np.cross(ahead, first)
    angles = np.linspace(0, 2 * np.pi, sides + 1)[:, None]
    ring = np.cos(angles) * first[:, None] + np.sin(angles) * second[:, None]
    return line[:, None] + radii[:, None, None] * ring


def faces_viewer(points: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """Which triangles (m,) show the viewer their outside: corners counter-clockwise in the image; points (n, 2+) px."""
    a, b, c = (points[triangles[:, i], :2] for i in range(3))
    # y runs down, so that counter-clockwise is a negative area
    return (b[:, 0] - a[:, 0]) * (c[:, 1] - a[:, 1]) < (b[:, 1] - a[:, 1]) * (c[:, 0] - a[:, 0])


def vertex_normals(points: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """Unit normals (n, 3): the area-weighted mean of the adjoining triangles', on the side from which their corners
    run counter-clockwise."""
    a, b, c = (points[triangles[:, i]] for i in range(3))
    faces = np.cross(b - a, c - a)
    normals = np.stack(
        [np.bincount(triangles.ravel(), np.repeat(faces[:, i], 3), len(points)) for i in range(3)], axis=1
    )
    return normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
