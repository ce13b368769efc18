"""Samples of any HDF5 file, ours or one that opentrack's training code wrote, chosen by their numbers."""

import os
import re
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import h5py

from nntrack.data.hdf5 import Stored
from nntrack.data.sample import Sample
from nntrack.readers import conversion
from nntrack.readers._format import Options, Tally
from nntrack.reporting.samples import source_of

MOST = 400  # samples on a sheet
_PUBLISHED = "opentrack_h5"  # its reader
_IMAGES = "images"  # what such a file holds and ours does not

Numbered = list[tuple[int, Sample]]


class Dataset(NamedTuple):
    """Samples by their numbers, 0 to count - 1.

    samples: numbers to samples; of a file that is not ours, without those that its reader drops. source: what they are
    called, as in "synthetic photos".
    """

    count: int  # type: ignore[assignment]  # a tuple's own count is of no use here
    samples: Callable[[Sequence[int]], Numbered]
    source: str


def open_dataset(path: str | os.PathLike[str]) -> Dataset:
    """The samples of an HDF5 file. Raises FileNotFoundError or ValueError, naming the file, if it holds none."""
    if Path(path).exists() and not h5py.is_hdf5(path):
        raise ValueError(f"{path} is not an HDF5 file")
    published = _count_published(Path(path))
    if published is not None:
        return Dataset(published, lambda numbers: _published(Path(path), numbers), "photos as opentrack publishes them")
    stored = Stored(path)
    return Dataset(
        len(stored), lambda numbers: [(number, stored.sample(number)) for number in numbers], source_of(stored)
    )


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


def _count_published(path: Path) -> int | None:
    """How many samples a file of opentrack's training code holds; None if it is another one."""
    try:
        with h5py.File(path, "r") as file:
            return len(file[_IMAGES]) if isinstance(file.get(_IMAGES), h5py.Dataset) else None
    except (OSError, TypeError):
        return None


def _published(path: Path, numbers: Sequence[int]) -> Numbered:
    """Samples as their reader gives them, which reads whole files: so it is shown one of the chosen rows alone."""
    rows, tally, found = sorted(set(numbers)), Tally(), {}
    with tempfile.TemporaryDirectory() as folder:
        part = Path(folder) / path.name
        try:
            _excerpt(path, part, rows)
            for sample in conversion.find_reader(_PUBLISHED).read(part, Options(workers=1), tally):
                row = rows[int(sample.name.rpartition("/")[2])]
                found[row] = replace(sample, name=f"{path.stem}/{row:06d}")
        except (ValueError, RuntimeError) as error:  # h5py has no class of its own for what is damaged
            raise ValueError(str(error).replace(str(part), str(path))) from error
    if numbers and not found:
        reason = re.sub(r"(?<=sample )\d+", lambda number: str(rows[int(number[0])]), tally.messages[0])
        raise ValueError(f"no sample can be drawn: {reason.replace(str(part), str(path))}")
    return [(number, found[number]) for number in numbers if number in found]


def _excerpt(path: Path, part: Path, rows: Sequence[int]) -> None:
    """Write some rows of every array that holds one per sample."""
    with h5py.File(path, "r") as whole, h5py.File(part, "w") as file:
        for name in whole:
            values = whole[name] if isinstance(whole.get(name, getlink=True), h5py.HardLink) else None
            if not isinstance(values, h5py.Dataset) or values.shape[:1] != whole[_IMAGES].shape[:1]:
                continue
            if values.ndim == 1 and name != _IMAGES:  # where sequences start, as many as there may be
                continue
            copied = file.create_dataset(name, (len(rows), *values.shape[1:]), values.dtype)
            for place, row in enumerate(rows):
                copied[place] = values[row]
            for key, value in values.attrs.items():
                copied.attrs[key] = value
