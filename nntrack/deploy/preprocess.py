"""Preprocessing exactly as the client does it: what of a frame the two networks see.

A window is rounded to whole pixels, so one that moves by less than half a pixel shows the same patch.
"""

from typing import NamedTuple

import cv2
import numpy as np

from nntrack.contract import LIVE_LOOP, LOCALIZER_SIZE, PREPROCESSING


class Square(NamedTuple):
    """The part of a frame that a pose net's patch shows. x, y: its centre, px. side: px; 0 or less if there is none."""

    x: float
    y: float
    side: int


def client_square(rect: np.ndarray, shape: tuple[int, ...]) -> Square:
    """The square that the client cuts for a region of interest.

    Left, top, width and height are rounded one by one, halves to the even number, and the side is the longer of the
    rounded two. The centre is moved into the frame.

    Args:
        rect: (4,) x, y, width, height, px; finite.
        shape: (height, width, ...) of the frame.
    """
    x, y, width, height = (int(np.rint(value)) for value in rect)
    centre_x, centre_y = min(max(x + width / 2, 0.0), shape[1]), min(max(y + height / 2, 0.0), shape[0])
    return Square(centre_x, centre_y, max(width, height))


def roi_square(roi: np.ndarray, shape: tuple[int, ...]) -> Square:
    """`client_square` for a region of interest xyxy (4,) px, at least one pixel wide: the client ends at 0."""
    roi = np.asarray(roi, np.float64)
    square = client_square(np.concatenate([roi[:2], roi[2:] - roi[:2]]), shape)
    return square._replace(side=max(1, square.side))


def cut_patch(image: np.ndarray, square: Square, size: int) -> np.ndarray:
    """The (size, size) uint8 patch that the client cuts out of a grey image (H, W) uint8.

    The client hands getRectSubPix (bilinear, edge replicated) a centre counted from pixel corners, where OpenCV counts
    from pixel centres; so the patch shows what lies half a pixel right of and below the square. So does this one.
    """
    patch = cv2.getRectSubPix(image, (square.side, square.side), (square.x, square.y))
    return cv2.resize(patch, (size, size), interpolation=cv2.INTER_AREA)


def pose_input(patch: np.ndarray) -> np.ndarray:
    """A grey patch 0..255 as the pose net's input, float32; dark patches are brightened (contract.PREPROCESSING)."""
    rule, level = PREPROCESSING, window_level(patch)
    return _to_float(patch, rule.target / max(rule.floor, level) if level < rule.dark_below else 1 / 255)


def window_level(patch: np.ndarray) -> int:
    """The grey level of a patch (size, size) uint8 by which the client decides whether it is dark."""
    counts = np.cumsum(np.bincount(patch.ravel(), minlength=256))
    return int(np.argmax(counts > int(patch.size * PREPROCESSING.quantile)))


def localizer_input(frame: np.ndarray) -> np.ndarray:
    """A whole grey frame (H, W) uint8 as the localizer's input (224, 288) float32; its aspect ratio is not kept."""
    return _to_float(cv2.resize(frame, LOCALIZER_SIZE[::-1], interpolation=cv2.INTER_AREA), 1 / 255)


def crop_frame(frame: np.ndarray) -> tuple[np.ndarray, tuple[int, int]]:
    """The middle of a frame (H, W) or (H, W, 3) that the client looks at, and x, y of its corner in the frame.

    Raises ValueError for a frame of which nothing is left.
    """
    height, width = frame.shape[:2]
    across, down = LIVE_LOOP.aspect
    kept = [min(height, width * down // across), min(width, height * across // down)]
    left, top = (width - kept[1]) // 2, (height - kept[0]) // 2
    whole = [length // LIVE_LOOP.multiple * LIVE_LOOP.multiple for length in kept]
    if not all(whole):
        raise ValueError(f"a frame of {width} x {height} px is too small to track a face in")
    left, top = left + (kept[1] - whole[1]) // 2, top + (kept[0] - whole[0]) // 2
    return np.ascontiguousarray(frame[top : top + whole[0], left : left + whole[1]]), (left, top)


def pyramid(frame: np.ndarray) -> list[np.ndarray]:
    """The cropped frame in grey (H, W) uint8, then at half its size, and so on while it is wide (contract.LIVE_LOOP).

    Colour frames are halved in colour, as the client does it: grey levels round differently.
    """
    levels = [frame]
    while len(levels) < LIVE_LOOP.levels and levels[-1].shape[1] >= LIVE_LOOP.halve_from:
        levels.append(cv2.pyrDown(levels[-1]))
    return [cv2.cvtColor(level, cv2.COLOR_BGR2GRAY) if level.ndim == 3 else level for level in levels]


def _to_float(image: np.ndarray, gain: float) -> np.ndarray:
    """As OpenCV's convertTo: the factor has single precision, the product double."""
    return (image.astype(np.float64) * np.float32(gain) - PREPROCESSING.offset).astype(np.float32)
