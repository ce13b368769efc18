"""Samples of a dataset as a sheet of pictures with their labels drawn."""

from collections.abc import Sequence

import numpy as np

from nntrack.data.hdf5 import Stored
from nntrack.data.sample import Sample
from nntrack.reporting import contact_sheet, overlay
from nntrack.reporting.contact_sheet import Group, Tile


def source_of(stored: Stored) -> str:
    """What the samples are called, so that nobody takes drawn ones for photos of people: "synthetic photos"."""
    return f"{stored.attributes.get('source', 'unknown')} photos"


def evenly(rows: Sequence[int] | np.ndarray, count: int) -> list[int]:
    """At most ``count`` of the rows, from the first to the last at even distances."""
    found = np.asarray(rows, np.int64)
    if len(found) > count:
        found = found[np.linspace(0, len(found) - 1, count).round().astype(int)]
    return found.tolist()


def sample_sheet(title: str, samples: Sequence[tuple[int, Sample]], columns: int = 4) -> np.ndarray:
    """Samples by their numbers, with all labels that can be drawn; (height, width, 3) BGR."""
    width = contact_sheet.tile_width(columns)
    names = {name for _, sample in samples for name in sample.labels}
    tiles = [_tile(number, sample, width) for number, sample in samples]
    return contact_sheet.sheet(title, [Group("", tiles)], columns, overlay.legend(names))


def _tile(number: int, sample: Sample, width: int) -> Tile:
    height, wide = sample.image.shape
    size = (max(1, round(width * height / wide)), width)
    picture, [labels] = overlay.view(sample.image, (0, 0, wide, height), size, sample.labels)
    return Tile(overlay.draw_labels(picture, labels), (f"#{number}", sample.name))
