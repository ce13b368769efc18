"""Stage: train the pose net."""

from pathlib import Path
from typing import Annotated

import typer

from nntrack import config, splits, training
from nntrack.fitting import Run
from stages._run import run


def main(
    folder: Annotated[Path, typer.Argument(help="folder of the HDF5 files")],
    split: Annotated[Path, typer.Argument(help="JSON file of held-out groups")],
    face: Annotated[Path, typer.Argument(help="the face model, .npz")],
    out: Annotated[Path, typer.Argument(help="folder for weights and curves")],
) -> None:
    """Train the pose net with the parameters of params.yaml."""
    params = config.load()
    how = Run.of(params)
    training.train_pose(folder, splits.load(split), face, out, params.pose, params.lr, how, Path("work/pose"))


if __name__ == "__main__":
    run(main)
