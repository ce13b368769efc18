"""Export the trained nets as the two ONNX files that Opentrack loads."""

from pathlib import Path
from typing import Annotated

import typer

from nntrack.command_line import run

# The parameters that weights depend on; their digest is stored in the files.
SECTIONS = (
    *("source", "seed", "threads", "lr", "precision", "devices", "nodes"),
    *("convert", "split", "facemodel", "localizer", "pose"),
)
RENDERED = ("synthesize",)  # and those of rendered archives


def main(
    pose: Annotated[Path, typer.Argument(help="checkpoint of the pose net")],
    localizer: Annotated[Path, typer.Argument(help="checkpoint of the localizer")],
    datasets: Annotated[Path, typer.Argument(help="folder of the HDF5 files trained on")],
    folder: Annotated[Path, typer.Argument(help="folder for head-pose.onnx and head-localizer.onnx")],
    metrics: Annotated[Path, typer.Argument(help="JSON file for sizes and differences")],
) -> None:
    """Export both nets and check them.

    Example: python -m stages.export models/pose/model.safetensors models/localizer/model.safetensors
    data/hdf5 models/onnx metrics/export.json
    """
    from nntrack import config
    from nntrack.data import hdf5
    from nntrack.deploy import check, export
    from nntrack.files import check_outputs, write_json
    from nntrack.networks.weights import load_localizer, load_pose

    onnx = {net: folder / f"head-{net}.onnx" for net in ("pose", "localizer")}
    check_outputs(*onnx.values(), metrics, inputs=[pose, localizer, datasets])
    params = config.load()
    values = params.model_dump(mode="json")
    sections = SECTIONS + (RENDERED if params.source == "synthetic" else ())
    digest = config.digest({name: values[name] for name in sections})
    posed = [name for name, share in params.pose.sampling.items() if share]
    facts = {
        kind: export.provenance({name: hdf5.read_attributes(datasets / f"{name}.h5") for name in names}, digest)
        for kind, names in (("pose", posed), ("localizer", ["widerface"]))
    }
    figures = {
        "pose": export.export_pose(load_pose(pose), onnx["pose"], facts["pose"]),
        "localizer": export.export_localizer(load_localizer(localizer), onnx["localizer"], facts["localizer"]),
    }
    for path in onnx.values():
        check.print_warnings(path)
    write_json(metrics, {"export": figures})


if __name__ == "__main__":
    run(main)
