"""How sure a figure is: the bootstrap, by groups of samples, with many figures and models on the same draws.

Samples of one group (photo, person) are drawn together, because they err together; taken one by one, ten views of a
photo would pass for ten photos. Who passes equally seeded generators gets the same draws for the same groups, so that
figures of two models or protocols can be subtracted draw by draw.
"""

from collections.abc import Iterator, Sequence

import numpy as np

DRAWS = 2000  # of as many groups as there are
LEVEL = 0.95  # of an interval
FEWEST = 5  # groups that are resampled; the draws of fewer tell of nobody but themselves
_BLOCK = 1 << 21  # numbers held at a time


class Resamples:
    """How often each group of samples is drawn; the first row is the samples themselves, each once.

    groups: (N,) names. Figures come out with the draws as their last axis, of length ``1 + draws``. With fewer groups
    than `FEWEST` all draws are the samples themselves, so that there is no `interval`.
    """

    def __init__(self, groups: Sequence[str] | np.ndarray, generator: np.random.Generator, draws: int = DRAWS) -> None:
        _, self._group = np.unique(groups, return_inverse=True)  # (N,)
        self.groups = int(self._group.max()) + 1 if len(self._group) else 0
        self._counts = np.ones((1 + draws, self.groups), np.int32)
        for row in self._counts[1:]:
            if self.groups >= FEWEST:
                row[:] = np.bincount(generator.integers(self.groups, size=self.groups), minlength=self.groups)

    def means(self, values: np.ndarray) -> np.ndarray:
        """Means of values (K, N), what is not a number left out: (K, 1 + draws); NaN where a draw has none of them."""
        known = ~np.isnan(values)
        sides = np.concatenate([np.where(known, values, 0), known])  # (2K, N)
        sums = np.stack([np.bincount(self._group, side, self.groups) for side in sides], axis=1)  # (groups, 2K)
        drawn = np.concatenate([counts @ sums for counts in self._blocks(self.groups)]).T
        total, count = np.split(drawn, 2)
        return np.divide(total, count, out=np.full_like(total, np.nan), where=count > 0)

    def quantile(self, values: np.ndarray, share: float) -> np.ndarray:
        """The quantile (1 + draws,) of values (N,), between neighbours as `numpy.quantile`; NaN as in `means`."""
        order = np.argsort(values, kind="stable")[: np.count_nonzero(~np.isnan(values))]
        found = [_counted_quantile(values[order], counts, share) for counts in self._blocks(len(order), order)]
        return np.concatenate(found)

    def _blocks(self, width: int, order: np.ndarray | None = None) -> Iterator[np.ndarray]:
        """Counts of the groups, or of the samples in ``order``, a few draws at a time."""
        step = max(1, _BLOCK // max(1, width))
        for start in range(0, len(self._counts), step):
            counts = self._counts[start : start + step]
            yield counts.astype(np.float64) if order is None else counts[:, self._group[order]]


def _counted_quantile(values: np.ndarray, counts: np.ndarray, share: float) -> np.ndarray:
    """values (n,) rising, each so many times as counts (draws, n) says."""
    last = np.cumsum(counts, axis=1)  # (draws, n): one past the last place that a value takes
    if not len(values):
        return np.full(len(counts), np.nan)
    place = share * np.maximum(last[:, -1] - 1, 0)
    low, high = np.floor(place), np.ceil(place)
    at = [np.minimum((last <= end[:, None]).sum(axis=1), len(values) - 1) for end in (low, high)]
    found = values[at[0]] + (place - low) * (values[at[1]] - values[at[0]])
    return np.where(last[:, -1] > 0, found, np.nan)


def interval(draws: np.ndarray) -> tuple[float, float] | None:
    """The percentile interval of a figure (1 + draws,); None if the draws do not differ, but for rounding."""
    known = draws[1:][~np.isnan(draws[1:])]
    if not len(known) or np.ptp(known) < 1e-9:
        return None
    low, high = np.quantile(known, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)
