"""Write the page that `dvc plots show` fills: it holds all its scripts, so that it works without a network."""

from pathlib import Path
from typing import Annotated

import typer

from nntrack.command_line import run


def main(
    out: Annotated[Path, typer.Argument(help="HTML file to write, the setting plots.html_template of DVC")],
) -> None:
    """Put scripts, titles and the source of the archives into the skeleton."""
    from nntrack import config
    from nntrack.files import check_outputs, write_text
    from nntrack.reporting import titles
    from nntrack.reporting.plots_page import TEMPLATE, page

    check_outputs(out, inputs=[TEMPLATE])
    source = config.load().source
    text = page(TEMPLATE.read_text(encoding="utf-8"), source, titles.of_plots(source))
    write_text(out, text)


if __name__ == "__main__":
    run(main)
