"""Measure the jitter of a pose net in Opentrack's format, ours or any other, on a converted dataset."""

from pathlib import Path
from typing import Annotated

import typer

from nntrack.command_line import run


def main(
    model: Annotated[Path, typer.Argument(help="ONNX file of a pose net")],
    dataset: Annotated[Path, typer.Argument(help="HDF5 file with the faces")],
    out: Annotated[Path, typer.Argument(help="JSON file to write")],
    name: Annotated[str | None, typer.Option(help="name of the model; default: the ONNX file's name")] = None,
) -> None:
    """Measure the jitter of MODEL on DATASET. An empty dataset gives an empty section, with a message.

    Example: python -m stages.stability models/onnx/head-pose.onnx data/hdf5/aflw2k.h5 metrics/stability.json
    """
    from nntrack import config
    from nntrack.data.hdf5 import Stored
    from nntrack.deploy.runtime import PoseModel
    from nntrack.evaluation import evaluate, stability
    from nntrack.files import check_outputs, write_json

    check_outputs(out, inputs=[model, dataset])
    params = config.load()
    net, stored = PoseModel(model), Stored(dataset)
    results = {}
    if len(stored):
        settings = params.evaluate.model_dump()
        results = stability.evaluate_stability(net, stored, name or model.stem, settings, params.seed)
    else:
        print(f"{dataset} holds no samples: nothing was measured on it")
    write_json(out, {dataset.stem: results, "source": evaluate.source_of(stored)})


if __name__ == "__main__":
    run(main)
