"""Stage: the pictures of a run."""

from pathlib import Path
from typing import Annotated

import typer

from nntrack.command_line import run

PICTURES = (
    *("dataset_*.jpg", "augmentation.jpg", "poses_best_median_worst.jpg"),
    *("localizer_hits_misses.jpg", "localizer_heat.jpg"),
)


def main(
    datasets: Annotated[Path, typer.Argument(help="folder of the HDF5 files")],
    models: Annotated[Path, typer.Argument(help="folder of the nets: onnx/ and localizer/")],
    errors: Annotated[Path, typer.Argument(help="folder of the errors of every sample")],
    out: Annotated[Path, typer.Argument(help="folder for the pictures")],
) -> None:
    """Draw what was learnt from, how it was varied, and where the nets are right and wrong."""
    from nntrack import config
    from nntrack.data.datasets import in_pipeline
    from nntrack.data.hdf5 import Stored
    from nntrack.deploy.runtime import LocalizerModel, PoseModel
    from nntrack.files import check_outputs, replacing
    from nntrack.networks import weights
    from nntrack.reporting import contact_sheet, figures

    check_outputs(folders={out: PICTURES}, inputs=[datasets, models, errors])
    params = config.load()
    stored = {name: Stored(datasets / f"{name}.h5") for name in params.convert.datasets}
    (faces,) = (stored[name] for name in in_pipeline("detect"))
    trained_on = [stored[name] for name in in_pipeline("train") if name in stored]
    learnt = next((one for one in trained_on if len(one)), trained_on[-1])
    off, found = (figures.read_errors(errors / f"{name}.csv") for name in ("aflw2k_bbox", "widerface_val"))
    localizer = LocalizerModel(models / "onnx/head-localizer.onnx")
    heated = weights.load_localizer(models / "localizer/model.safetensors")
    drawn = {f"dataset_{name}": figures.dataset(one) for name, one in stored.items()} | {
        "augmentation": figures.augmentation(learnt, params.pose.augment, faces, params.localizer.augment, params.seed),
        "poses_best_median_worst": figures.poses(
            PoseModel(models / "onnx/head-pose.onnx"), stored["aflw2k"], off, params.evaluate.bbox_scale
        ),
        "localizer_hits_misses": figures.hits_and_misses(localizer, faces, found),
        "localizer_heat": figures.heat(heated, faces, found),
    }
    with replacing(out) as partial:
        for name, picture in drawn.items():
            contact_sheet.write(partial / f"{name}.jpg", picture)


if __name__ == "__main__":
    run(main)
