import json

import pytest

from nntrack import config
from nntrack.deploy import export
from nntrack.evaluation import metrics, stability
from nntrack.evaluation.protocols import PROTOCOLS, STABILITY
from nntrack.reporting import model_card, report, tables, titles
from tests import onnx_files
from tests.conftest import ROOT

FIGURE = {"value": 2.346, "low": 1.851, "high": 3.066, "n": 400}
SHAKING = dict.fromkeys(stability.SPREADS, 1.375) | {"n": 100, "views": 64}
OF_AFLW = [row for row in PROTOCOLS if row.dataset == "aflw2k"]
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


def protocol(table, n, groups=None):
    return {"n": n, "groups": groups or n, "metrics": dict.fromkeys(table, FIGURE)}


def measured(source="synthetic", n=400, use=True):
    pose = metrics.POSE | metrics.CALIBRATION
    rows = {row.name: protocol(pose, n) for row in OF_AFLW} if use else {}
    held_out = {"bbox": protocol(pose, 80, 16)}
    faces = {"val": protocol(metrics.LOCALIZER, 900, 450)}
    net = {"parameters": 1000, "bytes": 4567, "difference": 1e-6, "opset": 13, "ir": 7}
    return {
        "published": json.loads((ROOT / "metrics/published.json").read_text()),
        "detail": {
            name: {"model": "nntrack", "source": source, "protocols": protocols}
            for name, protocols in (("aflw2k", rows), ("300wlp", held_out), ("localizer", faces))
        },
        "stability": {"aflw2k": {f"nntrack_{row}": SHAKING for row in STABILITY if use}, "source": source},
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


def test_the_docs_show_the_committed_metrics():
    page = (ROOT / "docs/results.md").read_text()
    assert report.insert(page, tables.table(report.read_metrics(ROOT / "metrics"))) == page, "run `dvc repro`"


def test_published_figures_are_those_of_the_papers():
    rows = json.loads((ROOT / "metrics/published.json").read_text())["aflw2k"]
    assert {name: tuple(row[key] for key in tables.ANGLES) for name, row in rows.items()} == PUBLISHED
    first, _ = parts(tables.table(measured()))
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
    first, rest = parts(tables.table(measured(source, n)))
    assert "nntrack" not in first
    assert label in rest and "cannot be compared" in rest and rest.count("cannot be compared") == 1
    assert rest.count("| AFLW2000-3D, ground-truth boxes |") == 3
    assert rest.count("| synthetic, in the layout of |") == (4 if source == "synthetic" else 0)


def test_a_full_measurement_joins_the_published_ones():
    first, rest = parts(tables.table(measured("real", 1969)))
    assert first.splitlines()[-1] == "| **nntrack**, centre crop | 2.346 | 2.346 | 2.346 | 2.346 |"
    assert "cannot be compared" not in rest and "synthetic" not in rest


def test_a_dataset_that_is_switched_off_is_said_to_be():
    text = tables.table(measured(use=False))
    assert "was switched off" in text and "Stability" not in text and "| 300W-LP, held-out photos |" in text
    nothing = measured(use=False)
    nothing["detail"]["300wlp"]["protocols"] = {}
    assert "How sure" not in tables.table(nothing) and tables.every_figure(nothing) == "Nothing was measured."


def test_a_figure_stands_with_its_interval_and_its_count():
    _, rest = parts(tables.table(measured()))
    assert "| AFLW2000-3D, centre crop | 2.35 (1.9–3.1) |" in rest
    assert "| 80 of 16 |" in rest and "| 400 |" in rest and metrics.INTERVAL in rest
    alone = measured()
    alone["detail"]["300wlp"]["protocols"]["bbox"]["metrics"]["yaw"] = FIGURE | {"low": None, "high": None}
    assert "| 300W-LP, held-out photos | 2.35 |" in tables.table(alone)


def test_few_photos_are_warned_of():
    _, rest = parts(tables.table(measured()))
    assert f"{tables.FEW_NOTE} 300W-LP, held-out photos (16)." in rest and "half a degree" in rest
    many = measured()
    many["detail"]["300wlp"]["protocols"]["bbox"]["groups"] = 100
    assert "half a degree" not in tables.table(many)


def test_shaking_is_shown_with_its_source_and_in_words():
    for source, label in (("synthetic", "Stability, measured on **synthetic** archives"), ("real", "measured on AFLW")):
        _, rest = parts(tables.table(measured(source)))
        assert label in rest and "nntrack_" not in rest
        assert rest.count("| 1.375 | 1.375 | 1.375 | 1.375 | 100 | 64 |") == len(STABILITY)
        assert all(f"| {title} |" in rest for title in STABILITY.values())


def test_how_sure_a_net_is_stands_beside_what_is_expected():
    _, rest = parts(tables.table(measured()))
    assert "| if they were told right | 0.68 / 0.95 |" in rest and "| 0.20 / 0.74 |" in rest
    unsure = measured()
    for row in unsure["detail"].values():
        for one in row["protocols"].values():
            one["metrics"] = {name: FIGURE for name in one["metrics"] if name not in metrics.CALIBRATION}
    assert "How sure" not in tables.table(unsure)


def test_every_figure_is_in_the_report():
    text = tables.every_figure(measured())
    assert text.count("2.346 (1.851–3.066)") + text.count("2.3460 (1.8510–3.0660)") == len(metrics.POSE) * 3
    assert all(f"| {row.title} ({row.unit}) |" in text for row in metrics.POSE.values())
    assert len({line.count("|") for line in text.splitlines()}) == 1, "no title breaks the table"


def test_every_protocol_has_a_name_in_print():
    known = {f"{row.dataset}_{row.name}" for row in PROTOCOLS if row.dataset in titles.DATASETS}
    assert known == titles.PROTOCOLS.keys()
    assert titles.of("wflw", "bbox") == "wflw, bbox"


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
    for name in ("published", "stability", "export"):
        (tmp_path / f"{name}.json").write_text("{}")
    with pytest.raises(FileNotFoundError, match=r"detail/aflw2k\.json does not exist"):
        report.read_metrics(tmp_path)


def test_the_card_says_data_terms_and_weaknesses(tmp_path):
    text = model_card.model_card(measured(), facts(tmp_path))
    assert "| pose | 300wlp | synthetic | 61 | NaN: 3 | research only |" in text
    assert "no dataset's licence applies" in text and "are a demonstration" in text and "scanned head" not in text
    assert "yaw 60 to 90" in text and "0123456789abcdef" in text and "4567" in text
    assert "- Pose net, `center`: **synthetic** archives" in text and "- Localizer, `val`:" in text
    real = model_card.model_card(measured("real", 1969), facts(tmp_path, "real"), "data/facekit")
    assert "300wlp: research only" in real and "are a demonstration" not in real and "data/facekit" not in real


def test_the_card_names_a_scanned_head(tmp_path):
    text = model_card.model_card(measured(), facts(tmp_path), "data/facekit")
    assert "scanned head model in `data/facekit`, whose terms apply as well" in text


def test_the_report_shows_table_pictures_params_and_card(tmp_path):
    params = config.load(ROOT / "params.yaml").model_dump(by_alias=True, mode="json")
    page = report.report(measured(), facts(tmp_path), params, ["other", "augmentation", "poses_best_median_worst"])
    assert tables.table(measured()).strip() in page and tables.every_figure(measured()) in page
    places = [page.index(f"(pictures/{n}.jpg)") for n in ("poses_best_median_worst", "augmentation", "other")]
    assert places == sorted(places) and "(model_card.md)" in page
    assert "![" not in report.report(measured(), facts(tmp_path), params)


def test_params_are_told_line_by_line():
    params = {"lr": 0.1, "convert": {"size": 192, "biwi": {"use": True, "limit": None}}}
    assert report.flat(params) == {
        "lr": "0.1",
        "convert.size": "192",
        "convert.biwi": "use: true, limit: none",
    }
