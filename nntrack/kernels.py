"""Work on batches of pictures whose fastest form on a CPU is another than on an accelerator; both forms agree.

On a CPU, OpenCV's loops over one picture after the other are several times as fast as the same in tensor operations
(``python -m benchmarks.kernels``); on an accelerator they would need a copy there and back.
"""

from functools import lru_cache

import cv2
import numpy as np
import torch
import torch.nn.functional as F

from nntrack import affine, images

_MIDDLE, _DEVIATION = 128, 32  # of the table of noise


def warp(image: torch.Tensor, matrix: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """Images (B, 1, h, w) after maps (B, 2, 3) from px to px: (B, 1, *size); uint8 both.

    (0, 0) is the corner of the first pixel. Bilinear; outside an image its edge goes on.
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


def replaced(image: torch.Tensor, chosen: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
    """Images (B, ...) in which those numbered ``chosen`` (K,) gave way to ``others`` (K, ...)."""
    return (_replaced_by_rows if image.device.type == "cpu" else _replaced_by_index)(image, chosen, others)


def _warp_each(image: torch.Tensor, matrix: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    pictures = image[:, 0].numpy()
    warped = np.empty((len(pictures), *size), np.uint8)
    for picture, centred, place in zip(pictures, images.centred(matrix.numpy()), warped, strict=True):
        cv2.warpAffine(picture, centred, size[::-1], dst=place, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return torch.from_numpy(warped)[:, None]


def _warp_batch(image: torch.Tensor, matrix: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    def from_unit(height: int, width: int) -> torch.Tensor:
        box = matrix.new_tensor([0, 0, width, height]).expand(len(matrix), 4)
        return affine.box_to_box(box.new_tensor([-1, -1, 1, 1]).expand_as(box), box)

    # where in the unit square of the image each point of the result's unit square looks
    back = affine.compose(affine.inverse(matrix), from_unit(*size))
    theta = affine.compose(affine.inverse(from_unit(*image.shape[-2:])), back)
    grid = F.affine_grid(theta, [len(image), 1, *size], align_corners=False)
    warped = F.grid_sample(image.float(), grid, mode="bilinear", padding_mode="border", align_corners=False)
    return warped.round().to(torch.uint8)


def _add_noise_each(image: torch.Tensor, strength: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    pictures, count = image.numpy(), image.numel()
    table = _noise_table(2 ** (2 * count).bit_length())
    start = int(torch.randint(len(table) - count, (1,), generator=generator))
    changed = np.empty(pictures.shape, np.uint8)
    rows = zip(pictures, table[start : start + count].reshape(pictures.shape), strength.tolist(), changed, strict=True)
    for picture, noise, deviation, place in rows:
        share = deviation / _DEVIATION
        cv2.addWeighted(picture[0], 1, noise[0], share, -_MIDDLE * share, dst=place[0])
    return torch.from_numpy(changed)


def _add_noise_batch(image: torch.Tensor, strength: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    noise = torch.randn(image.shape, device=image.device, generator=generator)
    return torch.addcmul(image, strength[:, None, None, None], noise).round_().clamp_(0, 255).to(torch.uint8)


def _replaced_by_rows(image: torch.Tensor, chosen: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
    # torch's CPU code copies byte by byte here, NumPy's picture by picture
    copy = image.numpy().copy()
    copy[chosen.numpy()] = others.numpy()
    return torch.from_numpy(copy)


def _replaced_by_index(image: torch.Tensor, chosen: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
    return image.index_copy(0, chosen, others)


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
