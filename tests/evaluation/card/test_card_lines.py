import numpy as np
import pytest
from scipy.stats import spearmanr

from nntrack.evaluation.card import lines
from nntrack.evaluation.card.lines import GROUPS, LINES, Line, figures
from nntrack.synthesis import controlled


def test_every_line_is_of_a_group_and_every_group_has_lines():
    assert {line.group for line in LINES.values()} == set(GROUPS)
    assert [line.group for line in LINES.values()] == sorted(
        [line.group for line in LINES.values()], key=list(GROUPS).index
    )


def test_names_are_those_of_what_is_rendered():
    assert lines.WORN == tuple(controlled.WORN)
    assert set(lines.ACTIONS) == {name.partition("_")[0] for name in controlled.ACTIONS}


@pytest.mark.parametrize("name", LINES)
def test_nothing_is_nearer_to_the_best_value_than_that(name):
    line = LINES[name]
    assert line.distance(line.ideal) == 0
    worse = line.ideal - 1 if line.better == "higher" else line.ideal + 1
    assert line.distance(worse) == pytest.approx(1)
    if line.better == "near":
        assert line.distance(line.ideal - 1) == pytest.approx(1)


def test_a_figure_is_the_mean_of_what_is_known_with_an_interval_around_it(rng):
    column = rng.normal(3, 1, 200)
    column[::7] = np.nan
    found = figures({"mirror": column}, np.array([f"face {i}" for i in range(200)]), seed=0)
    assert list(found) == ["mirror"]
    figure = found["mirror"]
    assert figure.value == pytest.approx(np.nanmean(column), abs=1e-3)
    assert figure.low < figure.value < figure.high and figure.n == np.isfinite(column).sum()


def test_rows_of_one_group_are_no_news(rng):
    """Each value four times, in one group or in four: the first says as little as one value each."""
    values = rng.normal(0, 1, 50)
    groups = np.arange(50).astype(str)
    once = figures({"mirror": values}, groups, 0)["mirror"]
    together = figures({"mirror": np.repeat(values, 4)}, np.repeat(groups, 4), 0)["mirror"]
    apart = figures({"mirror": np.repeat(values, 4)}, np.arange(200).astype(str), 0)["mirror"]
    width = [one.high - one.low for one in (once, together, apart)]
    assert width[0] == pytest.approx(width[1], rel=1e-6) and width[2] < 0.7 * width[0]


def test_lines_without_all_their_columns_are_left_out(rng):
    found = figures({"glasses_noise": rng.random(9) + 1, "sigma": rng.random(9)}, np.arange(9).astype(str), 0)
    assert not found
    both = {"glasses_noise": np.full(9, 3.0), "bare_noise": np.full(9, 2.0)}
    assert figures(both, np.arange(9).astype(str), 0)["glasses_noise"].value == 1.5


def test_rank_correlation_is_scipys(rng):
    a = rng.normal(size=60)
    b = a + rng.normal(size=60)
    assert lines.spearman(a, b) == pytest.approx(spearmanr(a, b).statistic)


def test_area_under_the_curve_counts_pairs(rng):
    assert lines.auroc(np.array([3.0, 2]), np.array([1.0, 0])) == 1
    assert lines.auroc(np.array([0.0]), np.array([1.0])) == 0
    assert lines.auroc(rng.normal(size=3000), rng.normal(size=3000)) == pytest.approx(0.5, abs=0.03)


def test_a_line_needs_a_known_direction():
    assert Line("mirror", "", "").distance(-2.0) == 0  # less than nothing is not better than nothing
