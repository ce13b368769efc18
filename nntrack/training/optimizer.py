"""Muon: an optimizer whose steps change all directions of a convolution's kernel by about as much.

Jordan et al. 2024, "Muon: an optimizer for hidden layers in neural networks"; Liu et al. 2025, "Muon is scalable for
LLM training". torch has it for matrices alone, and computes it in bf16, for which many processors have no instructions.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import nn

MOMENTUM = 0.95
STEPS = 5  # of the Newton-Schulz iteration
COEFFICIENTS = (3.4445, -4.7750, 2.0315)  # of its polynomial: singular values come near 1 fast, but not to 1
RMS = 0.2  # of a kernel's change at a rate of 1; about AdamW's, so that one rate serves both (Liu et al. 2025)
SLOW = 0.1  # factor of the learning rate for the parameters that learn slower


class Muon(torch.optim.AdamW):
    """Muon for the parameter groups that are marked ``orthogonal: True``, AdamW for all others.

    A parameter of a marked group is a matrix: its first dimension against all others. ``step`` sets its gradient to
    None. A group's ``lr`` may become a tensor. Further arguments are AdamW's.
    """

    def __init__(self, params: Iterable[dict[str, Any]], lr: float, **others: Any) -> None:
        super().__init__([{"orthogonal": False} | group for group in params], lr, **others)

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Change all parameters that have gradients."""
        for group in self.param_groups:
            kernels: list[torch.Tensor] = [p for p in group["params"] if p.grad is not None]
            if group["orthogonal"] and kernels:
                self._muon_step(kernels, group["lr"], group["weight_decay"])
        super().step()

    def _muon_step(self, kernels: list[torch.Tensor], lr: float, weight_decay: float) -> None:
        momenta = [self._momentum(kernel) for kernel in kernels]
        gradients = [kernel.grad for kernel in kernels if kernel.grad is not None]
        torch._foreach_lerp_(momenta, gradients, 1 - MOMENTUM)
        nesterov = torch._foreach_lerp(gradients, momenta, MOMENTUM)
        torch._foreach_mul_(kernels, 1 - lr * weight_decay)
        # (outputs, inputs, height, width) to matrices, the inputs last, as they are in memory
        changes = [change.movedim(1, -1) for change in nesterov]
        matrices = orthogonal([change.flatten(1).float() for change in changes])
        updates = [new.view(change.shape).movedim(-1, 1) for new, change in zip(matrices, changes, strict=True)]
        torch._foreach_mul_(updates, [-RMS * max(len(k), k[0].numel()) ** 0.5 for k in kernels])
        torch._foreach_mul_(updates, lr)
        torch._foreach_add_(kernels, updates)
        for kernel in kernels:
            kernel.grad = None  # so that AdamW leaves it out

    def _momentum(self, kernel: torch.Tensor) -> torch.Tensor:
        state = self.state[kernel]
        if not state:
            # Muon counts no steps, but AdamW looks for a count where states are loaded
            state["step"], state["momentum"] = torch.zeros(()), torch.zeros_like(kernel)
        return state["momentum"]


def orthogonal(matrices: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    """Each matrix (n, m) with the same singular vectors, and singular values near 1 but for the very smallest.

    The iteration is done on the products of a matrix and its transpose, at its shorter side: less work where the other
    side is much longer, and done at once for all matrices with the same shorter side.
    """
    wide = [matrix if matrix.shape[0] <= matrix.shape[1] else matrix.mT for matrix in matrices]
    products: dict[int, list[torch.Tensor]] = defaultdict(list)
    for matrix in wide:
        products[len(matrix)].append(matrix @ matrix.mT)
    factors = {side: iter(_factors(torch.stack(same_side))) for side, same_side in products.items()}
    results = [next(factors[len(matrix)]) @ matrix for matrix in wide]
    return [new if new.shape == old.shape else new.mT for new, old in zip(results, matrices, strict=True)]


def _factors(products: torch.Tensor) -> torch.Tensor:
    """The symmetric matrices (B, n, n) that matrices X are to be multiplied by, from their products X X^T (B, n, n)."""
    # the trace of a product is the square of the Frobenius norm
    size = products.diagonal(dim1=1, dim2=2).sum(dim=1).clamp_min(torch.finfo(products.dtype).tiny)[:, None, None]
    products = products / size
    total = factor = _polynomial(products)
    for _ in range(STEPS - 1):
        products = factor @ products @ factor
        factor = _polynomial(products)
        total = factor @ total
    return total / size.sqrt()


def _polynomial(products: torch.Tensor) -> torch.Tensor:
    a, b, c = COEFFICIENTS
    result = torch.baddbmm(products, products, products, beta=b, alpha=c)
    result.diagonal(dim1=1, dim2=2).add_(a)
    return result


def parameter_groups(net: nn.Module, weight_decay: float, slow: tuple[str, ...]) -> list[dict[str, Any]]:
    """The net's parameters as `Muon` takes them, in the net's order.

    Kernels of convolutions are ``orthogonal``, except depthwise ones; biases and norms do not decay; parameters whose
    names begin with one of ``slow`` have a smaller ``lr_factor``.
    """
    kernels = {id(m.weight) for m in net.modules() if isinstance(m, nn.Conv2d) and m.groups == 1}
    groups: dict[tuple[bool, bool, bool], list[nn.Parameter]] = {}
    for name, parameter in net.named_parameters():
        kind = id(parameter) in kernels, parameter.ndim > 1, name.startswith(slow) if slow else False
        groups.setdefault(kind, []).append(parameter)
    return [
        {
            "params": parameters,
            "orthogonal": is_kernel,
            "weight_decay": weight_decay if decays else 0.0,
            "lr_factor": SLOW if is_slow else 1.0,
        }
        for (is_kernel, decays, is_slow), parameters in groups.items()
    ]
