"""Tables of results in Markdown: published figures, ours with intervals, calibration, localizer, report card.

Our figures join the published ones only if they were measured on the same photos: all of AFLW2000-3D.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from nntrack.evaluation import metrics
from nntrack.evaluation.errors import CALIBRATED
from nntrack.evaluation.protocols import PROTOCOLS
from nntrack.reporting import card, titles
from nntrack.reporting.render import cell, markdown, render

Tree = Mapping[str, Any]
BENCHMARK = "aflw2k"
ANGLES = ("yaw", "pitch", "roll", "average")
ACCURACY = {**{name: name for name in ANGLES}, "geodesic": "geodesic", "nme2d": "NME"}
DISTRIBUTION = {
    "geodesic_median": "median",
    "geodesic_p95": "95th percentile",
    **{f"geodesic_yaw_{low}_{high}": f"yaw {low} to {high}" for low, high in metrics.YAW_BINS},
    "position": "position",
    "size": "size",
}
LOCALIZED = {"accuracy": "accuracy", "iou": "IoU", "corner_rmse": "corner RMSE"}
FEW = 100  # photos or persons, below which the reader is warned


def results(measured: Tree) -> str:
    """Return all tables with their explanations, published rows first. measured: see `report.read_metrics`."""
    return render("results.md.j2", **_results(measured))


def summary(measured: Tree) -> str:
    """Return the README's short form of `results`: published rows, and the chief figures of ours."""
    return render("summary.md.j2", **_results(measured))


def published(figures: Tree, ours: Mapping[str, Tree] | None = None) -> str:
    """Return published angle errors on all of AFLW2000-3D as a table, with ``ours`` (title: figures) as last rows."""
    rows = {titles.PUBLISHED.get(name, name): row for name, row in figures[BENCHMARK].items()} | dict(ours or {})
    return markdown([{"method": name, **_angles(row)} for name, row in rows.items()])


def every_figure(measured: Tree) -> str:
    """Return all that was measured of the pose net as a table, a row per figure and a column per protocol."""
    columns = dict(_protocols(measured["detail"]))
    rows = []
    for metric in metrics.POSE.values():
        cells = {name: cell(row["metrics"].get(metric.name), *[metric.digits] * 2) for name, row in columns.items()}
        if any(cells.values()):
            rows.append({"figure": f"{metric.title} ({metric.unit})", **cells})
    counts = {name: _count(row) for name, row in columns.items()}
    return markdown([*rows, {"figure": "samples", **counts}]) if rows else "Nothing was measured."


def is_comparable(ours: Tree) -> bool:
    """Return whether our figures may join the published ones: measured on real photos, and on all of AFLW2000-3D."""
    full = {row.name: row.full_count for row in PROTOCOLS if row.dataset == BENCHMARK}
    rows = ours["protocols"]
    return ours["source"] == "real" and bool(rows) and all(row["n"] == full.get(name) for name, row in rows.items())


def origin(source: str, title: str) -> str:
    """Return where samples come from, so that rendered ones are never taken for those of the dataset ``title``."""
    return title if source == "real" else f"**{source}** archives (rendered by the pipeline in the layout of {title})"


def _results(measured: Tree) -> dict[str, Any]:
    """Return what the two templates of results fill in."""
    detail = measured["detail"]
    benchmark, faces = detail[BENCHMARK], detail["localizer"]
    found, head = dict(_protocols(detail)), _head(benchmark["source"])
    comparable = is_comparable(benchmark)
    ours = {f"**{benchmark['model']}**, {_crop(name)}": _values(row) for name, row in benchmark["protocols"].items()}
    rendered = sorted({row["source"] for row in detail.values()} - {"real"})

    measured_faces = {titles.of("widerface", name): row for name, row in faces["protocols"].items()}

    def table(rows: Mapping[str, Tree], wanted: Mapping[str, str], head: str, short: bool = False) -> str:
        return markdown([{head: name, **_cells(row, wanted, short)} for name, row in rows.items()])

    return {
        "comparable": comparable,
        "published": published(measured["published"], ours if comparable else None),
        "benchmark": benchmark["protocols"],
        "rendered": rendered[0] if rendered else "",
        "fewest": min((row["n"] for row in benchmark["protocols"].values()), default=0),
        "full": max(row.full_count or 0 for row in PROTOCOLS if row.dataset == BENCHMARK),
        "pose": bool(found),
        "summary": table(found, ACCURACY, head, short=True),
        "accuracy": table(found, ACCURACY, head),
        "distribution": table(found, DISTRIBUTION, head),
        "calibration": _calibration(found, head),
        "faces": faces["protocols"],
        "faces_origin": origin(faces["source"], titles.DATASETS["widerface"]),
        "localizer": table(measured_faces, LOCALIZED, _head(faces["source"])),
        "localizer_summary": table(measured_faces, LOCALIZED, _head(faces["source"]), short=True),
        "few": [f"{name} ({row['groups']})" for name, row in found.items() if row["groups"] < FEW],
        "few_limit": FEW,
        "interval": metrics.INTERVAL,
        "card": _card(measured["card"], benchmark["model"]),
        "card_groups": list(card.groups(measured["card"])),
        "within": [f"{metrics.expected_fraction(sigmas, 1):.2f}" for sigmas in metrics.SIGMAS],
    }


def _protocols(detail: Tree) -> Iterator[tuple[str, Tree]]:
    """Yield the title of each protocol of the pose net, and what was measured under it."""
    order = [*titles.DATASETS, *detail]
    for dataset in sorted(detail.keys() - {"localizer"}, key=order.index):
        for name, row in detail[dataset]["protocols"].items():
            yield titles.of(dataset, name), row


def _head(source: str) -> str:
    """Return the heading of the column that names what was measured on."""
    return "measured on" if source == "real" else f"{source}, in the layout of"


def _crop(protocol: str) -> str:
    return titles.of(BENCHMARK, protocol).removeprefix(f"{titles.DATASETS[BENCHMARK]}, ")


def _values(row: Tree) -> dict[str, float]:
    return {name: figure["value"] for name, figure in row["metrics"].items()}


def _angles(row: Tree) -> dict[str, str]:
    """Return the cells of published errors, all with as many digits as the most precise of them."""
    digits = max(len(str(row[key]).partition(".")[2]) for key in ANGLES)
    return {key: f"{row[key]:.{digits}f}" for key in ANGLES}


def _cells(row: Tree, wanted: Mapping[str, str], short: bool) -> dict[str, str]:
    """Return column title to cell for the metrics in ``wanted`` (name: title), and the number of samples.

    short: without intervals.
    """
    known = metrics.POSE | metrics.LOCALIZER
    figures = {name: row["metrics"].get(name) for name in wanted}
    if short:
        figures = {name: figure and {**figure, "low": None} for name, figure in figures.items()}
    cells = {title: _short(figures[name], known[name].digits) for name, title in wanted.items()}
    return cells | {"samples": _count(row)}


def _short(figure: Tree | None, digits: int) -> str:
    """Return a cell with a digit less than is known; the interval of a value of at least 1 with two less."""
    whole = figure is not None and figure["value"] >= 1
    return cell(figure, digits - 1, digits - 2 if whole else digits - 1)


def _count(row: Tree) -> str:
    return str(row["n"]) if row["n"] == row["groups"] else f"{row['n']} of {row['groups']}"


def _calibration(rows: Mapping[str, Tree], head: str) -> str:
    """Return the table of errors within the predicted stds beside what is expected; "" if no net predicts them."""
    expected = {
        f"{error}_{sigmas}s": metrics.expected_fraction(sigmas, 3 if component is None else 1)
        for error, (_, component) in CALIBRATED.items()
        for sigmas in metrics.SIGMAS
    }
    found = {name: _values(row) for name, row in rows.items() if row["metrics"].keys() & metrics.CALIBRATION.keys()}

    def cells(values: Mapping[str, float]) -> dict[str, str]:
        fractions = {error: [values.get(f"{error}_{k}s") for k in metrics.SIGMAS] for error in CALIBRATED}
        return {
            error.replace("pos_size", "x, y, size"): " / ".join("-" if f is None else f"{f:.2f}" for f in pair)
            for error, pair in fractions.items()
        }

    rows = {"perfectly calibrated": expected} | found
    return markdown([{head: name, **cells(values)} for name, values in rows.items()]) if found else ""


def _card(measured: Tree, model: str) -> list[dict[str, str]]:
    """Return title, source and table of each section of the report card in which something was measured."""
    found = [
        {
            "title": card.title(name),
            "source": one["source"],
            "table": card.table({model: measured}, name),
        }
        for name, one in measured["sections"].items()
    ]
    return [section for section in found if section["table"]]
