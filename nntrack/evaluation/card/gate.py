"""Two report cards, line by line: better, equal, or worse."""

from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Any, NamedTuple

from nntrack.evaluation.card.lines import LINES, Line

TOLERANCE = 0.05  # a line that is worse by more fails


class Verdict(StrEnum):
    """What a line is beside that of another card."""

    BETTER = "better"
    EQUAL = "equal"
    WORSE = "worse"
    FAILED = "worse by more than 5 %"


class Comparison(NamedTuple):
    """One line of two cards. value, other: the figures. ratio: of their distances from the best value, None of none."""

    section: str
    name: str
    value: float
    other: float
    ratio: float | None
    verdict: Verdict


def compare(card: Mapping[str, Any], other: Mapping[str, Any]) -> Iterator[Comparison]:
    """All lines that both cards (`card.as_json`) have."""
    for section, measured in card["sections"].items():
        lines = other["sections"].get(section, {}).get("lines", {})
        for name, line in LINES.items():
            if name in measured["lines"] and name in lines:
                yield _compare(section, name, line, measured["lines"][name], lines[name])


def _compare(section: str, name: str, line: Line, own: Mapping[str, Any], other: Mapping[str, Any]) -> Comparison:
    away, before = line.distance(own["value"]), line.distance(other["value"])
    ratio = away / before if before else None
    if _inside(own, other) or _inside(other, own) or away == before:
        verdict = Verdict.EQUAL
    elif away < before:
        verdict = Verdict.BETTER
    else:
        verdict = Verdict.FAILED if away > before * (1 + TOLERANCE) else Verdict.WORSE
    return Comparison(section, name, own["value"], other["value"], ratio, verdict)


def _inside(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether a figure lies in the interval of another."""
    return other["low"] is not None and other["low"] <= one["value"] <= other["high"]
