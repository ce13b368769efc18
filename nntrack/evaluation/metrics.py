"""The metrics: a table of figures, each computed from the columns of errors per sample that `errors` defines.

A new metric is a function and a row in `errors`: its mean appears here, in ``metrics/`` and in every comparison by
itself. What is summarized in another way is a row here. Every figure has its bootstrap interval, see `bootstrap`.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from operator import itemgetter
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy.special import gammainc

from nntrack.evaluation import errors
from nntrack.evaluation.bootstrap import LEVEL, MIN_GROUPS, RESAMPLES, Resamples, interval
from nntrack.evaluation.errors import CALIBRATED, NME, Column


@dataclass(frozen=True)
class Metric:
    """One figure.

    values: of the table of errors to (N,), NaN where a sample does not count, summarized by their mean; or to (K, N),
    of whose K summaries the figure is the mean. columns: of that table, which must be there.
    quantile: summarizes in place of the mean. finish: is applied to a mean. headline: its name in the short summary, if
    it is part of that. digits: after the point, in files.
    """

    name: str
    title: str
    unit: str
    values: Callable[[pd.DataFrame], Any]
    columns: tuple[str, ...]
    quantile: float | None = None
    finish: Callable[[np.ndarray], np.ndarray] = np.positive
    headline: str = ""
    digits: int = 3


class Figure(NamedTuple):
    """The value of a metric, its 95 % interval, and the number of samples that count in it.

    low, high: None where all resamples agree, as with a single group, or with an event that never occurred: they then
    do not tell how far the value holds for other samples.
    """

    value: float
    low: float | None
    high: float | None
    n: int


YAW_BINS = ((0, 30), (30, 60), (60, 90))  # degrees of true |yaw|; by custom more than 90 is part of the last
LIMITS = {"geodesic": (20, "degrees"), "nme2d": (10, "%"), "nme3d": (10, "%")}  # where the error distributions end
NAMES = {"geodesic": "geodesic error", "nme2d": NME.format(2), "nme3d": NME.format(3)}
SIGMAS = (1, 2)
INTERVAL = (
    f"bootstrap {LEVEL:.0%} intervals, of {RESAMPLES} resamples of photos or persons (none of fewer than {MIN_GROUPS})"
)


def expected_fraction(sigmas: float, dimensions: int) -> float:
    """The fraction of errors within so many standard deviations for a perfectly calibrated net (chi-square law)."""
    return float(gammainc(dimensions / 2, sigmas**2 / 2))


def in_yaw_bin(table: pd.DataFrame, low: float) -> np.ndarray:
    """Which samples (N,) are in the bin of `YAW_BINS` that begins at ``low``; the last bin has no upper end."""
    begins = np.array([start for start, _ in YAW_BINS])
    return begins[np.searchsorted(begins, table["true_yaw"].abs(), side="right") - 1] == low


def _binned(name: str, low: float, table: pd.DataFrame) -> pd.Series:
    return table[name].where(in_yaw_bin(table, low))


def _balanced(name: str, table: pd.DataFrame) -> np.ndarray:
    return np.stack([_binned(name, low, table) for low, _ in YAW_BINS])


def _area(name: str, limit: float, table: pd.DataFrame) -> pd.Series:
    # a sample's contribution to the area under the cumulative distribution: the part of 0..limit beyond its error
    return (1 - table[name] / limit).clip(0, 1)


def _above(name: str, limit: float, table: pd.DataFrame) -> pd.Series:
    return (table[name] > limit).where(table[name].notna())


def _within(name: str, limit: float, table: pd.DataFrame) -> pd.Series:
    return (table[name] <= limit).where(table[name].notna())


def _correct(table: pd.DataFrame) -> pd.Series:
    return (table["face"] == table["reported"]).where(table["face"].notna())


def _squared_corner(table: pd.DataFrame) -> pd.Series:
    return table["corner"] ** 2


def _mean_metrics(table: Mapping[str, Column]) -> Iterator[Metric]:
    """The plain mean of each column that has one."""
    for row in table.values():
        if row.metric:
            values, digits = itemgetter(row.name), row.digits - 1
            yield Metric(row.metric, row.title, row.unit, values, (row.name,), headline=row.headline, digits=digits)


def _distribution_metrics(column: str) -> Iterator[Metric]:
    """Further metrics of one column: quantiles, means by yaw, area under the curve, failures."""
    title, (limit, unit) = NAMES[column], LIMITS[column]
    for quantile, name, words in ((0.5, "median", "median"), (0.95, "p95", "95th percentile")):
        yield Metric(f"{column}_{name}", f"{title}, {words}", unit, itemgetter(column), (column,), quantile)
    columns = ("true_yaw", column)
    for low, high in YAW_BINS:
        words = f"{title}, yaw {low} to {high} either way" + (" and beyond" if (low, high) == YAW_BINS[-1] else "")
        yield Metric(f"{column}_yaw_{low}_{high}", words, unit, partial(_binned, column, low), columns)
    words = f"{title}, plain mean of the yaw bins"
    yield Metric(f"{column}_balanced", words, unit, partial(_balanced, column), columns)
    end = f"{limit}{' ' * (unit != '%')}{unit}"
    words = f"{title}, area under its distribution 0 to {end}"
    yield Metric(f"{column}_auc_{limit}", words, "fraction", partial(_area, column, limit), (column,))
    words = f"{title}, fraction beyond {end}"
    yield Metric(f"{column}_fail_{limit}", words, "fraction", partial(_above, column, limit), (column,))


def _calibration_metrics() -> Iterator[Metric]:
    for sigmas in SIGMAS:
        for name in CALIBRATED:
            title = f"{name} errors within {sigmas} predicted standard deviation{'s' * (sigmas > 1)}"
            column = f"{name}_sigmas"
            yield Metric(f"{name}_{sigmas}s", title, "fraction", partial(_within, column, sigmas), (column,))


def _table(*rows: Metric) -> dict[str, Metric]:
    return {row.name: row for row in rows}


_ACCURACY, _RMSE = "face or no face classified correctly", "root mean square error of the box's edges"
CALIBRATION = _table(*_calibration_metrics())
POSE = _table(*_mean_metrics(errors.POSE), *(row for column in LIMITS for row in _distribution_metrics(column)))
LOCALIZER = _table(
    Metric("accuracy", _ACCURACY, "fraction", _correct, ("face", "reported"), headline="accuracy", digits=4),
    *_mean_metrics(errors.LOCALIZER),
    Metric("corner_rmse", _RMSE, "-1..1 over the frame", _squared_corner, ("corner",), finish=np.sqrt, digits=4),
)


def resample(table: Mapping[str, Metric], columns: pd.DataFrame, resamples: Resamples) -> dict[str, np.ndarray]:
    """Every metric that can be computed, (1 + resamples,): of the samples themselves, then of each resample.

    Left out are metrics without their columns, and those in which no sample counts.
    """
    rows = {name: row for name, row in table.items() if set(row.columns) <= set(columns)}
    values = {name: np.atleast_2d(row.values(columns)).astype(np.float64) for name, row in rows.items()}
    values = {name: value for name, value in values.items() if not np.isnan(value).all(axis=1).any()}
    summaries = _means({name: value for name, value in values.items() if rows[name].quantile is None}, resamples)
    found = {}
    for name, value in values.items():
        quantile = rows[name].quantile
        if quantile is None:
            found[name] = rows[name].finish(summaries[name].mean(axis=0))
        else:
            found[name] = np.mean([resamples.quantile(part, quantile) for part in value], axis=0)
    return found


def _means(values: Mapping[str, np.ndarray], resamples: Resamples) -> dict[str, np.ndarray]:
    """Means (K, 1 + resamples) of values (K, N), of all metrics together: the resamples are gone through once."""
    if not values:
        return {}
    means = resamples.means(np.concatenate(list(values.values())))
    ends = np.cumsum([len(part) for part in values.values()])[:-1]
    return dict(zip(values, np.split(means, ends), strict=True))


def measure(table: Mapping[str, Metric], columns: pd.DataFrame, resamples: Resamples) -> dict[str, Figure]:
    """Every metric that can be computed, rounded, with its interval, in the table's order."""
    found = resample(table, columns, resamples)
    return {name: figure(table[name], values, columns) for name, values in found.items()}


def figure(row: Metric, resampled: np.ndarray, columns: pd.DataFrame) -> Figure:
    """The figure of a metric from what `resample` returns for it, or from the difference of two such."""
    counts = np.any(~np.isnan(np.atleast_2d(row.values(columns)).astype(np.float64)), axis=0)
    bounds = interval(resampled)
    low, high = (None, None) if bounds is None else (round(bound, row.digits) for bound in bounds)
    return Figure(round(float(resampled[0]), row.digits), low, high, int(counts.sum()))
