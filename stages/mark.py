"""Stage: fingerprints of the archives that a user put into a folder, as marks that DVC watches in their place."""

from pathlib import Path
from typing import Annotated

import typer

from nntrack.command_line import run


def main(folder: Annotated[Path, typer.Argument(help="folder of the archives")]) -> None:
    """Write FOLDER/<archive>.mark for every archive of the pipeline's datasets.

    Example: python -m stages.mark data/real
    """
    from nntrack import config
    from nntrack.data.datasets import in_pipeline
    from nntrack.files import check_outputs
    from nntrack.readers import marks

    params, rows = config.load(), in_pipeline()
    places = [folder / row.archive for row in rows.values()]
    check_outputs(*map(marks.mark_path, places), inputs=places)
    unused = [row.archive for name, row in rows.items() if not params.convert.dataset(name).use]
    print(marks.describe(marks.write_marks(folder, [row.archive for row in rows.values()], unused)))


if __name__ == "__main__":
    run(main)
