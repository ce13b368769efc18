"""Write an image of samples of a dataset with their labels."""

from pathlib import Path
from typing import Annotated

import typer


def main(
    file: Annotated[Path, typer.Argument(help="HDF5 file of samples, ours or opentrack's")],
    index: Annotated[str | None, typer.Option("--index", "-i", help="which samples, as in 3,7 or 10:20")] = None,
    count: Annotated[int, typer.Option("--count", "-n", min=1, help="how many, evenly spaced, without --index")] = 20,
    out: Annotated[Path, typer.Option("--out", "-o", help="image to write, .png or .jpg")] = Path("sheet.png"),
) -> None:
    """Write one image of samples of FILE with all their labels.

    Example: nntrack show data/hdf5/aflw2k.h5 --index 3,10:20 --out aflw2k.jpg
    """
    from nntrack.files import check_outputs
    from nntrack.reporting import contact_sheet, samples

    contact_sheet.check_suffix(out)
    check_outputs(out, inputs=[file])
    dataset = samples.open_dataset(file)
    chosen = samples.choose(index, dataset.count) if index else contact_sheet.evenly(range(dataset.count), count)
    found = dataset.samples(chosen)
    title = f"{file.name}: {len(found)} of {dataset.count} samples, {dataset.title}"
    contact_sheet.write(out, contact_sheet.sample_sheet(title, found))
    lost = f"; {len(chosen) - len(found)} could not be read" if len(found) < len(chosen) else ""
    print(f"{out}: {len(found)} of {dataset.count} samples{lost}")
