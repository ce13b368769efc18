"""Stage: draw the archives, for those who have none."""

from pathlib import Path
from typing import Annotated

import typer

from nntrack import config, synthesis
from stages._run import run


def main(folder: Annotated[Path, typer.Argument(help="folder for archives, marks and contact sheets")]) -> None:
    """Draw heads and write them into FOLDER in the original archives' formats."""
    params = config.load()
    synthesis.synthesize(folder, params.synthesize, params.seed)


if __name__ == "__main__":
    run(main)
