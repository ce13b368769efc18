"""Stage: the deformable face model, learnt from the landmarks of the training sets."""

from pathlib import Path
from typing import Annotated

import typer

from nntrack.command_line import run


def main(
    folder: Annotated[Path, typer.Argument(help="folder of the HDF5 files")],
    split: Annotated[Path, typer.Argument(help="JSON file of held-out groups")],
    out: Annotated[Path, typer.Argument(help=".npz file to write")],
    raw: Annotated[Path, typer.Option(help="folder where a Basel model may lie")] = Path("data/real"),
) -> None:
    """Learn the face model; a Basel model in --raw gives the directions of its modes where the source is real.

    Example: python -m stages.facemodel data/hdf5 data/split.json models/facemodel.npz
    """
    from nntrack import config
    from nntrack.data import splits
    from nntrack.data.datasets import in_pipeline
    from nntrack.data.hdf5 import Stored
    from nntrack.face_model import basel, fit, model
    from nntrack.files import check_outputs

    files = [folder / f"{name}.h5" for name in in_pipeline("train")]
    check_outputs(out, inputs=[folder, split, raw / basel.FILE_NAME])
    params = config.load()
    held_out = splits.load(split)
    opened = [(Stored(file), held_out.get(file.stem, ())) for file in files]
    seen = fit.observe((stored, splits.rows_of(stored, groups, inside=False)) for stored, groups in opened)
    bases = None
    if params.source == "real" and (raw / basel.FILE_NAME).exists():
        found = basel.load(raw / basel.FILE_NAME)
        bases = (found.shape, found.expression)
    face = fit.fit(seen, params.facemodel.shape_modes, params.facemodel.expression_modes, bases)
    model.save(out, face)
    print(f"{out}: learnt from {len(seen)} samples of {seen.group.max() + 1} photos and persons")


if __name__ == "__main__":
    run(main)
