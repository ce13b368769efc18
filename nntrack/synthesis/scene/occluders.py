"""Hands and objects in front of a face. Images are (H, W) float32, 0 black to 1 white; masks 0..1."""

import cv2
import numpy as np

from nntrack.synthesis.textures import blurred, noise


def add_occluder(
    rng: np.random.Generator, image: np.ndarray, centre: np.ndarray, radius: float, tone: float
) -> np.ndarray:
    """The image with a hand or an object in front of a face.

    Args:
        rng: random numbers.
        image: (H, W), 0..1.
        centre: (2,) px, the point between the eyes.
        radius: px of 100 mm at that point.
        tone: albedo of the skin, 0..1.
    """
    place = centre + radius * np.array([rng.normal(0, 0.75), rng.normal(0.75, 0.6)])
    mask = np.zeros(image.shape, np.float32)
    if rng.random() < 0.5:
        value = _add_hand(rng, mask, place, radius) * tone
    else:
        value = _add_object(rng, mask, place, radius)
    mask = blurred(mask, 0.01 * radius + 0.4)
    return image * (1 - mask) + np.clip(value, 0, 1) * mask


def _add_hand(rng: np.random.Generator, mask: np.ndarray, place: np.ndarray, radius: float) -> np.ndarray:
    """Fill ``mask`` with fingers side by side, a palm and a forearm; returns their shading (H, W)."""
    shade = np.ones(mask.shape, np.float32)
    turn = rng.uniform(0, 2 * np.pi)
    along, across = np.array([np.cos(turn), np.sin(turn)]), np.array([-np.sin(turn), np.cos(turn)])
    width = radius * rng.uniform(0.15, 0.2)
    spread = rng.uniform(0, 0.12)
    for i in range(4):
        root = place + across * width * (i - 1.5)
        tip = root + (along + across * spread * (i - 1.5)) * radius * (0.75 - 0.07 * abs(i - 1.2))
        edge = float(rng.uniform(0.55, 0.75))
        for layer, value, scale in ((shade, edge, 1.08), (shade, 1.0, 0.72), (mask, 1.0, 1.0)):
            _add_rod(layer, root, tip, value, width * scale)
    _add_rod(mask, place - along * radius * 0.1, place - along * radius * 0.5, 1.0, width * 4.1)
    _add_rod(mask, place - along * radius * 0.4, place - along * radius * 3.0, 1.0, width * 3.0)
    return blurred(shade, 0.03 * radius) * rng.uniform(0.7, 1.1)


def _add_object(rng: np.random.Generator, mask: np.ndarray, place: np.ndarray, radius: float) -> np.ndarray:
    """Fill ``mask`` with a box, a disc or a rod (a telephone, a cup, a microphone); returns its shading (H, W)."""
    box = (tuple(map(float, place)), tuple(map(float, radius * rng.uniform(0.2, 1.1, 2))), float(rng.uniform(0, 180)))
    kind = rng.integers(3)
    if kind == 0:
        cv2.fillPoly(mask, [np.round(cv2.boxPoints(box)).astype(np.int32)], 1.0, cv2.LINE_AA)
    elif kind == 1:
        cv2.ellipse(mask, box, 1.0, -1, cv2.LINE_AA)
    else:
        end = place + radius * 3 * np.array([rng.normal(0, 0.6), 1.0])
        _add_rod(mask, place, end, 1.0, radius * rng.uniform(0.1, 0.25))
        _add_rod(mask, place, place, 1.0, radius * rng.uniform(0.25, 0.5))
    value = rng.uniform(0.02, 0.9) + 0.12 * noise(rng, mask.shape, (6, 6))
    return value + rng.uniform(0, 0.2) * noise(rng, mask.shape, (40, 40), rng.random() < 0.5)


def _add_rod(layer: np.ndarray, start: np.ndarray, end: np.ndarray, value: float, width: float) -> None:
    """A line with round ends, ``width`` px wide."""
    a, b = (tuple(int(v) for v in np.round(p * 16)) for p in (start, end))
    cv2.line(layer, a, b, value, max(1, round(width)), cv2.LINE_AA, 4)
