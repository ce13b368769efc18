"""Stage: train the pose net."""

from pathlib import Path
from typing import Annotated

import typer

from nntrack.command_line import run


def main(
    folder: Annotated[Path, typer.Argument(help="folder of the HDF5 files")],
    split: Annotated[Path, typer.Argument(help="JSON file of held-out groups")],
    face: Annotated[Path, typer.Argument(help="the face model, .npz")],
    out: Annotated[Path, typer.Argument(help="folder for weights and curves")],
) -> None:
    """Train the pose net with the parameters of params.yaml.

    Example: python -m stages.train_pose data/hdf5 data/split.json models/facemodel.npz models/pose
    """
    from nntrack import config
    from nntrack.data import splits
    from nntrack.files import check_outputs
    from nntrack.training import tasks
    from nntrack.training.loop import Run

    check_outputs(
        out / tasks.MODEL_NAME, folders={out / tasks.LIVE_NAME: ("metrics.json", "plots")}, inputs=[folder, split, face]
    )
    params = config.load()
    tasks.train_pose(folder, splits.load(split), face, out, params.pose, params.lr, Run.of(params), Path("work/pose"))


if __name__ == "__main__":
    run(main)
