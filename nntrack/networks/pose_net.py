"""The pose net. Its input is that of `contract`; its outputs are in patch units (edges at -1 and 1).

All of ``forward`` can be exported to ONNX opset 13.
"""

import math
from dataclasses import dataclass
from functools import partial

import torch
import torch.nn.functional as F
from torch import nn

from nntrack.face_model.model import FaceModel
from nntrack.geometry.landmarks import COUNT
from nntrack.geometry.rotations import normalize, quat_to_rotmat, rot6d_to_rotmat, rotmat_to_quat
from nntrack.networks import backbones
from nntrack.networks.layers import SOFTPLUS_ONE, Output, linear_head

ROTATIONS = {"quat": (0.0, 0.0, 0.0, 1.0), "rot6d": (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)}  # raw outputs for the identity
SCALE_FLOOR = 1e-3  # lower bound of a factor's diagonal: radians, patch units
SCALE_START = 0.2  # the diagonal before training


@dataclass(frozen=True)
class PoseConfig:
    """All that is needed to build a pose net that its saved weights fit into."""

    backbone: str
    width: float
    rotation: str  # a key of ROTATIONS
    shape_modes: int
    expression_modes: int


class PoseNet(nn.Module):
    """Rotation, position, size, box, landmarks and uncertainty of the head in a grey patch.

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
        scale = math.log(math.expm1(SCALE_START - SCALE_FLOOR))
        head = partial(linear_head, self.backbone.channels)
        self.rotation = head(ROTATIONS[config.rotation])
        self.pos_size = head((0.0, 0.0, SOFTPLUS_ONE))
        self.box = head((0.0, 0.0, SOFTPLUS_ONE, SOFTPLUS_ONE))
        self.shape = head([0.0] * config.shape_modes)
        self.expression = head([0.0] * config.expression_modes)
        self.rotaxis_scales = head([scale] * 3 + [0.0] * 3)
        self.pos_size_scales = head([scale] * 3 + [0.0] * 3)
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
        # in half precision landmarks are off by a tenth of a pixel, and quaternions not of unit length
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
        """Landmarks (B, 68, 3) of the face model, posed; z into the screen.

        Args:
            rotmat: (B, 3, 3).
            pos_size: (B, 3), patch units.
            shape, expression: weights (B, n) and (B, m) of the face model's modes.
        """
        face = self.face_mean.flatten() + shape @ self.face_shape_basis.flatten(1)
        face = (face + expression @ self.face_expression_basis.flatten(1)).view(-1, COUNT, 3)
        rotated = face @ rotmat.transpose(1, 2) * pos_size[:, None, 2:]
        return rotated + F.pad(pos_size[:, :2], (0, 1))[:, None]


def _triangle(raw: torch.Tensor) -> torch.Tensor:
    """Six numbers (B, 6) to a lower triangle (B, 3, 3) with a positive diagonal and exact zeros above it."""
    diagonal, below = F.softplus(raw[:, :3]) + SCALE_FLOOR, raw[:, 3:]
    rows = [
        F.pad(diagonal[:, :1], (0, 2)),
        *(below[:, :1], F.pad(diagonal[:, 1:2], (0, 1))),
        *(below[:, 1:], diagonal[:, 2:]),
    ]
    return torch.cat(rows, dim=1).view(-1, 3, 3)
