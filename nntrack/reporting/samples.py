"""Samples of an HDF5 file, ours or one of opentrack's training code, chosen by their numbers."""

import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import h5py

from nntrack.data.hdf5 import Stored
from nntrack.data.sample import Sample
from nntrack.readers import opentrack_h5
from nntrack.readers._format import Options, Tally
from nntrack.reporting.contact_sheet import title_of

MOST = 400  # samples on a sheet

Numbered = list[tuple[int, Sample]]


class Dataset(NamedTuple):
    """Samples by their numbers, 0 to count - 1.

    samples: numbers to samples; of a file that is not ours, without those that its reader drops. title: what the
    samples are, as in "synthetic photos".
    """

    count: int  # type: ignore[assignment]  # hides the method of tuples, which nobody needs
    samples: Callable[[Sequence[int]], Numbered]
    title: str


def open_dataset(path: str | os.PathLike[str]) -> Dataset:
    """Return the samples of an HDF5 file. Raises FileNotFoundError or ValueError, naming the file, if it has none."""
    path = Path(path)
    if path.exists() and not h5py.is_hdf5(path):
        raise ValueError(f"{path} is not an HDF5 file")
    count = _count_opentrack(path)
    if count is not None:
        return Dataset(count, lambda numbers: _read_opentrack(path, numbers), "photos as opentrack publishes them")
    stored = Stored(path)
    return Dataset(
        len(stored), lambda numbers: [(number, stored.sample(number)) for number in numbers], title_of(stored)
    )


def choose(text: str, count: int) -> list[int]:
    """Return the numbers that ``text`` names among samples 0 to count - 1: ``3,7`` or ``10:20`` (without 20), or both.

    Raises ValueError for text of another form, for a number that no sample has, and for more than a sheet holds.
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


def _count_opentrack(path: Path) -> int | None:
    """Return how many samples a file of opentrack's training code holds, None if it is another kind of file."""
    try:
        with h5py.File(path, "r") as file:
            images = file.get(opentrack_h5.IMAGES)
            return len(images) if isinstance(images, h5py.Dataset) else None
    except (OSError, TypeError):
        return None


def _read_opentrack(path: Path, numbers: Sequence[int]) -> Numbered:
    tally = Tally()
    samples = opentrack_h5.read(path, Options(workers=1), tally, rows=sorted(set(numbers)))
    found = {int(sample.name.rpartition("/")[2]): sample for sample in samples}
    if numbers and not found:
        raise ValueError(f"no sample can be shown: {tally.messages[0]}")
    return [(number, found[number]) for number in numbers if number in found]
