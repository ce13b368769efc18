"""Export the trained nets as the two ONNX files that Opentrack loads."""

from pathlib import Path
from typing import Annotated

import typer

from nntrack.command_line import run


def main(
    pose: Annotated[Path, typer.Argument(help="checkpoint of the pose net")],
    localizer: Annotated[Path, typer.Argument(help="checkpoint of the localizer")],
    datasets: Annotated[Path, typer.Argument(help="folder of the HDF5 files trained on")],
    folder: Annotated[Path, typer.Argument(help="folder for head-pose.onnx and head-localizer.onnx")],
    metrics: Annotated[Path, typer.Argument(help="JSON file for sizes and differences")],
) -> None:
    """Export both nets, in float32 and with 8-bit convolutions (in the folder int8), and check them.

    Example: python -m stages.export models/pose/model.safetensors models/localizer/model.safetensors
    data/hdf5 models/onnx metrics/export.json
    """
    from nntrack import config
    from nntrack.data import hdf5
    from nntrack.deploy import check, export, quantize
    from nntrack.files import check_outputs, write_json
    from nntrack.networks.weights import load_localizer, load_pose

    onnx = {net: folder / f"head-{net}.onnx" for net in ("pose", "localizer")}
    int8 = {net: folder / "int8" / path.name for net, path in onnx.items()}
    check_outputs(*onnx.values(), *int8.values(), metrics, inputs=[pose, localizer, datasets])
    params = config.load()
    posed = [name for name, share in params.pose.sampling.items() if share]
    faces = ["widerface"] if params.pose.no_face else []
    facts = {
        kind: export.provenance(
            {name: hdf5.read_attributes(datasets / f"{name}.h5") for name in names}, params.training_digest
        )
        for kind, names in (("pose", posed + faces), ("localizer", ["widerface"]))
    }
    figures = {
        "pose": export.export_pose(load_pose(pose), onnx["pose"], facts["pose"]),
        "localizer": export.export_localizer(load_localizer(localizer), onnx["localizer"], facts["localizer"]),
    }
    for net, path in onnx.items():
        check.print_warnings(path)
        names = posed if net == "pose" else ["widerface"]
        quantize.quantize(path, int8[net], [hdf5.Stored(datasets / f"{name}.h5") for name in names])
        figures[net]["int8_bytes"] = int8[net].stat().st_size
    write_json(metrics, {"export": figures})


if __name__ == "__main__":
    run(main)
