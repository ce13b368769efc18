"""The perturbations of the jitter measure: one face with camera noise, compressed, or cropped a little differently."""

from collections.abc import Iterator

import cv2
import numpy as np

from nntrack.deploy.preprocess import roi_square

NOISE = (1, 8, 16, 32)  # standard deviations in grey levels of 255
QUALITIES = (70, 30)  # of JPEG, which many webcams send
# px of the photo: the tracker rounds a window to whole pixels, so smaller steps would show the same patch again
SHIFTS = np.repeat(np.arange(-4.0, 5.0), 4)
SCALES = np.geomspace(0.8, 1.25, len(SHIFTS))
_MARGIN = 4  # px about a window: its sampling reads less than that beyond its edge

# By name, what each is called in tables: those with random noise, then all.
RANDOM = {f"noise_{sigma}": f"camera noise of {sigma}" for sigma in NOISE} | {
    f"jpeg_{quality}": f"camera noise of {NOISE[0]}, JPEG of quality {quality}" for quality in QUALITIES
}
PERTURBATIONS = RANDOM | {
    "shift": "window shifted by up to 4 px",
    "scale": "window scaled by 0.8 to 1.25",
    "crop": "window shifted and scaled",
}


def windows(roi: np.ndarray, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """The windows xyxy (36, 4) of each perturbation that crops a face differently than ``roi`` (4,).

    In each the shifts along x, the shifts along y and the scales that it varies all occur, in random order and each as
    often as the others (a Latin hypercube): that many windows cover all three together. The net sees them rounded to
    whole pixels, as in the tracker.
    """
    still, same = np.zeros_like(SHIFTS), np.ones_like(SCALES)
    mixed = rng.permutation
    designs = {
        "shift": (mixed(SHIFTS), mixed(SHIFTS), same),
        "scale": (still, still, SCALES),
        "crop": (mixed(SHIFTS), mixed(SHIFTS), SCALES),
    }
    centre, half = (roi[:2] + roi[2:]) / 2, (roi[2:] - roi[:2]) / 2
    found = {}
    for name, (x, y, scale) in designs.items():
        centres, halves = centre + np.stack([x, y], axis=1), half * scale[:, None]
        found[name] = np.concatenate([centres - halves, centres + halves], axis=1)
    return found


def crop_around(image: np.ndarray, roi: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The part of an image that the patch of ``roi`` is sampled from, and the ROI in it.

    The patch of that part is the same as that of the image, since the edge is replicated outside of either.
    """
    square = roi_square(roi, image.shape)
    centre, half = np.array([square.x, square.y]), square.side / 2
    limit = np.array(image.shape[::-1])
    low = np.clip(np.floor(centre - half).astype(int) - _MARGIN, 0, limit - 1)
    high = np.clip(np.ceil(centre + half).astype(int) + _MARGIN, low + 1, limit)
    return image[low[1] : high[1], low[0] : high[0]], roi - np.tile(low, 2)


def noisy(image: np.ndarray, count: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """``count`` times the image with every strength of noise, of the same random field so that they can be compared."""
    for _ in range(count):
        field = rng.standard_normal(image.shape, np.float32)
        for sigma in NOISE:
            yield add_noise(image, sigma * field)


def compressed(image: np.ndarray, count: int, rng: np.random.Generator) -> Iterator[tuple[np.ndarray, ...]]:
    """``count`` times the whole frame with the weakest noise, decoded from a JPEG of each quality."""
    for _ in range(count):
        frame = add_noise(image, NOISE[0] * rng.standard_normal(image.shape, np.float32))
        yield tuple(_jpeg(frame, quality) for quality in QUALITIES)


def add_noise(image: np.ndarray, noise: np.ndarray) -> np.ndarray:
    """Image (H, W) uint8 plus noise (H, W) float32 in grey levels, rounded and clipped as a camera's are."""
    return np.rint(noise + image).clip(0, 255).astype(np.uint8)


def _jpeg(image: np.ndarray, quality: int) -> np.ndarray:
    data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_GRAYSCALE))
