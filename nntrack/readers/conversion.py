"""One archive to one HDF5 file: finds the reader, writes samples and where they come from, accounts for the rest."""

import importlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from nntrack.data import hdf5
from nntrack.data.datasets import DATASETS, RENAMED
from nntrack.data.sample import MASKS
from nntrack.readers._format import Options, Tally
from nntrack.readers._parallel import ProgressBar
from nntrack.readers.archive import locate
from nntrack.readers.marks import fingerprint

DRAWN = "none: drawn by the pipeline"  # not the terms of the original in whose layout it is
_SHOWN = 5  # damaged members in an error


def find_reader(dataset: str) -> ModuleType:
    """``nntrack.readers.<dataset>``. Raises ValueError that lists the known ones."""
    if dataset in RENAMED:
        raise ValueError(f"the dataset {dataset} is called {RENAMED[dataset]} now")
    if dataset not in DATASETS:
        raise ValueError(f"no reader for '{dataset}'; known: {', '.join(sorted(DATASETS))}")
    return importlib.import_module(f"nntrack.readers.{dataset}")


def convert(
    dataset: str,
    archive: str | Path,
    out: str | Path,
    options: Options,
    *,
    source: str,
    max_bad_share: float,
    use: bool = True,
    progress: bool = True,
) -> Tally:
    """Write the samples of ``archive`` to ``out``; returns what was kept and what was dropped, by reason.

    source: 'synthetic' or 'real', stored with the samples. With ``use`` false the file holds no sample and the archive
    need not be there. ``out`` appears only at the end.

    Raises FileNotFoundError if the archive is absent, ValueError if it is another archive or not complete, if more than
    ``max_bad_share`` of the samples are damaged, or if none is left.
    """
    reader, archive, tally = find_reader(dataset), locate(Path(archive)), Tally()
    attributes = {"reader": dataset, "archive": archive.name, "source": source}
    if use and not archive.exists():
        raise FileNotFoundError(
            f"{archive} is not there: put it there, or `dvc pull {out}` if somebody shares the converted file"
        )
    with hdf5.writing(out) as writer:
        if use:
            _write(reader, archive, options, tally, writer.append, progress)
            _check(archive, tally, max_bad_share)
        terms = DRAWN if source == "synthetic" else "; ".join([DATASETS[dataset].licence, *tally.also_used])
        attributes["licence"] = terms
        attributes["fingerprint"] = str(fingerprint(archive)["sha256"]) if use else ""
        dropped = json.dumps(dict(sorted(tally.dropped.items())))
        writer.finish({**attributes, "kept": tally.kept, "dropped": dropped, "bad": tally.bad})
    return tally


def summary(dataset: str, tally: Tally) -> str:
    """What was kept and dropped, how many samples have which label, and what looks wrong, for people to read."""
    lines = [f"kept {tally.kept}, dropped {tally.dropped.total()}"]
    lines += [f"  {count:7d}  {reason}" for reason, count in tally.dropped.most_common()]
    if tally.kept:
        lines.append("  labels: " + ", ".join(f"{name} {tally.labels[name]}" for name in MASKS if tally.labels[name]))
    lines += [f"  warning: {text}" for text in _warnings(dataset, tally)]
    return "\n".join([*lines, *(f"  {message}" for message in tally.messages)])


def _warnings(dataset: str, tally: Tally) -> Iterator[str]:
    for name in DATASETS[dataset].labels:
        if tally.labels[name] < tally.kept / 2:
            having = f"only {tally.labels[name]} of {tally.kept} samples have {name}"
            yield f"{having}, which {DATASETS[dataset].title} is known for: is a part of the archive missing?"
    for reason, count in tally.dropped.items():
        if reason.endswith("not in the archive") and count > tally.kept:
            yield f"{count} samples are missing ({reason}): is the archive complete?"


def _write(
    reader: ModuleType, archive: Path, options: Options, tally: Tally, append: Callable[[Any], None], progress: bool
) -> None:
    with _bar(archive.name, options.limit, progress) as advance:
        for sample in reader.read(archive, options, tally):
            append(sample)
            advance(tally)
        advance(tally)


class _bar:
    """A progress bar over the samples looked at, or over those kept where their number is limited."""

    def __init__(self, title: str, limit: int | None, progress: bool) -> None:
        self._limit = limit
        self._bar = ProgressBar(desc=title, unit="sample", disable=not progress, dynamic_ncols=True)

    def __enter__(self) -> Callable[[Tally], None]:
        return self._advance

    def __exit__(self, *_: object) -> None:
        self._bar.close()

    def _advance(self, tally: Tally) -> None:
        self._bar.total = self._limit or tally.total or None
        self._bar.update((tally.kept if self._limit else tally.seen) - self._bar.n)


def _check(archive: Path, tally: Tally, max_bad_share: float) -> None:
    looked_at = tally.kept + tally.bad  # what a rule sorts out is neither
    if tally.bad > max_bad_share * looked_at:
        shown = "; ".join(tally.messages[:_SHOWN])
        raise ValueError(
            f"{archive}: {tally.bad} of {looked_at} samples are damaged, more than the fraction {max_bad_share:g} that"
            f" convert.max_bad_share allows: {shown}{' ...' if tally.bad > _SHOWN else ''}"
        )
    if not tally.kept:
        raise ValueError(f"{archive} holds no usable sample; dropped: {dict(tally.dropped)}")
