"""Measure the tracker with both networks on a clip in which the pose is known in every frame."""

from pathlib import Path
from typing import Annotated

import typer

from nntrack.command_line import run


def main(
    models: Annotated[Path, typer.Argument(help="folder of head-localizer.onnx and head-pose.onnx")],
    folder: Annotated[Path, typer.Argument(help="folder of the clip: its video and its table of poses")],
    out: Annotated[Path, typer.Argument(help="JSON file to write")],
) -> None:
    """Measure how the tracker follows the head in the clip of FOLDER. With your own archives there is none.

    Example: python -m stages.clip models/onnx data/synthetic/clip metrics/clip.json
    """
    from nntrack import config
    from nntrack.deploy.pretrained import find
    from nntrack.deploy.tracker import Tracker
    from nntrack.evaluation import clip
    from nntrack.files import check_outputs, write_json

    networks = find(models)
    check_outputs(out, inputs=[*networks, folder])
    params = config.load()
    if params.source == "real" and not folder.exists():
        print(f"there is no clip in {folder}: nothing was measured on it")
        write_json(out, {"clip": {}, "source": params.source})
        return
    frames, truth = clip.read(folder)
    write_json(out, {"clip": clip.evaluate_clip(Tracker(*networks), frames, truth), "source": params.source})


if __name__ == "__main__":
    run(main)
