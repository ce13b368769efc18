"""The 68 iBUG landmarks (0-based; sides are the subject's) and the boxes that follow from them."""

from typing import Any

import numpy as np
from array_api_compat import array_namespace

from nntrack.constants import beside
from nntrack.rotations import quat_apply

COUNT = 68
JAW = range(0, 17)
RIGHT_BROW = range(17, 22)
LEFT_BROW = range(22, 27)
NOSE_BRIDGE = range(27, 31)  # 30 is the tip
NOSTRILS = range(31, 36)
RIGHT_EYE = range(36, 42)
LEFT_EYE = range(42, 48)
OUTER_LIPS = range(48, 60)
INNER_LIPS = range(60, 68)
EYE_CORNERS = (36, 39, 42, 45)
OUTER_EYE_CORNERS = (36, 45)

# (indices, closed): the strokes of a drawn face
STROKES = (
    (JAW, False),
    (RIGHT_BROW, False),
    (LEFT_BROW, False),
    (NOSE_BRIDGE, False),
    (NOSTRILS, False),
    (RIGHT_EYE, True),
    (LEFT_EYE, True),
    (OUTER_LIPS, True),
    (INNER_LIPS, True),
)

# MIRROR[i]: the landmark that takes the place of i when left and right are swapped; its own inverse
MIRROR = np.array(
    [*range(16, -1, -1), *range(26, 16, -1), *range(27, 31), *range(35, 30, -1)]
    + [45, 44, 43, 42, 47, 46, 39, 38, 37, 36, 41, 40]
    + [54, 53, 52, 51, 50, 49, 48, 59, 58, 57, 56, 55, 64, 63, 62, 61, 60, 67, 66, 65]
)

# Points on the forehead in the head frame, in head radii (100 mm). No landmark lies above the brows, but the box that
# the tracker is steered by covers part of the forehead: about a quarter of the landmark box's height.
FOREHEAD = ((-0.40, -0.50, 0.05), (0.0, -0.58, -0.05), (0.40, -0.50, 0.05))


def landmark_box(landmarks: Any) -> Any:
    """Tight box xyxy (..., 4) around landmarks (..., n, 2 or 3), same unit and frame."""
    xp = array_namespace(landmarks)
    points = landmarks[..., :2]
    return xp.concat([xp.min(points, axis=-2), xp.max(points, axis=-2)], axis=-1)


def face_box(landmarks: Any, quat: Any, pos_size: Any) -> Any:
    """The house's ``bbox`` of a posed face: the tight box xyxy (..., 4) around landmarks and forehead.

    landmarks (..., 68, 2 or 3), quat (..., 4) and pos_size (..., 3) in one image frame and unit.
    """
    xp = array_namespace(landmarks, quat, pos_size)
    points = quat_apply(quat[..., None, :], beside(landmarks, FOREHEAD))[..., :2]  # (..., 3, 2)
    points = points * pos_size[..., None, 2:] + pos_size[..., None, :2]
    return landmark_box(xp.concat([landmarks[..., :2], points], axis=-2))


def square_around(box: Any, scale: float = 1.0) -> Any:
    """The square xyxy (..., 4) about the centre of a box xyxy, its side ``scale`` times the box's longer one."""
    xp = array_namespace(box)
    centre = (box[..., :2] + box[..., 2:]) / 2
    half = xp.max(box[..., 2:] - box[..., :2], axis=-1, keepdims=True) * (scale / 2)
    return xp.concat([centre - half, centre + half], axis=-1)
