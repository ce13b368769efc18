import pytest

from nntrack.evaluation.card.gate import Verdict, compare


def card(**values):
    lines = {name: {"value": v[0], "low": v[1], "high": v[2], "n": 9} for name, v in values.items()}
    return {"networks": {}, "sections": {"rendered": {"source": "synthetic", "lines": lines}}}


@pytest.mark.parametrize(
    ("own", "other", "verdict"),
    [
        ((1.0, 0.9, 1.1), (2.0, 1.9, 2.1), Verdict.BETTER),
        ((2.0, 1.9, 2.1), (1.0, 0.9, 1.1), Verdict.FAILED),
        ((1.03, 1.02, 1.04), (1.0, 0.99, 1.01), Verdict.WORSE),
        ((1.09, 1.0, 1.2), (1.0, 0.9, 1.1), Verdict.EQUAL),
        ((1.3, 0.9, 1.7), (1.0, 0.99, 1.01), Verdict.EQUAL),
        ((1.0, None, None), (1.0, None, None), Verdict.EQUAL),
        ((0.1, None, None), (0.0, None, None), Verdict.FAILED),
    ],
)
def test_lower_is_better_and_what_is_inside_an_interval_is_equal(own, other, verdict):
    (found,) = compare(card(mirror=own), card(mirror=other))
    assert found.verdict is verdict
    assert found.ratio == (pytest.approx(own[0] / other[0]) if other[0] else None)


def test_a_slope_is_good_near_one_and_recall_where_it_is_high():
    own = card(gain_pitch_slope=(1.02, None, None), found_20=(90.0, None, None))
    other = card(gain_pitch_slope=(0.9, None, None), found_20=(95.0, None, None))
    verdicts = {one.name: one for one in compare(own, other)}
    assert verdicts["gain_pitch_slope"].verdict is Verdict.BETTER
    assert verdicts["gain_pitch_slope"].ratio == pytest.approx(0.2)
    assert verdicts["found_20"].verdict is Verdict.FAILED and verdicts["found_20"].ratio == pytest.approx(2)


def test_only_what_both_have_is_compared():
    other = card(mirror=(1.0, 0.9, 1.1))
    other["sections"]["videos"] = other["sections"].pop("rendered")
    assert not list(compare(card(mirror=(1.0, 0.9, 1.1)), other))
    assert not list(compare(card(mirror=(1.0, 0.9, 1.1)), card(crop_moved=(1.0, 0.9, 1.1))))
