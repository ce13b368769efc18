"""Stage: train the localizer."""

from pathlib import Path
from typing import Annotated

import typer

from nntrack import config, splits, training
from nntrack.fitting import Run
from stages._run import run


def main(
    dataset: Annotated[Path, typer.Argument(help="HDF5 file of WIDER FACE")],
    split: Annotated[Path, typer.Argument(help="JSON file of held-out groups")],
    out: Annotated[Path, typer.Argument(help="folder for weights and curves")],
) -> None:
    """Train the localizer with the parameters of params.yaml."""
    params = config.load()
    how = Run.of(params)
    training.train_localizer(dataset, splits.load(split), out, params.localizer, how, Path("work/localizer"))


if __name__ == "__main__":
    run(main)
