"""A wireframe of the head: the strokes of the neutral face, and rings and meridians on the skull behind it.

Points are in the head frame in head radii (100 mm), origin between the eyes, as in `neutral_face`.
"""

from typing import NamedTuple

import numpy as np

from nntrack.geometry.landmarks import STROKES
from nntrack.geometry.neutral_face import NEUTRAL_LANDMARKS, SKULL_AXES, SKULL_CENTRE
from nntrack.geometry.rotations import quat_apply

_FACE_CENTRE = np.array([0.0, 0.40, 0.80])  # normals of the face point away from here
_BAND = (-0.20, 0.39)  # the cap ends where y = a + b z: above the brows, at the upper ends of the jaw line, at the nape
_PARALLELS, _MERIDIANS, _STEPS = 3, 8, 96  # rings of the cap, lines from its top to its edge, points of a ring
# Lines through landmarks down the middle of the face, beside the strokes.
_MIDDLE = ((30, 33, 51), (57, 8))


class Wire(NamedTuple):
    """A line. points (n, 3). normals (n, 3): of the surface, outwards. face: whether it belongs to the face."""

    points: np.ndarray
    normals: np.ndarray
    face: bool


class PosedWire(NamedTuple):
    """A line in the image. points (n, 2) px. visible (n,) bool: not on the far side. face: as of `Wire`."""

    points: np.ndarray
    visible: np.ndarray
    face: bool


def project(points: np.ndarray, quat: np.ndarray, pos_size: np.ndarray) -> np.ndarray:
    """Return points (n, 3) of the head frame in image coordinates (n, 3) px, by weak perspective; z into the screen."""
    turned = quat_apply(np.asarray(quat, np.float64), points) * float(pos_size[2])
    turned[:, :2] += np.asarray(pos_size, np.float64)[:2]
    return turned


def pose(quat: np.ndarray, pos_size: np.ndarray) -> list[PosedWire]:
    """Return the wireframe with rotation ``quat`` (4,) xyzw and ``pos_size`` (3,) px."""
    quat = np.asarray(quat, np.float64)
    return [
        PosedWire(project(w.points, quat, pos_size)[:, :2], quat_apply(quat, w.normals)[:, 2] < 0, w.face) for w in HEAD
    ]


def _face() -> list[Wire]:
    strokes = [(*indices, *([indices[0]] if closed else [])) for indices, closed in STROKES]
    lines = [NEUTRAL_LANDMARKS[list(stroke)] for stroke in (*strokes, *_MIDDLE)]
    return [Wire(line, line - _FACE_CENTRE, face=True) for line in lines]


def _cap() -> list[Wire]:
    """Return rings and meridians about the top of the cap, made on a unit sphere that is then scaled to the skull."""
    start, slope = _BAND
    normal = np.array([0.0, 1.0, -slope]) * SKULL_AXES
    length = np.linalg.norm(normal)
    top = -normal / length
    edge = np.arccos((SKULL_CENTRE[1] - slope * SKULL_CENTRE[2] - start) / length)  # radians from the top
    front = np.cross([1.0, 0.0, 0.0], top)
    front *= -np.sign(front[2])

    def at(polar: np.ndarray, azimuth: np.ndarray) -> Wire:
        side = np.cos(azimuth)[..., None] * front + np.sin(azimuth)[..., None] * np.array([1.0, 0.0, 0.0])
        ball = np.cos(polar)[..., None] * top + np.sin(polar)[..., None] * side
        return Wire(SKULL_CENTRE + ball * SKULL_AXES, ball / SKULL_AXES, face=False)

    around, down = np.linspace(0, 2 * np.pi, _STEPS + 1), np.linspace(0, edge, _STEPS // 2)
    rings = [at(np.full_like(around, edge * (i + 1) / _PARALLELS), around) for i in range(_PARALLELS)]
    return rings + [at(down, np.full_like(down, 2 * np.pi * i / _MERIDIANS)) for i in range(_MERIDIANS)]


HEAD = (*_cap(), *_face())
