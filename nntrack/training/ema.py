"""The exponential moving average (EMA) of a network's weights."""

import copy
from collections.abc import Iterator

import torch
from torch import nn

from nntrack.training.cuda_graph import Number


class Ema:
    """Exponential moving average of a net's parameters and buffers; ``net`` is a copy that holds it.

    Not torch's `AveragedModel`, which copies the first step's weights whatever the decay, and reads a counter at each
    step, so that a CUDA graph could not record it.
    """

    def __init__(self, net: nn.Module) -> None:
        self.net = copy.deepcopy(net).eval().requires_grad_(False)

    @torch.no_grad()
    def update(self, net: nn.Module, decay: Number) -> None:
        """Set the average to ``decay`` times itself and (1 - ``decay``) times ``net``."""
        averages, latest = list(tensors(self.net)), list(tensors(net))
        floats = [average for average in averages if average.is_floating_point()]
        # by the difference, so that what never changes stays the same to the last bit
        steps = torch._foreach_sub([value for value in latest if value.is_floating_point()], floats)
        torch._foreach_mul_(steps, 1 - decay)
        torch._foreach_add_(floats, steps)
        for average, value in zip(averages, latest, strict=True):
            if not average.is_floating_point():
                average.copy_(value)


def tensors(net: nn.Module) -> Iterator[torch.Tensor]:
    """All parameters and buffers of a net."""
    yield from net.parameters()
    yield from net.buffers()
