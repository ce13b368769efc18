"""The perturbations of the report card: one face with camera noise, compressed, or cropped a little differently."""

from collections.abc import Iterator

import cv2
import numpy as np

NOISE = (1, 8, 16, 32)  # standard deviations in grey levels of 255
QUALITIES = (70, 30)  # of JPEG, which many webcams send
# px of the frame: the tracker rounds a window to whole pixels, so smaller steps would show the same patch again
SHIFTS = tuple(range(-4, 5))
_FULL, _GAMMA = 2000, 2.2  # photons of a white pixel in good light; what grey levels are to light
_JPEG_EVERY = 4  # frames with noise
_BLOCK = 8  # px: a JPEG is compressed in blocks of so many, so that parts cut between them are decoded alike

# By name, what each is called in tables
RANDOM = {f"noise_{sigma}": f"noise of {sigma}" for sigma in NOISE} | {
    f"jpeg_{quality}": f"noise of {NOISE[0]}, JPEG of quality {quality}" for quality in QUALITIES
}
CROPS = {"near": "window of 0.8 to 1.25", "wide": "window of 0.7 to 1.5"}
SCALES = {
    "near": np.geomspace(0.8, 1.25, 11),
    "wide": np.geomspace(0.7, 1.5, 17),
}


def part_around(window: np.ndarray, shape: tuple[int, ...], margin: int) -> tuple[slice, slice]:
    """Rows and columns of an image that hold a window xyxy (4,) px and ``margin`` px about it, in whole JPEG blocks.

    As in the client the window's centre is moved into the image.
    """
    centre, half = np.clip((window[:2] + window[2:]) / 2, 0, shape[1::-1]), max(window[2:] - window[:2]) / 2
    low = np.floor((centre - half - margin) / _BLOCK).astype(int) * _BLOCK
    high = np.ceil((centre + half + margin) / _BLOCK).astype(int) * _BLOCK
    (left, top), (right, bottom) = np.maximum(low, 0), np.minimum(high, shape[1::-1])
    return slice(top, max(bottom, top + _BLOCK)), slice(left, max(right, left + _BLOCK))


def perturbed(
    image: np.ndarray, part: tuple[slice, slice], count: int, rng: np.random.Generator
) -> Iterator[tuple[str, np.ndarray]]:
    """``count`` times the frame (H, W) uint8 with each noise of `RANDOM`, every fourth time as JPEG too, and its name.

    Only a part of the frame is changed. The noise of all strengths is the same random field, so that they can be
    compared.
    """
    clean = image[part]
    for number in range(count):
        field = rng.standard_normal(clean.shape, np.float32)
        for sigma in NOISE:
            yield f"noise_{sigma}", _with(image, part, add_noise(clean, sigma * field))
        weakest = add_noise(clean, NOISE[0] * field)
        for quality in QUALITIES if number % _JPEG_EVERY == 0 else ():
            yield f"jpeg_{quality}", _with(image, part, _jpeg(weakest, quality))


def add_noise(image: np.ndarray, noise: np.ndarray) -> np.ndarray:
    """Image (H, W) uint8 plus noise (H, W) float32 in grey levels, rounded and clipped as a camera's are."""
    return np.rint(noise + image).clip(0, 255).astype(np.uint8)


def mirrored(image: np.ndarray, box: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The mirror images of an image (H, W) and of a box xyxy (4,) px in it."""
    width = image.shape[1]
    return np.ascontiguousarray(image[:, ::-1]), np.array([width - box[2], box[1], width - box[0], box[3]])


def underexposed(image: np.ndarray, rng: np.random.Generator, fraction: float = 1 / 8) -> np.ndarray:
    """The image (H, W) uint8 at a fraction of the light, with the noise of the photons that are left.

    Grey levels are taken to be light to the power of 1 / 2.2; white is `_FULL` photons in good light.
    """
    photons = rng.poisson(_FULL * fraction * (image / 255.0) ** _GAMMA)
    return np.rint(255 * np.clip(photons / _FULL, 0, 1) ** (1 / _GAMMA)).astype(np.uint8)


def _with(image: np.ndarray, part: tuple[slice, slice], content: np.ndarray) -> np.ndarray:
    changed = image.copy()
    changed[part] = content
    return changed


def _jpeg(image: np.ndarray, quality: int) -> np.ndarray:
    data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_GRAYSCALE))
