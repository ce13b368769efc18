"""The report card: what people who wear the tracker feel, measured on any two networks in Opentrack's format."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer


def main(
    localizer: Annotated[
        Path | None, typer.Argument(help="ONNX file; default: that of the last run, or the package")
    ] = None,
    pose_net: Annotated[Path | None, typer.Argument(help="ONNX file of the pose net; likewise")] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="JSON file to write")] = None,
    faces: Annotated[
        list[Path] | None, typer.Option(help="HDF5 file of faces, AFLW2000-3D's or WIDER FACE's; may be repeated")
    ] = None,
    videos: Annotated[list[Path] | None, typer.Option(help="video, or folder of videos; may be repeated")] = None,
    against: Annotated[
        Path | None, typer.Option(help="card of other networks; exit with 1 if a line is more than 5 % worse")
    ] = None,
    charts: Annotated[Path | None, typer.Option(help="folder for charts")] = None,
    size: Annotated[float, typer.Option(min=0.01, help="of the counts of people; less is faster and less sure")] = 1.0,
    seed: Annotated[int, typer.Option(help="of the rendered people")] = 0,
) -> None:
    """Measure a pair of networks in Opentrack's loop: on rendered people, and on FACES and VIDEOS where given.

    Example: nntrack card head-localizer.onnx head-pose.onnx -o card.json --against metrics/card.json
    """
    from nntrack.deploy import pretrained
    from nntrack.evaluation.card import card, gate
    from nntrack.files import check_outputs, write_json
    from nntrack.reporting import card as pages

    if (localizer is None) != (pose_net is None):
        raise ValueError("name both networks, or neither")
    networks = (localizer, pose_net) if localizer and pose_net else pretrained.find()
    inputs = [*networks, *(faces or []), *(videos or []), against]
    check_outputs(out, *([charts / f"{name}.svg" for name in pages.CHARTS] if charts else []), inputs=inputs)
    other = _read(against) if against else None
    found = card.measure(networks, size=size, seed=seed, datasets=faces or [], videos=videos or [])
    measured = card.as_json(networks, found)
    if out:
        write_json(out, measured)
    if charts:
        pages.write_charts(charts, found["rendered"].curves)
    cards = {"these": measured} | ({"others": other} if other else {})
    for section in measured["sections"]:
        print(f"\n{pages.title(section)}\n\n{pages.table(cards, section)}")
    if other is not None:
        verdicts = list(gate.compare(measured, other))
        print(f"\n{pages.verdicts(verdicts)}")
        if _counts(measured) != _counts(other):
            print("\nThe two were not measured on the same people or inputs: small differences mean nothing.")
        if any(one.verdict is gate.Verdict.FAILED for one in verdicts):
            raise typer.Exit(1)


def _counts(card: Mapping[str, Any]) -> dict[str, int]:
    """By section, the number of faces, people or frames of the line that has most; others may lack lost faces."""
    return {name: max((line["n"] for line in s["lines"].values()), default=0) for name, s in card["sections"].items()}


def _read(path: Path) -> dict[str, Any]:
    try:
        card = json.loads(path.read_text(encoding="utf-8"))
        if not all("lines" in section for section in card["sections"].values()):
            raise KeyError("lines")
        return card
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path} is no report card: write one with `nntrack card -o`") from error
