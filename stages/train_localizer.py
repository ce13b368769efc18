"""Stage: train the localizer."""

from pathlib import Path
from typing import Annotated

import typer

from nntrack.command_line import run


def main(
    dataset: Annotated[Path, typer.Argument(help="HDF5 file of WIDER FACE")],
    split: Annotated[Path, typer.Argument(help="JSON file of held-out groups")],
    out: Annotated[Path, typer.Argument(help="folder for weights and curves")],
) -> None:
    """Train the localizer with the parameters of params.yaml.

    Example: python -m stages.train_localizer data/hdf5/widerface.h5 data/split.json models/localizer
    """
    from nntrack import config
    from nntrack.data import splits
    from nntrack.files import check_outputs
    from nntrack.training import tasks
    from nntrack.training.loop import Run

    check_outputs(
        out / tasks.MODEL_NAME, folders={out / tasks.LIVE_NAME: ("metrics.json", "plots")}, inputs=[dataset, split]
    )
    params = config.load()
    tasks.train_localizer(dataset, splits.load(split), out, params.localizer, Run.of(params), Path("work/localizer"))


if __name__ == "__main__":
    run(main)
