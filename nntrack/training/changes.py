"""What can be done to stacks of pictures (`kernels.vary`): cover, look up, convolve, add noise; each in two forms that
agree.

Every change is a table: which stacks it is for, and a row of numbers for each of these.
"""

from functools import lru_cache, partial
from typing import NamedTuple

import cv2
import numpy as np
import torch
import torch.nn.functional as F

from nntrack.geometry import affine
from nntrack.training.kernels import CHANNELS, ByStack, stacks

_MIDDLE, _DEVIATION = 128, 32  # of the table of noise
_CORNERS = 64  # of the polygon that stands for a disc
_FRACTION = 8  # bits behind the point of a polygon's corners


class Cover(NamedTuple):
    """One shape over each picture of the stacks ``chosen`` (K,), of a grey ``level`` (K,) uint8.

    ``place`` (K, 2, 3) maps the square from -1 to 1, or the disc in it where ``disc`` (K,) says so, to the picture,
    whose edges are at -1 and 1. On a CPU pixels on the outline are always within, and a disc is a polygon.
    """

    chosen: torch.Tensor
    place: torch.Tensor
    disc: torch.Tensor
    level: torch.Tensor

    def each(self, size: tuple[int, int]) -> ByStack:
        """A CPU's form."""
        angle = torch.arange(_CORNERS) * (2 * torch.pi / _CORNERS)
        circle = torch.stack([angle.cos(), angle.sin()], dim=-1)
        square = circle / circle.abs().amax(dim=-1, keepdim=True)
        place = affine.compose(affine.from_unit(self.place, *size), self.place)
        outlines = affine.move_points(place, torch.where(self.disc[:, None, None], circle, square)) - 0.5
        corners = (outlines * 2**_FRACTION).round().to(torch.int32).numpy()
        rows = zip(self.chosen.tolist(), corners, self.level.tolist(), strict=True)
        return {
            number: partial(cv2.fillConvexPoly, points=outline, color=(grey,) * CHANNELS, shift=_FRACTION)
            for number, outline, grey in rows
        }

    def batch(self, image: torch.Tensor) -> None:
        """An accelerator's form."""
        members, place, disc, level = _members(image, *self)
        back = affine.inverse(affine.compose(affine.from_unit(place, *image.shape[2:]), place))
        back = back[..., None, None]  # (N, 2, 3, 1, 1)
        x, y = (torch.arange(side, device=image.device) + 0.5 for side in (image.shape[-1], image.shape[-2]))
        # products of columns and rows alone, so that whole pictures are only added, squared and compared
        along, across = ((row[:, 0] * x + (row[:, 1] * y[:, None] + row[:, 2])).square_() for row in back.unbind(dim=1))
        inside = torch.where(disc[:, None, None], along + across, torch.maximum(along, across)) < 1
        bare = image.index_select(0, members)
        image.index_copy_(0, members, torch.where(inside[:, None], level[:, None, None, None], bare))


class LookUp(NamedTuple):
    """Another grey level for every one of the pictures of the stacks ``chosen`` (K,), by ``table`` (K, 256) uint8."""

    chosen: torch.Tensor
    table: torch.Tensor

    def each(self, size: tuple[int, int]) -> ByStack:
        """A CPU's form."""
        rows = zip(self.chosen.tolist(), self.table.numpy(), strict=True)
        return {number: partial(_look_up, table) for number, table in rows}

    def batch(self, image: torch.Tensor) -> None:
        """An accelerator's form."""
        members, table = _members(image, *self)
        levels = image.index_select(0, members)
        image.index_copy_(0, members, table.gather(1, levels.flatten(1).long()).view(levels.shape))


class Convolve(NamedTuple):
    """For every pixel of the pictures of the stacks ``chosen`` (K,) what a window of ``weights`` (K, n, n) sees there,
    n odd, sum 1; edges go on; rounded. On a CPU a weight of 0 costs nothing."""

    chosen: torch.Tensor
    weights: torch.Tensor

    def each(self, size: tuple[int, int]) -> ByStack:
        """A CPU's form."""
        rows = zip(self.chosen.tolist(), self.weights.numpy(), strict=True)
        return {number: partial(_convolve, weights) for number, weights in rows}

    def batch(self, image: torch.Tensor) -> None:
        """An accelerator's form."""
        members, weights = _members(image, *self)
        sharp = image.index_select(0, members).float()
        padded = F.pad(sharp, [weights.shape[-1] // 2] * 4, mode="replicate")
        # one image a channel: the windows differ
        result = F.conv2d(padded.transpose(0, 1), weights[:, None], groups=len(sharp)).transpose(0, 1)
        image.index_copy_(0, members, result.round_().to(torch.uint8))


class AddNoise(NamedTuple):
    """Normal noise of deviation ``strength`` (S,), grey levels, on the pictures of every stack, decided by the
    ``generator``; rounded, clipped.

    A CPU, which draws such numbers one after the other, reads them from a table, in 32nds of a deviation and up to 4.
    """

    strength: torch.Tensor
    generator: torch.Generator

    def each(self, size: tuple[int, int]) -> ByStack:
        """A CPU's form."""
        count = CHANNELS * size[0] * size[1]
        table = _noise_table(2 ** (16 * count).bit_length())
        starts = torch.randint(len(table) - count, self.strength.shape, generator=self.generator)
        rows = zip(starts.tolist(), (self.strength / _DEVIATION).tolist(), strict=True)
        return {
            number: partial(_add_noise, table[start : start + count].reshape(*size, CHANNELS), share)
            for number, (start, share) in enumerate(rows)
        }

    def batch(self, image: torch.Tensor) -> None:
        """An accelerator's form."""
        strength = self.strength.repeat(CHANNELS)[: len(image), None, None, None]
        noise = torch.randn(image.shape, device=image.device, generator=self.generator)
        image.copy_(torch.addcmul(image, strength, noise).round_().clamp_(0, 255))


def _members(image: torch.Tensor, chosen: torch.Tensor, *rows: torch.Tensor) -> list[torch.Tensor]:
    """The numbers (N,) of the images that are in the chosen stacks, and for each its stack's row (N, ...)."""
    numbers = stacks(len(image), image.device).index_select(1, chosen).flatten()
    return [numbers, *(row.repeat(CHANNELS, *[1] * (row.ndim - 1)) for row in rows)]


def _look_up(table: np.ndarray, stack: np.ndarray) -> None:
    cv2.LUT(stack, table, dst=stack)


def _convolve(weights: np.ndarray, stack: np.ndarray) -> None:
    # OpenCV's loop over bytes takes twice as long as that over float32
    sums = cv2.filter2D(stack.astype(np.float32), -1, weights, borderType=cv2.BORDER_REPLICATE)
    cv2.convertScaleAbs(sums, dst=stack)


def _add_noise(noise: np.ndarray, share: float, stack: np.ndarray) -> None:
    cv2.addWeighted(stack, 1, noise, share, -_MIDDLE * share, dst=stack)


@lru_cache(maxsize=2)
def _noise_table(count: int) -> np.ndarray:
    normal = np.random.default_rng(0).standard_normal(count, np.float32)
    return np.rint(normal * _DEVIATION + _MIDDLE).clip(0, 255).astype(np.uint8)
