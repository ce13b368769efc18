"""Muon: an optimiser whose steps change all directions of a convolution's kernel by about as much.

Jordan et al. 2024, "Muon: an optimizer for hidden layers in neural networks"; Liu et al. 2025, "Muon is scalable for
LLM training". torch has it for matrices alone, and computes it in bf16, for which many processors have no instructions.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

import torch

MOMENTUM = 0.95
STEPS = 5  # of Newton's and Schulz's iteration ...
COEFFICIENTS = (3.4445, -4.7750, 2.0315)  # ... with these, by which it is soon near 1 and never nearer
RMS = 0.2  # of a kernel's change at a rate of 1; about AdamW's, so that one rate serves both (Liu et al. 2025)


class Muon(torch.optim.AdamW):
    """Muon for the groups of parameters that are marked ``orthogonal: True``, AdamW for all others.

    A parameter of a marked group is a matrix in as many dimensions as it likes: its first against all others.
    ``step`` takes its gradient away. A group's ``lr`` may become a tensor. Further arguments are AdamW's.
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
        # the inputs last, as they are in memory
        changes = [change.movedim(1, -1) for change in ahead]
        turned = orthogonal([change.flatten(1).float() for change in changes])
        turned = [new.view(change.shape).movedim(-1, 1) for new, change in zip(turned, changes, strict=True)]
        torch._foreach_mul_(turned, [-RMS * max(len(k), k[0].numel()) ** 0.5 for k in kernels])
        torch._foreach_mul_(turned, lr)
        torch._foreach_add_(kernels, turned)
        for kernel in kernels:
            kernel.grad = None  # AdamW passes by what has none

    def _momentum(self, kernel: torch.Tensor) -> torch.Tensor:
        state = self.state[kernel]
        if not state:
            # Muon counts nothing, but AdamW looks for a count where states are loaded
            state["step"], state["momentum"] = torch.zeros(()), torch.zeros_like(kernel)
        return state["momentum"]


def orthogonal(matrices: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    """Each matrix (n, m) with its singular vectors, and singular values near 1 but for the very smallest.

    The iteration is done on products of a matrix by itself, at its shorter side: less work where the other is much
    longer, and done at once for all matrices whose shorter sides are alike.
    """
    wide = [matrix if matrix.shape[0] <= matrix.shape[1] else matrix.mT for matrix in matrices]
    alike: dict[int, list[torch.Tensor]] = defaultdict(list)
    for matrix in wide:
        alike[len(matrix)].append(matrix @ matrix.mT)
    factors = {side: iter(_factors(torch.stack(squares))) for side, squares in alike.items()}
    found = [next(factors[len(matrix)]) @ matrix for matrix in wide]
    return [new if new.shape == old.shape else new.mT for new, old in zip(found, matrices, strict=True)]


def _factors(squares: torch.Tensor) -> torch.Tensor:
    """What matrices are to be multiplied by, of their products by themselves (B, n, n); both are symmetric."""
    # the trace is the square of a matrix's Frobenius norm
    size = squares.diagonal(dim1=1, dim2=2).sum(dim=1).clamp_min(torch.finfo(squares.dtype).tiny)[:, None, None]
    squares = squares / size
    whole = factor = _polynomial(squares)
    for _ in range(STEPS - 1):
        squares = factor @ squares @ factor
        factor = _polynomial(squares)
        whole = factor @ whole
    return whole / size.sqrt()


def _polynomial(squares: torch.Tensor) -> torch.Tensor:
    a, b, c = COEFFICIENTS
    result = torch.baddbmm(squares, squares, squares, beta=b, alpha=c)
    result.diagonal(dim1=1, dim2=2).add_(a)
    return result
