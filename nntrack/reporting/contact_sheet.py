"""Sheets of captioned pictures, with a title and a legend, and writing them to files."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from nntrack.files import replacing
from nntrack.reporting.overlay import Colour

SUFFIXES = {
    ".jpg": (cv2.IMWRITE_JPEG_QUALITY, 90, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444),
    ".png": (cv2.IMWRITE_PNG_COMPRESSION, 6),
}  # colours of thin lines stay at full resolution
WIDTH = 860  # px of a sheet: on a phone the captions can still be read
_GROUND, _TEXT, _FAINT = (30, 28, 27), (238, 236, 234), (170, 165, 160)
_FONT = cv2.FontFace("sans")  # comes with OpenCV
_TITLE, _HEADING, _CAPTION = 20, 16, 14  # px, heights of letters
_BOLD, _REGULAR = 600, 400
_GAP, _MARGIN = 10, 14  # px


class Tile(NamedTuple):
    """A picture (H, W, 3) BGR and lines to write below it; of one that is too long, the end is shown."""

    picture: np.ndarray
    caption: tuple[str, ...] = ()


class Group(NamedTuple):
    """Tiles under one heading, which may be empty."""

    heading: str
    tiles: Sequence[Tile]


def sheet(
    title: str, groups: Sequence[Group], columns: int, legend: Sequence[tuple[str, Colour]] = (), width: int = WIDTH
) -> np.ndarray:
    """Groups of tiles below each other, ``columns`` in a row, ``width`` px in all; (height, width, 3) BGR.

    All pictures are expected in one size, `tile_width` wide. legend: what each colour means.
    """
    parts = [_text_band(title, width, _TITLE, _BOLD, _TEXT)]
    if legend:
        parts.append(_legend(legend, width))
    for group in groups:
        if group.heading:
            parts.append(_text_band(group.heading, width, _HEADING, _BOLD, _TEXT))
        tiles = group.tiles
        parts += [_row(tiles[i : i + columns], width) for i in range(0, len(tiles), columns)]
        if not tiles:
            parts.append(_text_band("none", width, _CAPTION, _REGULAR, _FAINT))
    return np.vstack([*parts, _band(_MARGIN, width)])


def tile_width(columns: int, width: int = WIDTH) -> int:
    """How wide a picture must be for ``columns`` of them to fill a sheet, px."""
    return (width - 2 * _MARGIN - (columns - 1) * _GAP) // columns


def check_suffix(path: str | os.PathLike[str]) -> None:
    """Raise ValueError if no kind of picture is known by the file name's suffix."""
    if Path(path).suffix.lower() not in SUFFIXES:
        raise ValueError(f"{path}: no picture is written as '{Path(path).suffix}'; known: {', '.join(SUFFIXES)}")


def write(path: str | os.PathLike[str], picture: np.ndarray) -> None:
    """Write a picture BGR, complete or not at all; the same pixels give the same bytes.

    Raises ValueError as `check_suffix`, and if the file cannot be written.
    """
    check_suffix(path)
    suffix = Path(path).suffix.lower()
    encoded = cv2.imencode(suffix, picture, SUFFIXES[suffix])[1]
    try:
        with replacing(path) as partial:
            partial.write_bytes(encoded.tobytes())
    except OSError as error:  # which names a file that nobody asked for
        raise ValueError(f"{path} cannot be written: {error.strerror}") from error


def _row(tiles: Sequence[Tile], width: int) -> np.ndarray:
    height = max(tile.picture.shape[0] for tile in tiles)
    lines = max(len(tile.caption) for tile in tiles)
    band = _band(height + _line(_CAPTION) * lines + _GAP, width)
    left = _MARGIN
    for tile in tiles:
        rows, columns = tile.picture.shape[:2]
        band[:rows, left : left + columns] = tile.picture
        for number, line in enumerate(tile.caption):
            base = height + _line(_CAPTION) * (number + 1) - 4
            colour = _FAINT if number else _TEXT
            _write(band, _shorten(line, columns), (left, base), _CAPTION, _REGULAR, colour)
        left += columns + _GAP
    return band


def _legend(entries: Sequence[tuple[str, Colour]], width: int) -> np.ndarray:
    """Samples of colour and what they mean, in as many lines as it takes."""
    lines, left = [_band(_line(_CAPTION), width)], _MARGIN
    for text, colour in entries:
        needed = 26 + _measure(text, _CAPTION, _REGULAR) + 18
        if left + needed > width and left > _MARGIN:
            lines.append(_band(_line(_CAPTION), width))
            left = _MARGIN
        middle = _line(_CAPTION) // 2
        cv2.line(lines[-1], (left, middle), (left + 18, middle), colour, 3, cv2.LINE_AA)
        _write(lines[-1], text, (left + 26, middle + 5), _CAPTION, _REGULAR, _TEXT)
        left += needed
    return np.vstack([*lines, _band(_GAP // 2, width)])


def _text_band(text: str, width: int, size: int, weight: int, colour: Colour) -> np.ndarray:
    band = _band(_line(size) + _GAP // 2, width)
    _write(band, text, (_MARGIN, _line(size) - 2), size, weight, colour)
    return band


def _band(height: int, width: int) -> np.ndarray:
    return np.full((height, width, 3), _GROUND, np.uint8)


def _line(size: int) -> int:
    """The height of a line of letters, px."""
    return round(1.4 * size)


def _shorten(text: str, width: int) -> str:
    if _measure(text, _CAPTION, _REGULAR) <= width:
        return text
    while text and _measure("…" + text, _CAPTION, _REGULAR) > width:
        text = text[1:]
    return "…" + text


def _measure(text: str, size: int, weight: int) -> int:
    return cv2.getTextSize((0, 0), text, (0, 0), _FONT, size, weight)[2]


def _write(band: np.ndarray, text: str, at: tuple[int, int], size: int, weight: int, colour: Colour) -> None:
    cv2.putText(band, text, at, colour, _FONT, size, weight)
