"""Nets in Opentrack's format measured on converted datasets under named protocols, as `runtime` runs them.

The errors of every sample are kept, and every figure is made of what is kept. Results carry the ``source`` of the
samples, so that figures of drawn archives cannot be taken for those of the originals.
"""

import csv
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from tqdm import tqdm

from nntrack.data.hdf5 import Stored
from nntrack.deploy.runtime import LocalizerModel, PoseModel
from nntrack.evaluation import errors, metrics, protocols
from nntrack.evaluation.bootstrap import Resamples
from nntrack.evaluation.metrics import Figure
from nntrack.evaluation.protocols import Given, Protocol
from nntrack.files import replacing, write_json

Model = PoseModel | LocalizerModel
Figures = Mapping[str, Figure]
COLUMNS = {"pose": errors.POSE, "localizer": errors.LOCALIZER}
METRICS = {"pose": metrics.POSE | metrics.CALIBRATION, "localizer": metrics.LOCALIZER}


class Answers(NamedTuple):
    """What a net says of samples: their rows in the dataset (n,), and its values by field, n of each."""

    rows: np.ndarray
    predicted: Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Errors:
    """How far a net is off under one protocol.

    index: rows of the dataset (n,). name, group: of these samples (n,). columns: by name of `errors`, (n,).
    """

    protocol: Protocol
    index: np.ndarray
    name: np.ndarray
    group: np.ndarray
    columns: Mapping[str, np.ndarray]

    def resamples(self, seed: int) -> Resamples:
        """The same draws for every model and protocol on the same samples."""
        return Resamples(self.group, np.random.default_rng(seed))

    def figures(self, seed: int) -> dict[str, Figure]:
        """All that is summed up of the columns, by name of `metrics`."""
        return metrics.measure(METRICS[self.protocol.net], self.columns, self.resamples(seed))


def evaluate(
    model: Model, stored: Stored, given: Given, names: tuple[str, ...] = (), title: str = ""
) -> dict[str, Errors]:
    """The errors under every protocol of the dataset for this kind of net (or those named), by protocol.

    A protocol that has no samples by the parameters is left out. title: what the model is called while it runs.
    Raises ValueError if the dataset or the subset is empty, a label that a protocol needs is missing, or a protocol is
    unknown.
    """
    if not len(stored):
        raise ValueError(f"{stored.path} holds no samples to evaluate on")
    net = "localizer" if isinstance(model, LocalizerModel) else "pose"
    answers: dict[Any, Answers] = {}
    found = {}
    for name, protocol in protocols.of(str(stored.attributes.get("reader")), net, names).items():
        rows = protocol.subset(stored, given)
        if rows is None:
            continue
        if not len(rows):
            raise ValueError(f"{stored.path} has no sample for a net of this kind ({net}): {protocol.title}")
        check_known(stored, protocol.needs, rows)
        shown = (protocol.subset, protocol.window)  # two protocols may differ in what is made of the answers alone
        if shown not in answers:
            answers[shown] = _ask(model, stored, protocol, rows, given, f"{title} {name}")
        found[name] = _errors(stored, protocol, answers[shown])
    return found


def _ask(model: Model, stored: Stored, protocol: Protocol, rows: np.ndarray, given: Given, title: str) -> Answers:
    if isinstance(model, LocalizerModel):
        return Answers(rows, model.predict(_progress(stored, rows, title)))
    windows = protocol.window(stored, rows, given)
    found = np.all(np.isfinite(windows), axis=1)
    if not found.any():
        raise ValueError(f"{stored.path}: no face was found to show the pose net")
    return Answers(rows[found], model.predict(_progress(stored, rows[found], title), windows[found]))


def _errors(stored: Stored, protocol: Protocol, answers: Answers) -> Errors:
    rows, predicted = answers
    true = {name: values[rows] for name, values in stored.labels.items()}
    known = {name: mask[rows] for name, mask in stored.masks.items()}
    if protocol.correct:
        predicted = protocol.correct(predicted, true)
    true["frame_size"] = np.tile(np.array(stored.image.shape[:0:-1], np.float32), (len(rows), 1))
    columns = errors.measure(COLUMNS[protocol.net], predicted, true, known)
    return Errors(protocol, rows, stored.strings["name"][rows], stored.strings["group"][rows], columns)


def check_known(stored: Stored, fields: Sequence[str], rows: np.ndarray) -> None:
    """Raise ValueError if there are no rows, or one of them lacks a label that is measured by."""
    if not len(rows):
        raise ValueError(f"{stored.path} holds no samples to evaluate on")
    for field in fields:
        lacking = len(rows) - int(stored.masks[field][rows].sum()) if field in stored.masks else len(rows)
        if lacking:
            raise ValueError(f"{stored.path}: {lacking} of {len(rows)} samples have no {field}, which is measured by")


def kind_of(model: Model) -> str:
    """The kind of net: "pose" or "localizer"."""
    return "localizer" if isinstance(model, LocalizerModel) else "pose"


def source_of(stored: Stored) -> str:
    """Where the samples come from: "synthetic", "real" or "unknown"."""
    return str(stored.attributes.get("source", "unknown"))


def write_headlines(
    path: str | os.PathLike[str],
    measured: Mapping[str, Errors],
    figures: Mapping[str, Figures],
    stored: Stored,
    net: str,
) -> None:
    """Write the chief figures of the dataset's first protocol to ``path``, of each other one to ``<path>_<protocol>``.

    ``{name: value, "n": samples, "source": of the samples}``: one file a protocol, with the same keys in all, because
    `dvc metrics show` prints a row per file and a column per key. Of what was not measured ``n`` is 0.
    """
    path, source = Path(path), source_of(stored)
    for i, protocol in enumerate(protocols.of(str(stored.attributes.get("reader")), net)):
        found = headline(net, figures.get(protocol, {}))
        count = len(measured[protocol].index) if protocol in measured else 0
        write_json(path.with_stem(f"{path.stem}_{protocol}") if i else path, {**found, "n": count, "source": source})


def headline(net: str, figures: Figures) -> dict[str, float]:
    """The chief figures alone, by their short names."""
    rows = [row for row in METRICS[net].values() if row.headline and row.name in figures]
    return {row.headline: figures[row.name].value for row in rows}


def detail(measured: Mapping[str, Errors], figures: Mapping[str, Figures], stored: Stored, name: str) -> dict[str, Any]:
    """All figures with their intervals, and of how many samples and groups (photos, persons) they are."""
    found = {
        protocol: {
            "n": len(rows.index),
            "groups": len(set(rows.group)),
            "metrics": {metric: figure._asdict() for metric, figure in figures[protocol].items()},
        }
        for protocol, rows in measured.items()
    }
    return {"model": name, "source": source_of(stored), "protocols": found}


def write_errors(folder: str | os.PathLike[str], stored: Stored, measured: Mapping[str, Errors]) -> None:
    """Write ``<dataset>_<protocol>.csv``, one row per sample; what is not known of a sample is left empty.

    The folder is there even if nothing was measured.
    """
    Path(folder).mkdir(parents=True, exist_ok=True)
    for name, rows in measured.items():
        with replacing(Path(folder) / f"{Path(stored.path).stem}_{name}.csv") as partial:
            with open(partial, "w", encoding="utf-8", newline="") as stream:
                csv.writer(stream, lineterminator="\n").writerows(_lines(rows))


def _lines(rows: Errors) -> Iterator[Sequence[Any]]:
    digits = {name: COLUMNS[rows.protocol.net][name].digits for name in rows.columns}
    yield ["index", "name", *rows.columns, "group"]
    for i, (index, name, group) in enumerate(zip(rows.index, rows.name, rows.group, strict=True)):
        numbers = [errors.as_text(values[i], digits[column]) for column, values in rows.columns.items()]
        yield [int(index), name, *numbers, group]


def _progress(stored: Stored, rows: np.ndarray, title: str) -> Iterator[np.ndarray]:
    for row in tqdm(rows, title.strip(), unit=" samples", disable=None, leave=False):
        yield stored.image[row]
