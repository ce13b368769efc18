"""Work on batches of pictures whose fastest form on a CPU is another than on an accelerator; both forms agree.

On a CPU, OpenCV's loops are several times as fast as the same in tensor operations (``python -m benchmarks.kernels``);
on an accelerator they would need a copy there and back. OpenCV is given `CHANNELS` pictures at once, as the channels of
one: such a stack goes through all that is done to it while it is in the cache, by a quarter of the calls.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import cv2
import numpy as np
import torch
import torch.nn.functional as F

from nntrack.data import images
from nntrack.geometry import affine

CHANNELS = 4  # pictures of a stack
_EDGE = 32  # px around a picture before a warp

ByStack = Mapping[int, Callable[[np.ndarray], object]]  # a stack's number to what changes it (H, W, CHANNELS) in place


class Change(Protocol):
    """Something that is done to all pictures of some stacks, as `changes` has it."""

    def each(self, size: tuple[int, int]) -> ByStack:
        """A CPU's form, for pictures of (height, width) ``size``."""

    def batch(self, image: torch.Tensor) -> None:
        """An accelerator's form: change images (B, 1, H, W) uint8 where they are."""


def stack_count(count: int) -> int:
    """How many stacks so many pictures make."""
    return math.ceil(count / CHANNELS)


def stack_of(count: int, device: torch.device | str = "cpu") -> torch.Tensor:
    """The stack (B,) of each of so many pictures.

    Pictures of a stack are as far from each other as can be: of batches that are made ready for several steps, they are
    in different ones.
    """
    return torch.arange(count, device=device) % stack_count(count)


def stacks(count: int, device: torch.device | str = "cpu") -> torch.Tensor:
    """The numbers (CHANNELS, S) of so many pictures by channel and stack; where there are too few, a stack's first is
    there again."""
    few = stack_count(count)
    numbers = torch.arange(CHANNELS * few, device=device)
    return torch.where(numbers < count, numbers, numbers % few).view(CHANNELS, few)


def vary(
    image: torch.Tensor, matrix: torch.Tensor, size: tuple[int, int], changes: Sequence[Change] = ()
) -> torch.Tensor:
    """Images (B, 1, h, w) after maps (B, 2, 3) from px to px, then after ``changes``: (B, 1, *size); uint8 both.

    (0, 0) is the corner of the first pixel. Bilinear; outside an image its edge goes on. On a CPU stacks of one and the
    same map cost less.
    """
    if image.device.type == "cpu":
        return _vary_each(image, matrix, size, changes)
    varied = _warp_batch(image, matrix, size)
    for change in changes:
        change.batch(varied)
    return varied


def grey_quantile(image: torch.Tensor, share: float, below: float) -> torch.Tensor:
    """The quantile (B,) float32 of the grey levels of each image, uint8, between neighbours as `numpy.quantile`;
    ``below`` where it is not less, which on a CPU costs next to nothing."""
    flat = image.flatten(1)
    position = share * (flat.shape[1] - 1)
    return (_quantile_each if image.device.type == "cpu" else _quantile_batch)(flat, position, below)


def _vary_each(
    image: torch.Tensor, matrix: torch.Tensor, size: tuple[int, int], changes: Sequence[Change]
) -> torch.Tensor:
    # OpenCV is slow outside a picture, so it is given a little of that outside; what lies farther is rare
    wider = matrix.clone()
    wider[..., 2] -= matrix[..., :2].sum(dim=-1) * _EDGE
    pictures, maps, numbers = image[:, 0].numpy(), images.centred(wider.numpy()), stacks(len(image)).numpy()
    alike = (maps[numbers] == maps[numbers[0]]).all(axis=(0, 2, 3)).tolist()
    varied = np.empty((len(pictures), *size), np.uint8)
    merged, wide, stack = None, None, None  # taken again
    todo = [change.each(size) for change in changes]
    for number, members in enumerate(numbers.T.tolist()):
        if alike[number]:
            merged = cv2.merge([pictures[member] for member in members], dst=merged)
            wide, stack = _warp(merged, maps[members[0]], size, wide, stack)
        else:
            alone = [_warp(pictures[member], maps[member], size)[1] for member in members]
            stack = cv2.merge(alone, dst=stack)
        for change in todo:
            if number in change:
                change[number](stack)
        cv2.split(stack, [varied[member] for member in members])
    return torch.from_numpy(varied)[:, None]


def _warp(
    picture: np.ndarray,
    matrix: np.ndarray,
    size: tuple[int, int],
    wide: np.ndarray | None = None,
    warped: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """A picture with `_EDGE` around it, and that after a map; memory for both may be given."""
    wide = cv2.copyMakeBorder(picture, _EDGE, _EDGE, _EDGE, _EDGE, cv2.BORDER_REPLICATE, dst=wide)
    return wide, cv2.warpAffine(
        wide, matrix, size[::-1], dst=warped, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )


def _warp_batch(image: torch.Tensor, matrix: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    # where in the unit square of the image each px of the result looks
    back = affine.compose(affine.inverse(affine.from_unit(matrix, *image.shape[-2:])), affine.inverse(matrix))
    along, down, start = back[:, None, None].unbind(dim=-1)  # (B, 1, 1, 2)
    y, x = (torch.arange(side, device=image.device)[:, None] + 0.5 for side in size)
    # torch's own way to this, a product of matrices, took longest of all kernels on an H200
    grid = along * x + (down * y[:, None] + start)  # (B, *size, 2)
    warped = F.grid_sample(image.float(), grid, mode="bilinear", padding_mode="border", align_corners=False)
    return warped.round_().to(torch.uint8)


def _quantile_each(flat: torch.Tensor, position: float, below: float) -> torch.Tensor:
    rows, rank = flat.numpy(), int(position)
    lower = cv2.reduce((rows < math.ceil(below)).view(np.uint8), 1, cv2.REDUCE_SUM, dtype=cv2.CV_32S)[:, 0]
    levels = np.full(len(rows), below, np.float32)
    dark = np.flatnonzero(lower > rank)
    counts = [cv2.calcHist([rows[number]], [0], None, [256], [0, 256]).ravel() for number in dark.tolist()]
    reached = np.reshape(counts, (-1, 256)).cumsum(axis=1)
    low, high = ((reached <= place).sum(axis=1) for place in (rank, min(rank + 1, rows.shape[1] - 1)))
    levels[dark] = (low + (position - rank) * (high - low)).clip(max=below)
    return torch.from_numpy(levels)


def _quantile_batch(flat: torch.Tensor, position: float, below: float) -> torch.Tensor:
    rank = int(position)
    level, reached = _level(flat, rank)
    # the next in order is of the same level, or of the next that there is
    following = torch.where(flat > level[:, None], flat, 255).amin(dim=1)
    upper = torch.where(reached > rank + 1, level, following)
    level = level + (position - rank) * (upper.float() - level)
    return level.clamp_max(below)


def _level(flat: torch.Tensor, rank: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The value (B,) of ``rank`` (0 = least) among the grey levels of each row, and how many are not above it."""
    low, high = torch.zeros_like(flat[:, 0]), torch.full_like(flat[:, 0], 255)
    reached = torch.full_like(low, flat.shape[1], dtype=torch.int64)
    for _ in range(8):
        middle = low + (high - low) // 2
        count = (flat <= middle[:, None]).sum(dim=1)
        enough = count > rank
        low, high = torch.where(enough, low, middle + 1), torch.where(enough, middle, high)
        reached = torch.where(enough, count, reached)
    return high, reached
