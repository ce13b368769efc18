"""Several nets on one dataset, side by side, with intervals of every figure and of every difference to the first net.

All nets are measured on the same samples and with the same resamples, so that what is common to the samples cancels in
a difference: its interval is far narrower than those of the two figures suggest.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import pandas as pd

from nntrack.data.hdf5 import Stored
from nntrack.evaluation import metrics
from nntrack.evaluation.evaluate import METRICS, Errors, source_of
from nntrack.evaluation.metrics import Figure, Metric

FEW = 100  # photos or persons, below which a table has a warning
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


class Row(NamedTuple):
    """A metric under a protocol: the figure of each net, and the difference of each but the first to the first.

    None for a net that lacks an output which the metric needs.
    """

    protocol: str
    metric: Metric
    figures: tuple[Figure | None, ...]
    differences: tuple[Figure | None, ...]


def compare(measured: Sequence[Mapping[str, Errors]], seed: int, headlines: bool = True) -> list[Row]:
    """A row per protocol and metric. Raises ValueError if the nets were not measured on the same samples, or on none.

    Args:
        measured: the errors of each net, by protocol.
        seed: of the resamples.
        headlines: whether only metrics of the short summary are compared.
    """
    first, rows = measured[0], []
    if not first:
        raise ValueError("there are no samples to compare nets on")
    for protocol, base in first.items():
        nets = [one.get(protocol) for one in measured]
        if not all(net is not None and net.table["index"].equals(base.table["index"]) for net in nets):
            raise ValueError(f"the nets were not measured on the same samples under '{protocol}'")
        rows += _compare([net for net in nets if net is not None], seed, headlines)
    return rows


def _compare(nets: Sequence[Errors], seed: int, headlines: bool) -> list[Row]:
    protocol, resamples = nets[0].protocol, nets[0].resamples(seed)
    table = {name: row for name, row in METRICS[protocol.net].items() if row.headline or not headlines}
    resampled = [metrics.resample(table, net.table, resamples) for net in nets]
    rows = []
    for name, metric in table.items():
        values = [one.get(name) for one in resampled]
        if all(value is None for value in values):
            continue
        base = values[0]
        figures = [
            None if value is None else metrics.figure(metric, value, net.table)
            for value, net in zip(values, nets, strict=True)
        ]
        differences = [
            None if value is None or base is None else metrics.figure(metric, value - base, net.table)
            for value, net in zip(values[1:], nets[1:], strict=True)
        ]
        rows.append(Row(protocol.name, metric, tuple(figures), tuple(differences)))
    return rows


def markdown(rows: Sequence[Row], names: Sequence[str]) -> str:
    """The table, with a letter for each net and a list of their names above. Raises ValueError for too many nets.

    A difference whose interval does not contain 0 is bold.
    """
    if len(names) > len(_LETTERS):
        raise ValueError(f"{len(names)} nets are too many for one table, at most {len(_LETTERS)} fit")
    letters = _LETTERS[: len(names)]
    titles = ["protocol", "metric", *letters, *(f"{letter} - A" for letter in letters[1:])]
    lines = []
    for row in rows:
        digits = row.metric.digits
        cells = [_figure(one, digits) for one in row.figures] + [_difference(one, digits) for one in row.differences]
        lines.append([row.protocol, f"{row.metric.title} ({row.metric.unit})", *cells])
    align = ["left"] * 2 + ["right"] * (len(titles) - 2)
    table = pd.DataFrame(lines, columns=titles).to_markdown(index=False, colalign=align, disable_numparse=True)
    return "\n".join([*(f"- {letter}: {name}" for letter, name in zip(letters, names, strict=True)), "", table])


def notes(measured: Mapping[str, Errors], stored: Stored, several: bool) -> list[str]:
    """What must be known to read the table, a sentence each.

    Args:
        measured: the errors of one of the nets, by protocol.
        stored: the dataset.
        several: whether there is more than one net.
    """
    source = source_of(stored)
    found = [f"{name}: {_sample(rows)}; {rows.protocol.title}." for name, rows in measured.items()]
    found.append(f"In brackets: {metrics.INTERVAL}; none where all resamples agree.")
    if several:
        found.append(
            "Differences are paired. Bold: 0 is outside the interval; the others may be noise, and so may one bold "
            "row in twenty."
        )
    if source != "real":
        found.append(f"The samples are {source}: the figures say nothing about real photos.")
    if min(rows.groups for rows in measured.values()) < FEW:
        found.append(f"With fewer than {FEW} photos or persons the intervals, too, are rough and too narrow.")
    return found


def _sample(rows: Errors) -> str:
    n, groups, full = len(rows), rows.groups, rows.protocol.full_count
    of = f" of the original's {full}" if full and n != full else ""
    return f"n = {n}{of}" + (f" from {groups} photos or persons" if groups != n else "")


def _figure(one: Figure | None, digits: int) -> str:
    return "-" if one is None else f"{one.value:.{digits}f}{_bounds(one, f'.{digits}f')}"


def _difference(one: Figure | None, digits: int) -> str:
    if one is None:
        return "-"
    text = f"{one.value:+z.{digits}f}{_bounds(one, f'+z.{digits}f')}"
    return f"**{text}**" if one.low is not None and one.high is not None and (one.low > 0 or one.high < 0) else text


def _bounds(one: Figure, style: str) -> str:
    return "" if one.low is None else f" [{one.low:{style}}, {one.high:{style}}]"
