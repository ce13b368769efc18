"""The neutral surface, a smooth head for which textures and hair are made, whatever head they are put on.

It is star-shaped about `CENTRE`: every direction meets it once. So a surface point is a direction and a radius, and the
radius is interpolated between the landmarks and control points set by hand. Frame and unit of `geometry.neutral_face`.
"""

from functools import cache
from typing import NamedTuple

import numpy as np
from scipy.interpolate import CubicSpline, RBFInterpolator

from nntrack.geometry import landmarks
from nntrack.geometry.neutral_face import NEUTRAL_LANDMARKS

CENTRE = np.array([0.0, 0.25, 0.75])

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


class Openings(NamedTuple):
    """Closed curves (n, 3) on the neutral surface around eyes and mouth; the first half of each is the upper edge."""

    right_eye: np.ndarray
    left_eye: np.ndarray
    mouth: np.ndarray


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


@cache
def openings() -> Openings:
    """The curves through the landmarks of lids and inner lips."""
    lids, lips = _loop(landmarks.RIGHT_EYE, 6), _loop(landmarks.INNER_LIPS, 4)
    return Openings(project(lids), project(mirrored(lids)), project(lips))


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
