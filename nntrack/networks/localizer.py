"""The localizer. Its input is that of `contract`; its box is in frame units (edges at -1 and 1).

All of ``forward`` can be exported to ONNX opset 13.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

from nntrack.networks import backbones
from nntrack.networks.layers import SOFTPLUS_ONE, Output, linear_head


@dataclass(frozen=True)
class LocalizerConfig:
    """All that is needed to build a localizer that its saved weights fit into."""

    width: float


class LocalizerNet(nn.Module):
    """Face logit and box of a whole grey frame, by a heat map whose mean and standard deviation give the box.

    The heat map is a distribution over cells of 16 px. The features averaged under it correct the box and decide
    whether there is a face.
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
        self.trim = linear_head(c[2], (0.0, 0.0, SOFTPLUS_ONE, SOFTPLUS_ONE))
        self.face = nn.Linear(2 * c[2], 1)

    def forward(self, x: torch.Tensor) -> Output:
        """x (B, 1, 224, 288). Returns logit (B,), box (B, 4) xyxy over the frame, heatmap (B, 14, 18) with sum 1."""
        fine = self.fine(x)
        # the 1x1 convolution comes before 7x9 cells are enlarged to 14x18: there are fewer of them
        coarse = F.interpolate(self.from_coarse(self.coarse(fine)), scale_factor=2.0, mode="nearest")
        features = self.join(self.from_fine(fine) + coarse)
        raw = self.heat(features)
        with torch.autocast(x.device.type, enabled=False):
            return self._heads(features.float(), raw.float())

    def _heads(self, features: torch.Tensor, raw: torch.Tensor) -> Output:
        heat = raw.flatten(1).softmax(dim=1)  # (B, cells)
        cells = backbones.cell_centres(raw.shape[2], raw.shape[3], raw.device)  # (cells, 2)
        centre = heat @ cells
        std = torch.sqrt(heat @ cells**2 - centre**2 + 1e-4)
        local = (features.flatten(2) @ heat[:, :, None]).flatten(1)  # (B, channels)
        trim = self.trim(local)
        centre = centre + trim[:, :2] * std
        # the standard deviation of a uniform ellipse is half its half axis
        half = 2 * std * F.softplus(trim[:, 2:])
        logit = self.face(torch.cat([local, features.flatten(2).mean(dim=2)], dim=1)).flatten()
        box = torch.cat([centre - half, centre + half], dim=1)
        return {"logit": logit, "box": box, "heatmap": heat.view(-1, raw.shape[2], raw.shape[3])}
