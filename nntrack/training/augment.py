"""What a network is shown of a stored sample: window, mirror, light, blur, noise, occlusion; batched, on the device.

A batch comes in as `dataset.Mixture` yields it (uint8 images, labels in px) and leaves with ``image`` (B, 1, H, W),
uint8 too, and labels in patch units: the edges of the ``roi`` at -1 and 1. Images stay whole grey levels to the last,
where they become a net's input. There is no draw but from the generator, which lives on the batch's device.
"""

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F

from nntrack.config import Augment
from nntrack.contract import PREPROCESSING
from nntrack.data.sample import move_labels
from nntrack.geometry import affine, boxes
from nntrack.geometry.arrays import constant_like
from nntrack.training import changes, kernels

Batch = dict[str, torch.Tensor]

BLUR_SIZE = 9  # px, side of the blur's kernel
BLUR_FAINT = 2**-8  # a weight in the kernel below which it is none: no pixel changes by a grey level for it
BLUR_LONG = (0.3, 2.5)  # px, deviation along the blur (motion, defocus)
BLUR_ACROSS = (0.3, 1.2)  # px, deviation across it
GAMMA, OFFSET = 0.5, 0.1  # half ranges: log; grey levels of 0..1
GAIN = (-0.7, 0.3)  # range of its log: rooms are darker than studios
OCCLUDER = (0.15, 0.6)  # half side, patch units
_FACE = {"landmarks", "quat", "pos_size"}  # labels that say exactly where a face is


def varied_view(
    batch: Batch, size: tuple[int, int], settings: Augment, generator: torch.Generator, pool: int = 1
) -> Batch:
    """The batch as training sees it, (height, width) ``size``; see `view` for ``pool``."""
    moves = draw_moves(batch["roi"], settings, generator)
    drawn = draw_changes(len(batch["roi"]), settings, generator)
    return view(batch, size, moves, drawn, pool)


def view(
    batch: Batch,
    size: tuple[int, int],
    moves: torch.Tensor | None = None,
    drawn: Sequence[kernels.Change] = (),
    pool: int = 1,
) -> Batch:
    """The batch through its ``roi``, after the similarities ``moves`` (B, 2, 3) of the image plane (none if not given).

    drawn: what is done to what is seen then. pool: images are averaged over so many pixels first; choose the whole
    part of (px of the roi / px of the view).
    """
    whole = affine.box_to_box(batch["roi"], _unit_box(batch["roi"]))
    if moves is not None:
        whole = affine.compose(whole, moves)
    moved = move_labels(whole, {name: value for name, value in batch.items() if name not in ("image", "roi")})
    if moves is not None and "bbox" in moved:
        moved["bbox"] = _face_box(moved)
    shown = _seen(batch["image"], whole, size, drawn, pool)
    return moved | {"roi": _unit_box(batch["roi"]), "image": shown}


def draw_moves(roi: torch.Tensor, settings: Augment, generator: torch.Generator) -> torch.Tensor:
    """Random similarities (B, 2, 3) that turn, zoom, shift and mirror the content of each ``roi`` (B, 4).

    Each draw is for the images of a stack (`kernels.stacks`), which a CPU warps at once.
    """
    few, device = kernels.stack_count(len(roi)), roi.device
    # two draws make a triangle: the far turns are seen, the common ones more often
    angle = _uniform((2, few), settings.rotation, generator).mean(dim=0) * (torch.pi / 180)
    scale = torch.exp(_uniform((few,), settings.scale, generator))
    shift = torch.randn(few, 2, device=device, generator=generator) * settings.shift
    flip = torch.rand(few, device=device, generator=generator) < settings.flip
    stack = kernels.stack_of(len(roi), device)
    angle, scale, shift, flip = (drawn[stack] for drawn in (angle, scale, shift, flip))
    shift = shift * (roi[:, 2:] - roi[:, :2])
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


def draw_changes(count: int, settings: Augment, generator: torch.Generator) -> list[kernels.Change]:
    """Random occluders, other light, blur and noise for so many images, in this order.

    Each is for whole stacks (`kernels.stacks`), always for as many, so that shapes never depend on a draw.
    """
    few = kernels.stack_count(count)
    drawn: list[kernels.Change] = []
    for draw, share in ((occlude, settings.occlusion), (relight, settings.intensity), (blur, settings.blur)):
        if wanted := round(share * few):
            chosen = torch.randperm(few, device=generator.device, generator=generator)[:wanted]
            drawn.append(draw(chosen, generator))
    if settings.noise:
        strength = torch.rand(few, device=generator.device, generator=generator) * (255 * settings.noise)
        drawn.append(changes.AddNoise(strength, generator))
    return drawn


def occlude(chosen: torch.Tensor, generator: torch.Generator) -> changes.Cover:
    """An ellipse or a rectangle of one grey level over the images of the stacks ``chosen`` (K,)."""
    draw = torch.rand(7, len(chosen), device=chosen.device, generator=generator)
    low, high = OCCLUDER
    halves = low + (high - low) * draw[3:5].T
    turned = affine.similarity(draw[2] * torch.pi, torch.ones_like(draw[2]), draw[:2].T * 2 - 1)
    place = torch.cat([turned[..., :2] * halves[:, None], turned[..., 2:]], dim=-1)
    return changes.Cover(chosen, place, draw[5] < 0.5, (draw[6] * 255).round().to(torch.uint8))


def relight(chosen: torch.Tensor, generator: torch.Generator) -> changes.LookUp:
    """Another gamma, gain and offset for the images of the stacks ``chosen`` (K,), clipped as a sensor clips."""
    shape = (len(chosen), 1)
    gamma = torch.exp(_uniform(shape, GAMMA, generator))
    gain = torch.exp(GAIN[0] + (GAIN[1] - GAIN[0]) * torch.rand(shape, device=chosen.device, generator=generator))
    grey = torch.linspace(0, 1, 256, device=chosen.device)
    table = grey**gamma * gain + _uniform(shape, OFFSET, generator)
    return changes.LookUp(chosen, (table.clamp(0, 1) * 255).round().to(torch.uint8))


def blur(chosen: torch.Tensor, generator: torch.Generator) -> changes.Convolve:
    """A Gaussian for each of the stacks ``chosen`` (K,), longer in one random direction as motion makes it."""
    count, device = len(chosen), chosen.device
    draw = torch.rand(3, count, 1, 1, device=device, generator=generator)
    angle = draw[0] * torch.pi
    along = BLUR_LONG[0] + (BLUR_LONG[1] - BLUR_LONG[0]) * draw[1]
    across = torch.minimum(along, BLUR_ACROSS[0] + (BLUR_ACROSS[1] - BLUR_ACROSS[0]) * draw[2])
    place = torch.arange(BLUR_SIZE, device=device) - (BLUR_SIZE - 1) / 2
    y, x = place[:, None], place
    cos, sin = torch.cos(angle), torch.sin(angle)
    weights = torch.exp(-0.5 * (((cos * x + sin * y) / along) ** 2 + ((cos * y - sin * x) / across) ** 2))
    weights = weights / weights.sum(dim=(1, 2), keepdim=True)  # (K, n, n)
    weights = torch.where(weights < BLUR_FAINT, 0.0, weights)
    return changes.Convolve(chosen, weights / weights.sum(dim=(1, 2), keepdim=True))


def client_gain(image: torch.Tensor) -> torch.Tensor:
    """What grey levels of images (B, 1, H, W) uint8 are multiplied by for the pose net, (B,):
    `preprocess.pose_input`, batched."""
    rule = PREPROCESSING
    level = kernels.grey_quantile(image, rule.quantile, rule.dark_below)
    return torch.where(level < rule.dark_below, rule.target / level.clamp_min(rule.floor), 1 / 255)


def plain_gain(image: torch.Tensor) -> torch.Tensor:
    """The same for the localizer, to which dark pictures stay dark."""
    return torch.full((len(image),), 1 / 255, device=image.device)


def net_input(image: torch.Tensor, gain: torch.Tensor) -> torch.Tensor:
    """What a net is given for images (B, 1, H, W) uint8 with gains (B,): float32."""
    return image.float().mul_(gain[:, None, None, None]).sub_(PREPROCESSING.offset)


def _face_box(labels: Mapping[str, torch.Tensor]) -> torch.Tensor:
    """The moved box, which is only nearly the face's; where the face itself is known, its box is cut anew."""
    if not labels.keys() >= _FACE:
        return labels["bbox"]
    known = labels["has_landmarks"] & labels["has_quat"] & labels["has_pos_size"]
    exact = boxes.face_box(labels["landmarks"], labels["quat"], labels["pos_size"])
    return torch.where(known[:, None], exact, labels["bbox"])


def _seen(
    image: torch.Tensor, matrix: torch.Tensor, size: tuple[int, int], drawn: Sequence[kernels.Change], pool: int
) -> torch.Tensor:
    """Images (B, 1, h, w) after maps (B, 2, 3) from px to patch units, and changes: (B, 1, *size); uint8 both."""
    matrix = affine.compose(affine.from_unit(matrix, *size), matrix)
    if pool > 1:
        # a last column that is not full reaches beyond the image
        image = F.avg_pool2d(image.float(), pool, ceil_mode=True).round_().to(torch.uint8)
        matrix = torch.cat([matrix[..., :2] * pool, matrix[..., 2:]], dim=-1)
    return kernels.vary(image, matrix, size, drawn)


def _uniform(shape: tuple[int, ...], half: float, generator: torch.Generator) -> torch.Tensor:
    return (torch.rand(shape, device=generator.device, generator=generator) * 2 - 1) * half


def _unit_box(box: torch.Tensor) -> torch.Tensor:
    return constant_like(box, (-1, -1, 1, 1)).expand_as(box)
