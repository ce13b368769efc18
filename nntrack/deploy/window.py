"""The pose net's window on the frame: what the net sees through it, and where it looks next.

A window is x, y, width, height (4,) float32 in px of the smallest of the frame's sizes (`preprocess.pyramid`), in
single precision throughout, as in the client: another last bit may round to another pixel.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from nntrack.deploy import preprocess
from nntrack.deploy.runtime import PoseModel


class Look(NamedTuple):
    """One look of the pose net. level: the number of the frame's size. square: what was seen of it. raw: the outputs.

    window: for the next frame.
    """

    level: int
    square: preprocess.Square
    raw: dict[str, np.ndarray]
    window: np.ndarray


def look(net: PoseModel, levels: Sequence[np.ndarray], window: np.ndarray) -> Look | None:
    """Run the net on what a window shows; None if not one pixel is left of it, where the client ends.

    Args:
        net: the pose net.
        levels: the sizes of the frame, (H, W) uint8, the largest first.
        window: (4,).

    Raises ValueError for an output that the client could not use.
    """
    number = _level(levels, window, net.input_size[1])
    level = levels[number]
    zoom = len(level) / len(levels[-1])
    square = preprocess.client_square(window * np.float32(zoom), level.shape)
    if square.side <= 0:
        return None
    raw = net.run_square(level, square)
    half, box = np.float32(square.side / 2), raw["box"][0]
    corner = np.array([square.x, square.y], np.float32) + half * box[:2]
    following = np.concatenate([corner, half * (box[2:] - box[:2])]) / zoom
    return Look(number, square, raw, following.astype(np.float32))


def to_window(bbox: np.ndarray, corner: tuple[int, int], levels: Sequence[np.ndarray]) -> np.ndarray:
    """The window of a box (4,) xyxy px of the whole frame.

    Args:
        bbox: (4,).
        corner: x, y in the frame, px, of what `levels` show (`preprocess.crop_frame`).
        levels: the sizes of the frame, the largest first.
    """
    low, high = (np.asarray(bbox, np.float64).reshape(2, 2) - corner) * (len(levels[-1]) / len(levels[0]))
    return np.concatenate([low, high - low]).astype(np.float32)


def relative_width(window: np.ndarray, levels: Sequence[np.ndarray]) -> float:
    """A window's longer side / the frame's width."""
    return float(window[2:].max()) / levels[-1].shape[1]


def iou(a: np.ndarray, b: np.ndarray) -> float:
    """Intersection over union of two windows; 0 if both are empty."""
    sides = np.minimum(a[:2] + a[2:], b[:2] + b[2:]) - np.maximum(a[:2], b[:2])
    shared = float(sides[0] * sides[1]) if (sides > 0).all() else 0.0
    union = float(a[2] * a[3] + b[2] * b[3]) - shared
    return shared / union if union else 0.0


def _level(levels: Sequence[np.ndarray], window: np.ndarray, size: int) -> int:
    """The number of the size in which a window has as many pixels as the net's input, or up to twice as many."""
    width = len(levels[0]) / len(levels[-1]) * float(window[2])
    if width <= 0:
        return 0
    return min(max(math.floor(math.log2(width / size)), 0), len(levels) - 1)
