import pytest

from nntrack import config
from nntrack.commands import update_readme
from nntrack.reporting import report, tables
from tests.conftest import ROOT
from tests.reporting.made_up import facts, measured


def test_the_pages_show_the_committed_metrics():
    found = report.read_metrics(ROOT / "metrics")
    for path, table in (("README.md", tables.summary(found)), ("docs/results.md", tables.results(found))):
        text = (ROOT / path).read_text()
        assert report.insert(text, table, path) == text, "run `nntrack update-readme`"


def test_tables_go_between_the_marks(tmp_path, capsys):
    paths = [tmp_path / "README.md", tmp_path / "results.md"]
    for path in paths:
        path.write_text(f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n")
    update_readme.main(ROOT / "metrics", *paths)
    found = report.read_metrics(ROOT / "metrics")
    for path, table in zip(paths, (tables.summary(found), tables.results(found)), strict=True):
        assert path.read_text() == f"before\n{report.BEGIN}\n{table.strip()}\n{report.END}\nafter\n"
    stamps = [path.stat().st_mtime_ns for path in paths]
    update_readme.main(ROOT / "metrics", *paths)
    assert [path.stat().st_mtime_ns for path in paths] == stamps
    assert [line.split(": ")[1] for line in capsys.readouterr().out.splitlines()] == ["updated"] * 2 + ["unchanged"] * 2


@pytest.mark.parametrize("text", ["", report.BEGIN, f"{report.END} {report.BEGIN}", f"{report.BEGIN}{report.END}" * 2])
def test_lacking_marks_are_an_error(text):
    with pytest.raises(ValueError, match=r"README\.md must hold the lines"):
        report.insert(text, "x", "README.md")


def test_lacking_metrics_are_an_error(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"published\.json does not exist; make it with"):
        report.read_metrics(tmp_path)
    (tmp_path / "published.json").write_text("{")
    with pytest.raises(ValueError, match=r"published\.json is not JSON"):
        report.read_metrics(tmp_path)
    for name in ("published", "card", "export"):
        (tmp_path / f"{name}.json").write_text("{}")
    with pytest.raises(FileNotFoundError, match=r"detail/aflw2k\.json does not exist"):
        report.read_metrics(tmp_path)


def test_the_report_shows_table_pictures_params_and_card(tmp_path):
    params = config.load(ROOT / "params.yaml").model_dump(mode="json")
    pictures, charts = ["other", "augmentation", "poses_best_median_worst"], ["new", "gain", "crop"]
    page = report.report(measured(), facts(tmp_path), params, pictures, charts)
    assert tables.results(measured()).strip() in page and tables.every_figure(measured()) in page
    shown = [f"(card/{n}.svg)" for n in ("crop", "gain", "new")]
    shown += [f"(pictures/{n}.jpg)" for n in ("poses_best_median_worst", "augmentation", "other")]
    places = [page.index(path) for path in shown]
    assert places == sorted(places) and "(model_card.md)" in page
    assert "![" not in report.report(measured(), facts(tmp_path), params)
    assert "| synthesize.aflw2k " in page
    assert "| synthesize." not in report.report(measured(), facts(tmp_path), params | {"source": "real"})


def test_params_are_listed_line_by_line():
    params = {"lr": 0.1, "convert": {"size": 192, "biwi": {"use": True, "limit": None}}}
    assert report.flat(params) == {
        "lr": "0.1",
        "convert.size": "192",
        "convert.biwi": "use: true, limit: none",
    }
