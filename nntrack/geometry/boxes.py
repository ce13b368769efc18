"""Boxes xyxy: about landmarks, about a posed face, squares about boxes, areas and overlap. NumPy and torch alike."""

from typing import Any

from array_api_compat import array_namespace

from nntrack.geometry.arrays import constant_like
from nntrack.geometry.rotations import quat_apply

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
    points = quat_apply(quat[..., None, :], constant_like(landmarks, FOREHEAD))[..., :2]  # (..., 3, 2)
    points = points * pos_size[..., None, 2:] + pos_size[..., None, :2]
    return landmark_box(xp.concat([landmarks[..., :2], points], axis=-2))


def square_around(box: Any, scale: float = 1.0) -> Any:
    """The square xyxy (..., 4) about the centre of a box xyxy, its side ``scale`` times the box's longer one."""
    xp = array_namespace(box)
    centre = (box[..., :2] + box[..., 2:]) / 2
    half = xp.max(box[..., 2:] - box[..., :2], axis=-1, keepdims=True) * (scale / 2)
    return xp.concat([centre - half, centre + half], axis=-1)


def box_area(boxes: Any) -> Any:
    """Area (...,) of boxes xyxy (..., 4); 0 for an inverted one."""
    xp = array_namespace(boxes)
    sides = xp.clip(boxes[..., 2:] - boxes[..., :2], 0, None)
    # the gradient of torch's `prod` reads a count back from the accelerator
    return sides[..., 0] * sides[..., 1]


def box_iou(a: Any, b: Any, min_union: float = 1e-12) -> Any:
    """Intersection over union (...,) of boxes xyxy (..., 4); ``min_union``: the least that is divided by."""
    xp = array_namespace(a, b)
    inside = xp.concat([xp.maximum(a[..., :2], b[..., :2]), xp.minimum(a[..., 2:], b[..., 2:])], axis=-1)
    shared = box_area(inside)
    return shared / xp.clip(box_area(a) + box_area(b) - shared, min_union, None)
