"""Stage: fingerprints of the archives that a user put into a folder, as marks that DVC watches in their place."""

from pathlib import Path
from typing import Annotated

import typer

from nntrack.command_line import run

CHECKED = "checked.txt"  # conversions depend on it, so that a wrong `source` is told by this stage


def main(folder: Annotated[Path, typer.Argument(help="folder of the archives")]) -> None:
    """Write FOLDER/<archive>.mark for every archive of the pipeline's datasets.

    With `source: synthetic` no archive is asked for, and marks that are there stay as they are.

    Example: python -m stages.mark data/real
    """
    from nntrack import config
    from nntrack.data.datasets import in_pipeline
    from nntrack.files import check_outputs, write_text
    from nntrack.readers import marks

    params, rows = config.load(), in_pipeline()
    places = [folder / row.archive for row in rows.values()]
    check_outputs(*map(marks.mark_path, places), folder / CHECKED, inputs=places)
    archives = [row.archive for row in rows.values()]
    unused = [row.archive for name, row in rows.items() if not params.convert.dataset(name).use]
    if params.source != "real":
        archives = unused = [name for name in archives if not marks.mark_path(folder / name).exists()]
    print(marks.describe(marks.write_marks(folder, archives, unused)))
    write_text(folder / CHECKED, "params.yaml is valid, and the archives that it asks for are known\n")


if __name__ == "__main__":
    run(main)
