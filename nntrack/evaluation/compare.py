"""Nets side by side on one dataset, with how sure each figure is and each difference to the first.

All nets are measured on the same samples, and the same draws are taken of them, so that what is common to the samples
falls out of a difference: its interval is far narrower than those of the two figures suggest.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from nntrack.data.hdf5 import Stored
from nntrack.evaluation import metrics
from nntrack.evaluation.evaluate import METRICS, Errors, source_of
from nntrack.evaluation.metrics import Figure, Metric

FEW = 100  # photos or persons, below which a table warns of them
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


class Row(NamedTuple):
    """A metric under a protocol: the figure of each net, and the difference of each but the first to the first.

    None where a net does not say what it takes.
    """

    protocol: str
    metric: Metric
    figures: tuple[Figure | None, ...]
    differences: tuple[Figure | None, ...]


def compare(measured: Sequence[Mapping[str, Errors]], seed: int, headlines: bool = True) -> list[Row]:
    """measured: of each net, by protocol. headlines: the chief metrics alone.

    Raises ValueError if the nets were not measured on the same samples, or on none.
    """
    first, rows = measured[0], []
    if not first:
        raise ValueError("there are no samples to compare nets on")
    for protocol, base in first.items():
        if any(protocol not in one or not np.array_equal(base.index, one[protocol].index) for one in measured):
            raise ValueError(f"the nets were not measured on the same samples under '{protocol}'")
        rows += _compare([one[protocol] for one in measured], seed, headlines)
    return rows


def _compare(nets: Sequence[Errors], seed: int, headlines: bool) -> list[Row]:
    protocol, resamples = nets[0].protocol, nets[0].resamples(seed)
    table = {name: row for name, row in METRICS[protocol.net].items() if row.headline or not headlines}
    drawn = [metrics.draw(table, net.columns, resamples) for net in nets]

    def shown(name: str, i: int, base: int | None = None) -> Figure | None:
        if any(name not in drawn[k] for k in (i, base) if k is not None):
            return None
        draws = drawn[i][name] - (0 if base is None else drawn[base][name])
        return metrics.figure(table[name], draws, nets[i].columns)

    return [
        Row(
            protocol.name,
            table[name],
            tuple(shown(name, i) for i in range(len(nets))),
            tuple(shown(name, i, 0) for i in range(1, len(nets))),
        )
        for name in table
        if any(name in found for found in drawn)
    ]


def markdown(rows: Sequence[Row], names: Sequence[str]) -> str:
    """The table, with a letter for each net and what it stands for above. Raises ValueError for too many nets.

    A difference whose interval does not hold 0 is bold.
    """
    if len(names) > len(_LETTERS):
        raise ValueError(f"{len(names)} nets are too many for one table, at most {len(_LETTERS)} fit")
    letters = _LETTERS[: len(names)]
    titles = ["protocol", "metric", *letters, *(f"{letter} - A" for letter in letters[1:])]
    lines = [titles, ["---"] * 2 + ["--:"] * (len(titles) - 2)]
    for row in rows:
        digits = row.metric.digits
        cells = [_figure(one, digits) for one in row.figures] + [_difference(one, digits) for one in row.differences]
        lines.append([row.protocol, f"{row.metric.title} ({row.metric.unit})", *cells])
    legend = [f"- {letter}: {name}" for letter, name in zip(letters, names, strict=True)]
    return "\n".join([*legend, "", *(f"| {' | '.join(line)} |" for line in lines)])


def notes(measured: Mapping[str, Errors], stored: Stored, several: bool) -> list[str]:
    """What must be known to read the table, a sentence each."""
    source = source_of(stored)
    found = [f"{name}: {_sample(rows)}; {rows.protocol.title}." for name, rows in measured.items()]
    found.append(f"In brackets: {metrics.INTERVAL}; none where all draws agree.")
    if several:
        found.append(
            "Differences are paired. Bold: 0 lies outside the interval; the others may be noise, and so may one bold "
            "row in twenty."
        )
    if source != "real":
        found.append(f"The samples are {source}: the figures say nothing about real photos.")
    if min(len(set(rows.group)) for rows in measured.values()) < FEW:
        found.append(
            f"Of fewer than {FEW} photos or persons the intervals, too, are rough and rather narrow: trust none."
        )
    return found


def _sample(rows: Errors) -> str:
    n, groups, full = len(rows.index), len(set(rows.group)), rows.protocol.full_count
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
