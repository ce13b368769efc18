"""Stage: which photos and persons no training sees."""

from pathlib import Path
from typing import Annotated

import typer

from nntrack.command_line import run

TRAINED_ON = {"300wlp": None, "ytfaces": None, "widerface": "train"}  # dataset: the subset that training sees


def main(
    folder: Annotated[Path, typer.Argument(help="folder of the HDF5 files")],
    out: Annotated[Path, typer.Argument(help="JSON file to write")],
) -> None:
    """Hold out a share of the groups of every training set."""
    from nntrack import config
    from nntrack.data import splits
    from nntrack.data.hdf5 import Stored
    from nntrack.files import check_outputs

    check_outputs(out, inputs=[folder / f"{name}.h5" for name in TRAINED_ON])
    params = config.load()
    split = {}
    for name, subset in TRAINED_ON.items():
        strings = Stored(folder / f"{name}.h5").strings
        groups = strings["group"] if subset is None else strings["group"][strings["subset"] == subset]
        split[name] = splits.hold_out(map(str, groups), params.split.held_out, params.seed)
        print(f"{name}: {len(split[name])} of {len(set(groups))} groups held out")
    splits.save(out, split)


if __name__ == "__main__":
    run(main)
