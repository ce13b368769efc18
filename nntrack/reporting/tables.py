"""The README's table, in Markdown: published figures, ours with their intervals, calibration, stability, localizer.

Figures are only ever set beside the published ones if they were measured on the same photos: all of AFLW2000-3D.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from nntrack.evaluation import metrics
from nntrack.evaluation.protocols import PROTOCOLS, STABILITY
from nntrack.reporting import titles

Tree = Mapping[str, Any]
BENCHMARK = "aflw2k"
ANGLES = ("yaw", "pitch", "roll", "average")
CHIEF = {**{name: name for name in ANGLES}, "geodesic": "geodesic", "nme2d": "NME"}
SPREAD = {
    "geodesic_median": "median",
    "geodesic_p95": "95th percentile",
    **{f"geodesic_yaw_{low}_{high}": f"yaw {low} to {high}" for low, high in metrics.YAW_BINS},
    "position": "position",
    "size": "size",
}
LOCALIZED = {"accuracy": "accuracy", "iou": "IoU", "corner_rmse": "corner RMSE"}
FEW = 100  # photos or persons, below which a reader is warned
_FIGURES = re.compile(r"[\d.]+( \(.*\)| / [\d.]+| of \d+)?")

UNITS = (
    "Mean errors in degrees; geodesic: the angle between the two rotations; NME: distance of the landmarks in the "
    f"image, % of the root of their box's area. In brackets: {metrics.INTERVAL}; a difference that is small beside "
    "them means nothing. Samples: how many, and of how many photos or persons, if these are fewer. By the held-out "
    "photos of 300W-LP the weights were chosen, too."
)
FEW_NOTE = (
    "**So few photos or persons that half a degree means nothing**, and that their intervals, too, are rather narrow:"
)
SPREAD_NOTE = (
    "The geodesic error again, in degrees: median, 95th percentile, and mean by how far the head is truly turned to "
    "either side. Position and size of the head in head radii (100 mm)."
)
CALIBRATION_NOTE = (
    "How sure it is: the share of errors within one / two of the standard deviations that the net itself gives, by "
    "axis of the head or of the image, and for the three together."
)
STABILITY_NOTE = (
    "One face is shown again and again, and the answer should not move. Root mean square about the mean (pitch range: "
    "peak to peak), averaged over faces; rotations in degrees, position in % of the projected 100 mm, size in %. "
    "Noise in grey levels of 255, JPEG of the whole frame, windows in pixels of the photo."
)


def table(measured: Tree) -> str:
    """The README's table in Markdown, published rows first. measured: as `report.read_metrics` gives it."""
    ours = measured["detail"][BENCHMARK]
    comparable = is_comparable(ours)
    rows = {
        f"**{ours['model']}**, {_crop(name)}": {key: row["metrics"][key]["value"] for key in ANGLES}
        for name, row in ours["protocols"].items()
        if comparable
    }
    parts = [
        f"Mean absolute error on AFLW2000-3D in degrees, as published{', ours last' if comparable else ''}:",
        published(measured["published"], rows),
        *_ours(measured["detail"]),
        *_stability(measured["stability"]),
    ]
    faces = measured["detail"]["localizer"]
    if faces["protocols"]:
        parts += [
            f"The localizer, measured on {place(faces['source'], 'WIDER FACE')}:",
            markdown(
                [
                    {_head(faces["source"]): titles.of("widerface", name), **_cells(row, LOCALIZED)}
                    for name, row in faces["protocols"].items()
                ]
            ),
        ]
    return "\n\n".join(parts) + "\n"


def published(figures: Tree, ours: Tree | None = None) -> str:
    """Published angle errors on all of AFLW2000-3D, and ``ours`` (row by title) last. figures: the file of them."""
    return _angle_table({titles.PUBLISHED.get(k, k): v for k, v in figures[BENCHMARK].items()} | dict(ours or {}))


def every_figure(measured: Tree) -> str:
    """All that was measured of the pose net, a row per figure and a column per protocol. Markdown."""
    columns = dict(_protocols(measured["detail"]))
    rows = []
    for metric in metrics.POSE.values():
        cells = {name: _cell(row["metrics"].get(metric.name), *[metric.digits] * 2) for name, row in columns.items()}
        if any(cells.values()):
            rows.append({"figure": f"{metric.title} ({metric.unit})", **cells})
    counts = {name: _count(row) for name, row in columns.items()}
    return markdown([*rows, {"figure": "samples", **counts}]) if rows else "Nothing was measured."


def is_comparable(ours: Tree) -> bool:
    """Whether figures of AFLW2000-3D may stand beside the published ones: of real photos, and of all."""
    full = {row.name: row.full_count for row in PROTOCOLS if row.dataset == BENCHMARK}
    rows = ours["protocols"]
    return ours["source"] == "real" and bool(rows) and all(row["n"] == full.get(name) for name, row in rows.items())


def place(source: str, name: str) -> str:
    """Where the samples come from, so that drawn ones are never taken for the originals."""
    return name if source == "real" else f"**{source}** archives (drawn by the pipeline in the layout of {name})"


def _head(source: str) -> str:
    return "measured on" if source == "real" else f"{source}, in the layout of"


def markdown(rows: Sequence[Tree]) -> str:
    """Dicts with the keys of the first as a table; columns of figures to the right."""
    keys = list(rows[0])
    right = [_FIGURES.fullmatch(str(rows[0][key])) for key in keys]
    lines = [
        "| " + " | ".join(key.replace("_", " ") for key in keys) + " |",
        "|" + "|".join("--:" if r else "---" for r in right) + "|",
    ]
    lines += ["| " + " | ".join(str(row.get(key, "")) for key in keys) + " |" for row in rows]
    return "\n".join(lines)


def document(*parts: str) -> str:
    """Paragraphs of Markdown."""
    return "\n\n".join(parts) + "\n"


def _ours(detail: Tree) -> Iterator[str]:
    """What was measured of the pose net, on which samples, and how far that can be relied upon."""
    found = dict(_protocols(detail))
    if not detail[BENCHMARK]["protocols"]:
        yield "AFLW2000-3D was switched off: nothing was measured on it."
    if not found:
        return
    yield _warning(detail)
    head = _head(detail[BENCHMARK]["source"])
    few = [f"{name} ({row['groups']})" for name, row in found.items() if row["groups"] < FEW]
    yield UNITS + (f" {FEW_NOTE} {'; '.join(few)}." if few else "")
    yield markdown([{head: name, **_cells(row, CHIEF)} for name, row in found.items()])
    yield SPREAD_NOTE
    yield markdown([{head: name, **_cells(row, SPREAD, samples=False)} for name, row in found.items()])
    yield from _calibration(found, head)


def _protocols(detail: Tree) -> Iterator[tuple[str, Tree]]:
    """How each protocol of the pose net is called, and what was measured under it."""
    order = [*titles.DATASETS, *detail]
    for dataset in sorted(detail.keys() - {"localizer"}, key=order.index):
        for name, row in detail[dataset]["protocols"].items():
            yield titles.of(dataset, name), row


def _warning(detail: Tree) -> str:
    ours = detail[BENCHMARK]
    drawn = {row["source"] for row in detail.values()} - {"real"}
    if drawn:
        return (
            f"Ours, measured on **{drawn.pop()} archives** that the pipeline drew itself. "
            "*These are not AFLW2000-3D results and cannot be compared with the rows above*."
        )
    if is_comparable(ours) or not ours["protocols"]:
        return "Ours, measured on photos of people."
    count = min(row["n"] for row in ours["protocols"].values())
    full = max(row.full_count or 0 for row in PROTOCOLS if row.dataset == BENCHMARK)
    return (
        f"Ours, measured on **{count} of the {full} photos** of AFLW2000-3D. "
        "*So few cannot be compared with the rows above*."
    )


def _cell(figure: Tree | None, digits: int, bounds: int) -> str:
    """The value to so many digits, and its interval: ``2.89 (2.5–3.4)``."""
    if figure is None:
        return ""
    value = f"{figure['value']:.{digits}f}"
    if figure["low"] is None:
        return value
    return f"{value} ({figure['low']:.{bounds}f}–{figure['high']:.{bounds}f})"


def _short(figure: Tree | None, digits: int) -> str:
    """With a digit less than is known; the interval of what is not a share of 1 with two less."""
    whole = figure is not None and figure["value"] >= 1
    return _cell(figure, digits - 1, digits - 2 if whole else digits - 1)


def _crop(protocol: str) -> str:
    return titles.of(BENCHMARK, protocol).removeprefix(f"{titles.DATASETS[BENCHMARK]}, ")


def _count(row: Tree) -> str:
    return str(row["n"]) if row["n"] == row["groups"] else f"{row['n']} of {row['groups']}"


def _cells(row: Tree, wanted: Mapping[str, str], samples: bool = True) -> dict[str, str]:
    known = metrics.POSE | metrics.LOCALIZER
    cells = {title: _short(row["metrics"].get(name), known[name].digits) for name, title in wanted.items()}
    return cells | ({"samples": _count(row)} if samples else {})


def _angle_table(rows: Mapping[str, Tree]) -> str:
    found = []
    for name, row in rows.items():
        digits = max(len(str(row[key]).partition(".")[2]) for key in ANGLES)
        found.append({"method": name, **{key: f"{row[key]:.{digits}f}" for key in ANGLES}})
    return markdown(found)


def _calibration(rows: Mapping[str, Tree], head: str) -> Iterable[str]:
    """How far the net is right about its own errors; nothing for one that says nothing about them."""

    def shares(name: str, values: Mapping[str, float]) -> dict[str, str]:
        told = {of: [values.get(f"{of}_{k}s") for k in metrics.SIGMAS] for of in metrics.CALIBRATED}
        return {head: name} | {
            of: " / ".join("-" if v is None else f"{v:.2f}" for v in pair) for of, pair in told.items()
        }

    known = {
        name: {key: figure["value"] for key, figure in row["metrics"].items() if key in metrics.CALIBRATION}
        for name, row in rows.items()
    }
    found = [shares(name, values) for name, values in known.items() if values]
    if not found:
        return []
    ideal = {
        f"{of}_{k}s": metrics.expected_share(k, 3 if component is None else 1)
        for of, (_, component) in metrics.CALIBRATED.items()
        for k in metrics.SIGMAS
    }
    return [CALIBRATION_NOTE, markdown([shares("if they were told right", ideal), *found])]


def _stability(measured: Tree) -> list[str]:
    """How the answers shake; nothing if AFLW2000-3D was switched off."""
    rows = [
        {"view": _view(name), **{k: f"{v:.3f}" if isinstance(v, float) else v for k, v in row.items()}}
        for name, row in measured.get(BENCHMARK, {}).items()
    ]
    where = place(measured["source"], "AFLW2000-3D")
    return [f"Stability, measured on {where}. {STABILITY_NOTE}", markdown(rows)] if rows else []


def _view(name: str) -> str:
    """A row of the stability file, ``<model>_<view>``, in words."""
    found = [title for view, title in STABILITY.items() if name.endswith(f"_{view}")]
    return found[0] if found else name
