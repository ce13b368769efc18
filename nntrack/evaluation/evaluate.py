"""Nets in Opentrack's format measured on converted datasets under the protocols of `protocols`.

The errors of every sample are kept, and all figures are computed from them. Results have the ``source`` of the samples,
so that figures of rendered archives cannot be mistaken for those of the originals.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from tqdm import tqdm

from nntrack.data import splits
from nntrack.data.hdf5 import Stored
from nntrack.deploy.runtime import LocalizerModel, PoseModel
from nntrack.evaluation import errors, metrics, protocols
from nntrack.evaluation.bootstrap import Resamples
from nntrack.evaluation.metrics import Figure
from nntrack.evaluation.protocols import EvalInputs, Protocol
from nntrack.files import replacing, write_json

Model = PoseModel | LocalizerModel
Figures = Mapping[str, Figure]
COLUMNS = {"pose": errors.POSE, "localizer": errors.LOCALIZER}
METRICS = {"pose": metrics.POSE | metrics.CALIBRATION, "localizer": metrics.LOCALIZER}


@dataclass(frozen=True)
class Errors:
    """The errors of a net under one protocol.

    table: a row per sample, with ``index`` (row in the dataset), ``name``, the columns of `errors`, and ``group``.
    """

    protocol: Protocol
    table: pd.DataFrame

    def __len__(self) -> int:
        return len(self.table)

    @property
    def groups(self) -> int:
        """The number of groups (photos, persons) of the samples."""
        return self.table["group"].nunique()

    def resamples(self, seed: int) -> Resamples:
        """The bootstrap resamples, the same for every net and protocol on the same samples."""
        return Resamples(self.table["group"], np.random.default_rng(seed))

    def figures(self, seed: int) -> dict[str, Figure]:
        """All figures, by name of `metrics`."""
        return metrics.measure(METRICS[self.protocol.net], self.table, self.resamples(seed))


def read_inputs(
    settings: Mapping[str, Any], split: str | os.PathLike[str] | None, localizer: str | os.PathLike[str] | None
) -> EvalInputs:
    """`EvalInputs` with split and localizer read from their files. Raises as `splits.load` and `LocalizerModel`."""
    return EvalInputs(
        settings,
        None if split is None else splits.load(split),
        None if localizer is None else LocalizerModel(localizer),
    )


def evaluate(
    model: Model, stored: Stored, inputs: EvalInputs, names: tuple[str, ...] = (), title: str = ""
) -> dict[str, Errors]:
    """The errors of a net, by protocol.

    A protocol that by the parameters has no samples is left out. Raises ValueError if the dataset or a subset is empty,
    a label that a protocol needs is missing, or a protocol is unknown.

    Args:
        model: the net.
        stored: the dataset.
        inputs: what protocols need apart from these.
        names: of protocols; all of the dataset for this kind of net, if there are none.
        title: of the progress bar.
    """
    if not len(stored):
        raise ValueError(f"{stored.path} holds no samples to evaluate on")
    cache: dict[Any, tuple[np.ndarray, Mapping[str, np.ndarray]]] = {}
    found = {}
    for name, protocol in protocols.of_dataset(_reader(stored), model.kind, names).items():
        rows = protocol.subset(stored, inputs)
        if rows is None:
            continue
        if not len(rows):
            raise ValueError(f"{stored.path} has no sample for a net of this kind ({model.kind}): {protocol.title}")
        check_labels(stored, protocol.labels, rows)
        key = (protocol.subset, protocol.window)  # protocols that differ in `correct` alone share their predictions
        if key not in cache:
            cache[key] = _predict(model, stored, rows, protocol.window(stored, rows, inputs), f"{title} {name}")
        found[name] = _errors(stored, protocol, *cache[key])
    return found


def _predict(
    model: Model, stored: Stored, rows: np.ndarray, windows: np.ndarray, title: str
) -> tuple[np.ndarray, Mapping[str, np.ndarray]]:
    """The rows that have a window, and the net's outputs for these by field."""
    seen = np.all(np.isfinite(windows), axis=1)
    if not seen.any():
        raise ValueError(f"{stored.path}: the localizer found no face for the pose net")
    rows, windows = rows[seen], windows[seen]
    images = _progress(stored, rows, title)
    return rows, model.predict(images) if isinstance(model, LocalizerModel) else model.predict(images, windows)


def _errors(stored: Stored, protocol: Protocol, rows: np.ndarray, predicted: Mapping[str, np.ndarray]) -> Errors:
    true = {name: values[rows] for name, values in stored.labels.items()}
    masks = {name: mask[rows] for name, mask in stored.masks.items()}
    if protocol.correct:
        predicted = protocol.correct(predicted, true)
    true["frame_size"] = np.tile(np.array(stored.image.shape[:0:-1], np.float32), (len(rows), 1))
    table = errors.measure(COLUMNS[protocol.net], predicted, true, masks)
    table.insert(0, "index", rows)
    table.insert(1, "name", stored.strings["name"][rows])
    table["group"] = stored.strings["group"][rows]
    return Errors(protocol, table)


def check_labels(stored: Stored, fields: Sequence[str], rows: np.ndarray) -> None:
    """Raise ValueError if there are no rows, or if one of them lacks one of the labels ``fields``."""
    if not len(rows):
        raise ValueError(f"{stored.path} holds no samples to evaluate on")
    for field in fields:
        lacking = len(rows) - int(stored.masks[field][rows].sum()) if field in stored.masks else len(rows)
        if lacking:
            raise ValueError(f"{stored.path}: {lacking} of {len(rows)} samples have no {field}, which is measured by")


def source_of(stored: Stored) -> str:
    """Where the samples come from: "synthetic", "real" or "unknown"."""
    return str(stored.attributes.get("source", "unknown"))


def _reader(stored: Stored) -> str:
    return str(stored.attributes.get("reader"))


def write_headlines(
    path: str | os.PathLike[str],
    measured: Mapping[str, Errors],
    figures: Mapping[str, Figures],
    stored: Stored,
    net: str,
) -> None:
    """Write the short summary of the dataset's first protocol to ``path``, of each other to ``<path>_<protocol>``.

    ``{name: value, "n": samples, "source": of the samples}``: a file per protocol, with the same keys in all, because
    `dvc metrics show` prints a row per file and a column per key. ``n`` is 0 if nothing was measured.

    Args:
        path: of the JSON file.
        measured: the errors by protocol.
        figures: all figures of these by protocol and metric.
        stored: the dataset.
        net: the kind of net, "pose" or "localizer".
    """
    path = Path(path)
    for i, protocol in enumerate(protocols.of_dataset(_reader(stored), net)):
        summary = headline(net, figures.get(protocol, {}))
        counts = {"n": len(measured.get(protocol, ())), "source": source_of(stored)}
        write_json(path.with_stem(f"{path.stem}_{protocol}") if i else path, summary | counts)


def headline(net: str, figures: Figures) -> dict[str, float]:
    """The values of the short summary, by their short names."""
    rows = [row for row in METRICS[net].values() if row.headline and row.name in figures]
    return {row.headline: figures[row.name].value for row in rows}


def detail(measured: Mapping[str, Errors], figures: Mapping[str, Figures], stored: Stored, name: str) -> dict[str, Any]:
    """All figures of the net ``name`` with their intervals, and their numbers of samples and groups, by protocol."""
    found = {
        protocol: {
            "n": len(rows),
            "groups": rows.groups,
            "metrics": {metric: figure._asdict() for metric, figure in figures[protocol].items()},
        }
        for protocol, rows in measured.items()
    }
    return {"model": name, "source": source_of(stored), "protocols": found}


def write_errors(folder: str | os.PathLike[str], stored: Stored, measured: Mapping[str, Errors]) -> None:
    """Write ``<dataset>_<protocol>.csv`` into ``folder``, a row per sample; a cell is empty where an error is unknown.

    The folder is made even if nothing was measured.
    """
    Path(folder).mkdir(parents=True, exist_ok=True)
    for name, rows in measured.items():
        texts = rows.table.copy()
        for column in set(texts) & set(COLUMNS[rows.protocol.net]):
            digits = COLUMNS[rows.protocol.net][column].digits
            texts[column] = [errors.as_text(value, digits) for value in texts[column]]
        with replacing(Path(folder) / f"{Path(stored.path).stem}_{name}.csv") as partial:
            texts.to_csv(partial, index=False, lineterminator="\n")


def _progress(stored: Stored, rows: np.ndarray, title: str) -> Iterator[np.ndarray]:
    for row in tqdm(rows, title.strip(), unit=" samples", disable=None, leave=False):
        yield stored.image[row]
