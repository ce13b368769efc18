import numpy as np
import pytest
import scipy.stats

from nntrack.evaluation.bootstrap import MIN_GROUPS, Resamples, interval


def each(n):
    return [f"photo {i:04}" for i in range(n)]


def expanded(resamples, i):
    """The rows of one resample, one by one."""
    return np.repeat(np.arange(len(resamples._group)), resamples._counts[i][resamples._group])


@pytest.mark.parametrize("groups", [each(60), each(20) * 3, ["one"] * 60])
def test_figures_are_those_of_the_resampled_rows(groups, rng):
    values = rng.gamma(1, 3, (2, 60)).round(1)  # rounded: some are equal
    values[1, ::4] = np.nan
    resamples = Resamples(groups, rng, count=40)
    means = resamples.means(values)
    quantiles = [[resamples.quantile(row, q) for row in values] for q in (0.0, 0.5, 0.95, 1.0)]
    for i in range(41):
        rows = values[:, expanded(resamples, i)]
        assert np.allclose(means[:, i], np.nanmean(rows, axis=1))
        for q, found in zip((0.0, 0.5, 0.95, 1.0), quantiles, strict=True):
            assert np.allclose([f[i] for f in found], np.nanquantile(rows, q, axis=1))


def test_the_first_row_is_the_samples_and_groups_come_together(rng):
    resamples = Resamples(["a", "b", "a", "c"], rng, count=500)
    assert resamples.groups == 3 and np.all(resamples._counts[0] == 1) and np.all(resamples._counts.sum(axis=1) == 3)
    # each group is as frequent as any other
    assert np.allclose(resamples._counts[1:].mean(axis=0), 1, atol=0.15)


def test_intervals_are_scipys(rng):
    values = rng.gamma(1, 3, 150)
    resamples = Resamples(each(150), np.random.default_rng(1), count=4000)
    for resampled, statistic in (
        (resamples.means(values[None])[0], np.mean),
        (resamples.quantile(values, 0.5), np.median),
    ):
        known = scipy.stats.bootstrap((values,), statistic, n_resamples=4000, method="percentile", rng=rng)
        assert np.allclose(interval(resampled), known.confidence_interval, atol=0.12)


def test_an_interval_contains_the_truth_about_as_often_as_its_level(rng):
    held = 0
    for _ in range(200):
        values = np.repeat(rng.standard_normal(60), 5)  # five views of a photo with the same error
        resamples = Resamples(np.repeat(np.arange(60), 5).astype(str), rng, count=200)
        low, high = interval(resamples.means(values[None])[0])
        held += low < 0 < high
    assert 0.88 < held / 200 < 0.99


def test_equal_generators_give_equal_resamples_whatever_the_order(rng):
    values = rng.standard_normal(30)
    order = rng.permutation(30)
    names = np.array(each(30))
    one, other = (
        Resamples(groups, np.random.default_rng(5), 50).means(v[None])
        for groups, v in ((names, values), (names[order], values[order]))
    )
    assert np.allclose(one, other)


def test_blocks_change_nothing(rng, monkeypatch):
    values, groups = rng.standard_normal(50), each(50)
    resamples = Resamples(groups, rng, 100)
    whole = resamples.means(values[None]), resamples.quantile(values, 0.95)
    monkeypatch.setattr("nntrack.evaluation.bootstrap._BLOCK", 120)
    parts = resamples.means(values[None]), resamples.quantile(values, 0.95)
    assert all(np.allclose(a, b) for a, b in zip(whole, parts, strict=True))


def test_a_resample_of_nans_has_no_figure(rng):
    values = np.array([1.0, np.nan, np.nan, np.nan, np.nan])
    resamples = Resamples(each(5), rng, 50)
    empty = resamples._counts[:, 0] == 0
    assert empty.any()
    for found in (resamples.means(values[None])[0], resamples.quantile(values, 0.5)):
        assert np.array_equal(np.isnan(found), empty) and np.all(found[~empty] == 1)
    assert np.isnan(resamples.quantile(np.full(5, np.nan), 0.5)).all()


@pytest.mark.parametrize(("count", "known"), [(MIN_GROUPS - 1, False), (MIN_GROUPS, True)])
def test_a_handful_of_groups_has_no_interval(count, known, rng):
    resampled = Resamples(each(count) * 3, rng).means(rng.normal(size=(1, 3 * count)))[0]
    assert (interval(resampled) is not None) == known


def test_resamples_that_agree_have_no_interval():
    assert interval(np.array([3.0, 3.0, 3.0])) is None
    assert interval(np.array([3.0, np.nan])) is None
    assert interval(np.arange(-1.0, 101)) == pytest.approx((2.5, 97.5))
