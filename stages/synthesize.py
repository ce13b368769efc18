"""Stage: write the synthetic archives, for those who have no others."""

from pathlib import Path
from typing import Annotated

import typer

from nntrack.command_line import run


def main(folder: Annotated[Path, typer.Argument(help="folder for archives, marks and contact sheets")]) -> None:
    """Render heads and write them into FOLDER in the original archives' formats.

    Example: python -m stages.synthesize data/synthetic
    """
    from nntrack import config
    from nntrack.synthesis import write_archives

    params = config.load()
    write_archives.synthesize(folder, params.synthesize, params.seed)


if __name__ == "__main__":
    run(main)
