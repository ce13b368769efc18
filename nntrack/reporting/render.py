"""Filling in the templates of this package, and Markdown tables with their cells."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined

_TEMPLATES = Environment(
    loader=PackageLoader("nntrack.reporting"),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
)


def render(template: str, **values: Any) -> str:
    """Return the text of a file in ``templates/`` with ``values`` filled in."""
    return _TEMPLATES.get_template(template).render(values)


def markdown(rows: Sequence[Mapping[str, Any]], text: Collection[str] = ()) -> str:
    """Return rows (dicts, column to cell) as a Markdown table; a missing key gives an empty cell.

    The first column and those named in ``text`` are aligned to the left, all others, of figures, to the right.
    """
    table = pd.DataFrame(rows, dtype=object).fillna("")
    align = ["left" if i == 0 or name in text else "right" for i, name in enumerate(table)]
    return table.to_markdown(index=False, disable_numparse=True, colalign=align)


def cell(figure: Mapping[str, Any] | None, digits: int, interval_digits: int) -> str:
    """Return a value and its interval, as in ``2.89 (2.5–3.4)``; nothing for a figure that was not measured."""
    if figure is None:
        return ""
    value = f"{figure['value']:z.{digits}f}"
    if figure["low"] is None:
        return value
    return f"{value} ({figure['low']:z.{interval_digits}f}–{figure['high']:z.{interval_digits}f})"
