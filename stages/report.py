"""Stage: the tables of results, the model card and the report, from the metrics and the exported files."""

from pathlib import Path
from typing import Annotated

import typer

from nntrack.command_line import run


def main(
    metrics: Annotated[Path, typer.Argument(help="folder of the metrics")],
    models: Annotated[Path, typer.Argument(help="folder of the two ONNX files")],
    folder: Annotated[
        Path,
        typer.Argument(help="folder of pictures/ and card/; results.md, model_card.md and report.md are written here"),
    ],
) -> None:
    """Write the pages into FOLDER.

    Example: python -m stages.report metrics models/onnx reports
    """
    from nntrack import config
    from nntrack.files import check_outputs, write_text
    from nntrack.reporting import report, tables
    from nntrack.reporting.model_card import model_card

    check_outputs(*(folder / name for name in ("results.md", "model_card.md", "report.md")), inputs=[metrics, models])
    params, measured, facts = config.load(), report.read_metrics(metrics), report.read_facts(models)
    pictures = [path.stem for path in (folder / "pictures").glob("*.jpg")]
    charts = [path.stem for path in (folder / "card").glob("*.svg")]
    values = params.model_dump(mode="json")
    scans = params.synthesize.facekit if params.synthesize.heads.facekit else None
    pages = {
        "results.md": tables.results(measured),
        "model_card.md": model_card(measured, facts, scans),
        "report.md": report.report(measured, facts, values, pictures, charts),
    }
    for name, text in pages.items():
        write_text(folder / name, text)


if __name__ == "__main__":
    run(main)
