"""Samples of a dataset as a sheet of pictures with their labels drawn."""

import os
import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from nntrack import drawing, sheets
from nntrack.sample import Sample
from nntrack.sheets import Group, Tile
from nntrack.store import Stored

MOST = 400  # samples on a sheet


class Dataset(NamedTuple):
    """Samples by their numbers, 0 to count - 1. source: what the samples are called, as in "synthetic photos"."""

    count: int
    sample: Callable[[int], Sample]
    source: str


def open_dataset(path: str | os.PathLike[str]) -> Dataset:
    """The samples of an HDF5 file. Raises FileNotFoundError or ValueError, naming the file, if it holds none."""
    stored = Stored(path)
    return Dataset(len(stored), stored.sample, source_of(stored))


def source_of(stored: Stored) -> str:
    """What the samples are called, so that nobody takes drawn ones for photos of people: "synthetic photos"."""
    return f"{stored.attributes.get('source', 'unknown')} photos"


def evenly(rows: Sequence[int] | np.ndarray, count: int) -> list[int]:
    """At most ``count`` of the rows, from the first to the last at even distances."""
    rows = np.asarray(rows, np.int64)
    if len(rows) > count:
        rows = rows[np.linspace(0, len(rows) - 1, count).round().astype(int)]
    return rows.tolist()


def choose(text: str, count: int) -> list[int]:
    """The numbers that ``text`` names, among samples 0 to count - 1: ``3,7`` or ``10:20`` (without 20), or both.

    Raises ValueError for what is neither, for a number that no sample has, and for more than a sheet holds.
    """
    chosen: list[int] = []
    for part in text.split(","):
        found = re.fullmatch(r"\s*(?:(\d+)|(\d*):(\d*))\s*", part)
        named: Sequence[int] = ()
        if found:
            named = [int(found[1])] if found[1] else range(int(found[2] or 0), int(found[3] or count))
        if not named:
            raise ValueError(f"'{part}' names no sample of {count}: expected numbers and ranges, as in 3,7 or 10:20")
        chosen += named
    beyond = [number for number in chosen if number >= count]
    if beyond:
        holds = f"its {count} are numbered 0 to {count - 1}" if count else "it holds none"
        raise ValueError(f"there is no sample {beyond[0]}: {holds}")
    if len(chosen) > MOST:
        raise ValueError(f"{len(chosen)} samples are more than a sheet holds: choose at most {MOST}")
    return chosen


def sample_sheet(title: str, samples: Sequence[tuple[int, Sample]], columns: int = 5) -> np.ndarray:
    """Samples by their numbers, with all labels that can be drawn; (height, width, 3) BGR."""
    width = sheets.tile_width(columns)
    names = {name for _, sample in samples for name in sample.labels}
    tiles = [_tile(number, sample, width) for number, sample in samples]
    return sheets.sheet(title, [Group("", tiles)], columns, drawing.legend(names))


def _tile(number: int, sample: Sample, width: int) -> Tile:
    height, wide = sample.image.shape
    size = (max(1, round(width * height / wide)), width)
    picture, [labels] = drawing.view(sample.image, (0, 0, wide, height), size, sample.labels)
    return Tile(drawing.draw_labels(picture, labels), (f"#{number}", sample.name))
