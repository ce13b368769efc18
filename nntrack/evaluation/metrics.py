"""What is summed up of the errors: a table of figures, each made of the columns that `errors` gives per sample.

A new metric is a function and a row *there*: its mean appears here, in ``metrics/`` and in every comparison by itself.
What is summed up in another way is a row here. Every figure comes with its bootstrap interval, see `resampling`.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np
from scipy.special import gammainc

from nntrack.evaluation import errors
from nntrack.evaluation.bootstrap import DRAWS, FEWEST, LEVEL, Resamples, interval
from nntrack.evaluation.errors import FORETOLD, NME, Column

Columns = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Metric:
    """One figure.

    values: of the columns (N,) to (N,), NaN where a sample does not count; or (K, N), of which the plain mean of the K
    summaries is the figure. needs: columns. quantile: what sums up, in place of the mean. finish: what is done to a
    mean. headline: its name where only the chief figures are shown, if it is one. digits: after the point, when
    written.
    """

    name: str
    title: str
    unit: str
    values: Callable[[Columns], np.ndarray]
    needs: tuple[str, ...]
    quantile: float | None = None
    finish: Callable[[np.ndarray], np.ndarray] = np.positive
    headline: str = ""
    digits: int = 3


class Figure(NamedTuple):
    """A figure, its 95 % interval, and how many samples it is of.

    low, high: None where all draws agree, as they do where one group is all there is, or where what is counted never
    occurred: of the world beyond the samples they then tell nothing.
    """

    value: float
    low: float | None
    high: float | None
    n: int


YAW_BINS = (
    (0, 30),
    (30, 60),
    (60, 90),
)  # degrees of true |yaw|; what is beyond 90 counts in the last, as is the custom
LIMITS = {"geodesic": (20, "degrees"), "nme2d": (10, "%"), "nme3d": (10, "%")}  # where the error distributions end
NAMES = {
    "geodesic": "geodesic error",
    "nme2d": NME.format(2),
    "nme3d": NME.format(3),
}
CALIBRATED = FORETOLD  # errors that the net itself foretells: by which factor, which component; None is all three
SIGMAS = (1, 2)
INTERVAL = f"bootstrap {LEVEL:.0%} intervals, of {DRAWS} draws of photos or persons (none of fewer than {FEWEST})"


def expected_share(sigmas: float, dimensions: int) -> float:
    """The share of Gaussian errors within so many standard deviations, if these are told right (chi-square law)."""
    return float(gammainc(dimensions / 2, sigmas**2 / 2))


def in_yaw_bin(columns: Columns, low: float) -> np.ndarray:
    """Which samples (N,) belong to the bin of `YAW_BINS` that begins at ``low``; the last has no end."""
    begins = np.array([start for start, _ in YAW_BINS])
    found = begins[np.searchsorted(begins, np.abs(columns["true_yaw"]), side="right") - 1]
    return np.equal(found, low)


def _column(name: str, columns: Columns) -> np.ndarray:
    return columns[name]


def _binned(name: str, low: float, columns: Columns) -> np.ndarray:
    return np.where(in_yaw_bin(columns, low), columns[name], np.nan)


def _balanced(name: str, columns: Columns) -> np.ndarray:
    return np.stack([_binned(name, low, columns) for low, _ in YAW_BINS])


def _area(name: str, limit: float, columns: Columns) -> np.ndarray:
    # a sample's share of the area under the cumulative distribution: the part of 0..limit that lies beyond its error
    return np.clip(1 - columns[name] / limit, 0, 1)


def _above(name: str, limit: float, columns: Columns) -> np.ndarray:
    return np.where(np.isnan(columns[name]), np.nan, columns[name] > limit)


def _within(name: str, sigmas: float, columns: Columns) -> np.ndarray:
    return np.where(np.isnan(columns[name]), np.nan, columns[name] <= sigmas)


def _told_right(columns: Columns) -> np.ndarray:
    return np.where(np.isnan(columns["face"]), np.nan, columns["face"] == columns["reported"])


def _squared(name: str, columns: Columns) -> np.ndarray:
    return columns[name] ** 2


def _means_of(table: Mapping[str, Column]) -> Iterator[Metric]:
    """The plain means, of all columns that have one."""
    for row in table.values():
        if row.metric:
            values, digits = partial(_column, row.name), row.digits - 1
            yield Metric(row.metric, row.title, row.unit, values, (row.name,), headline=row.headline, digits=digits)


def _distribution(column: str) -> Iterator[Metric]:
    """What else is told of an error whose distribution counts: quantiles, by yaw, area under the curve, failures."""
    title, (limit, unit) = NAMES[column], LIMITS[column]
    for share, name, words in ((0.5, "median", "median"), (0.95, "p95", "95th percentile")):
        values = partial(_column, column)
        yield Metric(f"{column}_{name}", f"{title}, {words}", unit, values, (column,), quantile=share)
    needs = ("true_yaw", column)
    for low, high in YAW_BINS:
        words = f"{title}, yaw {low} to {high} either way" + (" and beyond" if (low, high) == YAW_BINS[-1] else "")
        yield Metric(f"{column}_yaw_{low}_{high}", words, unit, partial(_binned, column, low), needs)
    yield Metric(f"{column}_balanced", f"{title}, plain mean of the yaw bins", unit, partial(_balanced, column), needs)
    span = f"0 to {limit}{' ' * (unit != '%')}{unit}"
    curve = partial(_area, column, limit)
    yield Metric(f"{column}_auc_{limit}", f"{title}, area under its distribution {span}", "share", curve, (column,))
    failed = partial(_above, column, limit)
    yield Metric(f"{column}_fail_{limit}", f"{title}, share beyond {span[5:]}", "share", failed, (column,))


def _calibration() -> Iterator[Metric]:
    for sigmas in SIGMAS:
        for name in CALIBRATED:
            title = f"{name} errors within {sigmas} predicted deviation{'s' * (sigmas > 1)}"
            share = partial(_within, f"{name}_sigmas", sigmas)
            yield Metric(f"{name}_{sigmas}s", title, "share", share, (f"{name}_sigmas",))


def _table(*rows: Metric) -> dict[str, Metric]:
    return {row.name: row for row in rows}


CALIBRATION = _table(*_calibration())  # shares of the errors within so many predicted standard deviations
POSE = _table(*_means_of(errors.POSE), *(row for column in LIMITS for row in _distribution(column)))
_TOLD = ("face", "reported")
LOCALIZER = _table(
    Metric("accuracy", "face or no face told right", "share", _told_right, _TOLD, headline="accuracy", digits=4),
    *_means_of(errors.LOCALIZER),
    Metric(
        "corner_rmse",
        "root mean square error of the box's edges",
        "-1..1 over the frame",
        partial(_squared, "corner"),
        ("corner",),
        finish=np.sqrt,
        digits=4,
    ),
)


def draw(table: Mapping[str, Metric], columns: Columns, resamples: Resamples) -> dict[str, np.ndarray]:
    """Every figure that the columns allow, (1 + draws,): of the samples themselves, then of each draw."""
    rows = [row for row in table.values() if not set(row.needs) - set(columns)]
    values = {row.name: np.atleast_2d(row.values(columns)).astype(np.float64) for row in rows}
    rows = [row for row in rows if np.all(np.any(~np.isnan(values[row.name]), axis=1))]
    means = _means({row.name: values[row.name] for row in rows if row.quantile is None}, resamples)
    return {
        row.name: row.finish(means[row.name])
        if row.quantile is None
        else np.mean([resamples.quantile(part, row.quantile) for part in values[row.name]], axis=0)
        for row in rows
    }


def _means(values: Mapping[str, np.ndarray], resamples: Resamples) -> dict[str, np.ndarray]:
    """The mean of each (K, N)'s K means, all at one go: the draws are read once."""
    if not values:
        return {}
    found = resamples.means(np.concatenate(list(values.values())))
    ends = np.cumsum([len(part) for part in values.values()])[:-1]
    return {name: part.mean(axis=0) for name, part in zip(values, np.split(found, ends), strict=True)}


def measure(table: Mapping[str, Metric], columns: Columns, resamples: Resamples) -> dict[str, Figure]:
    """Every figure that the columns allow, rounded, with its interval, in the table's order."""
    return {name: figure(table[name], draws, columns) for name, draws in draw(table, columns, resamples).items()}


def figure(row: Metric, draws: np.ndarray, columns: Columns) -> Figure:
    """A figure of `draw`, or a difference of two such, as it is written."""
    known = np.any(~np.isnan(np.atleast_2d(row.values(columns))), axis=0)
    bounds = interval(draws)
    low, high = (None, None) if bounds is None else (round(bound, row.digits) for bound in bounds)
    return Figure(round(float(draws[0]), row.digits), low, high, int(known.sum()))
