"""Augmentation: what a network gets of stored samples. Window, mirror image, lighting, blur, noise, occlusion.

A batch comes in as `dataset.Mixture` yields it (uint8 images, labels in px) and leaves with ``image`` (B, 1, H, W),
still uint8, and labels in patch units: the edges of the ``roi`` at -1 and 1. All random numbers are the generator's.
"""

from collections.abc import Callable, Mapping, Sequence

import torch
import torch.nn.functional as F

from nntrack.config import Augment
from nntrack.contract import PREPROCESSING
from nntrack.data.sample import move_labels
from nntrack.geometry import affine, boxes
from nntrack.geometry.arrays import constant_like
from nntrack.training import image_ops
from nntrack.training.dataset import Batch

BLUR_SIZE = 9  # px, side of the blur's kernel
BLUR_FAINT = 2**-8  # weights of the kernel below this are left out: they change no pixel by a grey level
BLUR_LONG = (0.3, 2.5)  # px, standard deviation along the blur (motion, defocus)
BLUR_ACROSS = (0.3, 1.2)  # px, standard deviation across it
GAMMA, OFFSET = 0.5, 0.1  # half ranges: log; grey levels of 0..1
GAIN = (-0.7, 0.3)  # range of its log: rooms are darker than studios
OCCLUDER = (0.15, 0.6)  # half side, patch units
_FACE = {"landmarks", "quat", "pos_size"}  # labels from which the box of a face can be computed


def random_view(
    batch: Batch, size: tuple[int, int], settings: Augment, generator: torch.Generator, pool: int = 1
) -> Batch:
    """The batch with random augmentation, images of (height, width) ``size``; see `view` for ``pool``."""
    moves = sample_moves(batch["roi"], settings, generator)
    changes = sample_changes(len(batch["roi"]), settings, generator)
    return view(batch, size, moves, changes, pool)


def view(
    batch: Batch,
    size: tuple[int, int],
    moves: torch.Tensor | None = None,
    changes: Sequence[image_ops.Change] = (),
    pool: int = 1,
) -> Batch:
    """The batch as seen through its ``roi``: images of that window, labels in its units.

    Args:
        batch: images (B, 1, h, w) uint8, labels in px.
        size: (height, width) of the new images, px.
        moves: similarities (B, 2, 3) of the image plane, applied before the window is cut; none if not given.
        changes: of grey levels, applied to the new images.
        pool: images are averaged over so many pixels first; take (px of the roi / px of the view), rounded down.
    """
    to_patch = affine.box_to_box(batch["roi"], _unit_box(batch["roi"]))
    if moves is not None:
        to_patch = affine.compose(to_patch, moves)
    labels = move_labels(to_patch, {name: value for name, value in batch.items() if name not in ("image", "roi")})
    if moves is not None and "bbox" in labels:
        labels["bbox"] = _face_box(labels)
    image, matrix = batch["image"], affine.compose(affine.from_unit(to_patch, *size), to_patch)
    if pool > 1:
        # a last column that is not full reaches beyond the image
        image = F.avg_pool2d(image.float(), pool, ceil_mode=True).round_().to(torch.uint8)
        matrix = torch.cat([matrix[..., :2] * pool, matrix[..., 2:]], dim=-1)
    return labels | {"roi": _unit_box(batch["roi"]), "image": image_ops.warp(image, matrix, size, changes)}


def sample_moves(roi: torch.Tensor, settings: Augment, generator: torch.Generator) -> torch.Tensor:
    """Random similarities (B, 2, 3) that rotate, scale, shift and mirror the content of each ``roi`` (B, 4).

    The images of a stack (`image_ops`) share one.
    """
    count = image_ops.stack_count(len(roi))
    # the sum of two uniform variables: large rotations are seen, small ones more often
    angle = _uniform((2, count), settings.rotation, generator).mean(dim=0) * (torch.pi / 180)
    scale = torch.exp(_uniform((count,), settings.scale, generator))
    shift = torch.randn(count, 2, generator=generator) * settings.shift
    flip = torch.rand(count, generator=generator) < settings.flip
    stack = image_ops.stack_of(len(roi))
    angle, scale, shift, flip = (values[stack] for values in (angle, scale, shift, flip))
    shift = shift * (roi[:, 2:] - roi[:, :2])
    centre = (roi[:, :2] + roi[:, 2:]) / 2
    sign = torch.where(flip, -1.0, 1.0)
    zero, one = torch.zeros_like(sign), torch.ones_like(sign)
    to_centre = torch.stack(
        [
            torch.stack([sign, zero, -sign * centre[:, 0]], dim=-1),
            torch.stack([zero, one, -centre[:, 1]], dim=-1),
        ],
        dim=-2,
    )
    return affine.compose(affine.similarity(angle, scale, centre + shift), to_centre)


def sample_changes(count: int, settings: Augment, generator: torch.Generator) -> list[image_ops.Change]:
    """Random occluders, lighting, blur and noise for so many images, in this order.

    Each is for whole stacks (`image_ops`), and always for the same number of them.
    """
    all_stacks = image_ops.stack_count(count)
    changes: list[image_ops.Change] = []
    fractions: dict[Callable[[torch.Tensor, torch.Generator], image_ops.Change], float] = {
        sample_occluders: settings.occlusion,
        sample_lighting: settings.intensity,
        sample_blur: settings.blur,
    }
    for sample, fraction in fractions.items():
        if wanted := round(fraction * all_stacks):
            changes.append(sample(torch.randperm(all_stacks, generator=generator)[:wanted], generator))
    if settings.noise:
        std = torch.rand(all_stacks, generator=generator) * (255 * settings.noise)
        changes.append(image_ops.AddNoise(std, generator))
    return changes


def sample_occluders(stack: torch.Tensor, generator: torch.Generator) -> image_ops.Cover:
    """An ellipse or a rectangle of one grey level over the images of the stacks ``stack`` (K,)."""
    random = torch.rand(7, len(stack), generator=generator)
    low, high = OCCLUDER
    halves = low + (high - low) * random[3:5].T
    rotated = affine.similarity(random[2] * torch.pi, torch.ones_like(random[2]), random[:2].T * 2 - 1)
    place = torch.cat([rotated[..., :2] * halves[:, None], rotated[..., 2:]], dim=-1)
    return image_ops.Cover(stack, place, random[5] < 0.5, (random[6] * 255).round().to(torch.uint8))


def sample_lighting(stack: torch.Tensor, generator: torch.Generator) -> image_ops.LookUp:
    """Another gamma, gain and offset for the images of the stacks ``stack`` (K,), clipped as a sensor clips."""
    shape = (len(stack), 1)
    gamma = torch.exp(_uniform(shape, GAMMA, generator))
    gain = torch.exp(GAIN[0] + (GAIN[1] - GAIN[0]) * torch.rand(shape, generator=generator))
    table = torch.linspace(0, 1, 256) ** gamma * gain + _uniform(shape, OFFSET, generator)
    return image_ops.LookUp(stack, (table.clamp(0, 1) * 255).round().to(torch.uint8))


def sample_blur(stack: torch.Tensor, generator: torch.Generator) -> image_ops.Convolve:
    """A Gaussian for each of the stacks ``stack`` (K,), longer in one random direction, as motion blur is."""
    random = torch.rand(3, len(stack), 1, 1, generator=generator)
    angle = random[0] * torch.pi
    along = BLUR_LONG[0] + (BLUR_LONG[1] - BLUR_LONG[0]) * random[1]
    across = torch.minimum(along, BLUR_ACROSS[0] + (BLUR_ACROSS[1] - BLUR_ACROSS[0]) * random[2])
    x = torch.arange(BLUR_SIZE) - (BLUR_SIZE - 1) / 2
    y = x[:, None]
    cos, sin = torch.cos(angle), torch.sin(angle)
    kernel = torch.exp(-0.5 * (((cos * x + sin * y) / along) ** 2 + ((cos * y - sin * x) / across) ** 2))
    kernel = kernel / kernel.sum(dim=(1, 2), keepdim=True)  # (K, n, n)
    kernel = torch.where(kernel < BLUR_FAINT, 0.0, kernel)
    return image_ops.Convolve(stack, kernel / kernel.sum(dim=(1, 2), keepdim=True))


def client_gain(image: torch.Tensor) -> torch.Tensor:
    """The factors (B,) that `preprocess.pose_input` multiplies grey levels by, for images (B, 1, H, W) uint8."""
    rule = PREPROCESSING
    level = image_ops.grey_quantile(image, rule.quantile, rule.dark_below)
    return torch.where(level < rule.dark_below, rule.target / level.clamp_min(rule.floor), 1 / 255)


def plain_gain(image: torch.Tensor) -> torch.Tensor:
    """The same for the localizer, which gets dark images as they are."""
    return torch.full((len(image),), 1 / 255)


def net_input(image: torch.Tensor, gain: torch.Tensor) -> torch.Tensor:
    """The float32 input of a network, from images (B, 1, H, W) uint8 and factors (B,)."""
    return image.float().mul_(gain[:, None, None, None]).sub_(PREPROCESSING.offset)


def _face_box(labels: Mapping[str, torch.Tensor]) -> torch.Tensor:
    """Boxes (B, 4) after a move: computed from the face where that is labelled, as a moved box is only nearly tight."""
    if not labels.keys() >= _FACE:
        return labels["bbox"]
    known = labels["has_landmarks"] & labels["has_quat"] & labels["has_pos_size"]
    exact = boxes.face_box(labels["landmarks"], labels["quat"], labels["pos_size"])
    return torch.where(known[:, None], exact, labels["bbox"])


def _uniform(shape: tuple[int, ...], half: float, generator: torch.Generator) -> torch.Tensor:
    return (torch.rand(shape, generator=generator) * 2 - 1) * half


def _unit_box(box: torch.Tensor) -> torch.Tensor:
    return constant_like(box, (-1, -1, 1, 1)).expand_as(box)
