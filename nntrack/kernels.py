"""Work on batches of pictures whose fastest form on a CPU is another than on an accelerator; both forms agree.

On a CPU, OpenCV's loops over one picture after the other are several times as fast as the same in tensor operations
(``python -m benchmarks.kernels``); on an accelerator they would need a copy there and back.
"""

from collections import defaultdict
from collections.abc import Iterator
from functools import lru_cache

import cv2
import numpy as np
import torch
import torch.nn.functional as F

from nntrack import affine, images

CHANNELS = 4  # pictures with the same map that OpenCV warps at once
_EDGE = 32  # px around a picture before a warp
_MIDDLE, _DEVIATION = 128, 32  # of the table of noise
_CORNERS = 64  # of the polygon that stands for a disc
_FRACTION = 8  # bits behind the point of a polygon's corners


def warp(image: torch.Tensor, matrix: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """Images (B, 1, h, w) after maps (B, 2, 3) from px to px: (B, 1, *size); uint8 both.

    (0, 0) is the corner of the first pixel. Bilinear; outside an image its edge goes on. On a CPU images with the very
    same map cost less.
    """
    return (_warp_each if image.device.type == "cpu" else _warp_batch)(image, matrix, size)


def grey_level(image: torch.Tensor, rank: int) -> torch.Tensor:
    """The value (B,) float32 of ``rank`` (0 = least) among the grey levels of each image, uint8."""
    flat = image.flatten(1)
    return (_level_by_histogram if image.device.type == "cpu" else _level_by_halving)(flat, rank)


def add_noise(image: torch.Tensor, strength: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Images (B, 1, H, W) uint8 plus normal noise of deviation ``strength`` (B,), grey levels; rounded, clipped, uint8.

    On a CPU, which draws such numbers one after the other, they are read from a table, in 32nds of a deviation and up
    to 4; the generator decides where.
    """
    return (_add_noise_each if image.device.type == "cpu" else _add_noise_batch)(image, strength, generator)


def look_up(image: torch.Tensor, chosen: torch.Tensor, table: torch.Tensor) -> None:
    """Replace every grey level of those images (B, 1, H, W) that are numbered ``chosen`` (K,) by the picture's own
    ``table`` (K, 256); uint8 both."""
    (_look_up_each if image.device.type == "cpu" else _look_up_batch)(image, chosen, table)


def cover(
    image: torch.Tensor, chosen: torch.Tensor, place: torch.Tensor, disc: torch.Tensor, level: torch.Tensor
) -> None:
    """Put one shape over each of those images (B, 1, H, W) that are numbered ``chosen`` (K,), of a grey ``level`` (K,);
    uint8 both.

    ``place`` (K, 2, 3) maps the square from -1 to 1, or the disc in it where ``disc`` (K,) says so, to pixels, (0, 0)
    the corner of the first. On a CPU pixels on the outline are always within, and a disc is a polygon.
    """
    (_cover_each if image.device.type == "cpu" else _cover_batch)(image, chosen, place, disc, level)


def convolve(image: torch.Tensor, chosen: torch.Tensor, weights: torch.Tensor) -> None:
    """Replace every pixel of those images (B, 1, H, W) uint8 that are numbered ``chosen`` (K,) by what a window of
    ``weights`` (K, n, n) sees there, n odd, sum 1; edges go on; rounded.

    On a CPU a weight of 0 costs nothing.
    """
    (_convolve_each if image.device.type == "cpu" else _convolve_batch)(image, chosen, weights)


def scaled(image: torch.Tensor, gain: torch.Tensor, offset: float) -> torch.Tensor:
    """Images (B, 1, H, W) uint8 times ``gain`` (B,) plus ``offset``, float32."""
    return (_scaled_each if image.device.type == "cpu" else _scaled_batch)(image, gain, offset)


def _warp_each(image: torch.Tensor, matrix: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    # OpenCV is slow outside a picture, so it is given a little of that outside; what lies farther is rare
    wider = matrix.clone()
    wider[..., 2] -= matrix[..., :2].sum(dim=-1) * _EDGE
    pictures, maps = image[:, 0].numpy(), images.centred(wider.numpy())
    warped = np.empty((len(pictures), *size), np.uint8)
    merged, wide, shown = None, None, None  # taken again where shapes are the same
    for alike in _alike(maps):
        # it is fast with 1 and with 4 channels, not with 2 or 3; a picture taken twice is the same twice
        channels = alike if len(alike) == 1 else [*alike, *alike[:1] * (CHANNELS - len(alike))]
        merged = cv2.merge([pictures[number] for number in channels], dst=merged)
        wide = cv2.copyMakeBorder(merged, _EDGE, _EDGE, _EDGE, _EDGE, cv2.BORDER_REPLICATE, dst=wide)
        shown = cv2.warpAffine(
            wide, maps[alike[0]], size[::-1], dst=shown, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
        cv2.split(shown, [warped[number] for number in channels])
    return torch.from_numpy(warped)[:, None]


def _alike(maps: np.ndarray) -> Iterator[list[int]]:
    """The numbers of all maps (B, 2, 3), those of equal ones together, `CHANNELS` at most."""
    found = defaultdict(list)
    for number, values in enumerate(maps.reshape(len(maps), -1).tolist()):
        found[tuple(values)].append(number)
    for numbers in found.values():
        for start in range(0, len(numbers), CHANNELS):
            yield numbers[start : start + CHANNELS]


def _warp_batch(image: torch.Tensor, matrix: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    # where in the unit square of the image each point of the result's unit square looks
    back = affine.compose(affine.inverse(matrix), affine.from_unit(matrix, *size))
    theta = affine.compose(affine.inverse(affine.from_unit(matrix, *image.shape[-2:])), back)
    grid = F.affine_grid(theta, [len(image), 1, *size], align_corners=False)
    warped = F.grid_sample(image.float(), grid, mode="bilinear", padding_mode="border", align_corners=False)
    return warped.round().to(torch.uint8)


def _add_noise_each(image: torch.Tensor, strength: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    pictures = image[:, 0].numpy()
    count = pictures[0].size
    table = _noise_table(2 ** (64 * count).bit_length())
    starts = torch.randint(len(table) - count, (len(pictures),), generator=generator).tolist()
    changed = np.empty(image.shape, np.uint8)
    for picture, start, deviation, place in zip(pictures, starts, strength.tolist(), changed[:, 0], strict=True):
        noise = table[start : start + count].reshape(picture.shape)
        share = deviation / _DEVIATION
        cv2.addWeighted(picture, 1, noise, share, -_MIDDLE * share, dst=place)
    return torch.from_numpy(changed)


def _add_noise_batch(image: torch.Tensor, strength: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    noise = torch.randn(image.shape, device=image.device, generator=generator)
    return torch.addcmul(image, strength[:, None, None, None], noise).round_().clamp_(0, 255).to(torch.uint8)


def _look_up_each(image: torch.Tensor, chosen: torch.Tensor, table: torch.Tensor) -> None:
    for picture, row in zip(_pictures(image, chosen), table.numpy(), strict=True):
        cv2.LUT(picture, row, dst=picture)


def _look_up_batch(image: torch.Tensor, chosen: torch.Tensor, table: torch.Tensor) -> None:
    levels = image.index_select(0, chosen)
    image.index_copy_(0, chosen, table.gather(1, levels.flatten(1).long()).view(levels.shape))


def _cover_each(
    image: torch.Tensor, chosen: torch.Tensor, place: torch.Tensor, disc: torch.Tensor, level: torch.Tensor
) -> None:
    angle = torch.arange(_CORNERS) * (2 * torch.pi / _CORNERS)
    circle = torch.stack([angle.cos(), angle.sin()], dim=-1)
    square = circle / circle.abs().amax(dim=-1, keepdim=True)
    outlines = affine.move_points(place, torch.where(disc[:, None, None], circle, square)) - 0.5
    corners = (outlines * 2**_FRACTION).round().to(torch.int32).numpy()
    for picture, outline, grey in zip(_pictures(image, chosen), corners, level.tolist(), strict=True):
        cv2.fillConvexPoly(picture, outline, grey, shift=_FRACTION)


def _cover_batch(
    image: torch.Tensor, chosen: torch.Tensor, place: torch.Tensor, disc: torch.Tensor, level: torch.Tensor
) -> None:
    back = affine.inverse(place)[..., None, None]  # (K, 2, 3, 1, 1)
    x, y = (torch.arange(side, device=image.device) + 0.5 for side in (image.shape[-1], image.shape[-2]))
    # products of columns and rows alone, so that whole pictures are only added, squared and compared
    along, across = ((row[:, 0] * x + (row[:, 1] * y[:, None] + row[:, 2])).square_() for row in back.unbind(dim=1))
    inside = torch.where(disc[:, None, None], along + across, torch.maximum(along, across)) < 1
    bare = image.index_select(0, chosen)
    image.index_copy_(0, chosen, torch.where(inside[:, None], level[:, None, None, None], bare))


def _convolve_each(image: torch.Tensor, chosen: torch.Tensor, weights: torch.Tensor) -> None:
    # OpenCV's loop over bytes takes twice as long as that over float32
    exact, sums = np.empty((2, *image.shape[2:]), np.float32)
    for picture, window in zip(_pictures(image, chosen), weights.numpy(), strict=True):
        np.copyto(exact, picture)
        cv2.filter2D(exact, -1, window, dst=sums, borderType=cv2.BORDER_REPLICATE)
        cv2.convertScaleAbs(sums, dst=picture)


def _convolve_batch(image: torch.Tensor, chosen: torch.Tensor, weights: torch.Tensor) -> None:
    sharp = image.index_select(0, chosen).float()
    padded = F.pad(sharp, [weights.shape[-1] // 2] * 4, mode="replicate")
    # one image a channel: the windows differ
    result = F.conv2d(padded.transpose(0, 1), weights[:, None], groups=len(sharp)).transpose(0, 1)
    image.index_copy_(0, chosen, result.round_().to(torch.uint8))


def _pictures(image: torch.Tensor, chosen: torch.Tensor) -> list[np.ndarray]:
    """Those of the images (B, 1, H, W) that are numbered ``chosen``, each (H, W), to be changed where they are."""
    pictures = image[:, 0].numpy()
    return [pictures[number] for number in chosen.tolist()]


def _scaled_each(image: torch.Tensor, gain: torch.Tensor, offset: float) -> torch.Tensor:
    result = np.empty(image.shape, np.float32)
    for picture, factor, place in zip(image[:, 0].numpy(), gain.tolist(), result[:, 0], strict=True):
        cv2.addWeighted(picture, factor, picture, 0, offset, dst=place, dtype=cv2.CV_32F)
    return torch.from_numpy(result)


def _scaled_batch(image: torch.Tensor, gain: torch.Tensor, offset: float) -> torch.Tensor:
    return image.float().mul_(gain[:, None, None, None]).add_(offset)


def _level_by_histogram(flat: torch.Tensor, rank: int) -> torch.Tensor:
    counts = np.stack([cv2.calcHist([row], [0], None, [256], [0, 256]).ravel() for row in flat.numpy()])
    return torch.from_numpy((counts.cumsum(axis=1) <= rank).sum(axis=1)).float()


def _level_by_halving(flat: torch.Tensor, rank: int) -> torch.Tensor:
    low, high = torch.zeros_like(flat[:, 0]), torch.full_like(flat[:, 0], 255)
    for _ in range(8):
        middle = low + (high - low) // 2
        enough = (flat <= middle[:, None]).sum(dim=1) > rank
        low, high = torch.where(enough, low, middle + 1), torch.where(enough, middle, high)
    return high.float()


@lru_cache(maxsize=2)
def _noise_table(count: int) -> np.ndarray:
    normal = np.random.default_rng(0).standard_normal(count, np.float32)
    return np.rint(normal * _DEVIATION + _MIDDLE).clip(0, 255).astype(np.uint8)
