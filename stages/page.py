"""Write the page that `dvc plots show` fills: it holds all its scripts, so that it works without a network."""

from pathlib import Path
from typing import Annotated

import typer

from nntrack import config, titles
from nntrack.page import page
from nntrack.store import replacing
from stages._run import run


def main(
    skeleton: Annotated[Path, typer.Argument(help="HTML to fill")],
    out: Annotated[Path, typer.Argument(help="HTML file to write, the setting plots.html_template of DVC")],
) -> None:
    """Put scripts, titles and the source of the archives into the skeleton."""
    source = config.load().source
    text = page(skeleton.read_text(encoding="utf-8"), source, titles.of_plots(source))
    with replacing(out) as partial:
        partial.write_text(text, encoding="utf-8", newline="\n")


if __name__ == "__main__":
    run(main)
