"""Which groups (photos, persons) no training sees: they choose the weights, and tell how good they are."""

import hashlib
import json
import os
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

import numpy as np

from nntrack.data.datasets import RENAMED
from nntrack.data.hdf5 import Stored
from nntrack.files import replacing

Split = dict[str, list[str]]  # dataset: held-out groups, sorted


def hold_out(groups: Iterable[str], fraction: float, seed: int) -> list[str]:
    """About ``fraction`` of the distinct ``groups``, at least one of two or more, sorted.

    The groups with the least hash of seed and name: one that is out stays out when others come or go, nearly always.
    """
    distinct = sorted(set(groups))
    count = round(fraction * len(distinct))
    if fraction > 0 and len(distinct) > 1:
        count = min(max(count, 1), len(distinct) - 1)
    ranked = sorted(distinct, key=lambda group: hashlib.sha256(f"{seed}/{group}".encode()).digest())
    return sorted(ranked[:count])


def save(path: str | os.PathLike[str], split: Mapping[str, list[str]]) -> None:
    """Write the split as JSON."""
    with replacing(path) as partial:
        partial.write_text(json.dumps(split, indent=1, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8")


def load(path: str | os.PathLike[str]) -> Split:
    """Read what `save` wrote. Raises FileNotFoundError or ValueError, naming the file."""
    if not Path(path).exists():
        raise FileNotFoundError(f"{path} does not exist; make it with `dvc repro split`")
    try:
        split = json.loads(Path(path).read_text(encoding="utf-8"))
        found = {str(name): [str(group) for group in groups] for name, groups in split.items()}
    except (ValueError, AttributeError, TypeError, RecursionError) as error:
        raise ValueError(f"{path} is not a split: expected {{dataset: [groups]}}; {error}") from error
    for old in found.keys() & RENAMED:
        raise ValueError(f"{path} names the dataset {old}, which is called {RENAMED[old]} now: `dvc repro split`")
    return found


def rows_of(stored: Stored, held_out: Collection[str], inside: bool, subset: str | None = None) -> np.ndarray:
    """Row numbers of the samples whose group is among ``held_out`` (``inside``) or not, within one subset if given."""
    chosen = np.isin(stored.strings["group"], sorted(held_out)) == inside
    if subset is not None:
        chosen &= stored.strings["subset"] == subset
    return np.flatnonzero(chosen)
