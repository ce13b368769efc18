"""Grey images: decoding, warping, sheets of them."""

from collections.abc import Sequence

import cv2
import numpy as np

from nntrack.geometry import affine


def decode_grey(buffer: bytes) -> np.ndarray:
    """An encoded picture as (H, W) uint8. Raises ValueError if OpenCV cannot decode it."""
    if not buffer:
        raise ValueError("the image is empty")
    image = cv2.imdecode(np.frombuffer(buffer, np.uint8), cv2.IMREAD_GRAYSCALE)
    if image is None:
        raise ValueError("the image cannot be decoded")
    return image


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
    """Pictures in a grid, BGR; each fitted into (height, width) ``tile`` on black. Raises ValueError for none."""
    if not tiles:
        raise ValueError("no pictures to show")
    cells = [_fit(picture, tile) for picture in tiles]
    cells += [np.zeros_like(cells[0])] * (-len(cells) % columns)
    return np.vstack([np.hstack(cells[i : i + columns]) for i in range(0, len(cells), columns)])


def _fit(picture: np.ndarray, tile: tuple[int, int]) -> np.ndarray:
    height, width = picture.shape[:2]
    scale = min(tile[0] / height, tile[1] / width)
    small = cv2.resize(picture, (round(width * scale), round(height * scale)), interpolation=cv2.INTER_AREA)
    small = small if small.ndim == 3 else cv2.cvtColor(small, cv2.COLOR_GRAY2BGR)
    cell = np.zeros((*tile, 3), np.uint8)
    cell[: small.shape[0], : small.shape[1]] = small
    return cell
