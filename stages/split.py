"""Stage: which photos and persons no training sees."""

from pathlib import Path
from typing import Annotated

import typer

from nntrack.command_line import run


def main(
    folder: Annotated[Path, typer.Argument(help="folder of the HDF5 files")],
    out: Annotated[Path, typer.Argument(help="JSON file to write")],
) -> None:
    """Hold out a fraction of the groups of every training set.

    Example: python -m stages.split data/hdf5 data/split.json
    """
    from nntrack import config
    from nntrack.data import splits
    from nntrack.data.datasets import in_pipeline
    from nntrack.data.hdf5 import Stored
    from nntrack.files import check_outputs

    rows = in_pipeline("train", "detect")
    check_outputs(out, inputs=[folder])
    params = config.load()
    split = {}
    for name, row in rows.items():
        strings = Stored(folder / f"{name}.h5").strings
        groups = strings["group"][strings["subset"] == row.subset] if row.subset else strings["group"]
        split[name] = splits.hold_out(map(str, groups), params.split.held_out, params.seed)
        print(f"{name}: {len(split[name])} of {len(set(groups))} groups held out")
    splits.save(out, split)


if __name__ == "__main__":
    run(main)
