"""What a network is shown of a stored sample: window, mirror, light, blur, noise, occlusion; batched, on the device.

A batch comes in as `dataset.Mixture` yields it (uint8 images, labels in px) and leaves with ``image`` (B, 1, H, W),
float32 grey levels 0..255, and labels in patch units: the edges of the ``roi`` at -1 and 1. There is no loop over
samples, and no draw but from the generator, which lives on the batch's device.
"""

from collections.abc import Callable, Mapping

import torch
import torch.nn.functional as F

from nntrack import affine, landmarks
from nntrack.config import Augment
from nntrack.contract import PREPROCESSING
from nntrack.sample import move_labels

Batch = dict[str, torch.Tensor]

BLUR_SIZE = 9  # px, side of the blur's kernel
BLUR_LONG = (0.3, 2.5)  # px, deviation along the blur (motion, defocus)
BLUR_ACROSS = (0.3, 1.2)  # px, deviation across it
GAMMA, OFFSET = 0.5, 0.1  # half ranges: log; grey levels of 0..1
GAIN = (-0.7, 0.3)  # range of its log: rooms are darker than studios
OCCLUDER = (0.15, 0.6)  # half side, patch units


def varied_view(
    batch: Batch, size: tuple[int, int], settings: Augment, generator: torch.Generator, pool: int = 1
) -> Batch:
    """The batch as training sees it, (height, width) ``size``; see `view` for ``pool``."""
    moves = draw_moves(batch["roi"], settings, generator)
    shown = view(batch, size, moves, pool)
    shown["image"] = degrade(shown["image"], settings, generator)
    return shown


def view(batch: Batch, size: tuple[int, int], moves: torch.Tensor | None = None, pool: int = 1) -> Batch:
    """The batch through its ``roi``, after the similarities ``moves`` (B, 2, 3) of the image plane (none if not given).

    pool: images are averaged over so many pixels first; choose the whole part of (px of the roi / px of the view).
    """
    to_patch = affine.box_to_box(batch["roi"], _unit_box(batch["roi"]))
    labels = {name: value for name, value in batch.items() if name != "image"}
    whole = to_patch
    if moves is not None:
        window = labels.pop("roi")
        labels = _moved(labels, moves) | {"roi": window}
        whole = affine.compose(to_patch, moves)
    labels = move_labels(to_patch, labels)
    return labels | {"image": warp(batch["image"], whole, size, pool)}


def draw_moves(roi: torch.Tensor, settings: Augment, generator: torch.Generator) -> torch.Tensor:
    """Random similarities (B, 2, 3) that turn, zoom, shift and mirror the content of each ``roi`` (B, 4)."""
    count, device = len(roi), roi.device
    angle = _uniform((count,), settings.rotation, generator) * (torch.pi / 180)
    scale = torch.exp(_uniform((count,), settings.scale, generator))
    side = roi[:, 2:] - roi[:, :2]
    shift = torch.randn(count, 2, device=device, generator=generator) * settings.shift * side
    flip = torch.rand(count, device=device, generator=generator) < settings.flip
    centre = (roi[:, :2] + roi[:, 2:]) / 2
    mirror = torch.where(flip, -1.0, 1.0)
    zero, one = torch.zeros_like(mirror), torch.ones_like(mirror)
    first = torch.stack(
        [
            torch.stack([mirror, zero, -mirror * centre[:, 0]], dim=-1),
            torch.stack([zero, one, -centre[:, 1]], dim=-1),
        ],
        dim=-2,
    )
    return affine.compose(affine.similarity(angle, scale, centre + shift), first)


def warp(image: torch.Tensor, matrix: torch.Tensor, size: tuple[int, int], pool: int = 1) -> torch.Tensor:
    """Images (B, 1, h, w) after maps (B, 2, 3) from px to patch units: (B, 1, *size) float32; edges go on."""
    height, width = image.shape[-2:]
    image = image.float()
    if pool > 1:
        image = F.avg_pool2d(image, pool, ceil_mode=True)
        # a last column that is not full reaches beyond the image
        width, height = image.shape[-1] * pool, image.shape[-2] * pool
    whole = matrix.new_tensor([0, 0, width, height]).expand(len(matrix), 4)
    theta = affine.compose(affine.box_to_box(whole, _unit_box(whole)), affine.inverse(matrix))
    return F.grid_sample(image, _grid(theta, size), mode="bilinear", padding_mode="border", align_corners=False)


def degrade(image: torch.Tensor, settings: Augment, generator: torch.Generator) -> torch.Tensor:
    """Images (B, 1, H, W) 0..255 with occluders, other light, blur and noise, as whole grey levels 0..255."""
    image = _of_some(image / 255, settings.occlusion, occlude, generator)
    image = _of_some(image, settings.intensity, relight, generator)
    image = _of_some(image, settings.blur, blur, generator)
    if settings.noise:
        strength = torch.rand(len(image), 1, 1, 1, device=image.device, generator=generator) * settings.noise
        image = image + strength * torch.randn(image.shape, device=image.device, generator=generator)
    return (image * 255).round().clamp(0, 255)


def occlude(image: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Each image (B, 1, H, W) 0..1 with an ellipse or a rectangle of one grey level over it."""
    count, device = len(image), image.device
    draw = torch.rand(7, count, 1, 1, 1, device=device, generator=generator)
    y = torch.linspace(-1, 1, image.shape[-2], device=device)[:, None] - (draw[0] * 2 - 1)
    x = torch.linspace(-1, 1, image.shape[-1], device=device) - (draw[1] * 2 - 1)
    cos, sin = torch.cos(draw[2] * torch.pi), torch.sin(draw[2] * torch.pi)
    low, high = OCCLUDER
    along = ((cos * x + sin * y) / (low + (high - low) * draw[3])).abs()
    across = ((cos * y - sin * x) / (low + (high - low) * draw[4])).abs()
    inside = torch.where(draw[5] < 0.5, along**2 + across**2, torch.maximum(along, across)) < 1
    return torch.where(inside, draw[6], image)


def relight(image: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Each image (B, 1, H, W) 0..1 with another gamma, gain and offset, clipped as a sensor clips."""
    shape = (len(image), 1, 1, 1)
    gamma = torch.exp(_uniform(shape, GAMMA, generator))
    gain = torch.exp(GAIN[0] + (GAIN[1] - GAIN[0]) * torch.rand(shape, device=image.device, generator=generator))
    return (image.clamp(1e-4, 1) ** gamma * gain + _uniform(shape, OFFSET, generator)).clamp(0, 1)


def blur(image: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Each image (B, 1, H, W) under its own Gaussian, longer in one random direction as motion makes it."""
    count, device = len(image), image.device
    draw = torch.rand(3, count, 1, 1, device=device, generator=generator)
    angle = draw[0] * torch.pi
    along = BLUR_LONG[0] + (BLUR_LONG[1] - BLUR_LONG[0]) * draw[1]
    across = torch.minimum(along, BLUR_ACROSS[0] + (BLUR_ACROSS[1] - BLUR_ACROSS[0]) * draw[2])
    place = torch.arange(BLUR_SIZE, device=device) - (BLUR_SIZE - 1) / 2
    y, x = place[:, None], place
    cos, sin = torch.cos(angle), torch.sin(angle)
    kernel = torch.exp(-0.5 * (((cos * x + sin * y) / along) ** 2 + ((cos * y - sin * x) / across) ** 2))
    kernel = kernel / kernel.sum(dim=(1, 2), keepdim=True)  # (B, k, k)
    padded = F.pad(image, [BLUR_SIZE // 2] * 4, mode="replicate")
    # one image a channel: the kernels differ
    return F.conv2d(padded.transpose(0, 1), kernel[:, None], groups=count).transpose(0, 1)


def client_brightness(image: torch.Tensor) -> torch.Tensor:
    """The pose net's input from images (B, 1, H, W) of whole grey levels: `images.client_brightness`, batched."""
    rule = PREPROCESSING
    flat = image.flatten(1).to(torch.uint8)
    position = rule.quantile * (flat.shape[1] - 1)
    level = _order_statistic(flat, int(position))
    rest = position - int(position)
    if rest:
        level = level + rest * (_order_statistic(flat, int(position) + 1) - level)
    gain = torch.where(level < rule.dark_below, rule.target / level.clamp_min(rule.floor), 1 / 255)
    return image * gain[:, None, None, None] - rule.offset


def localizer_input(image: torch.Tensor) -> torch.Tensor:
    """The localizer's input from images of grey levels 0..255."""
    return image / 255 - PREPROCESSING.offset


def _grid(theta: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """Where each pixel of the result looks, (B, height, width, 2): a fifth of the time of `F.affine_grid` on a CPU."""
    y, x = ((2 * torch.arange(n, device=theta.device) + 1) / n - 1 for n in size)
    theta = theta[:, :, :, None, None]  # (B, 2, 3, 1, 1)
    return torch.stack([row[:, 0] * x + (row[:, 1] * y[:, None] + row[:, 2]) for row in theta.unbind(1)], dim=-1)


def _order_statistic(flat: torch.Tensor, rank: int) -> torch.Tensor:
    """The value (B,) of ``rank`` (0 = least) among grey levels (B, n) uint8: eight halvings instead of a sort."""
    low, high = torch.zeros_like(flat[:, 0]), torch.full_like(flat[:, 0], 255)
    for _ in range(8):
        middle = low + (high - low) // 2
        enough = (flat <= middle[:, None]).sum(dim=1) > rank
        low, high = torch.where(enough, low, middle + 1), torch.where(enough, middle, high)
    return high.float()


def _moved(labels: Mapping[str, torch.Tensor], moves: torch.Tensor) -> Batch:
    moved = move_labels(moves, labels)
    # a box's ellipse is only nearly the face; where the face itself is known, its box is cut anew
    known = labels["has_landmarks"] & labels["has_quat"] & labels["has_pos_size"]
    exact = landmarks.face_box(moved["landmarks"], moved["quat"], moved["pos_size"])
    return moved | {"bbox": torch.where(known[:, None], exact, moved["bbox"])}


def _of_some(
    image: torch.Tensor,
    share: float,
    change: Callable[[torch.Tensor, torch.Generator], torch.Tensor],
    generator: torch.Generator,
) -> torch.Tensor:
    """``change`` done to a random ``share`` of the images: always as many, so that shapes never depend on a draw."""
    count = round(share * len(image))
    if not count:
        return image
    chosen = torch.randperm(len(image), device=image.device, generator=generator)[:count]
    return image.index_copy(0, chosen, change(image[chosen], generator))


def _uniform(shape: tuple[int, ...], half: float, generator: torch.Generator) -> torch.Tensor:
    return (torch.rand(shape, device=generator.device, generator=generator) * 2 - 1) * half


def _unit_box(box: torch.Tensor) -> torch.Tensor:
    return box.new_tensor([-1, -1, 1, 1]).expand_as(box)
