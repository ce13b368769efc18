"""Backbones: a grey image (B, 1, H, W) to features (B, channels). Each is a builder and its entry in `BACKBONES`."""

from collections.abc import Callable
from functools import cache
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import nn

from nntrack.contract import POSE_SIZE


class Backbone(nn.Module):
    """Layers, then the mean over all positions. ``channels``: length of the feature vector."""

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
    """Layers that shrink an image to a quarter at once: norms at half its size would take a good part of a step."""
    return [
        nn.Conv2d(1, outputs, 8, stride=4, padding=3, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    ]


def mobilenet_v1(width: float) -> Backbone:
    """Howard et al. 2017: depthwise and pointwise convolutions alternate; 1024 * width features."""

    def scaled(channels: int) -> int:
        return max(8, round(channels * width / 8) * 8)

    plan = [(64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5, (1024, 2), (1024, 1)]
    last = scaled(32)
    layers = [conv(1, last, stride=2)]
    for channels, stride in plan:
        layers += [conv(last, last, stride=stride, groups=last), conv(last, scaled(channels), size=1)]
        last = scaled(channels)
    return Backbone(nn.Sequential(*layers), last)


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
    for stage, (inputs, outputs) in enumerate(pairwise([channels[0], *channels])):
        layers += [ResidualBlock(inputs, outputs, 1 if stage == 0 else 2), ResidualBlock(outputs, outputs, 1)]
    return Backbone(nn.Sequential(*layers), channels[-1])


class DiracBlock(nn.Module):
    """A 3x3 convolution to which, where shapes allow, its own input is added, then BatchNorm and ReLU.

    It trains like a residual block and is a single convolution: the identity is part of the kernel
    (Zagoruyko & Komodakis 2017, "DiracNets"). RepVGG's blocks have a norm per branch; one is enough here, and on a CPU
    norms take a good part of a step. A block that halves the image averages 2x2 pixels first, because a stride samples
    every other position, so that the output changes when the face moves by one pixel (He et al. 2019, "Bag of tricks",
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
        """One convolution and ReLU that compute the same as the block in eval mode."""
        weight = self._kernel().detach()
        new = nn.Conv2d(weight.shape[1], weight.shape[0], 3, padding=1)
        new.weight, new.bias = map(nn.Parameter, _folded(weight, self.norm))
        return nn.Sequential(self.shrink, new, nn.ReLU(inplace=True))

    def _kernel(self) -> torch.Tensor:
        # the identity is added to the kernel and not the input to the output: it has fewer elements
        return self.conv.weight if self.identity is None else self.conv.weight + self.identity


def halving(inputs: int, outputs: int, count: int) -> list[nn.Module]:
    """``count`` blocks, the first of which halves the image."""
    return [DiracBlock(inputs, outputs, halve=True), *(DiracBlock(outputs, outputs) for _ in range(count - 1))]


def diracnet(width: float) -> Backbone:
    """Plain 3x3 convolutions on a quarter of the image's size and less; 256 * width features.

    Layers on a quarter of the size have few channels, because they take longest on a CPU: the larger number of samples
    that a faster net sees in the same time is worth more. The last layer is a depthwise convolution over all positions
    that are left of a `POSE_SIZE` image, which keeps what a mean over them would lose: where a feature was seen
    (Chen et al. 2018, "MobileFaceNets"). So this backbone is for images of that size alone.
    """
    channels = [max(8, round(c * width / 8) * 8) for c in (32, 96, 192, 256)]
    first, last = channels[0], channels[-1]
    layers = [*stem(first), DiracBlock(first, first), DiracBlock(first, first)]
    for (inputs, outputs), count in zip(pairwise(channels), (3, 4, 2), strict=True):
        layers += halving(inputs, outputs, count)
    side = POSE_SIZE // 32  # 4 positions of 129 px: the stem leaves a quarter, which is halved three times
    pool = nn.Conv2d(last, last, side, groups=last, bias=False)
    nn.init.constant_(pool.weight, 1 / side**2)  # a mean before training
    return Backbone(nn.Sequential(*layers, pool), last)


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
    """Replace, in place, every block inside ``module`` that has a faster form for inference."""
    for name, child in module.named_children():
        if isinstance(child, DiracBlock):
            setattr(module, name, child.fused())
        else:
            fuse(child)


@cache
def cell_centres(height: int, width: int, device: torch.device | None = None) -> torch.Tensor:
    """Centres (height * width, 2) x, y of the cells of a grid over an image, edges at -1 and 1; row by row.

    Cached, because a copy to an accelerator waits for all work there: never write to it.
    """
    with torch.inference_mode(False):  # training may use the cached tensor later
        y = (2 * torch.arange(height) + 1) / height - 1
        x = (2 * torch.arange(width) + 1) / width - 1
        return torch.stack([x.repeat(height), y.repeat_interleave(width)], dim=1).to(device)


@torch.no_grad()
def _folded(weight: torch.Tensor, norm: nn.BatchNorm2d) -> tuple[torch.Tensor, torch.Tensor]:
    """Weight and bias of the convolution that replaces one followed by a BatchNorm in eval mode."""
    mean, var = norm.get_buffer("running_mean"), norm.get_buffer("running_var")
    gain = norm.weight / torch.sqrt(var + norm.eps)
    return (weight * gain[:, None, None, None]).detach(), (norm.bias - mean * gain).detach()
