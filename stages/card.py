"""Stage: the report card of the exported networks, on rendered people and on the real archives that there are."""

from pathlib import Path
from typing import Annotated

import typer

from nntrack.command_line import run


def main(
    models: Annotated[Path, typer.Argument(help="folder of the two ONNX files")],
    faces: Annotated[Path, typer.Argument(help="HDF5 file of AFLW2000-3D")],
    clips: Annotated[Path, typer.Argument(help="YTFaces archive")],
    out: Annotated[Path, typer.Argument(help="JSON file to write")],
    charts: Annotated[Path, typer.Argument(help="folder for the charts")],
) -> None:
    """Measure the networks of MODELS on people that the card renders itself, and on FACES and CLIPS if they are real.

    Example: python -m stages.card models/onnx data/hdf5/aflw2k.h5 data/synthetic/YTFaces metrics/card.json reports/card
    """
    from nntrack import config
    from nntrack.data.hdf5 import Stored
    from nntrack.deploy.pretrained import find
    from nntrack.evaluation.card import card
    from nntrack.evaluation.evaluate import source_of
    from nntrack.files import check_outputs, write_json
    from nntrack.reporting import card as pages

    networks = find(models)
    check_outputs(out, *(charts / f"{name}.svg" for name in pages.CHARTS), inputs=[*networks, faces])
    params = config.load()
    stored = Stored(faces)
    real = params.source == "real"
    found = card.measure(
        networks,
        size=params.evaluate.card.size,
        seed=params.seed,
        datasets=[faces] if len(stored) and source_of(stored) != "synthetic" else [],
        clips_of=clips if real and clips.exists() else None,
    )
    write_json(out, card.as_json(networks, found))
    pages.write_charts(charts, found["rendered"].curves)


if __name__ == "__main__":
    run(main)
