"""The camera: where it stands, how points of a head come into its image, and what its lens and sensor do to them.

Image frame: px, corner-based, x right, y down, z into the screen.
"""

from typing import NamedTuple

import cv2
import numpy as np
from scipy.spatial.transform import Rotation

from nntrack.geometry.perspective import FACE_MIDDLE
from nntrack.geometry.rotations import quat_to_rotmat
from nntrack.synthesis.textures import blurred

_NECK = np.array([0.0, 0.95, 0.95])  # the shoulders turn against the head about this point; head frame, head radii
_MAX_NECK_TURN = 1.1  # radians


class Lens(NamedTuple):
    """A pinhole camera for the whole image. focal: px; middle (2,): px, where the optical axis passes."""

    focal: float
    middle: np.ndarray


def webcam(size: tuple[int, int]) -> Lens:
    """A camera of 56 degrees from corner to corner, which is what Opentrack takes a webcam to have.

    size: height, width of its image, px.
    """
    return Lens(float(np.hypot(*size)) / 2 / np.tan(np.radians(56) / 2), np.array(size[::-1]) / 2)


class Camera(NamedTuple):
    """How one head is seen.

    rotmat (3, 3): from the head's to the image frame. body (3,): rotation vector of the shoulders against the head, in
    the head's frame. centre (2,): px, the point between the eyes. radius: px of 100 mm there. distance: from the camera
    to that point, in head radii. axis (2,): where the optical axis passes, in head radii from that point.
    """

    rotmat: np.ndarray
    body: np.ndarray
    centre: np.ndarray
    radius: float
    distance: float
    axis: np.ndarray


class Projection(NamedTuple):
    """Points (n, 3) in the image frame. turned: head radii about the eyes; pixels: px, with perspective."""

    turned: np.ndarray
    pixels: np.ndarray


def sample_camera(
    rng: np.random.Generator, quat: np.ndarray, centre: np.ndarray, radius: float, lens: Lens | None = None
) -> Camera:
    """A camera for a head with a given pose, and a stance of its shoulders.

    Args:
        rng: random numbers.
        quat: (4,) xyzw, the head's rotation.
        centre: (2,) px, where the point between the eyes lies.
        radius: px of 100 mm at that point.
        lens: None for a random distance.
    """
    rotmat = quat_to_rotmat(np.asarray(quat, np.float64))
    centre, radius = np.asarray(centre, np.float64), float(radius)
    facing = Rotation.from_matrix(rotmat)
    # the shoulders follow the head's turn only in part
    fraction = np.array([rng.uniform(0.0, 0.4), rng.uniform(0.2, 0.9), rng.uniform(0.0, 0.5)])
    stance = Rotation.from_rotvec(facing.as_rotvec() * fraction + rng.normal(0, [0.06, 0.15, 0.05]))
    body = (facing.inv() * stance).as_rotvec()
    body *= min(1.0, _MAX_NECK_TURN / max(float(np.linalg.norm(body)), 1e-9))
    distance = np.exp(rng.uniform(np.log(9), np.log(45)))
    if lens is not None:
        return Camera(rotmat, body, centre, radius, lens.focal / radius, (lens.middle - centre) / radius)
    # The camera looks at the middle of the face, so that a label's rotation is the one that a fit without perspective
    # would find. If it looked between the eyes, it would see all faces a little from above.
    return Camera(rotmat, body, centre, radius, distance, rotmat[:2] @ FACE_MIDDLE)


def project(points: np.ndarray, follows: np.ndarray, camera: Camera, origin: np.ndarray) -> Projection:
    """Points of the head in the image.

    Args:
        points: (n, 3), head frame, head radii.
        follows: (n,), 0 where a point moves with the head, 1 with the shoulders.
        camera: how the head is seen.
        origin: (3,), the point between the eyes.
    """
    moved = np.array(points, np.float64)
    low = follows > 0
    if low.any():
        turn = Rotation.from_rotvec(camera.body * follows[low, None])
        moved[low] = turn.apply(moved[low] - _NECK) + _NECK
    turned = (moved - origin) @ camera.rotmat.T
    nearness = camera.distance / np.maximum(camera.distance + turned[:, 2:], 0.3 * camera.distance)
    flat = (camera.axis + (turned[:, :2] - camera.axis) * nearness) * camera.radius + camera.centre
    return Projection(turned, np.column_stack([flat, turned[:, 2] * camera.radius]))


def expose(rng: np.random.Generator, image: np.ndarray, coverage: np.ndarray, tone: float) -> np.ndarray:
    """Brightness as a camera sets it: near a middle level, dark skin a little darker, highlights compressed.

    Args:
        rng: random numbers.
        image: (H, W), brightness of what was rendered.
        coverage: (H, W), 0..1, how much of each pixel it covers.
        tone: albedo of the skin, 0..1.
    """
    level = rng.uniform(0.28, 0.74) * (tone / 0.5) ** 0.35
    mean = float(np.sum(image * coverage) / max(float(coverage.sum()), 1.0))
    return 1.12 * (1 - np.exp(-1.15 * image * level / max(mean, 0.02)))


def photograph(rng: np.random.Generator, image: np.ndarray, blur: float) -> np.ndarray:
    """The image (H, W), 0..1, as uint8 after lens and sensor: blur of about ``blur`` px, motion, contrast, noise."""
    sigma = blur * np.exp(rng.normal(0, 0.5))
    image = blurred(image, sigma)
    if rng.random() < 0.1:
        image = _motion_blurred(rng, image, blur)
    image = cv2.pow(np.clip(image, 0, 1), np.exp(rng.normal(0, 0.2)))
    if rng.random() < 0.3:
        low, high = rng.uniform(0, 0.15), rng.uniform(0.8, 1.0)
        image = low + (high - low) * image
    strength = 0.03 * rng.random() ** 2 + 0.003
    grain = rng.standard_normal(image.shape, np.float32)
    image = image + strength * (grain if rng.random() < 0.5 else 1.6 * blurred(grain, 0.6))
    return np.clip(image * 255 + 0.5, 0, 255).astype(np.uint8)


def _motion_blurred(rng: np.random.Generator, image: np.ndarray, blur: float) -> np.ndarray:
    length = max(3, 2 * round(rng.uniform(1, 6) * blur) + 1)
    kernel = np.zeros((length, length), np.float32)
    middle, turn = length // 2, rng.uniform(0, np.pi)
    step = np.array([np.cos(turn), np.sin(turn)]) * middle
    start, end = (tuple(int(v) for v in np.round(middle + sign * step)) for sign in (-1, 1))
    cv2.line(kernel, start, end, 1.0, 1)
    return cv2.filter2D(image, -1, kernel / kernel.sum(), borderType=cv2.BORDER_REPLICATE)
