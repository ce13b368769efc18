"""What a step does on an accelerator, on torch's meta device, which stands in for one: its tensors have no values.

To read a value there is an error of torch's own. What is copied there during a step, a constant for instance, would
wait for all work that was launched before; that is found here.
"""

from contextlib import closing, nullcontext

import pytest
import torch
from lightning_fabric import Fabric
from lightning_fabric.accelerators import CPUAccelerator
from lightning_fabric.strategies import SingleDeviceStrategy
from torch.profiler import ProfilerActivity, profile
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from nntrack.networks import losses
from nntrack.training import loop as module
from nntrack.training.batches import BLOCK
from nntrack.training.distributed import World
from nntrack.training.loop import Loop
from nntrack.training.optimizer import Muon
from tests import trainings
from tests.trainings import RUN

DEVICE = torch.device("meta")


class Traffic(TorchDispatchMode):
    """Finds the operations that copy something to the device and wait for that."""

    def __init__(self) -> None:
        super().__init__()
        self.known: dict[int, object] = {}
        self.found: list[str] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        """Look at what goes in and out of an operation, and do it."""
        given = [value for value in tree_leaves((args, kwargs)) if isinstance(value, torch.Tensor)]
        made = func(*args, **(kwargs or {}))
        outputs = [value for value in tree_leaves(made) if isinstance(value, torch.Tensor)]
        there = [value for value in [*given, *outputs] if value.device == DEVICE]
        # scalars are arguments of the launch
        here = [value for value in given if value.device != DEVICE and value.ndim]
        if there and here and not (kwargs or {}).get("non_blocking"):
            self.found.append(f"{func} of what is in the processor's memory")
        new = [value for value in given if value.device == DEVICE and _key(value) not in self.known]
        self.found += [f"{func} of what was just copied" for _ in new]
        self.known |= {_key(value): value.untyped_storage() for value in there}  # kept, or others get their place
        return made


def _key(value: torch.Tensor) -> int:
    return value.untyped_storage()._cdata


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return trainings.write(tmp_path_factory.mktemp("data"))


@pytest.fixture
def loop(data, net, monkeypatch):
    """The loop of a net on that device."""
    # what a meta device lacks
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: nullcontext())
    monkeypatch.setattr(module, "Muon", lambda groups, lr, **_: Muon(groups, lr))
    monkeypatch.setattr(CPUAccelerator, "setup_device", lambda *_: None)
    world = World(1, 1, RUN.precision)
    world.fabric = Fabric(strategy=SingleDeviceStrategy(DEVICE))
    loop = Loop(trainings.of(net, data), RUN, None, None, world)
    with closing(loop.batches):
        yield loop


@pytest.mark.parametrize(
    ("copy", "waits"),
    [
        (lambda there: there.new_tensor([1.0, 2.0]), True),
        (lambda there: torch.ones(2).to(DEVICE), True),
        (lambda there: torch.ones(2).to(DEVICE, non_blocking=True), False),
        (lambda there: torch.ones_like(there), False),
        (lambda there: 2.0, False),
    ],
)
def test_what_waits_is_found(copy, waits):
    with Traffic() as traffic:
        there = torch.zeros(2, device=DEVICE)
        there + copy(there)
    assert bool(traffic.found) == waits


@pytest.mark.parametrize("net", trainings.NETS)
def test_a_step_waits_for_nothing(loop):
    with Traffic() as traffic:
        for step in range(1, 3):
            loop.learn(step)
        traffic.found.clear()
        # constants are there now; of these steps one begins a block
        for step in range(BLOCK, BLOCK + 2):
            loop.learn(step)
    assert not traffic.found


class Zeros(torch.autograd.Function):
    """An operation whose gradient reads a value, as that of `torch.prod` does."""

    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, grad):
        return grad if (grad == 0).sum().item() else 2 * grad


@pytest.mark.parametrize("reads", [False, True])
@pytest.mark.parametrize("net", trainings.NETS)
def test_no_gradient_reads_a_value(data, net, reads):
    # torch takes another way on a meta device, so this is tested on the processor
    task = trainings.of(net, data)
    batch = task.finish(task.prepare(task.train.batch(torch.arange(4)), None))
    with profile(activities=[ProfilerActivity.CPU]) as profiled:
        predicted = task.net(batch["image"])
        if reads:
            predicted["box"] = Zeros.apply(predicted["box"])
        losses.total(dict.fromkeys(task.table, 1.0), task.table, predicted, batch)[0].backward()
    assert any(event.key == "aten::item" for event in profiled.key_averages()) == reads
