"""Stored samples to batches on the device: a weighted mixture of datasets, drawn by a generator that is passed in.

A batch is a dict of tensors: ``image`` (B, 1, H, W) uint8; fields of `sample.FIELDS`, float32, in pixels of the stored
image; ``has_<mask>`` (B,) bool for masks of `sample.MASKS`; ``index`` (B,) int64, by which `Mixture.names` tells whose
samples they are.
"""

import math
from collections.abc import Collection, Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch

from nntrack.data.hdf5 import Stored
from nntrack.data.sample import FIELDS, MASKS

Batch = dict[str, torch.Tensor]

ROOM = 0.5  # of the memory that a GPU has free: pictures that fit in lie there
_CHUNK = 1024  # pictures brought there at once


class Part(NamedTuple):
    """Some rows of one dataset, and how many of a batch's samples shall come from them, relative to the other parts."""

    stored: Stored
    rows: np.ndarray
    share: float = 1.0


class Mixture:
    """Several parts of datasets as one numbered collection of samples.

    Labels lie on ``device``, and so do images if it is a GPU with `ROOM` for them; else they stay on disk behind
    memory maps. Parts without rows or with share 0 are left out. Of labels and masks batches hold what ``needs`` names,
    and the ``roi``: those that nobody asks for would be moved with every picture all the same.
    Raises ValueError if nothing is left, or if images differ in size.
    """

    def __init__(
        self, parts: Sequence[Part], device: torch.device | str = "cpu", needs: Collection[str] = MASKS
    ) -> None:
        self._device = torch.device(device)
        self._needs = needs
        self._parts = [part for part in parts if len(part.rows) and part.share > 0]
        if not self._parts:
            files = ", ".join(str(part.stored.path) for part in parts) or "no dataset at all"
            raise ValueError(f"there is no sample to draw from in {files}: use another dataset or raise its limit")
        sizes = {part.stored.image.shape[1:] for part in self._parts}
        if len(sizes) > 1:
            raise ValueError(
                f"images of the datasets differ in size: {sorted(sizes)}; convert all with the same settings"
            )
        self.image_size: tuple[int, int] = sizes.pop()  # height, width
        self._counts = np.array([len(part.rows) for part in self._parts])
        self._starts = np.cumsum(self._counts) - self._counts
        share = torch.tensor([part.share for part in self._parts], dtype=torch.float64)
        self._shares = share / share.sum()
        self._labels = self._load_labels()
        self._resident = self._load_images() if len(self) * math.prod(self.image_size) <= room(self._device) else None

    def _load_labels(self) -> Batch:
        fields = [name for name in FIELDS if name in self._needs or name == "roi"]
        masks = [name for name in MASKS if name in self._needs]
        columns = {name: [part.stored.labels[name][part.rows] for part in self._parts] for name in fields}
        columns |= {f"has_{name}": [part.stored.masks[name][part.rows] for part in self._parts] for name in masks}
        return {name: torch.from_numpy(np.concatenate(parts)).to(self._device) for name, parts in columns.items()}

    def _load_images(self) -> torch.Tensor:
        images = torch.empty((len(self), *self.image_size), dtype=torch.uint8, device=self._device)
        for start in range(0, len(self), _CHUNK):
            end = min(start + _CHUNK, len(self))
            images[start:end] = self._gathered(torch.arange(start, end))
        return images

    def __len__(self) -> int:
        return int(self._counts.sum())

    def labels(self, name: str) -> torch.Tensor:
        """One field or mask of all samples, in the collection's order."""
        return self._labels[name]

    def draw(self, size: int, generator: torch.Generator) -> torch.Tensor:
        """Numbers (size,) of random samples: a part by its share, then any of its rows. ``generator`` is the CPU's."""
        part = torch.multinomial(self._shares, size, replacement=True, generator=generator)
        within = torch.rand(size, dtype=torch.float64, generator=generator)
        counts, starts = torch.from_numpy(self._counts)[part], torch.from_numpy(self._starts)[part]
        return starts + torch.minimum((within * counts).long(), counts - 1)

    def batch(self, index: torch.Tensor) -> Batch:
        """The samples of these numbers (B,), in their order."""
        moved = index.to(self._device, non_blocking=True)
        batch = {name: column[moved] for name, column in self._labels.items()}
        image = self._gathered(index) if self._resident is None else self._resident.index_select(0, moved)
        batch["image"] = image[:, None]
        batch["index"] = moved
        return batch

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

    def _gathered(self, numbers: torch.Tensor) -> torch.Tensor:
        """The images (B, H, W) of these samples, from disk to the device."""
        pinned = self._device.type == "cuda"  # else the copy is not beside the device's work
        found = torch.empty((len(numbers), *self.image_size), dtype=torch.uint8, pin_memory=pinned)
        images, index = found.numpy(), numbers.numpy()
        # in the order of the files, so that a cold disk is read forward
        order = np.argsort(index, kind="stable")
        ends = np.searchsorted(index[order], [*self._starts, len(self)])
        for (stored, rows, _), start, (first, end) in zip(self._parts, self._starts, pairwise(ends), strict=True):
            places = order[first:end]
            wanted = rows[index[places] - start]
            stored.announce(wanted)
            for place, row in zip(places.tolist(), wanted.tolist(), strict=True):
                images[place] = stored.image[row]
        return found.to(self._device, non_blocking=True)


def room(device: torch.device) -> int:
    """Bytes of pictures that may lie on the device; none but on a GPU: elsewhere a map of the file is as near."""
    return int(ROOM * torch.cuda.mem_get_info(device)[0]) if device.type == "cuda" else 0
