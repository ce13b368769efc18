"""Several processes that train one net together, seen from one of them. Devices and processes are lightning-fabric's.

Together they compute what one process with the batches of all would: each has its part of the samples, means go over
the samples of all, those of BatchNorm too. One process alone does not communicate, and its results do not change.
"""

import atexit
import os
import time
from collections.abc import Callable
from datetime import timedelta
from types import TracebackType
from typing import Any, NoReturn, TypeVar

import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from lightning_fabric.strategies.ddp import DDPStrategy
from lightning_fabric.utilities.exceptions import MisconfigurationException
from torch import distributed, nn
from torch.distributed.nn.functional import all_reduce

from nntrack.config import Precision
from nntrack.processes import end_with_launcher

SILENCE = 10.0  # seconds that the first process has to report why all end, and to end the others of its machine
PATIENCE = timedelta(minutes=10)  # how long a process waits for another

_T = TypeVar("_T")


def fabric(devices: int, nodes: int, precision: Precision | None = None) -> Fabric:
    """The `Fabric` of ``devices`` processes on each of ``nodes`` machines; it starts none. Uses CUDA or CPUs.

    Raises ValueError if there are too few devices, or if another number of processes was started.
    """
    size = devices * nodes
    started = int(os.environ.get("WORLD_SIZE", size))  # set by launchers
    if started != size:
        raise ValueError(
            f"devices: {devices} and nodes: {nodes} in params.yaml make {size}, but {started} processes were started"
        )
    # buffers are the same in all processes, so they need not be copied at every step
    strategy = "auto" if size == 1 else DDPStrategy(forward_sync_buffers=False, timeout=PATIENCE)
    accelerator = "cuda" if torch.cuda.is_available() else "cpu"  # Apple's GPUs lack operations and double precision
    try:
        return Fabric(accelerator=accelerator, strategy=strategy, devices=devices, num_nodes=nodes, precision=precision)
    except MisconfigurationException as error:
        raise ValueError(f"devices: {devices} in params.yaml: {' '.join(str(error).split())}") from error


class World:
    """All processes of a training, ``devices`` on each of ``nodes`` machines; ``rank`` is the number of this one.

    Entering the context starts those of this machine that no launcher has started; each runs this program from its
    beginning. If one fails all end.
    """

    def __init__(self, devices: int, nodes: int, precision: Precision) -> None:
        self.size = devices * nodes
        self.nodes = nodes
        self.rank = 0
        self.fabric = fabric(devices, nodes, precision)

    def __enter__(self) -> "World":
        if self.size > 1:
            if "LOCAL_RANK" in os.environ:
                end_with_launcher("LOCAL_RANK")
            if not distributed.is_initialized():  # `fabric run` has done it
                self._launch()
            self.rank = self.fabric.global_rank
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if error is None:
            # the first leaves last: a message that is not yet read is lost when its sender ends
            self.from_first(lambda: None)
        elif self.size > 1:
            launcher: Any = self.fabric.strategy.launcher  # the kind that starts scripts and has `procs`
            # at the very end, as a thread kills this process too when one of them is gone
            atexit.register(lambda: [process.kill() for process in launcher.procs])
            if isinstance(error, distributed.DistError) or "gloo" in str(error):
                raise ConnectionError("another process of the training ended; run again to continue") from error

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

    def from_first(self, call: Callable[[], _T]) -> _T:
        """The result of ``call()`` in the first process, which alone calls it, in all processes."""
        if self.size == 1:
            return call()
        result: Any = call() if self.rank == 0 else None
        return self.fabric.broadcast(result)

    def gather(self, value: _T) -> list[_T]:
        """The ``value`` of every process, in order of rank."""
        if self.size == 1:
            return [value]
        found: list[Any] = [None] * self.size
        distributed.all_gather_object(found, value)
        return found

    def sums(self, values: dict[str, torch.Tensor]) -> dict[str, float]:
        """The sums of scalars over the processes, by name. Processes other than the first may lack names."""
        found = self.gather({name: value.item() for name, value in values.items()})
        return {name: sum(values.get(name, 0) for values in found) for name in found[0]}

    def mean(self, values: torch.Tensor) -> torch.Tensor:
        """The mean of a tensor over the processes, as floating point; alone, the tensor itself."""
        if self.size == 1:
            return values
        total = values.float().clone()
        distributed.all_reduce(total)
        return total / self.size

    def part(self, index: torch.Tensor) -> torch.Tensor:
        """This process's part (..., B) of the batches (..., processes * B) of all."""
        return index.chunk(self.size, dim=-1)[self.rank]

    def agree(self, facts: Any) -> None:
        """End with a ValueError if the processes, on several machines, do not have the same ``facts``."""
        if any(found != facts for found in self.gather(facts)):
            self.fail(ValueError("the machines do not train the same: bring code, params.yaml and data to one state"))

    def fail(self, error: Exception) -> NoReturn:
        """End because of an error that every process has found: the first raises it, the others report nothing."""
        if self.rank == 0:
            raise error from None
        time.sleep(SILENCE)  # a failure here would end the first before its report
        raise SystemExit(1)

    def join(self, net: nn.Module, loss: Callable[[], torch.Tensor]) -> None:
        """Prepare a net for being trained together: BatchNorm over all processes, and gradients for what learns.

        loss: any loss of the net, to see which parameters it does not depend on.
        """
        if self.size == 1:
            return
        if next(net.parameters()).is_cuda:
            nn.SyncBatchNorm.convert_sync_batchnorm(net)  # type: ignore[no-untyped-call]
        else:
            for module in net.modules():
                if type(module) is nn.BatchNorm2d:
                    module.__class__ = CpuSyncBatchNorm
        net.eval()
        loss().backward()  # type: ignore[no-untyped-call]  # torch gives it no types
        for parameter in net.parameters():
            # DDP would wait for a gradient that never comes
            parameter.requires_grad_(parameter.grad is not None)
            parameter.grad = None
        net.train()


class CpuSyncBatchNorm(nn.BatchNorm2d):
    """`torch.nn.SyncBatchNorm`, which works on GPUs alone, for CPUs: normalises by the samples of all processes, each
    of which has equally many."""

    # torch also has norms without
    running_mean: torch.Tensor
    running_var: torch.Tensor
    num_batches_tracked: torch.Tensor
    momentum: float

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, channels, H, W) to the same shape."""
        if not self.training:
            return super().forward(x)
        processes, wide = distributed.get_world_size(), x.to(self.weight.dtype)
        var, mean = torch.var_mean(wide, dim=(0, 2, 3), correction=0)
        # in double precision, as a difference of squares loses half of the digits
        moments = torch.stack([mean.double(), var.double() + mean.double() ** 2])
        mean, square = all_reduce(moments) / processes  # type: ignore[no-untyped-call]
        var = (square - mean**2).clamp_min(0).to(wide.dtype)
        mean = mean.to(wide.dtype)
        count = x.numel() // x.shape[1] * processes
        with torch.no_grad():
            self.num_batches_tracked += 1
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(var * (count / (count - 1)), self.momentum)
        factor = self.weight * torch.rsqrt(var + self.eps)
        return torch.addcmul(self.bias[:, None, None], wide - mean[:, None, None], factor[:, None, None]).to(x.dtype)
