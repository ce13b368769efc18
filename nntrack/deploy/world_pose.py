"""The head in space, in front of the camera, from what a pose net sees in a frame, exactly as the client computes it.

Frame: the camera's, x right, y down, z into the screen, mm.
"""

import math
from typing import NamedTuple

import numpy as np

from nntrack.contract import WORLD_POSE
from nntrack.geometry.perspective import ray_quat
from nntrack.geometry.rotations import quat_apply, quat_multiply, quat_to_rotmat


class WorldPose(NamedTuple):
    """Heads in space. quat: (..., 4) xyzw. position: (..., 3) mm, of a point at the neck."""

    quat: np.ndarray
    position: np.ndarray


def to_world(quat: np.ndarray, pos_size: np.ndarray, shape: tuple[int, ...], fov: float = WORLD_POSE.fov) -> WorldPose:
    """Heads seen in a frame as heads in space.

    The distance follows from the size, as if all heads were as high, and the rotation is corrected for the direction in
    which the camera sees the head.

    Args:
        quat: (n, 4) xyzw.
        pos_size: (n, 3) px.
        shape: (height, width) of the frame.
        fov: diagonal field of view of the camera, degrees.
    """
    height, width = shape[:2]
    focal = math.hypot(width, height) / 2 / math.tan(math.radians(fov) / 2)  # px
    x, y, size = np.asarray(pos_size, np.float64).T
    depth = focal / (2 * size) * WORLD_POSE.head_height
    place = np.stack([(x - width / 2) / focal * depth, (y - height / 2) / focal * depth, depth], axis=-1)
    camera = np.tile([focal, focal, width / 2, height / 2], (len(place), 1))
    turned = quat_multiply(ray_quat(pos_size[:, :2], camera), np.asarray(quat, np.float64))
    return WorldPose(turned, place + quat_apply(turned, np.array(WORLD_POSE.offset)))


def angles(quat: np.ndarray) -> tuple[float, float, float]:
    """Yaw, pitch, roll in degrees of one rotation (4,) xyzw, as the client reports them.

    Yaw turns first, then pitch, then roll: unlike the angles of AFLW2000-3D, where pitch does. A head that turns about
    one axis alone has the same angle, with the same sign, in both.
    """
    m = quat_to_rotmat(np.asarray(quat, np.float64))
    yaw = math.atan2(m[0, 2], m[2, 2])
    pitch = math.atan2(m[1, 2], math.hypot(m[0, 2], m[2, 2]))
    roll = math.atan2(m[1, 0], m[1, 1])
    return math.degrees(yaw), math.degrees(pitch), math.degrees(roll)
