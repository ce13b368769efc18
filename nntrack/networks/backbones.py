"""Backbones: a grey picture (B, 1, H, W) to features (B, channels). Each is a builder and its entry in `BACKBONES`."""

from collections.abc import Callable
from functools import cache
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import nn


class Backbone(nn.Module):
    """Layers, then the mean over the picture. ``channels``: length of the feature vector."""

    def __init__(self, layers: nn.Module, channels: int) -> None:
        super().__init__()
        self.layers = layers
        self.channels = channels

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, 1, H, W) to (B, channels)."""
        return self.layers(x).mean(dim=(2, 3))


def conv(
    inputs: int, outputs: int, size: int = 3, stride: int = 1, groups: int = 1, relu: bool = True
) -> nn.Sequential:
    """Convolution, BatchNorm and, if wanted, ReLU."""
    layers: list[nn.Module] = [
        nn.Conv2d(inputs, outputs, size, stride, size // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
    ]
    return nn.Sequential(*layers, *([nn.ReLU(inplace=True)] if relu else []))


def stem(outputs: int) -> list[nn.Module]:
    """A grey picture to a quarter of its size at once: norms at half of it would be a good part of a step."""
    return [
        nn.Conv2d(1, outputs, 8, stride=4, padding=3, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    ]


def mobilenet_v1(width: float) -> Backbone:
    """Howard et al. 2017: depthwise and pointwise convolutions in turn; 1024 * width features."""

    def scaled(channels: int) -> int:
        return max(8, round(channels * width / 8) * 8)

    plan = [(64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5, (1024, 2), (1024, 1)]
    before = scaled(32)
    layers = [conv(1, before, stride=2)]
    for channels, stride in plan:
        layers += [conv(before, before, stride=stride, groups=before), conv(before, scaled(channels), size=1)]
        before = scaled(channels)
    return Backbone(nn.Sequential(*layers), before)


class ResidualBlock(nn.Module):
    """Two convolutions and a shortcut (He et al. 2016, "basic block")."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(conv(inputs, outputs, stride=stride), conv(outputs, outputs, relu=False))
        same = stride == 1 and inputs == outputs
        self.shortcut = nn.Identity() if same else conv(inputs, outputs, size=1, stride=stride, relu=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, inputs, H, W) to (B, outputs, H / stride, W / stride)."""
        return torch.relu(self.body(x) + self.shortcut(x))


def resnet18(width: float) -> Backbone:
    """He et al. 2016 with 64 * width channels in the first stage; 512 * width features."""
    channels = [max(8, round(64 * width * 2**stage / 8) * 8) for stage in range(4)]
    layers: list[nn.Module] = [conv(1, channels[0], size=7, stride=2), nn.MaxPool2d(3, 2, 1)]
    before = channels[0]
    for stage, after in enumerate(channels):
        layers += [ResidualBlock(before, after, 1 if stage == 0 else 2), ResidualBlock(after, after, 1)]
        before = after
    return Backbone(nn.Sequential(*layers), before)


class DiracBlock(nn.Module):
    """A 3x3 convolution to which, where shapes allow, its own input is added, then BatchNorm and ReLU.

    Trains like a residual net and is one convolution all the same: the identity is in the kernel
    (Zagoruyko & Komodakis 2017, "DiracNets"). RepVGG's blocks have a norm per branch; here one does, because on a CPU
    norms are a good part of a step. Where the picture is halved, means of 2x2 are what is convolved, because a stride
    picks every other place and so answers otherwise when the face moves by a pixel (He et al. 2019, "Bag of tricks",
    ResNet-D; Zhang 2019, "Making convolutional networks shift-invariant again").
    """

    identity: torch.Tensor | None

    def __init__(self, inputs: int, outputs: int, halve: bool = False) -> None:
        super().__init__()
        self.shrink = nn.AvgPool2d(2) if halve else nn.Identity()
        self.conv = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(outputs)
        identity = nn.init.dirac_(torch.zeros_like(self.conv.weight)) if inputs == outputs else None
        self.register_buffer("identity", identity, persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, inputs, H, W) to (B, outputs, H, W), or half of that H and W."""
        y = F.conv2d(self.shrink(x), self._kernel(), padding=1)
        return torch.relu_(self.norm(y))

    def fused(self) -> nn.Sequential:
        """The same function of eval mode with one convolution and ReLU."""
        weight = self._kernel().detach()
        new = nn.Conv2d(weight.shape[1], weight.shape[0], 3, padding=1)
        new.weight, new.bias = map(nn.Parameter, _folded(weight, self.norm))
        return nn.Sequential(self.shrink, new, nn.ReLU(inplace=True))

    def _kernel(self) -> torch.Tensor:
        # the input is added by the kernel: its elements are fewer than the features'
        return self.conv.weight if self.identity is None else self.conv.weight + self.identity


def halving(inputs: int, outputs: int, count: int) -> list[nn.Module]:
    """``count`` blocks, the first of which halves the picture."""
    return [DiracBlock(inputs, outputs, halve=True), *(DiracBlock(outputs, outputs) for _ in range(count - 1))]


def diracnet(width: float) -> Backbone:
    """Plain 3x3 convolutions on a quarter of the picture's size and less; 256 * width features.

    Few channels on a quarter of the size: layers there take longest on a CPU, and samples that a faster net sees in
    their place are worth more.
    The last layer weighs each cell of the 4x4 that are left of 129x129 by channel, where a mean would forget what was
    seen where (Chen et al. 2018, "MobileFaceNets": global depthwise convolution).
    """
    channels = [max(8, round(c * width / 8) * 8) for c in (32, 96, 192, 256)]
    first, last = channels[0], channels[-1]
    layers = [*stem(first), DiracBlock(first, first), DiracBlock(first, first)]
    for (inputs, outputs), count in zip(pairwise(channels), (3, 4, 2), strict=True):
        layers += halving(inputs, outputs, count)
    weigh = nn.Conv2d(last, last, 4, groups=last, bias=False)
    nn.init.constant_(weigh.weight, 1 / 16)  # a mean, to begin with
    return Backbone(nn.Sequential(*layers, weigh), last)


BACKBONES: dict[str, Callable[[float], Backbone]] = {
    "diracnet": diracnet,
    "mobilenet_v1": mobilenet_v1,
    "resnet18": resnet18,
}


def build(name: str, width: float) -> Backbone:
    """A backbone by its name. Raises ValueError, listing the names, for an unknown one."""
    if name not in BACKBONES:
        raise ValueError(f"no backbone is called '{name}'; known: {', '.join(BACKBONES)}")
    return BACKBONES[name](width)


def fuse(module: nn.Module) -> None:
    """Replace every block inside ``module`` that knows a faster form of its eval mode; there is no way back."""
    for name, child in module.named_children():
        if isinstance(child, DiracBlock):
            setattr(module, name, child.fused())
        else:
            fuse(child)


@cache
def cell_centres(height: int, width: int, device: torch.device | None = None) -> torch.Tensor:
    """Centres (height * width, 2) x, y of the cells of a grid over a picture, edges at -1 and 1; rows first.

    Made once, for a copy to an accelerator waits for all work there: never write to it.
    """
    with torch.inference_mode(False):  # a training may use it later
        y = (2 * torch.arange(height) + 1) / height - 1
        x = (2 * torch.arange(width) + 1) / width - 1
        return torch.stack([x.repeat(height), y.repeat_interleave(width)], dim=1).to(device)


@torch.no_grad()
def _folded(weight: torch.Tensor, norm: nn.BatchNorm2d) -> tuple[torch.Tensor, torch.Tensor]:
    """Weight and bias of a convolution followed by a BatchNorm in eval mode."""
    mean, var = norm.get_buffer("running_mean"), norm.get_buffer("running_var")
    gain = norm.weight / torch.sqrt(var + norm.eps)
    return (weight * gain[:, None, None, None]).detach(), (norm.bias - mean * gain).detach()
