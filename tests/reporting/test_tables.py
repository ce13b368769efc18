import json

import pytest

from nntrack.evaluation import metrics
from nntrack.evaluation.card.lines import GROUPS, LINES
from nntrack.reporting import tables
from tests.conftest import ROOT
from tests.reporting.made_up import FIGURE, cells, measured

PUBLISHED = {
    "QuatNet": (3.973, 5.615, 3.920, 4.503),
    "3DDFA_V2": (3.183, 5.227, 3.468, 3.959),
    "Valle_2021": (3.34, 4.69, 3.48, 3.83),
    "SynergyNet": (3.42, 4.09, 2.55, 3.35),
    "NN-Tracker_bbox": (3.373, 5.206, 3.545, 4.041),
    "NN-Tracker_center": (3.370, 5.761, 3.607, 4.246),
    "NN-Tracker-2024_bbox": (2.737, 4.167, 2.411, 3.105),
    "NN-Tracker-2024_center": (2.788, 4.368, 2.622, 3.259),
}


def parts(text):
    """The cells of the table of published methods, and the text that follows it up to the report card."""
    first, rest = text.partition("### Report card")[0].split("\n\n", 2)[1:]
    return cells(first), rest


def test_published_figures_are_those_of_the_papers():
    rows = json.loads((ROOT / "metrics/published.json").read_text())["aflw2k"]
    assert {name: tuple(row[key] for key in tables.ANGLES) for name, row in rows.items()} == PUBLISHED
    first, _ = parts(tables.results(measured()))
    assert first[:2] == [
        ("method", "yaw", "pitch", "roll", "average"),
        ("QuatNet", "3.973", "5.615", "3.920", "4.503"),
    ]
    assert ("Valle et al. 2021", "3.34", "4.69", "3.48", "3.83") in first and len(first) == 1 + len(PUBLISHED)


@pytest.mark.parametrize("page", [tables.results, tables.summary])
@pytest.mark.parametrize(
    ("source", "n", "label"),
    [
        ("synthetic", 400, "not AFLW2000-3D results"),
        ("synthetic", 1969, "not AFLW2000-3D"),
        ("real", 8, "8 of the 1969"),
    ],
)
def test_what_cannot_be_compared_stands_apart(page, source, n, label):
    first, rest = parts(page(measured(source, n)))
    assert not any("nntrack" in name for name, *_ in first)
    assert label in rest and rest.count("cannot be compared") == 1
    expected = {tables.results: 4, tables.summary: 2}[page]
    names = [row[0] for row in cells(rest)]
    assert names.count("AFLW2000-3D, ground-truth boxes") == expected - 1
    assert names.count("synthetic, in the layout of") == (expected if source == "synthetic" else 0)


@pytest.mark.parametrize("page", [tables.results, tables.summary])
def test_a_full_measurement_joins_the_published_ones(page):
    first, rest = parts(page(measured("real", 1969)))
    assert first[-1] == ("**nntrack**, centre crop", *["2.346"] * 4)
    assert "cannot be compared" not in rest and "synthetic" not in rest


def test_a_dataset_that_is_switched_off_is_said_to_be():
    text = tables.results(measured(use=False))
    assert "was switched off" in text and "#### aflw2k" not in text and "300W-LP, held-out photos" in text
    nothing = measured(use=False)
    nothing["detail"]["w300lp"]["protocols"] = {}
    assert "Calibration" not in tables.results(nothing) and tables.every_figure(nothing) == "Nothing was measured."
    assert "Ours" not in tables.summary(nothing) and "WIDER FACE" in tables.summary(nothing)


def test_a_figure_stands_with_its_interval_and_its_count():
    text = tables.results(measured())
    rows = {row[0]: row for row in cells(text) if len(row) == 8 and row[-1].split()[0].isdigit()}
    assert rows["AFLW2000-3D, centre crop"][1::6] == ("2.35 (1.9–3.1)", "400")
    assert rows["300W-LP, held-out photos"][-1] == "80 of 16" and metrics.INTERVAL in text
    alone = measured()
    alone["detail"]["w300lp"]["protocols"]["bbox"]["metrics"]["yaw"] = FIGURE | {"low": None, "high": None}
    assert ("300W-LP, held-out photos", "2.35", "2.35 (1.9–3.1)") in [row[:3] for row in cells(tables.results(alone))]
    assert ("300W-LP, held-out photos", *["2.35"] * 6, "80 of 16") in cells(tables.summary(measured()))


def test_few_photos_are_warned_of():
    assert "too narrow:** 300W-LP, held-out photos (16)." in tables.results(measured())
    many = measured()
    many["detail"]["w300lp"]["protocols"]["bbox"]["groups"] = 100
    assert "half a degree" not in tables.results(many)


def test_the_report_card_is_shown_section_by_section_with_its_source():
    for source in ("synthetic", "real"):
        shown = tables.results(measured(source)).partition("### Report card")[2]
        rendered, photos = shown.split("\n#### ")[1:]
        assert rendered.startswith("rendered people (synthetic)\n\nSource: **synthetic**.\n")
        assert photos.startswith(f"aflw2k\n\nSource: **{source}**.\n")
        assert [row[0] for row in cells(photos)] == [
            "line",
            "**Noise**",
            "noise of 8: rotation",
            "**Mirror**",
            "rotation",
        ]
        assert len(cells(rendered)) == 1 + len(GROUPS) + len(LINES)
    nothing = measured()
    nothing["card"]["sections"] = {}
    assert "Report card" not in tables.results(nothing) and "Report card" not in tables.summary(measured())


def test_the_report_card_says_which_values_are_good():
    text = tables.results(measured()).partition("### Report card")[2].partition("####")[0]
    words = [word for word in ("found", "IoU", "rank correlation", "area", "slope", "offset", "within") if word in text]
    for line in LINES.values():
        assert line.better == "lower" or any(word in line.title for word in words), line.title
    assert "near 0.68 and 0.95" in text and "Rendered faces favour" in text
    assert all(f"- **{title}**: {explanation}" in text for title, explanation in GROUPS.values())


def test_calibration_stands_beside_what_is_expected():
    rows = {row[0]: row[1:] for row in cells(tables.results(measured())) if " / " in row[1]}
    assert rows["perfectly calibrated"] == (*["0.68 / 0.95"] * 3, "0.20 / 0.74") * 2
    assert rows["AFLW2000-3D, centre crop"] == ("2.35 / 2.35",) * 8
    unsure = measured()
    for row in unsure["detail"].values():
        for one in row["protocols"].values():
            one["metrics"] = {name: FIGURE for name in one["metrics"] if name not in metrics.CALIBRATION}
    assert "Calibration" not in tables.results(unsure)


def test_every_figure_is_in_the_report():
    text = tables.every_figure(measured())
    assert text.count("2.346 (1.851–3.066)") + text.count("2.3460 (1.8510–3.0660)") == len(metrics.POSE) * 3
    assert {row[0] for row in cells(text)} >= {f"{row.title} ({row.unit})" for row in metrics.POSE.values()}
    assert len({line.count("|") for line in text.splitlines()}) == 1, "no title breaks the table"
