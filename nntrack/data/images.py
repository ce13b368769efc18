"""Grey images: decoding, warping, sheets of them."""

import os
import re
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import cv2
import numpy as np

from nntrack.geometry import affine

# PNG's pixels have checksums; of JPEG these say nothing of the pixels.
_HARMLESS = re.compile(r"libpng warning|Invalid SOS parameters|unknown (JFIF|Adobe)|^\[")

_ONE_AT_A_TIME = threading.Lock()  # the messages are those of the whole process


def decode_grey(buffer: bytes) -> np.ndarray:
    """An encoded image as (H, W) uint8, as it is stored: what EXIF says of turning it is not for labels in its pixels.

    Of 16 bits the range counts that is used, 8, 10, 12, 14 or 16 of them. Raises ValueError if OpenCV cannot decode it,
    or only in part.
    """
    if not buffer:
        raise ValueError("the image is empty")
    flags = cv2.IMREAD_GRAYSCALE | cv2.IMREAD_ANYDEPTH | cv2.IMREAD_IGNORE_ORIENTATION
    with _ONE_AT_A_TIME, _decoders_messages() as messages:
        image = cv2.imdecode(np.frombuffer(buffer, np.uint8), flags)
    found = [line for line in messages if image is None or not _HARMLESS.search(line)]
    if image is None or found:
        raise ValueError(f"the image cannot be decoded{': ' if found else ''}{' '.join(found)}")
    if image.dtype == np.uint8:
        return image
    if image.dtype != np.uint16:
        raise ValueError(f"the image has values of type {image.dtype}, not of 8 or 16 bits")
    bits = next(bits for bits in (8, 10, 12, 14, 16) if not int(image.max()) >> bits)
    return np.right_shift(image, bits - 8).astype(np.uint8)


@contextmanager
def _decoders_messages() -> Iterator[list[str]]:
    """Lines that the decoders of OpenCV print within the context: libjpeg tells of damage in no other way."""
    lines: list[str] = []
    reading, writing = os.pipe()
    os.set_blocking(writing, False)  # what does not fit is lost
    os.set_blocking(reading, False)  # a process that was started meanwhile would keep the pipe open
    stderr = os.dup(2)
    os.dup2(writing, 2)
    try:
        yield lines
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)
        os.close(writing)
        with open(reading, "rb") as stream:
            lines += (stream.read() or b"").decode("utf-8", "replace").splitlines()


def warp(image: np.ndarray, matrix: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The image (H, W) after the affine map ``matrix`` (2, 3) of corner-based coordinates; size is (height, width).

    Where the map shrinks by a half or more, the image is first shrunk by area, so that fine detail does not alias.
    Outside the image its edge goes on.
    """
    shrink = min(1.0 / float(affine.scale_of(matrix)), *image.shape)
    if shrink >= 2:
        old = np.array([0, 0, image.shape[1], image.shape[0]], dtype=np.float64)
        image = cv2.resize(image, None, fx=1 / np.floor(shrink), fy=1 / np.floor(shrink), interpolation=cv2.INTER_AREA)
        new = np.array([0, 0, image.shape[1], image.shape[0]], dtype=np.float64)
        matrix = affine.compose(matrix, affine.box_to_box(new, old))
    return cv2.warpAffine(image, centred(matrix), size[::-1], flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def centred(matrix: np.ndarray) -> np.ndarray:
    """An affine map (..., 2, 3) of corner-based coordinates as OpenCV wants it: its (0, 0) is in a pixel's middle."""
    moved = matrix.astype(np.float64)
    moved[..., 2] += moved[..., :2].sum(axis=-1) / 2 - 0.5
    return moved


def contact_sheet(tiles: Sequence[np.ndarray], columns: int, tile: tuple[int, int] = (160, 160)) -> np.ndarray:
    """Images in a grid, BGR; each fitted into (height, width) ``tile`` on black. Raises ValueError for none."""
    if not tiles:
        raise ValueError("no images to show")
    cells = [_fit(image, tile) for image in tiles]
    cells += [np.zeros_like(cells[0])] * (-len(cells) % columns)
    return np.vstack([np.hstack(cells[i : i + columns]) for i in range(0, len(cells), columns)])


def _fit(image: np.ndarray, tile: tuple[int, int]) -> np.ndarray:
    height, width = image.shape[:2]
    scale = min(tile[0] / height, tile[1] / width)
    small = cv2.resize(image, (round(width * scale), round(height * scale)), interpolation=cv2.INTER_AREA)
    small = small if small.ndim == 3 else cv2.cvtColor(small, cv2.COLOR_GRAY2BGR)
    cell = np.zeros((*tile, 3), np.uint8)
    cell[: small.shape[0], : small.shape[1]] = small
    return cell
