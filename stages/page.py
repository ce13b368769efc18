"""Stage: the page that `dvc plots show` fills in; it holds all its scripts, so that it works without a network."""

from pathlib import Path
from typing import Annotated

import typer

from nntrack.command_line import run


def main(
    out: Annotated[Path, typer.Argument(help="HTML file to write; DVC's setting plots.html_template names it")],
) -> None:
    """Write OUT, with scripts, titles and the source of the archives.

    Example: python -m stages.page reports/page_template.html
    """
    from nntrack import config
    from nntrack.files import check_outputs, write_text
    from nntrack.reporting.plots_page import plots_page

    check_outputs(out)
    write_text(out, plots_page(config.load().source))


if __name__ == "__main__":
    run(main)
