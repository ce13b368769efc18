"""Bring the tables of results in README.md and docs/results.md up to date."""

from pathlib import Path
from typing import Annotated

import typer


def main(
    metrics: Annotated[Path, typer.Argument(help="folder of the metrics")] = Path("metrics"),
    readme: Annotated[Path, typer.Option(help="file for the short table")] = Path("README.md"),
    results: Annotated[Path, typer.Option(help="file for all tables")] = Path("docs/results.md"),
) -> None:
    """Write the tables of METRICS into README.md and docs/results.md, before new results are committed.

    They go between the lines <!-- table:begin --> and <!-- table:end -->. No stage does this, so that a run leaves the
    texts alone.

    Example: nntrack update-readme
    """
    from nntrack.files import check_outputs
    from nntrack.reporting import report, tables

    check_outputs(readme, results, inputs=[metrics])
    measured = report.read_metrics(metrics)
    for path, text in ((readme, tables.summary(measured)), (results, tables.results(measured))):
        print(f"{path}: {'updated' if report.update(path, text) else 'unchanged'}")
