from xml.etree import ElementTree

import numpy as np
import pytest

from nntrack.evaluation.card.lines import GROUPS, LINES
from nntrack.reporting import card, titles
from tests.reporting import made_up
from tests.reporting.made_up import FIGURE, cells

SVG = "{http://www.w3.org/2000/svg}"
STEPS = (-30, -15, 0, 15, 30)
CURVES = {
    "crop": [{"scale": scale, "pitch": 3 * np.log(scale)} for scale in (0.7, 0.85, 1.0, 1.2, 1.5)],
    "gain": [{"axis": axis, "true": x, "predicted": 0.8 * x} for axis in ("pitch", "yaw") for x in STEPS],
    "turn": [{"elevation": e, "yaw": x, "pitch": e * x / 200} for e in (-10, 0, 10, 20) for x in STEPS],
    "distance": [{"width": width, "found": 100 - 100 / width} for width in (5, 20, 80)],
}


def table(*columns, section="rendered"):
    """The rows of the table of cards named a, b ..., each given as the lines of its one section."""
    cards = {}
    for name, lines in zip("abc", columns, strict=False):
        cards[name] = made_up.card({"rendered": {}})
        cards[name]["sections"]["rendered"]["lines"] = lines
    return cells(card.table(cards, section))


def figure(value, low=None, high=None):
    return {"value": value, "low": low, "high": high, "n": 20}


def test_lines_stand_in_the_order_of_the_card_each_below_its_group():
    names = [*LINES]
    shown = table(dict.fromkeys(reversed(names[:30]), FIGURE), dict.fromkeys(names[20:], FIGURE))
    assert shown[0] == ("line", "unit", "a", "b", "ratio")
    rows, group = [], None
    for row in shown[1:]:
        if row[0].startswith("**"):
            assert not any(row[1:])
            group = row[0].strip("*")
        else:
            rows.append((group, *row[:2]))
    assert rows == [(GROUPS[line.group][0], line.title, line.unit) for line in LINES.values()]
    assert len(shown) == 1 + len(GROUPS) + len(LINES), "each group is named once"


def test_what_no_card_has_is_not_shown():
    assert [row[0] for row in table({"mirror": FIGURE, "a line of long ago": FIGURE})] == [
        "line",
        "**Mirror**",
        "rotation",
    ]
    assert card.table({"a": made_up.card({"rendered": []}), "b": made_up.card({})}, "rendered") == ""
    assert table({"mirror": FIGURE}, section="aflw2k") == []


def test_a_value_stands_with_its_interval():
    found = table({"mirror": figure(1.2345, 1.0, 1.5), "live_lost": figure(0.25), "gain_pitch_offset": figure(-0.001)})
    assert found[0] == ("line", "unit", "a")
    assert {row[2] for row in found[1:] if row[2]} == {"1.23 (1.00–1.50)", "0.2", "0.00"}


@pytest.mark.parametrize(
    ("name", "one", "other", "ratio"),
    [
        ("mirror", 3.0, 2.0, "1.50"),
        ("gain_pitch_slope", 0.9, 1.2, "0.50"),
        ("gain_pitch_offset", -1.0, 4.0, "0.25"),
        ("found_05", 80.0, 90.0, "2.00"),
        ("iou_05", 0.7, 1.0, "-"),
        ("mirror", 3.0, 0.0, "-"),
        ("mirror", 0.0, 3.0, "0.00"),
    ],
)
def test_the_ratio_is_of_the_distances_from_the_best(name, one, other, ratio):
    assert table({name: figure(one)}, {name: figure(other)})[-1][-1] == ratio
    assert table({name: figure(one)}, {name: figure(other)}, {name: figure(5.0)})[-1][-1] == ratio


def test_there_is_no_ratio_to_what_was_not_measured():
    found = {row[0]: row[2:] for row in table({"mirror": FIGURE}, {"live_yaw": FIGURE})}
    assert found["rotation"] == ("2.35 (1.85–3.07)", "", "") and found["yaw"] == ("", "2.35 (1.85–3.07)", "")


def test_groups_are_explained_that_a_card_has():
    some = made_up.card({"aflw2k": ["sigma_rank", "mirror"], "rendered": ["mirror", "noise_8_size"], "videos": []})
    assert list(card.groups(some)) == [GROUPS[name] for name in ("noise", "mirror", "honesty")]


@pytest.fixture(scope="module")
def drawn():
    return card.charts(CURVES)


def texts(svg):
    return ["".join(element.itertext()) for element in ElementTree.fromstring(svg).iter(f"{SVG}text")]


def lines(svg):
    """The paths of the lines of a chart, those of its legend left out."""
    groups = [g for g in ElementTree.fromstring(svg).iter(f"{SVG}g") if "mark-line" in g.get("class", "")]
    return [path for group in groups for path in group.iter(f"{SVG}path")]


@pytest.mark.parametrize("name", CURVES)
def test_every_chart_says_that_its_people_are_rendered(drawn, name):
    assert drawn.keys() == CURVES.keys() == titles.CARD.keys()
    assert titles.CARD[name] in texts(drawn[name]) and "rendered people (synthetic)" in titles.CARD[name]
    assert titles.of_plots("real")[f"reports/card/{name}.svg"] == titles.CARD[name]


def test_the_same_curves_give_the_same_bytes(drawn):
    assert card.charts(CURVES) == drawn


@pytest.mark.parametrize(("name", "count"), [("crop", 1), ("gain", 2 + 1), ("turn", 4), ("distance", 1)])
def test_a_chart_has_a_line_per_colour(drawn, name, count):
    found = lines(drawn[name])
    assert len(found) == count
    dashed = [path for path in found if path.get("stroke-dasharray")]
    assert len(dashed) == (name == "gain")
    assert len({path.get("stroke") for path in found}) == count


def corners(path):
    """The points (n, 2) px of a path of straight lines."""
    return np.array([point.split(",") for point in path.get("d").strip("MZ").split("L")], float)


def test_the_size_of_the_window_is_logarithmic(drawn):
    [path] = lines(drawn["crop"])
    x, y = corners(path).T
    assert np.diff(x) == pytest.approx(
        (x[-1] - x[0]) * np.diff(np.log([0.7, 0.85, 1.0, 1.2, 1.5])) / np.log(1.5 / 0.7), rel=1e-2
    )
    assert np.diff(y) / np.diff(x) == pytest.approx((y[-1] - y[0]) / (x[-1] - x[0]), rel=1e-2)


def test_the_dashed_line_is_where_the_answer_is_true(drawn):
    dashed, *others = (corners(path) for path in lines(drawn["gain"]))
    slopes = [np.polyfit(*points.T, 1)[0] for points in (dashed, *others)]
    assert slopes[1:] == pytest.approx([0.8 * slopes[0]] * 2, rel=1e-2)


def test_charts_become_files(drawn, tmp_path):
    card.write_charts(tmp_path / "new", CURVES)
    assert {path.name: path.read_text() for path in (tmp_path / "new").iterdir()} == {
        f"{name}.svg": text for name, text in drawn.items()
    }


def test_a_curve_without_records_has_no_chart():
    assert card.charts({"crop": [], "gain": []}) == {}


def test_an_unknown_curve_is_named():
    with pytest.raises(ValueError, match=r"no chart is called 'blur'; known: crop, gain, turn, distance"):
        card.charts({"blur": []})
