"""Muon: an optimiser whose steps change all directions of a convolution's kernel by about as much.

Jordan et al. 2024, "Muon: an optimizer for hidden layers in neural networks"; Liu et al. 2025, "Muon is scalable for
LLM training". torch has it for matrices alone, and computes it in bf16, for which many processors have no instructions.
"""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import torch

MOMENTUM = 0.95
STEPS = 5  # of Newton's and Schulz's iteration ...
COEFFICIENTS = (3.4445, -4.7750, 2.0315)  # ... with these, by which it is soon near 1 and never nearer
RMS = 0.2  # of a kernel's change at a rate of 1; about AdamW's, so that one rate serves both (Liu et al. 2025)


class Muon(torch.optim.AdamW):
    """Muon for the groups of parameters that are marked ``orthogonal: True``, AdamW for all others.

    A parameter of a marked group is a matrix in as many dimensions as it likes: its first against all others.
    ``step`` takes its gradient away. Further arguments are AdamW's.
    """

    def __init__(self, params: Iterable[dict[str, Any]], lr: float, **others: Any) -> None:
        super().__init__([{"orthogonal": False} | group for group in params], lr, **others)

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Change all parameters that have gradients."""
        for group in self.param_groups:
            kernels: list[torch.Tensor] = [p for p in group["params"] if p.grad is not None]
            if group["orthogonal"] and kernels:
                self._turn(kernels, group["lr"], group["weight_decay"])
        super().step()

    def _turn(self, kernels: list[torch.Tensor], lr: float, weight_decay: float) -> None:
        momenta = [self._momentum(kernel) for kernel in kernels]
        gradients = [kernel.grad for kernel in kernels if kernel.grad is not None]
        torch._foreach_lerp_(momenta, gradients, 1 - MOMENTUM)
        ahead = torch._foreach_lerp(gradients, momenta, MOMENTUM)
        torch._foreach_mul_(kernels, 1 - lr * weight_decay)
        alike = defaultdict(list)
        for kernel, change in zip(kernels, ahead, strict=True):
            # the inputs last, as they are in memory
            alike[kernel.shape].append((kernel, change.movedim(1, -1)))
            kernel.grad = None  # AdamW passes by what has none
        for pairs in alike.values():
            changes = torch.stack([change.flatten(1) for _, change in pairs]).float()
            changes = orthogonal(changes) * (RMS * max(changes.shape[1:]) ** 0.5)
            for (kernel, change), new in zip(pairs, changes, strict=True):
                kernel.sub_(new.view(change.shape).movedim(-1, 1), alpha=lr)

    def _momentum(self, kernel: torch.Tensor) -> torch.Tensor:
        state = self.state[kernel]
        if not state:
            # Muon counts nothing, but AdamW looks for a count where states are loaded
            state["step"], state["momentum"] = torch.zeros(()), torch.zeros_like(kernel)
        return state["momentum"]


def orthogonal(matrices: torch.Tensor) -> torch.Tensor:
    """Matrices (B, n, m) with their singular vectors, and singular values near 1 but for the very smallest.

    The iteration is done on products of a matrix by itself, at the shorter side, which is less work where the other
    is much longer.
    """
    if matrices.shape[1] > matrices.shape[2]:
        return orthogonal(matrices.mT).mT
    scale = matrices.norm(dim=(1, 2), keepdim=True)
    matrices = matrices / scale.clamp_min(torch.finfo(matrices.dtype).tiny)
    a, b, c = COEFFICIENTS
    one = torch.eye(matrices.shape[1], dtype=matrices.dtype, device=matrices.device)
    square, whole = matrices @ matrices.mT, one
    for _ in range(STEPS):
        factor = a * one + b * square + c * (square @ square)
        whole = factor @ whole
        square = factor @ square @ factor
    return whole @ matrices
