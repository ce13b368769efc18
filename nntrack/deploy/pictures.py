"""Pictures to try a network on, made by formula: whole ones without a face, and inputs of about -0.5..0.5."""

from collections.abc import Callable

import cv2
import numpy as np

FRAME = (480, 640)  # height, width of a webcam's picture

Painter = Callable[[np.random.Generator], np.ndarray]


def inputs(size: tuple[int, int]) -> list[np.ndarray]:
    """Network inputs (height, width) float32: uniform ones, noise of several grains, and a bright disc."""
    rng = np.random.default_rng(0)
    height, width = size
    images: list[np.ndarray] = [np.full(size, value, np.float32) for value in (-0.5, 0.0, 0.5)]
    images += [_grains(rng, size, cells) / np.float32(255) - 0.5 for cells in (2, 4, 8, 16, 32, 64)]
    images.append(rng.uniform(-0.5, 0.5, size).astype(np.float32))
    disc = np.zeros(size, np.uint8)
    cv2.circle(disc, (width // 2, height // 2), height // 3, 200, -1)
    images.append(cv2.GaussianBlur(disc, (0, 0), 3) / np.float32(255) - 0.5)
    return images


def _flat(level: int) -> Painter:
    return lambda rng: np.full(FRAME, level, np.uint8)


def _noise(rng: np.random.Generator) -> np.ndarray:
    return rng.integers(0, 256, FRAME, np.uint8)


def _clouds(rng: np.random.Generator) -> np.ndarray:
    layers = [_grains(np.random.default_rng(1), FRAME, cells).astype(np.float32) for cells in (3, 8, 20, 50)]
    mean = np.average(layers, axis=0, weights=(8, 4, 2, 1))
    return np.rint(mean + rng.normal(0, 2, FRAME)).clip(0, 255).astype(np.uint8)


def _blinds(rng: np.random.Generator) -> np.ndarray:
    rows = 128 + 80 * np.sin(np.arange(FRAME[0]) / 6)
    return np.rint(rows[:, None] + rng.normal(0, 2, FRAME)).clip(0, 255).astype(np.uint8)


def _room(rng: np.random.Generator) -> np.ndarray:
    """Rectangles in front of a wall, always the same."""
    fixed = np.random.default_rng(2)
    image = np.full(FRAME, 150, np.uint8)
    for _ in range(25):
        x, y = fixed.integers(-50, FRAME[1]), fixed.integers(-50, FRAME[0])
        width, height = fixed.integers(30, 250, 2)
        cv2.rectangle(image, (int(x), int(y)), (int(x + width), int(y + height)), int(fixed.integers(20, 230)), -1)
    return np.rint(cv2.GaussianBlur(image, (0, 0), 1.5) + rng.normal(0, 2, FRAME)).clip(0, 255).astype(np.uint8)


# By name, what paints the next frame (480, 640) uint8 of a video without a face; the camera's noise changes in it.
WITHOUT_FACE: dict[str, Painter] = {
    "black": _flat(0),
    "grey": _flat(128),
    "white": _flat(255),
    "noise": _noise,
    "clouds": _clouds,
    "blinds": _blinds,
    "room": _room,
}


def _grains(rng: np.random.Generator, size: tuple[int, int], cells: int) -> np.ndarray:
    """Noise (height, width) uint8 of so many grains across and down."""
    coarse = rng.uniform(0, 255, (cells, cells)).astype(np.uint8)
    return np.asarray(cv2.resize(coarse, size[::-1], interpolation=cv2.INTER_CUBIC))
