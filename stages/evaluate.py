"""Measure an ONNX file in Opentrack's format, ours or any other, on a converted dataset."""

from pathlib import Path
from typing import Annotated

import typer

from nntrack import config, evaluation
from nntrack.runtime import LocalizerModel, PoseModel
from nntrack.store import Stored
from stages._run import run


def main(
    dataset: Annotated[Path, typer.Option(help="HDF5 file to measure on")],
    out: Annotated[Path, typer.Option("--out", "-o", help="JSON file to write")],
    pose: Annotated[Path | None, typer.Option(help="ONNX file of a pose net")] = None,
    localizer: Annotated[Path | None, typer.Option(help="ONNX file of a localizer")] = None,
    name: Annotated[str | None, typer.Option(help="what the model is called; default: the ONNX file's name")] = None,
    picture: Annotated[Path | None, typer.Option(help="JPEG of poses drawn on samples, to write too")] = None,
) -> None:
    """Measure one net: --pose or --localizer. A dataset that is switched off gives an empty section, and says so."""
    if (pose is None) == (localizer is None):
        raise ValueError("name one net, by --pose or by --localizer")
    settings = config.load().evaluate.model_dump()
    stored = Stored(dataset)
    title = name or (pose or localizer).stem
    if not len(stored):
        print(f"{dataset} holds no samples: nothing was measured on it")
        results = {}
    elif pose is not None:
        results = evaluation.evaluate_pose(PoseModel(pose), stored, title, settings)
    else:
        results = evaluation.evaluate_localizer(LocalizerModel(localizer), stored, title)
    evaluation.write_results(out, stored, results)
    if picture is not None and pose is not None:
        evaluation.draw_predictions(PoseModel(pose), stored, settings, picture)


if __name__ == "__main__":
    run(main)
