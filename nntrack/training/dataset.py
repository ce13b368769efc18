"""Stored samples to batches: a weighted mixture of datasets, sampled by a generator that is passed in.

A batch is a dict of tensors: ``image`` (B, 1, H, W) uint8; fields of `sample.FIELDS`, float32, in pixels of the stored
image; ``has_<mask>`` (B,) bool for masks of `sample.MASKS`; ``index`` (B,) int64, the samples' numbers in the mixture.
"""

from collections.abc import Collection, Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch

from nntrack.data.face_free import FaceFree
from nntrack.data.hdf5 import Stored
from nntrack.data.sample import FIELDS, MASKS

Batch = dict[str, torch.Tensor]


class Part(NamedTuple):
    """Some rows of one dataset; ``weight``: how often its samples are chosen, relative to the other parts."""

    stored: Stored | FaceFree
    rows: np.ndarray
    weight: float = 1.0


class Mixture:
    """Several parts of datasets as one numbered collection of samples.

    Labels are in memory, images stay on disk behind memory maps. Parts without rows or with weight 0 are left out.
    Raises ValueError if nothing is left, or if images differ in size.
    """

    def __init__(self, parts: Sequence[Part], labels: Collection[str] = MASKS) -> None:
        """labels: the fields and masks that batches hold, besides ``roi``: each further one costs time."""
        self._parts = [part for part in parts if len(part.rows) and part.weight > 0]
        if not self._parts:
            files = ", ".join(str(part.stored.path) for part in parts) or "no dataset at all"
            raise ValueError(f"there are no samples in {files}: use another dataset or raise its limit")
        sizes = {part.stored.image.shape[1:] for part in self._parts}
        if len(sizes) > 1:
            raise ValueError(
                f"images of the datasets differ in size: {sorted(sizes)}; convert all with the same settings"
            )
        self.image_size: tuple[int, int] = sizes.pop()  # height, width
        self._counts = np.array([len(part.rows) for part in self._parts])
        self._starts = np.cumsum(self._counts) - self._counts
        weights = torch.tensor([part.weight for part in self._parts], dtype=torch.float64)
        self._weights = weights / weights.sum()
        fields = [name for name in FIELDS if name in labels or name == "roi"]
        masks = [name for name in MASKS if name in labels]
        columns = {name: [part.stored.labels[name][part.rows] for part in self._parts] for name in fields}
        columns |= {f"has_{name}": [part.stored.masks[name][part.rows] for part in self._parts] for name in masks}
        self._labels = {name: torch.from_numpy(np.concatenate(arrays)) for name, arrays in columns.items()}

    def __len__(self) -> int:
        return int(self._counts.sum())

    def labels(self, name: str) -> torch.Tensor:
        """One field or mask of all samples, in the collection's order."""
        return self._labels[name]

    def sample(self, size: int, generator: torch.Generator) -> torch.Tensor:
        """Numbers (size,) of random samples: a part by its weight, then any of its rows."""
        part = torch.multinomial(self._weights, size, replacement=True, generator=generator)
        within = torch.rand(size, dtype=torch.float64, generator=generator)
        counts, starts = torch.from_numpy(self._counts)[part], torch.from_numpy(self._starts)[part]
        return starts + torch.minimum((within * counts).long(), counts - 1)

    def batch(self, index: torch.Tensor) -> Batch:
        """The samples of these numbers (B,), in their order."""
        batch = {name: column[index] for name, column in self._labels.items()}
        return batch | {"image": self._images(index.numpy())[:, None], "index": index}

    def in_order(self, size: int, first: int = 0, stride: int = 1) -> Iterator[Batch]:
        """All samples once, in batches of ``size``; of these batches every ``stride``-th, beginning with ``first``."""
        for start in range(first * size, len(self), stride * size):
            yield self.batch(torch.arange(start, min(start + size, len(self))))

    def names(self, index: torch.Tensor) -> list[str]:
        """The samples' names, for messages."""
        found = []
        for number in index.tolist():
            part = int(np.searchsorted(self._starts, number, side="right")) - 1
            stored, rows, _ = self._parts[part]
            found.append(f"{stored.path.stem}:{stored.strings['name'][rows[number - self._starts[part]]]}")
        return found

    def _images(self, index: np.ndarray) -> torch.Tensor:
        """The images (B, H, W) of these samples, from disk."""
        images = np.empty((len(index), *self.image_size), np.uint8)
        # in the order of the files, so that a cold disk is read forward
        order = np.argsort(index, kind="stable")
        ends = np.searchsorted(index[order], [*self._starts, len(self)])
        for (stored, rows, _), start, (first, end) in zip(self._parts, self._starts, pairwise(ends), strict=True):
            places = order[first:end]
            wanted = rows[index[places] - start]
            stored.announce(wanted)
            for place, row in zip(places.tolist(), wanted.tolist(), strict=True):
                images[place] = stored.image[row]
        return torch.from_numpy(images)


def to_device(batch: Batch, device: torch.device) -> Batch:
    """The batch on a device; the copy to a GPU does not wait for its earlier work."""
    if device.type == "cuda":  # copies from other memory do
        batch = {name: value.pin_memory() for name, value in batch.items()}
    return {name: value.to(device, non_blocking=True) for name, value in batch.items()}
