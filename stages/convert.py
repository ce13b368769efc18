"""Stage: one archive to one HDF5 file."""

from pathlib import Path
from typing import Annotated

import typer

from nntrack.command_line import run


def main(
    dataset: str,
    archive: Path,
    out: Path,
    limit: Annotated[int | None, typer.Option("-n", min=1, help="at most so many samples")] = None,
) -> None:
    """Convert ARCHIVE, of the kind DATASET (see nntrack/readers), to OUT."""
    from nntrack import config
    from nntrack.face_model import basel
    from nntrack.files import check_outputs
    from nntrack.readers import convert
    from nntrack.readers._common import Options

    convert.find_reader(dataset)
    check_outputs(out, inputs=[archive, archive.parent / basel.FILE_NAME])
    params = config.load()
    section = params.convert.dataset(dataset)
    options = Options(
        limit=limit or section.limit,
        size=params.convert.size,
        margin=params.convert.margin,
        stride=section.stride,
        seed=params.seed,
    )
    tally = convert.convert(
        dataset,
        archive,
        out,
        options,
        # an archive from anywhere but the folder of drawn ones is a user's own
        source="synthetic" if archive.absolute().parent.name == "synthetic" else "real",
        max_bad_share=params.convert.max_bad_share,
        use=section.use,
    )
    print(f"{archive} to {out}: {convert.summary(tally)}")


if __name__ == "__main__":
    run(main)
