"""Draw samples of a dataset."""

from pathlib import Path
from typing import Annotated

import typer


def main(
    file: Annotated[Path, typer.Argument(help="HDF5 file of samples, ours or opentrack's")],
    index: Annotated[str | None, typer.Option("--index", "-i", help="which samples, as in 3,7 or 10:20")] = None,
    count: Annotated[int, typer.Option("--count", "-n", min=1, help="how many, if none is named")] = 20,
    out: Annotated[Path, typer.Option("--out", "-o", help="picture to write, .png or .jpg")] = Path("sheet.png"),
) -> None:
    """Draw samples of FILE, at even distances if none is named, with all their labels, on one sheet."""
    from nntrack.files import check_outputs
    from nntrack.reporting import contact_sheet, selection
    from nntrack.reporting import samples as showing

    contact_sheet.check_suffix(out)
    check_outputs(out, inputs=[file])
    dataset = selection.open_dataset(file)
    chosen = selection.choose(index, dataset.count) if index else showing.evenly(range(dataset.count), count)
    samples = dataset.samples(chosen)
    title = f"{file.name}: {len(samples)} of {dataset.count} samples, {dataset.source}"
    contact_sheet.write(out, showing.sample_sheet(title, samples))
    lost = f"; {len(chosen) - len(samples)} could not be read" if len(samples) < len(chosen) else ""
    print(f"{out}: {len(samples)} of {dataset.count} samples{lost}")
