"""Stage: one archive to one HDF5 file."""

from pathlib import Path
from typing import Annotated

import typer

from nntrack.command_line import run


def main(
    dataset: Annotated[str, typer.Argument(help="name of the dataset, as of its reader in nntrack/readers")],
    archive: Annotated[Path, typer.Argument(help="archive or folder as it is published")],
    out: Annotated[Path, typer.Argument(help="HDF5 file to write")],
    limit: Annotated[int | None, typer.Option("-n", min=1, help="at most this many samples")] = None,
) -> None:
    """Convert ARCHIVE, of the dataset DATASET, to OUT.

    Example: python -m stages.convert aflw2k data/synthetic/AFLW2000-3D.zip data/hdf5/aflw2k.h5
    """
    from nntrack import config
    from nntrack.data.datasets import DATASETS
    from nntrack.files import check_outputs
    from nntrack.readers import archive as archives
    from nntrack.readers import conversion, marks
    from nntrack.readers._format import Options

    conversion.find_reader(dataset)
    beside = archives.companion(archive, DATASETS[dataset].companion or archive.name)
    check_outputs(out, inputs=[archive, archives.locate(archive), beside])
    params = config.load()
    section = params.convert.dataset(dataset)
    options = Options(
        limit=limit or section.limit,
        size=params.convert.size,
        margin=params.convert.margin,
        stride=section.stride,
        seed=params.seed,
    )
    tally = conversion.convert(
        dataset,
        archive,
        out,
        options,
        source="synthetic" if marks.is_synthesized(archive) else "real",
        max_bad_share=params.convert.max_bad_share,
        use=section.use,
    )
    print(f"{archive} to {out}: {conversion.summary(dataset, tally)}")


if __name__ == "__main__":
    run(main)
