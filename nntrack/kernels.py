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


def warp(image: torch.Tensor, matrix: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """Images (B, 1, h, w), uint8 or float32, after maps (B, 2, 3) from px to px: (B, 1, *size) float32.

    (0, 0) is the corner of the first pixel. Bilinear; outside an image its edge goes on. A uint8 image stays in whole
    grey levels on a CPU.
    """
    return (_warp_each if image.device.type == "cpu" else _warp_batch)(image, matrix, size)


def grey_level(image: torch.Tensor, rank: int) -> torch.Tensor:
    """The value (B,) float32 of ``rank`` (0 = least) among each image's whole grey levels 0..255."""
    flat = image.flatten(1).to(torch.uint8)
    return (_level_by_histogram if image.device.type == "cpu" else _level_by_halving)(flat, rank)


def noise(shape: torch.Size, generator: torch.Generator) -> torch.Tensor:
    """Standard normal numbers on the generator's device.

    On a CPU, which draws them one after the other, they are read from a table; the generator decides where.
    """
    count = shape.numel()
    if generator.device.type != "cpu":
        return torch.randn(shape, device=generator.device, generator=generator)
    table = _normal_table(2 ** (2 * count).bit_length())
    start = int(torch.randint(len(table) - count, (1,), generator=generator))
    return table[start : start + count].view(shape)


def _warp_each(image: torch.Tensor, matrix: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    pictures = image[:, 0].numpy()
    warped = np.empty((len(pictures), *size), pictures.dtype)
    for picture, centred, place in zip(pictures, images.centred(matrix.numpy()), warped, strict=True):
        cv2.warpAffine(picture, centred, size[::-1], dst=place, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return torch.from_numpy(warped)[:, None].float()


def _warp_batch(image: torch.Tensor, matrix: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    def from_unit(height: int, width: int) -> torch.Tensor:
        box = matrix.new_tensor([0, 0, width, height]).expand(len(matrix), 4)
        return affine.box_to_box(box.new_tensor([-1, -1, 1, 1]).expand_as(box), box)

    # where in the unit square of the image each point of the result's unit square looks
    back = affine.compose(affine.inverse(matrix), from_unit(*size))
    theta = affine.compose(affine.inverse(from_unit(*image.shape[-2:])), back)
    grid = F.affine_grid(theta, [len(image), 1, *size], align_corners=False)
    return F.grid_sample(image.float(), grid, mode="bilinear", padding_mode="border", align_corners=False)


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
def _normal_table(count: int) -> torch.Tensor:
    return torch.randn(count, generator=torch.Generator().manual_seed(0))
