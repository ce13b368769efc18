"""Operations on batches of grey uint8 images by OpenCV: a warp, changes of grey levels, a quantile. On the CPU alone.

OpenCV gets `STACK` images at once, as the channels of one: such a *stack* goes through all operations while it is in
the processor's cache, with a quarter of the calls. So the images of a stack share the parameters of every operation.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache, partial
from typing import NamedTuple, Protocol

import cv2
import numpy as np
import torch

from nntrack.data import images
from nntrack.geometry import affine

STACK = 4  # images of a stack
_BORDER = 32  # px around an image before a warp
_NOISE_MEAN, _NOISE_STD = 128, 32  # of the table of noise
_CORNERS = 64  # of the polygon that stands for a disc
_FRACTION_BITS = 8  # of the coordinates of a polygon's corners

InPlace = Callable[[np.ndarray], object]  # changes a stack (H, W, STACK) uint8 in place


class Change(Protocol):
    """A change of grey levels, with parameters for some stacks or all."""

    def by_stack(self, size: tuple[int, int]) -> Mapping[int, InPlace]:
        """For images of (height, width) ``size``: the number of each stack to be changed, and what changes it."""


def stack_count(count: int) -> int:
    """The number of stacks that so many images make."""
    return math.ceil(count / STACK)


def stack_of(count: int) -> torch.Tensor:
    """The stack (B,) of each of so many images.

    Images of a stack are as far apart as can be: of a block for several steps, they are in different steps.
    """
    return torch.arange(count) % stack_count(count)


def stacks(count: int) -> torch.Tensor:
    """The images (S, STACK) of each stack; where there are too few, a stack's first image is repeated."""
    numbers = torch.arange(STACK * stack_count(count))
    return torch.where(numbers < count, numbers, numbers % stack_count(count)).view(STACK, -1).T


def warp(
    image: torch.Tensor, matrix: torch.Tensor, size: tuple[int, int], changes: Sequence[Change] = ()
) -> torch.Tensor:
    """Images after affine maps and then changes of grey levels.

    Bilinear; outside an image its edge is repeated. It is faster if the maps of each stack are the same.

    Args:
        image: (B, 1, h, w) uint8.
        matrix: (B, 2, 3), from px to px; (0, 0) is the corner of the first pixel.
        size: (height, width) of the result, which is (B, 1, *size) uint8.
        changes: done in this order.
    """
    # OpenCV is slow outside an image, so it gets a border; what lies beyond that is rare
    bordered = matrix.clone()
    bordered[..., 2] -= matrix[..., :2].sum(dim=-1) * _BORDER
    sources, maps = image[:, 0].numpy(), images.centred(bordered.numpy())
    members = stacks(len(image)).numpy()
    same_map = (maps[members] == maps[members[:, :1]]).all(axis=(1, 2, 3)).tolist()
    result = np.empty((len(sources), *size), np.uint8)
    steps = [change.by_stack(size) for change in changes]
    merged, wide, stack = None, None, None  # memory that is used again
    for number, stacked in enumerate(members.tolist()):
        if same_map[number]:
            merged = cv2.merge([sources[member] for member in stacked], dst=merged)
            wide, stack = _warp(merged, maps[stacked[0]], size, wide, stack)
        else:
            stack = cv2.merge([_warp(sources[member], maps[member], size)[1] for member in stacked], dst=stack)
        for step in steps:
            if number in step:
                step[number](stack)
        cv2.split(stack, [result[member] for member in stacked])
    return torch.from_numpy(result)[:, None]


def _warp(
    image: np.ndarray,
    matrix: np.ndarray,
    size: tuple[int, int],
    wide: np.ndarray | None = None,
    warped: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """An image with its border, and that after a map; memory for both may be given."""
    wide = cv2.copyMakeBorder(image, _BORDER, _BORDER, _BORDER, _BORDER, cv2.BORDER_REPLICATE, dst=wide)
    return wide, cv2.warpAffine(
        wide, matrix, size[::-1], dst=warped, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )


def grey_quantile(image: torch.Tensor, fraction: float, below: float) -> torch.Tensor:
    """The quantile (B,) float32 of the grey levels of each image, uint8, interpolated as `numpy.quantile` does;
    ``below`` where it is not less, which costs next to nothing."""
    rows = image.flatten(1).numpy()
    position = fraction * (rows.shape[1] - 1)
    rank = int(position)  # the quantile lies between the grey levels of this rank and the next
    next_rank = min(rank + 1, rows.shape[1] - 1)
    dark_pixels = cv2.reduce((rows < math.ceil(below)).view(np.uint8), 1, cv2.REDUCE_SUM, dtype=cv2.CV_32S)[:, 0]
    levels = np.full(len(rows), below, np.float32)
    for number in np.flatnonzero(dark_pixels > rank).tolist():
        cumulative = cv2.calcHist([rows[number]], [0], None, [256], [0, 256]).ravel().cumsum()
        low, high = np.searchsorted(cumulative, (rank, next_rank), side="right")
        levels[number] = min(low + (position - rank) * (high - low), below)
    return torch.from_numpy(levels)


class Cover(NamedTuple):
    """One shape over each image of some stacks. Pixels on its outline are covered; a disc is a polygon.

    stack: (K,) numbers of stacks. place: (K, 2, 3), maps the square from -1 to 1, or the disc in it, to the image,
    whose edges are at -1 and 1. disc: (K,) bool. level: (K,) uint8, the shape's grey level.
    """

    stack: torch.Tensor
    place: torch.Tensor
    disc: torch.Tensor
    level: torch.Tensor

    def by_stack(self, size: tuple[int, int]) -> Mapping[int, InPlace]:
        """See `Change`."""
        angle = torch.arange(_CORNERS) * (2 * torch.pi / _CORNERS)
        circle = torch.stack([angle.cos(), angle.sin()], dim=-1)
        square = circle / circle.abs().amax(dim=-1, keepdim=True)
        place = affine.compose(affine.from_unit(self.place, *size), self.place)
        outlines = affine.move_points(place, torch.where(self.disc[:, None, None], circle, square)) - 0.5
        corners = (outlines * 2**_FRACTION_BITS).round().to(torch.int32).numpy()
        rows = zip(self.stack.tolist(), corners, self.level.tolist(), strict=True)
        return {
            number: partial(cv2.fillConvexPoly, points=outline, color=(level,) * STACK, shift=_FRACTION_BITS)
            for number, outline, level in rows
        }


class LookUp(NamedTuple):
    """Another grey level for each, by a ``table`` (K, 256) uint8, in the images of the stacks ``stack`` (K,)."""

    stack: torch.Tensor
    table: torch.Tensor

    def by_stack(self, size: tuple[int, int]) -> Mapping[int, InPlace]:
        """See `Change`."""
        rows = zip(self.stack.tolist(), self.table.numpy(), strict=True)
        return {number: partial(_look_up, table) for number, table in rows}


class Convolve(NamedTuple):
    """A convolution of the images of the stacks ``stack`` (K,) with ``kernel`` (K, n, n), n odd, of sum 1; the edge is
    repeated, the result rounded. Weights of 0 cost nothing."""

    stack: torch.Tensor
    kernel: torch.Tensor

    def by_stack(self, size: tuple[int, int]) -> Mapping[int, InPlace]:
        """See `Change`."""
        rows = zip(self.stack.tolist(), self.kernel.numpy(), strict=True)
        return {number: partial(_convolve, kernel) for number, kernel in rows}


class AddNoise(NamedTuple):
    """Normal noise of standard deviation ``std`` (S,), grey levels, on all stacks; rounded, clipped.

    It is read from a table, in 32nds of a standard deviation and up to 4, from a place that the ``generator`` decides:
    to sample it anew would take many times as long.
    """

    std: torch.Tensor
    generator: torch.Generator

    def by_stack(self, size: tuple[int, int]) -> Mapping[int, InPlace]:
        """See `Change`."""
        count = STACK * size[0] * size[1]
        table = _noise_table(2 ** (16 * count).bit_length())
        starts = torch.randint(len(table) - count, self.std.shape, generator=self.generator)
        rows = zip(starts.tolist(), (self.std / _NOISE_STD).tolist(), strict=True)
        return {
            number: partial(_add_noise, table[start : start + count].reshape(*size, STACK), factor)
            for number, (start, factor) in enumerate(rows)
        }


def _look_up(table: np.ndarray, stack: np.ndarray) -> None:
    cv2.LUT(stack, table, dst=stack)


def _convolve(kernel: np.ndarray, stack: np.ndarray) -> None:
    # OpenCV's loop over bytes takes twice as long as that over float32
    sums = cv2.filter2D(stack.astype(np.float32), -1, kernel, borderType=cv2.BORDER_REPLICATE)
    cv2.convertScaleAbs(sums, dst=stack)


def _add_noise(noise: np.ndarray, factor: float, stack: np.ndarray) -> None:
    cv2.addWeighted(stack, 1, noise, factor, -_NOISE_MEAN * factor, dst=stack)


@lru_cache(maxsize=2)
def _noise_table(count: int) -> np.ndarray:
    normal = np.random.default_rng(0).standard_normal(count, np.float32)
    return np.rint(normal * _NOISE_STD + _NOISE_MEAN).clip(0, 255).astype(np.uint8)
