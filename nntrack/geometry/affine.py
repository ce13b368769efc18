"""Affine maps of the image plane (x' = A x + b, stored (..., 2, 3)), and how each kind of label moves under one.

Maps act on points in continuous coordinates: (0, 0) is the corner of the first pixel. The label rules hold for
similarities, mirrored or not (the only maps this project uses): a rotation has no meaning after a shear.
"""

from typing import Any

from array_api_compat import array_namespace

from nntrack.geometry.arrays import constant_like
from nntrack.geometry.landmarks import MIRROR
from nntrack.geometry.rotations import mirror_quat, quat_multiply

Array = Any

_MIRROR = tuple(MIRROR.tolist())


def compose(outer: Array, inner: Array) -> Array:
    """The map that does ``inner`` first. Shapes (..., 2, 3)."""
    xp = array_namespace(outer, inner)
    linear = outer[..., :2] @ inner[..., :2]
    shift = outer[..., :2] @ inner[..., 2:] + outer[..., 2:]
    return xp.concat([linear, shift], axis=-1)


def inverse(affine: Array) -> Array:
    """The inverse map (..., 2, 3)."""
    xp = array_namespace(affine)
    a, b, c, d = affine[..., 0, 0], affine[..., 0, 1], affine[..., 1, 0], affine[..., 1, 1]
    # the namespace's own inverse looks whether there is one, for which an accelerator must be waited for
    linear = xp.stack([xp.stack([d, -b], axis=-1), xp.stack([-c, a], axis=-1)], axis=-2)
    linear = linear / _determinant(affine)[..., None, None]
    return xp.concat([linear, -(linear @ affine[..., 2:])], axis=-1)


def similarity(angle: Array, scale: Array, shift: Array) -> Array:
    """Turn by ``angle`` (...; radians, x toward y, so clockwise as seen), scale (...), then shift (..., 2)."""
    xp = array_namespace(angle, scale, shift)
    c, s = scale * xp.cos(angle), scale * xp.sin(angle)
    rows = [xp.stack([c, -s, shift[..., 0]], axis=-1), xp.stack([s, c, shift[..., 1]], axis=-1)]
    return xp.stack(rows, axis=-2)


def box_to_box(source: Array, target: Array) -> Array:
    """The axis-aligned map that takes box ``source`` xyxy (..., 4) onto ``target``."""
    xp = array_namespace(source, target)
    scale = (target[..., 2:] - target[..., :2]) / (source[..., 2:] - source[..., :2])
    shift = target[..., :2] - scale * source[..., :2]
    zero = xp.zeros_like(scale[..., 0])
    rows = [
        xp.stack([scale[..., 0], zero, shift[..., 0]], axis=-1),
        xp.stack([zero, scale[..., 1], shift[..., 1]], axis=-1),
    ]
    return xp.stack(rows, axis=-2)


def from_unit(like: Array, height: int, width: int) -> Array:
    """The map (2, 3) of the square from -1 to 1 onto an image of so many px, as an array like ``like``."""
    return constant_like(like, ((width / 2, 0.0, width / 2), (0.0, height / 2, height / 2)))


def scale_of(affine: Array) -> Array:
    """The length of an image of a unit vector (...)."""
    xp = array_namespace(affine)
    return xp.abs(_determinant(affine)) ** 0.5


def is_mirrored(affine: Array) -> Array:
    """Whether the map swaps left and right (...), bool."""
    return _determinant(affine) < 0


def move_points(affine: Array, points: Array) -> Array:
    """Points (..., n, 2)."""
    xp = array_namespace(affine, points)
    return points @ xp.matrix_transpose(affine[..., :2]) + affine[..., None, :, 2]


def move_box(affine: Array, box: Array) -> Array:
    """Boxes xyxy (..., 4): the tight box of the moved ellipse inscribed in the box.

    Exact for scaling, shifts, mirrors and quarter turns. Between them a face, being round, fills the moved ellipse and
    not the corners, whose box would be up to 1.4 times too wide.
    """
    xp = array_namespace(affine, box)
    centre = move_points(affine, ((box[..., :2] + box[..., 2:]) / 2)[..., None, :])[..., 0, :]
    half = (box[..., 2:] - box[..., :2]) / 2
    half = xp.sum((affine[..., :2] * half[..., None, :]) ** 2, axis=-1) ** 0.5
    return xp.concat([centre - half, centre + half], axis=-1)


def move_quat(affine: Array, quat: Array) -> Array:
    """Rotations (..., 4): mirrored first where the map mirrors, then turned in the image plane."""
    xp = array_namespace(affine, quat)
    mirrored = is_mirrored(affine)
    # the linear part is s * Rz(angle) * diag(+-1, 1): its second column is the turned y axis either way
    angle = xp.atan2(-affine[..., 0, 1], affine[..., 1, 1])
    zero = xp.zeros_like(angle)
    turn = xp.stack([zero, zero, xp.sin(angle / 2), xp.cos(angle / 2)], axis=-1)
    return quat_multiply(turn, xp.where(mirrored[..., None], mirror_quat(quat), quat))


def move_pos_size(affine: Array, pos_size: Array) -> Array:
    """Head centre and radius (..., 3): a point and a length."""
    xp = array_namespace(affine, pos_size)
    point = move_points(affine, pos_size[..., None, :2])[..., 0, :]
    return xp.concat([point, pos_size[..., 2:] * scale_of(affine)[..., None]], axis=-1)


def move_camera(affine: Array, camera: Array) -> Array:
    """Focal lengths x, y and the place of the optical axis x, y (..., 4): two lengths and a point.

    Exact for scaling, shifts, mirrors and quarter turns, and for every map where both focal lengths are the same.
    """
    xp = array_namespace(affine, camera)
    focal = xp.sum((affine[..., :2] * camera[..., None, :2]) ** 2, axis=-1) ** 0.5
    return xp.concat([focal, move_points(affine, camera[..., None, 2:])[..., 0, :]], axis=-1)


def move_landmarks(affine: Array, landmarks: Array) -> Array:
    """Landmarks (..., 68, 3): xy are points, z a length; a mirror swaps the subject's sides."""
    xp = array_namespace(affine, landmarks)
    order = constant_like(landmarks, _MIRROR, xp.int64)
    mirrored = is_mirrored(affine)[..., None, None]
    landmarks = xp.where(mirrored, xp.take(landmarks, order, axis=-2), landmarks)
    depth = landmarks[..., 2:] * scale_of(affine)[..., None, None]
    return xp.concat([move_points(affine, landmarks[..., :2]), depth], axis=-1)


def _determinant(affine: Array) -> Array:
    return affine[..., 0, 0] * affine[..., 1, 1] - affine[..., 0, 1] * affine[..., 1, 0]
