"""The report card of one or more pairs of networks: a table in Markdown, and charts of its curves in SVG."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from vl_convert import vegalite_to_svg

from nntrack.evaluation.card.gate import Comparison, Verdict
from nntrack.evaluation.card.lines import GROUPS, LINES, Line
from nntrack.files import write_text
from nntrack.reporting import titles
from nntrack.reporting.render import cell, markdown

Tree = Mapping[str, Any]
_ORDER = (Verdict.FAILED, Verdict.WORSE, Verdict.EQUAL, Verdict.BETTER)
_SIZE = (420, 260)  # px, width and height of a chart without its axes
_COLOURS = ("#7b4bc4", "#0d8fa5", "#e0562a", "#2f8f57", "#3579c0", "#c77b1e")
_GUIDE = "#8a8f9c"
_DASHES = (6, 4)  # px


def title(section: str) -> str:
    """Return what a section is called on pages; it says so if its people are rendered."""
    return titles.SECTIONS.get(section, section)


def table(cards: Mapping[str, Tree], section: str) -> str:
    """Return one section of cards as a table, a column per card; "" if nothing was measured.

    With two or more cards the last column has how far the first is from the best value / how far the second is.

    Args:
        cards: the content of ``card.json`` files, by the title of the column.
        section: "rendered", or a dataset.
    """
    measured = {name: card["sections"].get(section, {}).get("lines", {}) for name, card in cards.items()}
    known = {name: line for name, line in LINES.items() if any(name in lines for lines in measured.values())}
    rows: list[dict[str, str]] = []
    for group, names in groupby(known, lambda name: LINES[name].group):
        rows.append({"line": f"**{GROUPS[group][0]}**", "unit": ""})
        rows += [_row(LINES[name], {column: lines.get(name) for column, lines in measured.items()}) for name in names]
    return markdown(rows, ("unit",)) if rows else ""


def verdicts(compared: Sequence[Comparison]) -> str:
    """Return all lines of a comparison as a table, the worst first, and how many lines are better, equal or worse."""
    order = sorted(compared, key=lambda one: (_ORDER.index(one.verdict), -(one.ratio or 0)))
    rows = [
        {
            "section": one.section,
            "line": f"{GROUPS[LINES[one.name].group][0]}, {LINES[one.name].title}",
            "these": f"{one.value:z.{LINES[one.name].digits}f}",
            "others": f"{one.other:z.{LINES[one.name].digits}f}",
            "ratio": "-" if one.ratio is None else f"{one.ratio:.2f}",
            "verdict": str(one.verdict),
        }
        for one in order
    ]
    counts = ", ".join(f"{sum(one.verdict is kind for one in compared)} {kind}" for kind in reversed(_ORDER))
    return f"{markdown(rows, ('line', 'verdict'))}\n\n{len(compared)} lines: {counts}"


def groups(card: Tree) -> Iterator[tuple[str, str]]:
    """Yield title and explanation of each group of which a card has a line, in any section."""
    measured = {LINES[name].group for one in card["sections"].values() for name in one["lines"] if name in LINES}
    return (GROUPS[name] for name in GROUPS if name in measured)


def _row(line: Line, figures: Mapping[str, Tree | None]) -> dict[str, str]:
    """Return the cells of one line. figures: by the title of the column; None where a card does not have the line."""
    cells = {column: cell(figure, line.digits, line.digits) for column, figure in figures.items()}
    ratio = {"ratio": _ratio(line, *list(figures.values())[:2])} if len(figures) > 1 else {}
    return {"line": line.title, "unit": line.unit, **cells, **ratio}


def _ratio(line: Line, one: Tree | None, other: Tree | None) -> str:
    if one is None or other is None:
        return ""
    above, below = (line.distance(figure["value"]) for figure in (one, other))
    return f"{above / below:.2f}" if below else "-"


@dataclass(frozen=True)
class _Chart:
    """The fields of the records that a line chart shows, and the titles of its axes.

    colour, colour_title: the field that has a line for each of its values, and its title. log: whether x is
    logarithmic. diagonal: whether a dashed line shows where y is x.
    """

    x: str
    x_title: str
    y: str
    y_title: str
    colour: str | None = None
    colour_title: str | None = None
    log: bool = False
    diagonal: bool = False


CHARTS = {
    "crop": _Chart("scale", "side of the window / that of the tracker's", "pitch", "pitch, degrees", log=True),
    "gain": _Chart("true", "true angle, degrees", "predicted", "predicted angle, degrees", "axis", diagonal=True),
    "turn": _Chart("yaw", "yaw, degrees", "pitch", "error of pitch, degrees", "elevation", "degrees from above"),
    "distance": _Chart("width", "width of the face, % of the frame's", "found", "faces found, %"),
}


def charts(curves: Mapping[str, Sequence[Tree]]) -> dict[str, str]:
    """Return the SVG text of the chart of each curve that has records; the same curves give the same bytes.

    Raises ValueError if there is no chart of that name.

    Args:
        curves: records by the name of the chart: "crop" {scale, pitch}, "gain" {axis, true, predicted},
            "turn" {elevation, yaw, pitch}, "distance" {width, found}. Angles in degrees; width and found in %.
    """
    if unknown := sorted(curves.keys() - CHARTS.keys()):
        raise ValueError(f"no chart is called '{unknown[0]}'; known: {', '.join(CHARTS)}")
    return {
        name: vegalite_to_svg(_spec(titles.CARD[name], CHARTS[name], rows)) for name, rows in curves.items() if rows
    }


def write_charts(folder: Path, curves: Mapping[str, Sequence[Tree]]) -> None:
    """Write the charts of curves as ``folder/<name>.svg``. curves, and what is raised: see `charts`."""
    for name, text in charts(curves).items():
        write_text(folder / f"{name}.svg", text)


def _spec(heading: str, chart: _Chart, rows: Sequence[Tree]) -> dict[str, Any]:
    """Return the Vega-Lite specification of a chart."""
    scale = {"type": "log", "nice": False} if chart.log else {}
    field = {"field": chart.colour, "type": "nominal", "title": chart.colour_title, "scale": {"range": _COLOURS}}
    colour = field if chart.colour else {"value": _COLOURS[0]}
    layers = [{"data": {"values": list(rows)}, "mark": {"type": "line", "point": True}, "encoding": {"color": colour}}]
    if chart.diagonal:
        ends = [pick(row[chart.x] for row in rows) for pick in (min, max)]
        values = [{chart.x: end, chart.y: end} for end in ends]
        dashed = {"type": "line", "color": _GUIDE, "strokeDash": _DASHES}
        layers.insert(0, {"data": {"values": values}, "mark": dashed, "encoding": {}})
    width, height = _SIZE
    return {
        "title": {"text": heading, "anchor": "start"},
        "width": width,
        "height": height,
        "encoding": {
            "x": {"field": chart.x, "type": "quantitative", "title": chart.x_title, "scale": scale},
            "y": {"field": chart.y, "type": "quantitative", "title": chart.y_title},
        },
        "layer": layers,
    }
