import json
from pathlib import Path

import pytest

from nntrack import export, metrics, report, stability
from nntrack.protocols import POSE_PROTOCOLS, STABILITY
from tests import onnx_files

ROOT = Path(__file__).parents[1]
POSE_ROW = {name: 2.5 for name in metrics.POSE} | {"n": 400} | dict.fromkeys(metrics.CALIBRATION, 0.625)
SHAKING = dict.fromkeys(stability.SPREADS, 1.375) | {"n": 100, "views": 64}
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


def measured(source="synthetic", n=400, use=True):
    rows = {f"nntrack_{name}": POSE_ROW | {"n": n} for name in POSE_PROTOCOLS} if use else {}
    faces = {"nntrack_val": {"accuracy": 0.9876, "iou": 0.7, "corner_rmse": 0.05, "n": 80, "n_faces": 40}}
    net = {"parameters": 1000, "bytes": 4567, "difference": 1e-6, "opset": 13, "ir": 7}
    return {
        "published": json.loads((ROOT / "metrics/published.json").read_text()),
        "aflw2k": {"aflw2k": rows, "source": source},
        "stability": {"aflw2k": {f"nntrack_{row}": SHAKING for row in STABILITY if use}, "source": source},
        "localizer": {"widerface": faces, "source": source},
        "export": {"export": {"pose": net, "localizer": net}},
    }


def facts(tmp_path, source="synthetic"):
    """What real exports say, through files."""
    for kind, write in (("pose", onnx_files.pose), ("localizer", onnx_files.localizer)):
        attributes = {"source": source, "kept": 61, "licence": "research only", "dropped": '{"NaN": 3, "box": 0}'}
        known = export.provenance({"300wlp": attributes}, "0123456789abcdef")
        text = {"description": f"The {kind}", "frame": export.FRAME, "terms": export.terms(known)}
        text |= {key: v if isinstance(v, str) else json.dumps(v) for key, v in known.items()}
        write(tmp_path / f"head-{kind}.onnx", metadata=text)
    return report.read_facts(tmp_path)


def parts(text):
    """The table of published methods, and all that follows it."""
    first, rest = text.split("\n\n", 2)[1:]
    return first, rest


def test_the_readme_shows_the_committed_metrics():
    readme = (ROOT / "README.md").read_text()
    assert report.insert(readme, report.table(report.read_metrics(ROOT / "metrics"))) == readme, "run `dvc repro`"


def test_published_figures_are_those_of_the_papers():
    rows = json.loads((ROOT / "metrics/published.json").read_text())["aflw2k"]
    assert {name: tuple(row[key] for key in report.ANGLES) for name, row in rows.items()} == PUBLISHED
    first, _ = parts(report.table(measured()))
    lines = first.splitlines()
    assert lines[0] == "| method | yaw | pitch | roll | average |"
    assert lines[2] == "| QuatNet | 3.973 | 5.615 | 3.920 | 4.503 |"
    assert "| Valle et al. 2021 | 3.34 | 4.69 | 3.48 | 3.83 |" in lines
    assert len(lines) == 2 + len(PUBLISHED)


@pytest.mark.parametrize(
    ("source", "n", "label"),
    [
        ("synthetic", 400, "not AFLW2000-3D results"),
        ("synthetic", 1969, "not AFLW2000-3D"),
        ("real", 8, "8 of the 1969"),
    ],
)
def test_what_cannot_be_compared_stands_apart(source, n, label):
    first, rest = parts(report.table(measured(source, n)))
    assert "nntrack" not in first
    assert label in rest and "cannot be compared" in rest and rest.count("cannot be compared") == 1
    ours = len(POSE_PROTOCOLS) * 2 + len(STABILITY) + 1
    assert rest.count("| **nntrack**, ") == ours


def test_a_full_measurement_joins_the_published_ones():
    first, rest = parts(report.table(measured("real", 1969)))
    assert first.splitlines()[-1] == "| **nntrack**, centre crop | 2.5 | 2.5 | 2.5 | 2.5 |"
    assert "cannot be compared" not in rest and "synthetic" not in rest


def test_a_dataset_that_is_switched_off_is_said_to_be():
    text = report.table(measured(use=False))
    assert "nothing was measured" in text and "Stability" not in text and "How sure" not in text


def test_shaking_is_shown_with_its_source_and_in_words():
    for source, label in (("synthetic", "Stability, measured on **synthetic** archives"), ("real", "measured on AFLW")):
        _, rest = parts(report.table(measured(source)))
        assert label in rest and "nntrack_" not in rest
        assert rest.count("| 1.375 | 1.375 | 1.375 | 1.375 | 100 | 64 |") == len(STABILITY)


def test_how_sure_a_net_is_stands_beside_what_is_expected():
    _, rest = parts(report.table(measured()))
    assert "| if they were told right | 0.683 / 0.954 |" in rest and "| 0.199 / 0.739 |" in rest
    assert rest.count("0.625 / 0.625") == len(metrics.CALIBRATED) * len(POSE_PROTOCOLS)
    unsure = measured()
    unsure["aflw2k"]["aflw2k"] = {"old_bbox": {name: 2.5 for name in metrics.POSE}}
    assert "How sure" not in report.table(unsure)


def test_every_figure_of_ours_is_in_the_table():
    _, rest = parts(report.table(measured()))
    for name in ("geodesic mean", "geodesic median", "nme", "| n |", "0.9876", "corner rmse"):
        assert name in rest


def test_the_table_goes_between_the_markers(tmp_path):
    path = tmp_path / "README.md"
    path.write_text(f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n")
    report.update_readme(path, "| a |\n")
    once = path.read_text()
    assert once == f"before\n{report.BEGIN}\n| a |\n{report.END}\nafter\n"
    stamp = path.stat().st_mtime_ns
    report.update_readme(path, "| a |\n")
    assert path.read_text() == once and path.stat().st_mtime_ns == stamp


@pytest.mark.parametrize("text", ["", report.BEGIN, f"{report.END} {report.BEGIN}", f"{report.BEGIN}{report.END}" * 2])
def test_lacking_markers_are_an_error(text):
    with pytest.raises(ValueError, match=r"README\.md must hold the lines"):
        report.insert(text, "x")


def test_lacking_metrics_are_an_error(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"published\.json does not exist; make it with"):
        report.read_metrics(tmp_path)
    (tmp_path / "published.json").write_text("{")
    with pytest.raises(ValueError, match=r"published\.json is not JSON"):
        report.read_metrics(tmp_path)


def test_the_card_says_data_terms_and_weaknesses(tmp_path):
    card = report.model_card(measured(), facts(tmp_path))
    assert "| pose | 300wlp | synthetic | 61 | NaN: 3 | research only |" in card
    assert "no dataset's licence applies" in card and "are a demonstration" in card
    assert "30 to 60" in card and "0123456789abcdef" in card and "4567" in card
    real = report.model_card(measured("real", 1969), facts(tmp_path, "real"))
    assert "300wlp: research only" in real and "are a demonstration" not in real


def test_the_report_shows_table_picture_and_card(tmp_path):
    page = report.report(measured(), facts(tmp_path), ["faces.jpg"])
    assert report.table(measured()).strip() in page
    assert "(faces.jpg)" in page and "(model_card.md)" in page
    assert "![" not in report.report(measured(), facts(tmp_path))
