"""Write the README's table, the model card and the report from the metrics and the exported files."""

from pathlib import Path
from typing import Annotated

import typer

from nntrack import config, report, tables
from nntrack.card import model_card
from nntrack.store import replacing
from stages._run import run


def main(
    metrics: Annotated[Path, typer.Argument(help="folder of the metrics")],
    models: Annotated[Path, typer.Argument(help="folder of the two ONNX files")],
    folder: Annotated[Path, typer.Argument(help="folder for table.md, model_card.md and report.md; of pictures/, too")],
    readme: Annotated[Path, typer.Argument(help="file whose table is brought up to date")],
) -> None:
    """Write the pages, then bring the README's table up to date."""
    params, measured, facts = config.load(), report.read_metrics(metrics), report.read_facts(models)
    pictures = [path.stem for path in (folder / "pictures").glob("*.jpg")]
    values = params.model_dump(by_alias=True, mode="json")
    pages = {
        "table.md": tables.table(measured),
        "model_card.md": model_card(measured, facts, params.synthesize.head),
        "report.md": report.report(measured, facts, values, pictures),
    }
    for name, text in pages.items():
        with replacing(folder / name) as partial:
            partial.write_text(text, encoding="utf-8", newline="\n")
    report.update_readme(readme, pages["table.md"])


if __name__ == "__main__":
    run(main)
