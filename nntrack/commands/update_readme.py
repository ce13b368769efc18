"""Bring the README's table of results up to date."""

from pathlib import Path
from typing import Annotated

import typer


def main(
    table: Annotated[Path, typer.Argument(help="the table, an output of the stage report")] = Path("reports/table.md"),
    readme: Annotated[Path, typer.Argument(help="file with the table between two marks")] = Path("docs/results.md"),
) -> None:
    """Put TABLE into README, before new results are committed. No stage does it: a run leaves the texts alone."""
    from nntrack.files import check_outputs
    from nntrack.reporting import report

    check_outputs(readme, inputs=[table])
    report.update_readme(readme, table.read_text(encoding="utf-8"))
