"""Stage: the images of a run, to look at."""

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
    errors: Annotated[Path, typer.Argument(help="folder of CSV files with the errors of every sample")],
    out: Annotated[Path, typer.Argument(help="folder to write the images to")],
) -> None:
    """Write sheets of samples, of augmentation, and of predictions from best to worst.

    Example: python -m stages.pictures data/hdf5 models reports/errors reports/pictures
    """
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
    posed = next((one for one in trained_on if len(one)), trained_on[-1])
    pose_errors, face_errors = (
        figures.read_errors(errors / f"{name}.csv") for name in ("aflw2k_bbox", "widerface_val")
    )
    pose = PoseModel(models / "onnx/head-pose.onnx")
    localizer = LocalizerModel(models / "onnx/head-localizer.onnx")
    net = weights.load_localizer(models / "localizer/model.safetensors")
    augments = params.pose.augment, params.localizer.augment
    sheets = {f"dataset_{name}": figures.dataset(one) for name, one in stored.items()} | {
        "augmentation": figures.augmentation(posed, augments[0], faces, augments[1], params.seed),
        "poses_best_median_worst": figures.poses(pose, stored["aflw2k"], pose_errors, params.evaluate.bbox_scale),
        "localizer_hits_misses": figures.hits_and_misses(localizer, faces, face_errors),
        "localizer_heat": figures.heat(net, faces, face_errors),
    }
    with replacing(out) as partial:
        for name, sheet in sheets.items():
            contact_sheet.write(partial / f"{name}.jpg", sheet)


if __name__ == "__main__":
    run(main)
