"""The bootstrap: how sure a figure is, resampled by groups of samples.

The samples of a group (photo, person) are resampled together, because their errors are alike; one by one, ten views of
a photo would count as ten photos. Equally seeded generators give the same resamples of the same groups, so that figures
of two models or protocols can be subtracted resample by resample.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

RESAMPLES = 2000  # of as many groups as there are
LEVEL = 0.95  # of an interval
MIN_GROUPS = 5  # that are resampled; from fewer nothing can be said about other groups
_BLOCK = 1 << 21  # numbers held at a time


class Resamples:
    """How often each group of samples is in each resample; the first row is the samples themselves, each once.

    Figures have the resamples as their last axis, of length ``1 + count``. With fewer groups than `MIN_GROUPS` all
    resamples are the samples themselves, so that there is no `interval`.

    Args:
        groups: (N,) names.
        generator: of random numbers.
        count: of resamples.
    """

    def __init__(self, groups: Sequence[str] | Any, generator: np.random.Generator, count: int = RESAMPLES) -> None:
        _, self._group = np.unique(groups, return_inverse=True)  # (N,)
        self.groups = int(self._group.max()) + 1 if len(self._group) else 0
        self._counts = np.ones((1 + count, self.groups), np.int32)
        for row in self._counts[1:]:
            if self.groups >= MIN_GROUPS:
                row[:] = np.bincount(generator.integers(self.groups, size=self.groups), minlength=self.groups)

    def means(self, values: np.ndarray) -> np.ndarray:
        """Means (K, 1 + count) of values (K, N), without NaNs; NaN where a resample has nothing else."""
        known = ~np.isnan(values)
        sides = np.concatenate([np.where(known, values, 0), known])  # (2K, N)
        sums = np.stack([np.bincount(self._group, side, self.groups) for side in sides], axis=1)  # (groups, 2K)
        resampled = np.concatenate([counts @ sums for counts in self._blocks(self.groups)]).T
        total, count = np.split(resampled, 2)
        return np.divide(total, count, out=np.full_like(total, np.nan), where=count > 0)

    def quantile(self, values: np.ndarray, q: float) -> np.ndarray:
        """The quantile (1 + count,) of values (N,), interpolated as by `numpy.quantile`; NaN as in `means`."""
        order = np.argsort(values, kind="stable")[: np.count_nonzero(~np.isnan(values))]
        found = [_counted_quantile(values[order], counts, q) for counts in self._blocks(len(order), order)]
        return np.concatenate(found)

    def _blocks(self, width: int, order: np.ndarray | None = None) -> Iterator[np.ndarray]:
        """Counts of the groups, or of the samples in ``order``, a few resamples at a time."""
        step = max(1, _BLOCK // max(1, width))
        for start in range(0, len(self._counts), step):
            counts = self._counts[start : start + step]
            yield counts.astype(np.float64) if order is None else counts[:, self._group[order]]


def _counted_quantile(values: np.ndarray, counts: np.ndarray, q: float) -> np.ndarray:
    """The quantile (resamples,) of ascending values (n,) that are each repeated by counts (resamples, n)."""
    ends = np.cumsum(counts, axis=1)  # (resamples, n): one past the last position of each value
    if not len(values):
        return np.full(len(counts), np.nan)
    position = q * np.maximum(ends[:, -1] - 1, 0)
    low, high = np.floor(position), np.ceil(position)
    at = [np.minimum((ends <= side[:, None]).sum(axis=1), len(values) - 1) for side in (low, high)]
    found = values[at[0]] + (position - low) * (values[at[1]] - values[at[0]])
    return np.where(ends[:, -1] > 0, found, np.nan)


def interval(resampled: np.ndarray) -> tuple[float, float] | None:
    """The percentile interval of a figure (1 + resamples,); None if the resamples differ by rounding alone."""
    known = resampled[1:][~np.isnan(resampled[1:])]
    if not len(known) or np.ptp(known) < 1e-9:
        return None
    low, high = np.quantile(known, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)
