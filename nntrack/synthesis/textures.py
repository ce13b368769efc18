"""Random grey textures that clothes, hair and backgrounds are made of: noise, lit materials, text.

Images are (H, W) float32, 0 black to 1 white; masks 0..1. Every function takes its random numbers from ``rng``.
"""

from collections.abc import Sequence

import cv2
import numpy as np

_FINE = 16.0  # px; materials with larger features are rendered at half the resolution
_LETTERS = np.array(list("ABCDEFGHIKLMNOPRSTUVWXYZabcdefghiklmnoprstuvw0123456789&!?-"))
_FONTS = (cv2.FONT_HERSHEY_SIMPLEX, cv2.FONT_HERSHEY_TRIPLEX, cv2.FONT_HERSHEY_SCRIPT_SIMPLEX)


def noise(rng: np.random.Generator, size: tuple[int, int], cells: tuple[int, int], smooth: bool = True) -> np.ndarray:
    """Random values (H, W) of unit variance on a coarse grid of (rows, columns) cells, interpolated or in blocks."""
    grid = rng.standard_normal((max(1, cells[0]), max(1, cells[1])), np.float32)
    return cv2.resize(grid, size[::-1], interpolation=cv2.INTER_CUBIC if smooth else cv2.INTER_NEAREST)


def blurred(image: np.ndarray, sigma: float) -> np.ndarray:
    """The image after a Gaussian blur; a wide one is done on a smaller copy, which is cheaper and looks the same."""
    if sigma < 0.3:
        return image
    if sigma < 4:
        return cv2.GaussianBlur(image, (0, 0), sigma)
    factor = sigma / 2.5
    small = tuple(max(2, round(n / factor)) for n in image.shape[::-1])
    soft = cv2.GaussianBlur(cv2.resize(image, small, interpolation=cv2.INTER_AREA), (0, 0), 2.5)
    return cv2.resize(soft, image.shape[::-1], interpolation=cv2.INTER_CUBIC)


def material(rng: np.random.Generator, size: tuple[int, int], scale: float) -> np.ndarray:
    """A lit surface (H, W) of mean about 1 with folds, bumps or fibres, often printed. scale: px of its features."""
    if scale > _FINE and min(size) > 64:
        half = material(rng, (size[0] // 2, size[1] // 2), scale / 2)
        return cv2.resize(half, size[::-1], interpolation=cv2.INTER_LINEAR)
    height, width = size
    y, x = np.mgrid[:height, :width].astype(np.float32)
    bend = scale * rng.uniform(0, 1.5)
    cells = (max(2, round(height / scale / 3)), max(2, round(width / scale / 3)))
    x, y = x + bend * noise(rng, size, cells), y + bend * noise(rng, size, cells)
    relief = RELIEFS[str(rng.choice(list(RELIEFS)))](rng, x / scale, y / scale)
    slope_y, slope_x = np.gradient(relief * scale)
    turn = rng.uniform(0, 2 * np.pi)
    shade = 1 + rng.uniform(0.1, 0.9) * (np.cos(turn) * slope_x + np.sin(turn) * slope_y)
    if rng.random() < 0.5:
        shade = shade * _print(rng, x / scale, y / scale)
    return np.clip(shade, 0.1, 2.5).astype(np.float32)


def _folds(rng: np.random.Generator, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    total = np.zeros_like(x)
    turn = rng.uniform(0, np.pi)
    for _ in range(rng.integers(1, 4)):
        along = turn + rng.normal(0, 0.5)
        phase = (x * np.cos(along) + y * np.sin(along)) * rng.uniform(0.5, 2.5) + rng.uniform(0, 6)
        total += np.abs(np.sin(phase)) ** rng.uniform(0.6, 2.5) * rng.uniform(0.2, 0.6)
    return total


def _bumps(rng: np.random.Generator, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    total = np.zeros_like(x)
    decay = rng.uniform(0.3, 0.8)
    for octave in range(4):
        cells = tuple(max(2, round(float(np.ptp(a)) * 2**octave / 2)) for a in (y, x))
        total += 0.5 * decay**octave / 2**octave * noise(rng, x.shape, cells) * 2
    return total


def _fibres(rng: np.random.Generator, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Hair, fur, straw, grass: streaks along a bent direction."""
    turn = rng.uniform(0, np.pi)
    along, across = x * np.cos(turn) + y * np.sin(turn), y * np.cos(turn) - x * np.sin(turn)
    grain = cv2.GaussianBlur(rng.standard_normal((256, 256), np.float32), (0, 0), sigmaX=4, sigmaY=0.7) * 3
    return rng.uniform(0.05, 0.3) * _tiled(grain, along * 12, across * 24)


def _weave(rng: np.random.Generator, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    pitch = rng.uniform(6, 25)
    return rng.uniform(0.5, 2.0) / pitch * (np.sin(pitch * x) + np.sin(pitch * y + rng.uniform(0, 6))) / 2


RELIEFS = {"folds": _folds, "bumps": _bumps, "fibres": _fibres, "weave": _weave}  # heights over x, y (H, W)


def _tiled(tile: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """A tile (256, 256) that repeats without end, at x, y (H, W)."""
    u, v = (np.mod(a, 256).astype(np.float32) for a in (x, y))
    return cv2.remap(tile, u, v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)


def _print(rng: np.random.Generator, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """A pattern on cloth or paper: stripes, checks, dots, patches; a factor of brightness, at most 1."""
    low = rng.uniform(0.15, 0.9)
    turn, pitch = rng.uniform(0, np.pi), np.exp(rng.uniform(np.log(1), np.log(15)))
    u, v = (x * np.cos(turn) + y * np.sin(turn)) * pitch, (y * np.cos(turn) - x * np.sin(turn)) * pitch
    kind, width = rng.integers(4), rng.uniform(-0.5, 0.8)
    if kind == 0:
        chosen = np.sin(u) > width
    elif kind == 1:
        chosen = (np.sin(u) > width) ^ (np.sin(v * rng.uniform(0.5, 1.5)) > width)
    elif kind == 2:
        chosen = np.sin(u) + np.sin(v) > 1.6 * width
    else:
        patches = cv2.GaussianBlur(rng.standard_normal((256, 256), np.float32), (0, 0), 6)
        chosen = _tiled(patches / patches.std(), u * 6, v * 6) > width
    return np.where(chosen, np.float32(low), np.float32(1.0))


def random_text(rng: np.random.Generator, mask: np.ndarray, centre: np.ndarray, reach: float) -> None:
    """Fill a mask (H, W) with lines of random letters that begin ``reach`` px to the left of ``centre`` (2,) px."""
    scale = reach / rng.uniform(15, 60)
    font = int(rng.choice(_FONTS))
    thickness = max(1, int(scale * rng.uniform(1, 7)))
    lines = []
    for line in range(rng.integers(1, 5)):
        words = "".join(rng.choice(_LETTERS, rng.integers(2, 14)))
        lines.append((words, (int(centre[0] - reach), int(centre[1] + 34 * scale * line))))
    mask[:] = text_mask(mask.shape, lines, font, scale, thickness)


def text_mask(
    size: tuple[int, ...], lines: Sequence[tuple[str, tuple[int, ...]]], font: int, scale: float, thickness: int
) -> np.ndarray:
    """Lines of text, each at its place x, y px (left end of its base line), as a mask (H, W)."""
    written = np.zeros(size, np.uint8)  # OpenCV writes on bytes only
    for text, place in lines:
        cv2.putText(written, text, place, font, scale, 255, thickness, cv2.LINE_AA)
    return written / np.float32(255)
