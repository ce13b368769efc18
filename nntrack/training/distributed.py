"""Several processes that train one net together, seen from one of them. Devices and processes are lightning-fabric's.

What they do together is what one process with the batches of all would do: samples are shared out, means go over the
samples of all, BatchNorm too. One process alone asks nobody, and nothing here changes what it computes.
"""

import atexit
import os
import time
from collections.abc import Callable
from datetime import timedelta
from types import TracebackType
from typing import Any, NoReturn, TypeVar

import torch
import torch.nn.functional as F
from lightning_fabric import Fabric
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from lightning_fabric.strategies.ddp import DDPStrategy
from lightning_fabric.utilities.exceptions import MisconfigurationException
from torch import distributed, nn
from torch.autograd.function import once_differentiable

from nntrack.config import Precision
from nntrack.processes import end_with_launcher

SILENCE = 10.0  # seconds that the first has to tell why all end, and to end the others of its machine
PATIENCE = timedelta(minutes=10)  # of a process that waits for another machine's

_T = TypeVar("_T")


def fabric(devices: int, nodes: int, precision: Precision | None = None) -> Fabric:
    """For ``devices`` processes on each of ``nodes`` machines, none of which is started by this; GPUs are CUDA's alone.

    Raises ValueError if there are not as many devices, or if another number of processes was started.
    """
    size = devices * nodes
    started = int(os.environ.get("WORLD_SIZE", size))  # set by whoever starts processes
    if started != size:
        raise ValueError(
            f"devices: {devices} and nodes: {nodes} in params.yaml make {size}, but {started} processes were started"
        )
    # buffers need no copying at every step: they are the same in all processes
    strategy = "auto" if size == 1 else DDPStrategy(forward_sync_buffers=False, timeout=PATIENCE)
    accelerator = "cuda" if torch.cuda.is_available() else "cpu"  # Apple's lacks operations and double precision
    try:
        return Fabric(accelerator=accelerator, strategy=strategy, devices=devices, num_nodes=nodes, precision=precision)
    except MisconfigurationException as error:
        raise ValueError(f"devices: {devices} in params.yaml: {' '.join(str(error).split())}") from error


class World:
    """All processes of a training, ``devices`` on each of ``nodes`` machines. ``rank``: which of them this is.

    Those of this machine that nobody started yet are started by entering the context; each runs this program from its
    beginning. If the first of a machine fails the others end with it, as all do if one fails.
    """

    def __init__(self, devices: int, nodes: int, precision: Precision) -> None:
        self.size = devices * nodes
        self.nodes = nodes
        self.rank = 0
        self.fabric = fabric(devices, nodes, precision)

    def __enter__(self) -> "World":
        if self.size > 1:
            if "LOCAL_RANK" in os.environ:
                end_with_launcher()
            if not distributed.is_initialized():  # `fabric run` has done it
                self._launch()
            self.rank = self.fabric.global_rank
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if error is None:
            self.first(lambda: None)  # goes last: who leaves too early takes along what it sent and is not yet read
        elif self.size > 1:
            launcher: Any = self.fabric.strategy.launcher  # the one that starts scripts and has `procs`
            # at the very end: a watching thread kills this process too when one of them is gone
            atexit.register(lambda: [process.kill() for process in launcher.procs])
            if isinstance(error, distributed.DistError) or "gloo" in str(error):
                raise ConnectionError("another process of the training ended; run again to go on") from error

    def _launch(self) -> None:
        strategy: Any = self.fabric.strategy
        unset = [name for name in ("MASTER_ADDR", "MASTER_PORT") if name not in os.environ]
        if self.nodes > 1 and unset and isinstance(strategy.cluster_environment, LightningEnvironment):
            raise ValueError(
                f"nodes: {self.nodes} in params.yaml: the environment lacks {' and '.join(unset)}, which is where the "
                "machines meet; each also needs its NODE_RANK, from 0 on"
            )
        try:
            self.fabric.launch()
        except distributed.DistError as error:
            raise ConnectionError(f"the processes did not find each other: {' '.join(str(error).split())}") from error

    def first(self, ask: Callable[[], _T]) -> _T:
        """What ``ask`` returns in the first process, which alone calls it."""
        if self.size == 1:
            return ask()
        answer: Any = ask() if self.rank == 0 else None
        return self.fabric.broadcast(answer)

    def gather(self, value: _T) -> list[_T]:
        """The ``value`` of every process, in order of rank."""
        if self.size == 1:
            return [value]
        found: list[Any] = [None] * self.size
        distributed.all_gather_object(found, value)
        return found

    def sums(self, values: dict[str, torch.Tensor]) -> dict[str, float]:
        """By name, the sums of scalars over the processes, of which some, but not the first, may have none."""
        found = self.gather({name: value.item() for name, value in values.items()})
        return {name: sum(values.get(name, 0) for values in found) for name in found[0]}

    def mean(self, values: torch.Tensor) -> torch.Tensor:
        """The mean of a tensor over the processes, as floating point; alone, the tensor itself."""
        return values if self.size == 1 else _mean(values.float())

    def share(self, index: torch.Tensor) -> torch.Tensor:
        """This process's part (..., B) of the batches (..., processes * B) of all."""
        return index.chunk(self.size, dim=-1)[self.rank]

    def agree(self, facts: Any) -> None:
        """End with a ValueError if processes, on several machines, are not about to do the same."""
        if any(found != facts for found in self.gather(facts)):
            self.fail(ValueError("the machines do not train the same: bring code, params.yaml and data to one state"))

    def fail(self, error: Exception) -> NoReturn:
        """End for a reason that every process has found: the first raises it, the others leave in silence."""
        if self.rank == 0:
            raise error from None
        time.sleep(SILENCE)  # a failure here would end the first before it has spoken
        raise SystemExit(1)

    def join(self, net: nn.Module, loss: Callable[[], torch.Tensor]) -> None:
        """Prepare a net for being trained together. ``loss``: any, to see which parameters it does not depend on."""
        if self.size == 1:
            return
        # the same parameters and buffers under the same names, but other statistics
        for module in net.modules():
            if type(module) is nn.BatchNorm2d:
                module.__class__ = SharedNorm
        net.eval()
        loss().backward()  # type: ignore[no-untyped-call]  # torch gives it no types
        for parameter in net.parameters():
            # a gradient that never comes would be waited for
            parameter.requires_grad_(parameter.grad is not None)
            parameter.grad = None
        net.train()


class SharedNorm(nn.BatchNorm2d):
    """BatchNorm over the samples of all processes, which have equally many (torch's own is for GPUs alone)."""

    # torch also knows norms without
    running_mean: torch.Tensor
    running_var: torch.Tensor
    num_batches_tracked: torch.Tensor
    momentum: float

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, channels, H, W) to the same shape."""
        if not self.training:
            return super().forward(x)
        y, mean, var = _Normalise.apply(x, self.weight, self.bias, self.eps)  # type: ignore[no-untyped-call]  # torch's
        count = x.numel() // x.shape[1] * distributed.get_world_size()
        with torch.no_grad():
            self.num_batches_tracked += 1
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(var * (count / (count - 1)), self.momentum)
        return y


class _Normalise(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, eps: float
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """``x`` normalised, and the mean and the variance (channels,) of all processes' samples."""
        var, mean = torch.var_mean(x.to(weight.dtype), dim=(0, 2, 3), correction=0)
        # differences of squares lose half of the digits; of double precision enough are left
        mean = mean.double()
        mean, square = _mean(torch.stack([mean, var + mean**2]))
        var = (square - mean**2).clamp_min(0).to(weight.dtype)
        mean = mean.to(weight.dtype)
        ctx.save_for_backward(x, weight, mean, torch.rsqrt(var + eps))
        ctx.mark_non_differentiable(mean, var)
        return F.batch_norm(x, mean, var, weight, bias, training=False, eps=eps), mean, var

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any, grad: torch.Tensor, *_: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, None]:
        """The gradients of ``x``, weight and bias; those of weight and bias are of this process's samples."""
        x, weight, mean, scale = ctx.saved_tensors
        mean, gain, scale = (value[:, None, None] for value in (mean, weight * scale, scale))
        grad, unit = grad.to(weight.dtype), (x.to(weight.dtype) - mean) * scale
        sums = torch.stack([grad.sum(dim=(0, 2, 3)), (grad * unit).sum(dim=(0, 2, 3))])  # (2, channels)
        shift, slope = (_mean(sums) / (x.numel() // x.shape[1]))[:, :, None, None]
        return (gain * (grad - shift - unit * slope)).to(x.dtype), sums[1], sums[0], None


def _mean(values: torch.Tensor) -> torch.Tensor:
    total = values.clone()
    distributed.all_reduce(total)
    return total / distributed.get_world_size()
