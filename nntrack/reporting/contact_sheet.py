"""Sheets of captioned images with a title and a legend, sheets of samples, and writing them to files."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from nntrack.data.hdf5 import Stored
from nntrack.data.sample import Sample
from nntrack.evaluation.evaluate import source_of
from nntrack.files import replacing
from nntrack.reporting import overlay
from nntrack.reporting.overlay import Colour

SUFFIXES = {
    ".jpg": (cv2.IMWRITE_JPEG_QUALITY, 90, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444),
    ".png": (cv2.IMWRITE_PNG_COMPRESSION, 6),
}  # 4:4:4, or thin lines would lose their colour
WIDTH = 860  # px of a sheet: captions are still readable on a phone
_BACKGROUND, _TEXT, _FAINT = (30, 28, 27), (238, 236, 234), (170, 165, 160)
_FONT = cv2.FontFace("sans")  # comes with OpenCV
_TITLE, _HEADING, _CAPTION = 20, 16, 14  # px, heights of letters
_BOLD, _REGULAR = 600, 400
_GAP, _MARGIN = 10, 14  # px


class Tile(NamedTuple):
    """An image (H, W, 3) BGR and the lines of its caption; the beginning of a line that is too long is cut off."""

    image: np.ndarray
    caption: tuple[str, ...] = ()


class Group(NamedTuple):
    """Tiles under one heading, which may be empty."""

    heading: str
    tiles: Sequence[Tile]


def sheet(
    title: str, groups: Sequence[Group], columns: int, legend: Sequence[tuple[str, Colour]] = (), width: int = WIDTH
) -> np.ndarray:
    """Return an image (height, width, 3) BGR of groups of tiles, one below the other.

    Args:
        title: its first line.
        groups: all images must have the same size, `tile_width` wide.
        columns: tiles in a row.
        legend: what each colour means.
        width: px.
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


def sample_sheet(title: str, samples: Sequence[tuple[int, Sample]], columns: int = 4) -> np.ndarray:
    """Return a sheet of samples with their numbers and all labels that can be drawn."""
    width = tile_width(columns)
    names = {name for _, sample in samples for name in sample.labels}
    tiles = [_sample_tile(number, sample, width) for number, sample in samples]
    return sheet(title, [Group("", tiles)], columns, overlay.legend(names))


def _sample_tile(number: int, sample: Sample, width: int) -> Tile:
    rows, columns = sample.image.shape
    size = (max(1, round(width * rows / columns)), width)
    image, [labels] = overlay.view(sample.image, (0, 0, columns, rows), size, sample.labels)
    return Tile(overlay.draw_labels(image, labels), (f"#{number}", sample.name))


def title_of(stored: Stored) -> str:
    """Return what the samples are, as in "synthetic photos", so that rendered ones are not taken for real ones."""
    return f"{source_of(stored)} photos"


def evenly(rows: Sequence[int] | np.ndarray, count: int) -> list[int]:
    """Return at most ``count`` of the rows, evenly spaced from the first to the last."""
    found = np.asarray(rows, np.int64)
    if len(found) > count:
        found = found[np.linspace(0, len(found) - 1, count).round().astype(int)]
    return found.tolist()


def tile_width(columns: int, width: int = WIDTH) -> int:
    """Return the width in px at which ``columns`` images fill a row of a sheet."""
    return (width - 2 * _MARGIN - (columns - 1) * _GAP) // columns


def check_suffix(path: str | os.PathLike[str]) -> None:
    """Raise ValueError if the file name's suffix is not that of an image that can be written."""
    if Path(path).suffix.lower() not in SUFFIXES:
        raise ValueError(f"{path}: no image is written as '{Path(path).suffix}'; known: {', '.join(SUFFIXES)}")


def write(path: str | os.PathLike[str], image: np.ndarray) -> None:
    """Write an image (H, W, 3) BGR, complete or not at all; the same pixels give the same bytes.

    Raises ValueError as `check_suffix`, and if the file cannot be written.
    """
    check_suffix(path)
    suffix = Path(path).suffix.lower()
    encoded = cv2.imencode(suffix, image, SUFFIXES[suffix])[1]
    try:
        with replacing(path) as partial:
            partial.write_bytes(encoded.tobytes())
    except OSError as error:  # it may name the temporary file
        raise ValueError(f"{path} cannot be written: {error.strerror}") from error


def _row(tiles: Sequence[Tile], width: int) -> np.ndarray:
    height = max(tile.image.shape[0] for tile in tiles)
    lines = max(len(tile.caption) for tile in tiles)
    band = _band(height + _line(_CAPTION) * lines + _GAP, width)
    left = _MARGIN
    for tile in tiles:
        rows, columns = tile.image.shape[:2]
        band[:rows, left : left + columns] = tile.image
        for number, line in enumerate(tile.caption):
            base = height + _line(_CAPTION) * (number + 1) - 4
            colour = _FAINT if number else _TEXT
            _write(band, _shorten(line, columns), (left, base), _CAPTION, _REGULAR, colour)
        left += columns + _GAP
    return band


def _legend(entries: Sequence[tuple[str, Colour]], width: int) -> np.ndarray:
    """Return lines of colours and what they mean, as many as needed."""
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
    return np.full((height, width, 3), _BACKGROUND, np.uint8)


def _line(size: int) -> int:
    """Return the height of a line of text, px."""
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
