"""Measure a net, ours or any other in Opentrack's format, on a converted dataset."""

from pathlib import Path
from typing import Annotated

import typer


def main(
    model: Annotated[Path, typer.Argument(help="ONNX file, or the folder or weights of a training")],
    dataset: Annotated[Path, typer.Argument(help="HDF5 file to measure on")],
    out: Annotated[
        Path, typer.Argument(help="JSON file for the short summary; further protocols go to OUT_<protocol>")
    ],
    detail: Annotated[Path | None, typer.Option(help="JSON file for all figures with their intervals")] = None,
    errors: Annotated[Path | None, typer.Option(help="folder for CSV files with the errors of every sample")] = None,
    split: Annotated[Path | None, typer.Option(help="JSON file of held-out groups, where a protocol needs it")] = None,
    localizer: Annotated[Path | None, typer.Option(help="net that finds the faces of photos without a box")] = None,
    name: Annotated[str | None, typer.Option(help="name of the model; default: its file's name")] = None,
) -> None:
    """Measure MODEL on DATASET. If there are no samples to measure on, the count is 0, with a message.

    Example: nntrack evaluate models/onnx/head-pose.onnx data/hdf5/aflw2k.h5 aflw2k.json
    """
    from nntrack import config
    from nntrack.data.hdf5 import Stored
    from nntrack.evaluation import evaluate, models, protocols
    from nntrack.files import check_outputs, write_json

    names = {row.name for row in protocols.PROTOCOLS}
    outputs = [out, detail, *(out.with_stem(f"{out.stem}_{protocol}") for protocol in names)]
    outputs += [errors / f"{dataset.stem}_{protocol}.csv" for protocol in names] if errors else []
    check_outputs(*outputs, inputs=[model if model.is_file() else model / models.WEIGHTS, dataset, split, localizer])
    params = config.load()
    net, stored = models.load(model), Stored(dataset)
    name = name or models.name_of(model)
    inputs = evaluate.read_inputs(params.evaluate.model_dump(), split, localizer)
    measured = evaluate.evaluate(net, stored, inputs, title=name) if len(stored) else {}
    if not measured:
        print(f"{dataset} holds no samples to measure on: nothing was measured on it")
    figures = {protocol: rows.figures(params.seed) for protocol, rows in measured.items()}
    evaluate.write_headlines(out, measured, figures, stored, net.kind)
    if detail:
        write_json(detail, evaluate.detail(measured, figures, stored, name))
    if errors:
        evaluate.write_errors(errors, stored, measured)
