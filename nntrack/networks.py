"""The two networks. Inputs are what `contract` says the client feeds; outputs are in patch units (edges at -1 and 1).

Everything in ``forward`` exports to ONNX opset 13.
"""

import math
import os
import textwrap
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

import torch
import torch.nn.functional as F
from torch import nn

from nntrack import backbones, checkpoint
from nntrack.facemodel import FaceModel
from nntrack.landmarks import COUNT
from nntrack.rotations import normalize, quat_to_rotmat, rot6d_to_rotmat, rotmat_to_quat

Output = dict[str, torch.Tensor]

ROTATIONS = {"quat": (0.0, 0.0, 0.0, 1.0), "rot6d": (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)}  # raw numbers of the identity
SCALE_FLOOR = 1e-3  # least deviation along a factor's diagonal: radians, patch units
SCALE_START = 0.2  # and what it is before training
_SOFTPLUS_ONE = math.log(math.e - 1)  # softplus of it is 1


@dataclass(frozen=True)
class PoseConfig:
    """All that it takes to build a pose net of the right shapes."""

    backbone: str
    width: float
    rotation: str  # a key of ROTATIONS
    shape_modes: int
    expression_modes: int


class PoseNet(nn.Module):
    """Grey patch to rotation, position, size, box, landmarks and how sure it is.

    The face model is part of the net (buffers, saved with the weights). Raises ValueError for an unknown name.
    """

    face_mean: torch.Tensor
    face_shape_basis: torch.Tensor
    face_expression_basis: torch.Tensor

    def __init__(self, config: PoseConfig, face: FaceModel | None = None) -> None:
        super().__init__()
        if config.rotation not in ROTATIONS:
            raise ValueError(f"no rotation head is called '{config.rotation}'; known: {', '.join(ROTATIONS)}")
        self.config = config
        self.backbone = backbones.build(config.backbone, config.width)
        start = ROTATIONS[config.rotation]
        self.rotation = _head(self.backbone.channels, start)
        self.pos_size = _head(self.backbone.channels, (0.0, 0.0, _SOFTPLUS_ONE))
        self.box = _head(self.backbone.channels, (0.0, 0.0, _SOFTPLUS_ONE, _SOFTPLUS_ONE))
        self.shape = _head(self.backbone.channels, [0.0] * config.shape_modes)
        self.expression = _head(self.backbone.channels, [0.0] * config.expression_modes)
        scale = math.log(math.expm1(SCALE_START - SCALE_FLOOR))
        self.rotaxis_scales = _head(self.backbone.channels, [scale] * 3 + [0.0] * 3)
        self.pos_size_scales = _head(self.backbone.channels, [scale] * 3 + [0.0] * 3)
        self._set_face(face)

    def _set_face(self, face: FaceModel | None) -> None:
        shapes = {
            "mean": (COUNT, 3),
            "shape_basis": (self.config.shape_modes, COUNT, 3),
            "expression_basis": (self.config.expression_modes, COUNT, 3),
        }
        for name, shape in shapes.items():
            value = torch.zeros(shape) if face is None else torch.from_numpy(getattr(face, name).copy())
            if value.shape != shape:
                raise ValueError(f"{name} of the face model has shape {tuple(value.shape)}, the net expects {shape}")
            self.register_buffer(f"face_{name}", value)

    def forward(self, x: torch.Tensor) -> Output:
        """x (B, 1, 129, 129).

        Returns quat (B, 4) xyzw, pos_size (B, 3), box (B, 4) xyxy, landmarks (B, 68, 3), shape_params (B, n),
        expression_params (B, m), rotaxis_scales_tril and pos_size_scales_tril (B, 3, 3).
        """
        features = self.backbone(x)
        # half precision moves a landmark by a tenth of a pixel and spoils unit quaternions
        with torch.autocast(x.device.type, enabled=False):
            return self._heads(features.float())

    def _heads(self, z: torch.Tensor) -> Output:
        raw = self.rotation(z)
        if self.config.rotation == "quat":
            quat = normalize(raw)
            rotmat = quat_to_rotmat(quat)
        else:
            rotmat = rot6d_to_rotmat(raw)
            quat = rotmat_to_quat(rotmat)
        raw = self.pos_size(z)
        pos_size = torch.cat([raw[:, :2], F.softplus(raw[:, 2:])], dim=1)
        raw = self.box(z)
        half = F.softplus(raw[:, 2:])  # positive: no box is ever inverted
        shape, expression = self.shape(z), self.expression(z)
        return {
            "quat": quat,
            "pos_size": pos_size,
            "box": torch.cat([raw[:, :2] - half, raw[:, :2] + half], dim=1),
            "landmarks": self.place_face(rotmat, pos_size, shape, expression),
            "shape_params": shape,
            "expression_params": expression,
            "rotaxis_scales_tril": _triangle(self.rotaxis_scales(z)),
            "pos_size_scales_tril": _triangle(self.pos_size_scales(z)),
        }

    def place_face(
        self, rotmat: torch.Tensor, pos_size: torch.Tensor, shape: torch.Tensor, expression: torch.Tensor
    ) -> torch.Tensor:
        """Landmarks (B, 68, 3) of the face model with these weights, turned, sized and moved; z into the screen."""
        face = self.face_mean.flatten() + shape @ self.face_shape_basis.flatten(1)
        face = (face + expression @ self.face_expression_basis.flatten(1)).view(-1, COUNT, 3)
        turned = face @ rotmat.transpose(1, 2) * pos_size[:, None, 2:]
        return turned + torch.cat([pos_size[:, :2], torch.zeros_like(pos_size[:, :1])], dim=1)[:, None]


@dataclass(frozen=True)
class LocalizerConfig:
    """All that it takes to build a localizer of the right shapes."""

    width: float


class LocalizerNet(nn.Module):
    """Whole grey frame to face logit and box, by a heat map whose centre and spread are the box.

    The heat is a distribution over cells of 16 px. Its first two moments place the box; what the net sees there
    (features averaged under the heat) trims it and tells whether it is a face at all.
    """

    def __init__(self, config: LocalizerConfig) -> None:
        super().__init__()
        self.config = config
        c = [max(8, round(n * config.width / 8) * 8) for n in (16, 32, 64, 128)]
        stages = *backbones.halving(c[0], c[1], 2), *backbones.halving(c[1], c[2], 3)
        self.fine = nn.Sequential(*backbones.stem(c[0]), *stages)
        self.coarse = nn.Sequential(*backbones.halving(c[2], c[3], 2))
        self.from_fine = nn.Conv2d(c[2], c[2], 1, bias=False)
        self.from_coarse = nn.Conv2d(c[3], c[2], 1, bias=False)
        self.join = nn.Sequential(nn.BatchNorm2d(c[2]), nn.ReLU(inplace=True))
        self.heat = nn.Conv2d(c[2], 1, 1)
        self.trim = _head(c[2], (0.0, 0.0, _SOFTPLUS_ONE, _SOFTPLUS_ONE))
        self.face = nn.Linear(2 * c[2], 1)

    def forward(self, x: torch.Tensor) -> Output:
        """x (B, 1, 224, 288). Returns logit (B,), box (B, 4) xyxy over the frame, heatmap (B, 14, 18) with sum 1."""
        fine = self.fine(x)
        # 7x9 cells become 14x18 again, weighed before, when there are fewer of them
        coarse = F.interpolate(self.from_coarse(self.coarse(fine)), scale_factor=2.0, mode="nearest")
        features = self.join(self.from_fine(fine) + coarse)
        raw = self.heat(features)
        with torch.autocast(x.device.type, enabled=False):
            return self._heads(features.float(), raw.float())

    def _heads(self, features: torch.Tensor, raw: torch.Tensor) -> Output:
        heat = raw.flatten(1).softmax(dim=1)  # (B, cells)
        cells = backbones.cell_centres(raw.shape[2], raw.shape[3], raw.device)  # (cells, 2)
        centre = heat @ cells
        spread = torch.sqrt(heat @ cells**2 - centre**2 + 1e-4)
        there = (features.flatten(2) @ heat[:, :, None])[:, :, 0]  # (B, channels)
        trim = self.trim(there)
        centre = centre + trim[:, :2] * spread
        # an ellipse's deviation is half its half axis
        half = 2 * spread * F.softplus(trim[:, 2:])
        logit = self.face(torch.cat([there, features.flatten(2).mean(dim=2)], dim=1))[:, 0]
        box = torch.cat([centre - half, centre + half], dim=1)
        return {"logit": logit, "box": box, "heatmap": heat.view(-1, raw.shape[2], raw.shape[3])}


_Net = TypeVar("_Net", PoseNet, LocalizerNet)


def save(
    path: str | os.PathLike[str], net: PoseNet | LocalizerNet, tensors: dict[str, torch.Tensor] | None = None
) -> None:
    """Weights (``tensors`` in place of the net's own, if given) and config in one file."""
    config = {"network": type(net).__name__, **asdict(net.config)}
    checkpoint.save(path, net.state_dict() if tensors is None else tensors, config)


def load_pose(path: str | os.PathLike[str]) -> PoseNet:
    """The pose net saved in ``path``, in eval mode. Raises FileNotFoundError or ValueError."""
    return _load(path, PoseNet, PoseConfig)


def load_localizer(path: str | os.PathLike[str]) -> LocalizerNet:
    """The localizer saved in ``path``, in eval mode. Raises FileNotFoundError or ValueError."""
    return _load(path, LocalizerNet, LocalizerConfig)


def _load(path: str | os.PathLike[str], network: type[_Net], config: type[Any]) -> _Net:
    tensors, values = checkpoint.load(path)
    kind = values.pop("network", "nothing known")
    if kind != network.__name__:
        raise ValueError(f"{path} holds a {kind}, expected a {network.__name__}")
    try:
        net = network(config(**values))
        net.load_state_dict(tensors)
    except (TypeError, ValueError, OverflowError, RuntimeError) as error:
        told = textwrap.shorten(str(error), 200)  # torch lists every tensor
        raise ValueError(f"{path} does not fit this version of the network: {told}") from error
    return net.eval()


def _head(inputs: int, start: Any) -> nn.Linear:
    """A linear layer that says ``start`` at first, whatever it sees."""
    layer = nn.Linear(inputs, len(start))
    with torch.no_grad():
        # small, not zero: a zero layer sends no gradient down
        layer.weight.mul_(0.1)
        layer.bias.copy_(torch.as_tensor(start))
    return layer


def _triangle(raw: torch.Tensor) -> torch.Tensor:
    """Six numbers (B, 6) to a lower triangle (B, 3, 3) with a positive diagonal, zeros above it exact."""
    diagonal = F.softplus(raw[:, :3]) + SCALE_FLOOR
    zero = torch.zeros_like(raw[:, 0])
    flat = [diagonal[:, 0], zero, zero, raw[:, 3], diagonal[:, 1], zero, raw[:, 4], raw[:, 5], diagonal[:, 2]]
    return torch.stack(flat, dim=1).view(-1, 3, 3)
