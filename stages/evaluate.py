"""Measure an ONNX file in Opentrack's format, ours or any other, on a converted dataset."""

from pathlib import Path
from typing import Annotated

import typer

from nntrack import config, evaluation, runtime
from nntrack.store import Stored
from stages._run import run


def main(
    model: Annotated[Path, typer.Argument(help="ONNX file of a pose net or a localizer")],
    dataset: Annotated[Path, typer.Argument(help="HDF5 file to measure on")],
    out: Annotated[Path, typer.Argument(help="JSON file to write")],
    name: Annotated[str | None, typer.Option(help="what the model is called; default: the ONNX file's name")] = None,
    picture: Annotated[Path | None, typer.Option(help="JPEG of predictions drawn on samples, to write too")] = None,
) -> None:
    """Measure MODEL on DATASET. A dataset that is switched off gives an empty section, and says so."""
    settings = config.load().evaluate.model_dump()
    net, stored = runtime.load(model), Stored(dataset)
    results = {}
    if len(stored):
        results = evaluation.evaluate(net, stored, name or model.stem, settings)
    else:
        print(f"{dataset} holds no samples: nothing was measured on it")
    evaluation.write_results(out, stored, results)
    if picture is not None:
        evaluation.draw_predictions(net, stored, settings, picture)


if __name__ == "__main__":
    run(main)
