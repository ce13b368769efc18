"""The effect of a camera's perspective on the rotation of a head.

A net sees a head through a square window, as if it looked along the ray through it; a label of rotation is in the frame
of the camera, which looks along its own axis. ``R_camera = R_ray R_seen``, where R_ray is the smallest rotation that
takes the camera's axis to the ray.
"""

import numpy as np

from nntrack.geometry.rotations import normalize, quat_apply, quat_multiply

# Head radii from the point between the eyes, in the head's frame: a head is seen along the ray through it. Along that
# through the eyes, the pitch of rendered heads was biased: the features of a pose are around the face's middle.
FACE_MIDDLE = np.array([0.0, 0.4, 0.0])


def ray_quat(points: np.ndarray, camera: np.ndarray) -> np.ndarray:
    """R_ray (N, 4) for points (N, 2) px of the image; camera (N, 4): fx, fy, cx, cy in px of the same image.

    The camera looks along z, into the screen. A ray is never behind it, so the half turn, which has no one axis, cannot
    occur.
    """
    points, camera = np.asarray(points, np.float64), np.asarray(camera, np.float64)
    across = (points - camera[:, 2:]) / camera[:, :2]
    x, y, z = normalize(np.concatenate([across, np.ones((len(across), 1))], axis=1)).T
    # (axis to ray) = cross product and 1 + cosine, the quaternion of twice the angle halved by its length
    return normalize(np.stack([-y, x, np.zeros_like(x), 1 + z], axis=1))


def face_middle(quat: np.ndarray, pos_size: np.ndarray) -> np.ndarray:
    """The position (N, 2) px of `FACE_MIDDLE` in the image; quat (N, 4), pos_size (N, 3) px."""
    return pos_size[:, :2] + quat_apply(np.asarray(quat, np.float64), FACE_MIDDLE)[:, :2] * pos_size[:, 2:]


def seen_to_camera(quat: np.ndarray, points: np.ndarray, camera: np.ndarray) -> np.ndarray:
    """Rotations (N, 4) as seen along the rays through ``points`` (N, 2) px, in the frame of the camera."""
    return quat_multiply(ray_quat(points, camera), np.asarray(quat, np.float64))
