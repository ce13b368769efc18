"""Measure several nets on one dataset, side by side, with intervals that tell progress from noise."""

import json
from pathlib import Path
from typing import Annotated

import typer


def main(
    dataset: Annotated[Path, typer.Argument(help="HDF5 file to measure on")],
    models: Annotated[
        list[Path], typer.Argument(help="ONNX files, or folders or weights of trainings; differences are to the first")
    ],
    split: Annotated[Path | None, typer.Option(help="JSON file of held-out groups, where a protocol needs it")] = None,
    localizer: Annotated[Path | None, typer.Option(help="net that finds the faces of photos without a box")] = None,
    protocol: Annotated[list[str] | None, typer.Option(help="only this one; may be given several times")] = None,
    full: Annotated[bool, typer.Option("--all", help="every metric, not only the short summary")] = False,
    published: Annotated[Path, typer.Option(help="JSON file of published figures")] = Path("metrics/published.json"),
) -> None:
    """Print one table of MODELS on DATASET in Markdown, with 95 % intervals of figures and of differences.

    Published figures follow if the dataset is all of the photos that these were measured on.

    Example: nntrack compare data/hdf5/aflw2k.h5 models/onnx/head-pose.onnx other.onnx
    """
    from nntrack import config
    from nntrack.data.hdf5 import Stored
    from nntrack.evaluation import compare, evaluate
    from nntrack.evaluation.models import load
    from nntrack.reporting import tables

    params = config.load()
    stored = Stored(dataset)
    inputs = evaluate.read_inputs(params.evaluate.model_dump(), split, localizer)
    names = [str(path) for path in models]
    measured = [evaluate.evaluate(load(path), stored, inputs, tuple(protocol or ()), str(path)) for path in models]
    print(compare.markdown(compare.compare(measured, params.seed, not full), names))
    print("\n" + "\n".join(f"- {note}" for note in compare.notes(measured[0], stored, len(models) > 1)))
    ours = {
        "source": evaluate.source_of(stored),
        "protocols": {k: {"n": len(v)} for k, v in measured[0].items()},
    }
    of_benchmark = stored.attributes.get("reader") == tables.BENCHMARK
    if of_benchmark and tables.is_comparable(ours) and published.exists():
        figures = json.loads(published.read_text(encoding="utf-8"))
        print(f"\nPublished, of the same photos, mean absolute errors in degrees:\n\n{tables.published(figures)}")
