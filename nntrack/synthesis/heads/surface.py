"""The surface of the neutral head: control points, the smooth surface through them, and its triangles.

The head is star-shaped about `CENTRE`: every direction meets its surface once. So a surface point is a direction and a
radius, the radius is interpolated between control points set by hand, and the triangles are those of the convex hull of
the directions. Frame and unit of `geometry.neutral_face`.
"""

from functools import cache
from typing import NamedTuple

import numpy as np
from scipy.interpolate import CubicSpline, RBFInterpolator
from scipy.spatial import ConvexHull, cKDTree

from nntrack.geometry import landmarks
from nntrack.geometry.neutral_face import NEUTRAL_LANDMARKS

CENTRE = np.array([0.0, 0.25, 0.75])
EYE_CENTRE = np.array([-0.31, -0.005, 0.075])  # of the subject's right eyeball
EYE_RADIUS = 0.116
MOUTH = np.array([0.0, 0.655])  # x, y of the middle of the slit

# Points that the surface passes through besides the landmarks: the middle line and the subject's right half.
_CONTROLS = np.array(
    [
        # middle: forehead, crown, back of the head, nape
        (0, -0.17, -0.215), (0, -0.32, -0.225), (0, -0.48, -0.205), (0, -0.66, -0.14), (0, -0.85, 0.05),
        (0, -1.03, 0.34), (0, -1.12, 0.70), (0, -1.06, 1.08), (0, -0.86, 1.43), (0, -0.54, 1.67), (0, -0.15, 1.74),
        (0, 0.20, 1.66), (0, 0.50, 1.44), (0, 0.78, 1.18),
        # middle: nose root, under the nose, under the lip, chin, throat
        (0, -0.08, -0.195), (0, 0.50, -0.225), (0, 0.54, -0.245), (0, 0.85, -0.155), (0, 0.93, -0.175),
        (0, 1.02, -0.165), (0, 1.15, 0.16), (0, 1.17, 0.42), (0, 1.10, 0.80),
        # forehead and temples
        (-0.30, -0.45, -0.145), (-0.30, -0.70, -0.04), (-0.30, -0.95, 0.30), (-0.50, -0.42, 0.03), (-0.62, -0.40, 0.25),
        (-0.50, -0.75, 0.25), (-0.68, -0.55, 0.58), (-0.55, -0.85, 0.62), (-0.30, -1.06, 0.70), (-0.73, -0.25, 0.58),
        (-0.645, -0.10, 0.29), (-0.40, -0.31, -0.095),
        # sides and back
        (-0.75, -0.30, 0.95), (-0.735, 0.00, 0.95), (-0.70, 0.30, 1.00), (-0.685, -0.60, 1.05), (-0.50, -0.90, 1.07),
        (-0.60, -0.40, 1.45), (-0.60, 0.00, 1.45), (-0.48, 0.35, 1.38), (-0.30, -0.82, 1.40), (-0.30, -0.10, 1.69),
        (-0.30, 0.30, 1.55), (-0.38, 0.62, 1.22), (-0.52, 0.84, 0.95), (-0.30, 1.07, 0.46), (-0.45, 0.96, 0.70),
        # cheeks
        (-0.585, 0.12, 0.21), (-0.43, 0.20, 0.005), (-0.615, 0.26, 0.32), (-0.69, 0.10, 0.50), (-0.40, 0.42, 0.01),
        (-0.51, 0.46, 0.19), (-0.60, 0.45, 0.40), (-0.29, 0.21, -0.065), (-0.26, 0.42, -0.085), (-0.37, 0.62, 0.03),
        (-0.36, 0.79, 0.06), (-0.49, 0.70, 0.27), (-0.24, 0.93, -0.05), (-0.14, 0.96, -0.13), (-0.20, 0.83, -0.095),
        # nose
        (-0.075, 0.00, -0.145), (-0.10, 0.12, -0.165), (-0.115, 0.22, -0.205), (-0.16, 0.20, -0.105),
        (-0.165, 0.36, -0.195), (-0.115, 0.33, -0.275), (-0.065, 0.32, -0.375), (-0.215, 0.37, -0.105),
        (-0.05, 0.385, -0.36), (-0.155, 0.425, -0.165), (-0.12, 0.50, -0.195), (-0.04, 0.51, -0.235),
        # eye sockets
        (-0.31, -0.10, -0.060), (-0.20, -0.08, -0.075), (-0.43, -0.075, 0.030), (-0.31, 0.085, -0.040),
        (-0.40, 0.08, -0.005), (-0.22, 0.07, -0.055), (-0.505, -0.01, 0.095), (-0.15, 0.03, -0.065),
        (-0.54, 0.05, 0.15),
        # around the mouth
        (-0.34, 0.67, -0.005), (-0.17, 0.545, -0.175), (-0.26, 0.56, -0.105), (-0.27, 0.76, -0.06),
    ]
)  # fmt: skip


class Surface(NamedTuple):
    """The skin of the neutral head as a mesh.

    points (n, 3); triangles (m, 3), counter-clockwise as seen from outside; landmarks (68,) indices of points;
    right_lids, left_lids, lips: indices of the loops around the openings, in order; mirror (n,): the index of each
    point's mirror image.
    """

    points: np.ndarray
    triangles: np.ndarray
    landmarks: np.ndarray
    right_lids: np.ndarray
    left_lids: np.ndarray
    lips: np.ndarray
    mirror: np.ndarray


def mirrored(points: np.ndarray) -> np.ndarray:
    """Points (..., 3) with left and right swapped."""
    return points * np.array([-1.0, 1.0, 1.0])


def project(points: np.ndarray) -> np.ndarray:
    """The neutral surface's points in the directions of ``points`` (n, 3) as seen from `CENTRE`."""
    towards = directions(points)
    return CENTRE + towards * _radius()(towards)[:, None]


def directions(points: np.ndarray) -> np.ndarray:
    """Unit vectors (n, 3) from `CENTRE` to points."""
    offset = points - CENTRE
    return offset / np.linalg.norm(offset, axis=1, keepdims=True)


def jaw_weight(points: np.ndarray) -> np.ndarray:
    """How far each skin point (n, 3) turns with the jaw, 0..1: fully below the mouth's slit, not at all above it.

    Beyond the corners of the mouth the change is gradual, the more so the farther away.
    """
    beyond = np.clip(np.abs(points[:, 0]) - 0.235, 0, None)
    slit = MOUTH[1] - 0.005 + 0.01 * np.clip(points[:, 0] / 0.24, -1, 1) ** 2  # between the inner lips
    softness = 0.004 + 0.55 * beyond + 0.3 * np.clip(points[:, 2] + 0.05, 0, None) * (beyond > 0)
    weight = 1 / (1 + np.exp(-np.clip((points[:, 1] - slit - 0.25 * beyond) / (0.4 * softness), -30, 30)))
    # the lower lip hangs in an arc between the corners
    hang = np.exp(-np.clip(points[:, 1] - slit, 0, None) / 0.12) * np.clip(np.abs(points[:, 0]) / 0.24, 0, 1) ** 4
    weight = weight * (1 - 0.5 * hang * (beyond < 0.02))
    # the throat and the back of the head stay
    return weight * np.clip((0.95 - points[:, 2]) / 0.6, 0, 1)


@cache
def neutral_surface() -> Surface:
    """The skin of the neutral head, exactly symmetric, with `NEUTRAL_LANDMARKS` among its vertices."""
    lids, lips = _loop(landmarks.RIGHT_EYE, 6), _loop(landmarks.INNER_LIPS, 4)
    half = np.vstack([_feature_points(lids, lips), _grid_points()])
    # a point just beyond the lips' edge would be joined to the other lip
    wide = lips + np.where(np.arange(len(lips)) < len(lips) // 2, -0.008, 0.008)[:, None] * (0, 1, 0)
    half = half[(half[:, 0] < 1e-9) & ~_inside(half, lids) & ~_inside(half, wide)]
    fixed = np.vstack([NEUTRAL_LANDMARKS, lids, mirrored(lids), lips])
    half = _thin(half, fixed)
    middle = np.abs(half[:, 0]) < 0.012
    half[middle, 0] = 0
    points = np.vstack([fixed, half, mirrored(half[~middle])])
    points = _unique(points)
    points = project(points)
    tree = cKDTree(points)
    right, left, mouth = (tree.query(loop)[1] for loop in (project(lids), project(mirrored(lids)), project(lips)))
    triangles = _outward(points, ConvexHull(_opened(points, mouth)).simplices)
    for loop in (right, left, mouth):
        triangles = triangles[~np.isin(triangles, loop).all(axis=1)]
    return Surface(
        points,
        triangles.astype(np.int32),
        tree.query(NEUTRAL_LANDMARKS)[1],
        right,
        left,
        mouth,
        tree.query(mirrored(points))[1],
    )


def lip_weights(count: int) -> np.ndarray:
    """`jaw_weight` of the ``count`` points around the mouth's slit: none on the upper lip, most below."""
    along = np.abs(2 * (np.arange(count) % (count // 2)) / (count // 2) - 1)  # 1 at the corners, 0 in the middle
    weights = np.where(np.arange(count) < count // 2, 0.0, 1 - 0.5 * along**4)
    weights[[0, count // 2]] = 0.45
    return weights


def _opened(points: np.ndarray, lips: np.ndarray) -> np.ndarray:
    """Unit directions (n, 3) of the points with the mouth open, so that no triangle joins the two lips."""
    weight = jaw_weight(points)
    weight[lips] = lip_weights(len(lips))
    return directions(points + weight[:, None] * (0, 0.12, 0))


@cache
def _radius() -> RBFInterpolator:
    controls = np.vstack([_CONTROLS, mirrored(_CONTROLS[_CONTROLS[:, 0] < 0]), NEUTRAL_LANDMARKS])
    # a little slack lets the surface be smooth between points set by hand; the landmarks are met exactly
    slack = np.r_[np.full(len(controls) - landmarks.COUNT, 2e-4), np.zeros(landmarks.COUNT)]
    directions = controls - CENTRE
    radii = np.linalg.norm(directions, axis=1)
    return RBFInterpolator(directions / radii[:, None], radii, smoothing=slack, kernel="thin_plate_spline")


def _loop(indices: range, steps: int) -> np.ndarray:
    """A closed curve (n, 3) through landmarks, with corners at the first and the middle one."""
    points, half = NEUTRAL_LANDMARKS[list(indices)], len(indices) // 2
    back = np.vstack([points[half:], points[:1]])
    return np.vstack([_arc(points[: half + 1], steps)[:-1], _arc(back, steps)[:-1]])


def _arc(points: np.ndarray, steps: int) -> np.ndarray:
    spline = CubicSpline(np.arange(len(points)), points)
    return spline(np.linspace(0, len(points) - 1, steps * (len(points) - 1) + 1))


def _feature_points(lids: np.ndarray, lips: np.ndarray) -> np.ndarray:
    """Points (n, 3) along lids, lips, right brow and jaw, so that edges of the mesh follow them."""
    eye = lids.mean(axis=0)
    rings = [eye + (lids - eye) * scale for scale in ((1.12, 1.3, 1), (1.25, 1.7, 1), (1.42, 2.3, 1), (1.65, 3.1, 1))]
    outer = _loop(landmarks.OUTER_LIPS, 3)
    inner = np.vstack([_arc(lips, 1)[np.linspace(0, len(lips) - 1, len(outer)).astype(int)]])
    middle = np.array([0.0, MOUTH[1], outer[:, 2].mean()])
    rings += [outer, (outer * 2 + inner) / 3, (outer + inner * 2) / 3]
    rings += [middle + (outer - middle) * scale for scale in (1.15, 1.35)]
    rings += [_arc(NEUTRAL_LANDMARKS[list(landmarks.RIGHT_BROW)], 4), _arc(NEUTRAL_LANDMARKS[list(landmarks.JAW)], 3)]
    return np.vstack(rings)


def _grid_points() -> np.ndarray:
    """Directions all over the head, dense on the face and sparse on the back of the head, as points (n, 3)."""
    rows = []
    angle, spacing = 0.0, 0.036  # radians from the front
    while angle < np.pi:
        spacing = 0.036 if angle < 0.75 else min(0.11, spacing * 1.12)
        count = max(1, round(2 * np.pi * np.sin(angle) / spacing))
        turns = 2 * np.pi * (np.arange(count) + 0.25) / count
        ring = [np.sin(angle) * np.sin(turns), -np.sin(angle) * np.cos(turns), np.full(count, -np.cos(angle))]
        rows.append(np.stack(ring, axis=1))
        angle += spacing * 0.9
    return CENTRE + np.vstack(rows)


def _thin(points: np.ndarray, fixed: np.ndarray) -> np.ndarray:
    """Points (n, 3) without those that are too near to an earlier or a fixed one, in the order given."""
    taken = directions(fixed)
    keep: list[int] = []
    for index, direction in enumerate(directions(points)):
        gap = np.min(np.sum((taken - direction) ** 2, axis=1)) ** 0.5
        # the middle of the face may be denser
        if gap > (0.022 if index > 0 and direction[2] > -0.9 else 0.012):
            keep.append(index)
            taken = np.vstack([taken, direction])
    return points[keep]


def _inside(points: np.ndarray, loop: np.ndarray) -> np.ndarray:
    """Whether each direction passes through the opening within ``loop``; counts crossings in the x, y plane."""
    loop = loop[:, :2]
    after = np.roll(loop, -1, axis=0)
    front = project(points)
    x, y = front[:, :1], front[:, 1:2]
    spans = (loop[:, 1] > y) != (after[:, 1] > y)
    rise = np.where(after[:, 1] == loop[:, 1], 1.0, after[:, 1] - loop[:, 1])
    crossing = loop[:, 0] + (y - loop[:, 1]) / rise * (after[:, 0] - loop[:, 0])
    return ((spans & (x < crossing)).sum(axis=1) % 2 == 1) & (front[:, 2] < 0.2)


def _unique(points: np.ndarray) -> np.ndarray:
    _, first = np.unique(np.round(points, 9), axis=0, return_index=True)
    return points[np.sort(first)]


def _outward(points: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    a, b, c = (points[triangles[:, i]] for i in range(3))
    inward = np.sum(np.cross(b - a, c - a) * (a - CENTRE), axis=1) < 0
    triangles = triangles.copy()
    triangles[inward] = triangles[inward][:, [0, 2, 1]]
    return triangles
