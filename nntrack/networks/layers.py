"""Layers that both networks share."""

import math
from typing import Any

import torch
from torch import nn

Output = dict[str, torch.Tensor]

SOFTPLUS_ONE = math.log(math.e - 1)  # softplus of it is 1


def linear_head(inputs: int, start: Any) -> nn.Linear:
    """A linear layer that, before training, outputs about ``start`` for any input."""
    layer = nn.Linear(inputs, len(start))
    with torch.no_grad():
        # small, not zero: no gradient passes through a layer of zeros
        layer.weight.mul_(0.1)
        layer.bias.copy_(torch.as_tensor(start))
    return layer
