"""A head of wire for drawing on pictures: the mean face's strokes and a cap of lines on the skull behind it.

Points are in the head frame in head radii (100 mm), origin between the eyes, as in `reference`.
"""

from typing import NamedTuple

import numpy as np

from nntrack.geometry.landmarks import STROKES
from nntrack.geometry.neutral_face import NEUTRAL_LANDMARKS
from nntrack.geometry.rotations import quat_apply

# The cranium's ellipsoid: it passes through the forehead and before the ears.
SKULL_CENTRE = np.array([0.0, -0.22, 0.82])
SKULL_AXES = np.array([0.75, 0.93, 0.96])  # half axes
_FACE_CENTRE = np.array([0.0, 0.40, 0.80])  # what the face's surface turns away from
_BAND = (-0.20, 0.39)  # the cap ends where y = a + b z: over the brows, at the upper ends of the jaw line, at the nape
_PARALLELS, _MERIDIANS, _STEPS = 3, 8, 96  # rings of the cap, lines from its top to its edge, points of a ring
# Joints of landmarks that are no strokes of a drawn face, but show where its middle is.
_MIDDLE = ((30, 33, 51), (57, 8))


class Wire(NamedTuple):
    """A line. points (n, 3). outward (n, 3): which way the surface faces there. face: whether of the face."""

    points: np.ndarray
    outward: np.ndarray
    face: bool


class SeenWire(NamedTuple):
    """A line in the image. points (n, 2) px. visible (n,) bool: not on the far side. face: whether of the face."""

    points: np.ndarray
    visible: np.ndarray
    face: bool


def project(points: np.ndarray, quat: np.ndarray, pos_size: np.ndarray) -> np.ndarray:
    """Points (n, 3) of the head frame in the image (n, 3) px, by weak perspective; z into the screen."""
    turned = quat_apply(np.asarray(quat, np.float64), points) * float(pos_size[2])
    turned[:, :2] += np.asarray(pos_size, np.float64)[:2]
    return turned


def seen(quat: np.ndarray, pos_size: np.ndarray) -> list[SeenWire]:
    """The head of wire with rotation ``quat`` (4,) xyzw and ``pos_size`` (3,) px."""
    quat = np.asarray(quat, np.float64)
    return [
        SeenWire(project(w.points, quat, pos_size)[:, :2], quat_apply(quat, w.outward)[:, 2] < 0, w.face) for w in HEAD
    ]


def _head() -> tuple[Wire, ...]:
    return (*_cap(), *_face())


def _face() -> list[Wire]:
    strokes = [(*indices, *([indices[0]] if closed else [])) for indices, closed in STROKES]
    lines = [NEUTRAL_LANDMARKS[list(stroke)] for stroke in (*strokes, *_MIDDLE)]
    return [Wire(line, line - _FACE_CENTRE, face=True) for line in lines]


def _cap() -> list[Wire]:
    """Rings and meridians about the pole of the cap, drawn on a sphere that is then stretched to the skull."""
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


HEAD = _head()
