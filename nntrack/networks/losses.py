"""Losses: a function and a row each. A function returns a value per sample; masks and the mean are applied here alone.

Predictions are a network's outputs, targets a batch in patch units (edges at -1 and 1). A row names its labels, the
fields whose ``has_<field>`` must be true; a sample that lacks one neither counts in that loss nor gets a gradient.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F

from nntrack.geometry.arrays import constant_like
from nntrack.geometry.boxes import box_iou
from nntrack.geometry.rotations import geodesic_distance, quat_conjugate, quat_multiply, quat_to_rotvec
from nntrack.networks.backbones import cell_centres

Tensors = Mapping[str, torch.Tensor]

ANGLE_KNEE = 0.05  # radians: below it a rotation's loss is quadratic, above it linear
LENGTH_KNEE = 0.02  # patch units, likewise
OUTLIERS = 0.01  # fraction of labels that the likelihoods take for outliers, which are uniform
ROTATION_VOLUME = 4 / 3 * math.pi**4  # of the ball of rotation vectors
POS_SIZE_VOLUME = 8.0  # positions in the patch times sizes up to the patch
# What a pose net shall say where there is no face. The deviations are about those of a guess. The box shrinks, so that
# a tracker's window does not grow without end, and by less than half, so that its side in whole px never becomes 0.
NO_FACE_ROTATION = 0.7  # radians
NO_FACE_POS_SIZE = 0.5  # patch units
NO_FACE_BOX = (-0.8, -0.8, 0.8, 0.8)  # patch units, xyxy


@dataclass(frozen=True)
class Loss:
    """A row of a table of losses or of validation metrics.

    function: ``(prediction, target) -> (B,)``. labels: those it reads, all of which a sample must have.
    late: whether its weight is ramped up late in training. no_face: whether it is for images without a face, alone.
    """

    function: Callable[[Tensors, Tensors], torch.Tensor]
    labels: tuple[str, ...]
    late: bool = False
    no_face: bool = False


def rotation(prediction: Tensors, target: Tensors) -> torch.Tensor:
    """Smooth L1 loss of the angle between the rotations, in radians."""
    angle = geodesic_distance(prediction["quat"], target["quat"])
    return F.smooth_l1_loss(angle, torch.zeros_like(angle), beta=ANGLE_KNEE, reduction="none")


def geodesic_degrees(prediction: Tensors, target: Tensors) -> torch.Tensor:
    """The angle between the rotations in degrees."""
    return torch.rad2deg(geodesic_distance(prediction["quat"], target["quat"]))


def position(prediction: Tensors, target: Tensors) -> torch.Tensor:
    """Smooth L1 loss of x and y of the head's centre."""
    return _distance(prediction["pos_size"][:, :2], target["pos_size"][:, :2])


def size(prediction: Tensors, target: Tensors) -> torch.Tensor:
    """Smooth L1 loss of the head's radius."""
    return _distance(prediction["pos_size"][:, 2:], target["pos_size"][:, 2:])


def landmarks(prediction: Tensors, target: Tensors) -> torch.Tensor:
    """Smooth L1 loss of the landmarks in the image."""
    return _distance(prediction["landmarks"][..., :2], target["landmarks"][..., :2])


def landmarks_depth(prediction: Tensors, target: Tensors) -> torch.Tensor:
    """Smooth L1 loss of the landmarks' depth."""
    return _distance(prediction["landmarks"][..., 2:], target["landmarks"][..., 2:])


def box(prediction: Tensors, target: Tensors) -> torch.Tensor:
    """Smooth L1 loss of the box's edges."""
    return _distance(prediction["box"], target["bbox"])


def shape(prediction: Tensors, target: Tensors) -> torch.Tensor:
    """Mean square of the face model's weights, whose variance over people is 1."""
    return torch.cat([prediction["shape_params"], prediction["expression_params"]], dim=1).square().mean(dim=1)


def nll_rotation(prediction: Tensors, target: Tensors) -> torch.Tensor:
    """Negative log-likelihood of the rotation offset (rotation vector of prediction^-1 * target).

    Its gradient reaches the factor alone.
    """
    offset = quat_to_rotvec(quat_multiply(quat_conjugate(prediction["quat"].detach()), target["quat"]))
    return _negative_log_likelihood(offset, prediction["rotaxis_scales_tril"], ROTATION_VOLUME)


def nll_pos_size(prediction: Tensors, target: Tensors) -> torch.Tensor:
    """Negative log-likelihood of the error of position and size. Its gradient reaches the factor alone."""
    offset = target["pos_size"] - prediction["pos_size"].detach()
    return _negative_log_likelihood(offset, prediction["pos_size_scales_tril"], POS_SIZE_VOLUME)


def nll_no_face(prediction: Tensors, target: Tensors) -> torch.Tensor:
    """Expected negative log-likelihood of errors of rotation, position and size, where there is no face.

    The errors are normal, of the deviations `NO_FACE_ROTATION` and `NO_FACE_POS_SIZE` in every direction.
    """
    values = _expected_nll(prediction["rotaxis_scales_tril"], NO_FACE_ROTATION)
    return values + _expected_nll(prediction["pos_size_scales_tril"], NO_FACE_POS_SIZE)


def box_no_face(prediction: Tensors, target: Tensors) -> torch.Tensor:
    """Smooth L1 loss of the edges from `NO_FACE_BOX`, where there is no face."""
    box = prediction["box"]
    return _distance(box, constant_like(box, NO_FACE_BOX).expand_as(box))


def face(prediction: Tensors, target: Tensors) -> torch.Tensor:
    """Cross-entropy of face or no face."""
    return F.binary_cross_entropy_with_logits(prediction["logit"], target["face"], reduction="none")


def box_overlap(prediction: Tensors, target: Tensors) -> torch.Tensor:
    """1 - intersection over union of the boxes."""
    return 1 - box_iou(prediction["box"], target["bbox"], min_union=1e-6)


def heat(prediction: Tensors, target: Tensors) -> torch.Tensor:
    """Divergence of the heat map from a Gaussian with the moments of the box's inscribed ellipse."""
    heatmap = prediction["heatmap"]
    cells = cell_centres(heatmap.shape[1], heatmap.shape[2], heatmap.device)
    low, high = target["bbox"][:, None, :2], target["bbox"][:, None, 2:]
    spread = ((high - low) / 4).clamp_min(1 / max(heatmap.shape[1:]))
    expected = (-0.5 * ((cells - (low + high) / 2) / spread).square().sum(dim=2)).softmax(dim=1)  # (B, cells)
    return (torch.xlogy(expected, expected) - expected * torch.log(heatmap.flatten(1) + 1e-8)).sum(dim=1)


POSE: dict[str, Loss] = {
    "rotation": Loss(rotation, ("quat",)),
    "position": Loss(position, ("pos_size",)),
    "size": Loss(size, ("pos_size",)),
    "landmarks": Loss(landmarks, ("landmarks",)),
    "landmarks_depth": Loss(landmarks_depth, ("landmarks", "landmarks_depth")),
    "box": Loss(box, ("bbox",)),
    "shape": Loss(shape, ()),
    "nll_rotation": Loss(nll_rotation, ("quat",), late=True),
    "nll_pos_size": Loss(nll_pos_size, ("pos_size",), late=True),
    "box_no_face": Loss(box_no_face, ("face",), no_face=True),
    "nll_no_face": Loss(nll_no_face, ("face",), late=True, no_face=True),
}
POSE_METRICS = {"geodesic_degrees": Loss(geodesic_degrees, ("quat",))}  # computed in validation, never trained on
LOCALIZER: dict[str, Loss] = {
    "face": Loss(face, ("face",)),
    "box": Loss(box, ("bbox",)),
    "box_overlap": Loss(box_overlap, ("bbox",)),
    "heat": Loss(heat, ("bbox",)),
}


def check(weights: Mapping[str, float], table: Mapping[str, Loss]) -> None:
    """Raise ValueError, listing the names, if ``weights`` names a loss that is not in ``table``, or all are 0."""
    if not any(weights.values()):
        raise ValueError(f"no loss has a weight, so there is nothing to train; known: {', '.join(table)}")
    for name in weights:
        if name not in table:
            raise ValueError(f"no loss is called '{name}'; known: {', '.join(table)}")


def evaluate(
    table: Mapping[str, Loss], prediction: Tensors, batch: Tensors
) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    """By name of each row, the loss of each sample (B,), zero where a label is missing, and whether it counts (B,)."""
    target = {**batch, **{field: _filled(batch, field) for field in _NEUTRAL if field in batch}}
    found = {}
    for name, row in table.items():
        counts = torch.ones_like(batch["index"], dtype=torch.bool)
        for field in row.labels:
            counts = counts & batch[f"has_{field}"]
        if row.no_face:
            counts = counts & (batch["face"] == 0)
        values = row.function(prediction, target)
        found[name] = (torch.where(counts, values, torch.zeros_like(values)), counts)
    return found


def total(
    weights: Mapping[str, float],
    table: Mapping[str, Loss],
    prediction: Tensors,
    batch: Tensors,
    ramp: float | torch.Tensor = 1.0,
    mean: Callable[[torch.Tensor], torch.Tensor] = lambda counts: counts,
) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """The weighted sum of the losses' means over the samples that count, and those means.

    Args:
        weights: of the losses, by name.
        table: that they are rows of.
        prediction: outputs of the network, (B, ...) each.
        batch: labels and masks, (B, ...) each.
        ramp: the fraction of their weight that late losses have at this step.
        mean: the mean over processes of the counts (losses,) that each has of its own batch. What a process returns is
            its part of the whole batch, times the number of processes, so that their mean is that over all samples.
    """
    found = evaluate({name: table[name] for name in weights}, prediction, batch)
    counts = mean(torch.stack([counts.sum() for _, counts in found.values()]))
    counts = torch.where(counts > 0, counts, 1)
    means = {name: values.sum() / count for (name, (values, _)), count in zip(found.items(), counts, strict=True)}
    parts = [means[name] * (weight * (ramp if table[name].late else 1.0)) for name, weight in weights.items()]
    return torch.stack(parts).sum(), means


# Replaces a missing label: finite in every formula, for a NaN would pass through the mask into the gradient.
_NEUTRAL = {"quat": (0.0, 0.0, 0.0, 1.0), "pos_size": (0.0, 0.0, 1.0), "bbox": (-1.0, -1.0, 1.0, 1.0)}


def _filled(batch: Tensors, field: str) -> torch.Tensor:
    value = batch[field]
    return torch.where(batch[f"has_{field}"][:, None], value, constant_like(value, _NEUTRAL[field]))


def _distance(prediction: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    return F.smooth_l1_loss(prediction, target, beta=LENGTH_KNEE, reduction="none").flatten(1).mean(dim=1)


def _negative_log_likelihood(offset: torch.Tensor, tril: torch.Tensor, volume: float) -> torch.Tensor:
    """-log of a Gaussian density with a small uniform part, which bounds the loss of an outlier."""
    whitened = torch.linalg.solve_triangular(tril, offset[..., None], upper=False)[..., 0]
    diagonal = torch.diagonal(tril, dim1=-2, dim2=-1)
    gauss = -0.5 * whitened.square().sum(dim=-1) - diagonal.log().sum(dim=-1) - 1.5 * math.log(2 * math.pi)
    uniform = torch.full_like(gauss, math.log(OUTLIERS / volume))
    return -torch.logaddexp(gauss + math.log1p(-OUTLIERS), uniform)


def _expected_nll(tril: torch.Tensor, std: float) -> torch.Tensor:
    """Mean of -log of the Gaussian density of factor ``tril`` over offsets of deviation ``std``, up to a constant.

    The mean of the squared whitened offset is std^2 times the squared Frobenius norm of the factor's inverse.
    """
    inverse = torch.linalg.solve_triangular(tril, torch.eye(3, dtype=tril.dtype, device=tril.device), upper=False)
    diagonal = torch.diagonal(tril, dim1=-2, dim2=-1)
    return diagonal.log().sum(dim=-1) + 0.5 * std**2 * inverse.square().sum(dim=(1, 2))
