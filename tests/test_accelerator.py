"""What a step does on an accelerator, rehearsed where there is none: on torch's meta device, which has no numbers.

A number that is asked for there is an error of torch's own. What comes from this machine's memory while a step is under
way, a constant for instance, would wait for all work that was launched before; it is found here.
"""

import dataclasses
from contextlib import nullcontext

import pytest
import torch
from lightning_fabric import Fabric
from lightning_fabric.accelerators import CPUAccelerator
from lightning_fabric.strategies import SingleDeviceStrategy
from torch.profiler import ProfilerActivity, profile
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from nntrack.networks import losses
from nntrack.training import loop as fitting
from nntrack.training.batches import AHEAD, BESIDE
from nntrack.training.dataset import Mixture
from nntrack.training.distributed import World
from nntrack.training.loop import Loop
from nntrack.training.optimizer import Muon
from tests import trainings
from tests.trainings import RUN

DEVICE = torch.device("meta")


class Draws(torch.Generator):
    """A generator that says where it lives."""

    device = DEVICE


class Traffic(TorchDispatchMode):
    """Notes the operations that bring something to the device and make it wait for that."""

    def __init__(self) -> None:
        super().__init__()
        self.known: dict[int, object] = {}
        self.found: list[str] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        """Look at what goes in, and do it."""
        given = [value for value in tree_leaves((args, kwargs)) if isinstance(value, torch.Tensor)]
        made = func(*args, **(kwargs or {}))
        outputs = [value for value in tree_leaves(made) if isinstance(value, torch.Tensor)]
        there = [value for value in [*given, *outputs] if value.device == DEVICE]
        # numbers without a dimension go along with the launch
        here = [value for value in given if value.device != DEVICE and value.ndim]
        if there and here and not (kwargs or {}).get("non_blocking"):
            self.found.append(f"{func} of what is on this machine")
        new = [value for value in given if value.device == DEVICE and _key(value) not in self.known]
        self.found += [f"{func} of what just came there" for _ in new]
        self.known |= {_key(value): value.untyped_storage() for value in there}  # kept, or others get their place
        return made


def _key(value: torch.Tensor) -> int:
    return value.untyped_storage()._cdata


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return trainings.write(tmp_path_factory.mktemp("data"))


@pytest.fixture
def loop(data, net, monkeypatch):
    """A training of a net on that device."""
    task, schedule = trainings.of(net, data)
    # what a meta device has not, but every accelerator has
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: nullcontext())
    monkeypatch.setattr(fitting, "Muon", lambda groups, lr, **_: Muon(groups, lr))
    monkeypatch.setattr(CPUAccelerator, "setup_device", lambda *_: None)
    generator = torch.Generator
    monkeypatch.setattr(torch, "Generator", lambda device="cpu": Draws() if device == DEVICE else generator(device))
    world = World(1, 1, RUN.precision)
    world.fabric = Fabric(strategy=SingleDeviceStrategy(DEVICE))
    task = dataclasses.replace(task, train=Mixture(task.train._parts, DEVICE, task.train._needs))
    return Loop(task, schedule, 1e-3, RUN, None, None, world)


@pytest.mark.parametrize(
    ("bring", "waits"),
    [
        (lambda there: there.new_tensor([1.0, 2.0]), True),
        (lambda there: torch.ones(2).to(DEVICE), True),
        (lambda there: torch.ones(2).to(DEVICE, non_blocking=True), False),
        (lambda there: torch.ones_like(there), False),
        (lambda there: 2.0, False),
    ],
)
def test_what_waits_is_found(bring, waits):
    with Traffic() as traffic:
        there = torch.zeros(2, device=DEVICE)
        there + bring(there)
    assert bool(traffic.found) == waits


@pytest.mark.parametrize("net", trainings.NETS)
def test_a_step_waits_for_nothing(loop):
    block = AHEAD * BESIDE
    with Traffic() as traffic:
        for step in range(1, block + 2):
            loop.learn(step)
        traffic.found.clear()
        # constants are there now; of these steps one makes batches ready
        for step in range(2 * block - 1, 2 * block + 2):
            loop.learn(step)
    assert not traffic.found


class Zeros(torch.autograd.Function):
    """Something whose gradient asks for a number, as that of `torch.prod` does."""

    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, grad):
        return grad if (grad == 0).sum().item() else 2 * grad


@pytest.mark.parametrize("asks", [False, True])
@pytest.mark.parametrize("net", trainings.NETS)
def test_no_gradient_asks_for_a_number(data, net, asks):
    # torch takes another way on a meta device, so this is seen on the processor
    (task, _), table = trainings.of(net, data), losses.POSE if net == "pose" else losses.LOCALIZER
    batch = task.finish(task.prepare(task.train.batch(torch.arange(4)), None))
    with profile(activities=[ProfilerActivity.CPU]) as watched:
        predicted = task.net(batch["image"])
        if asks:
            predicted["box"] = Zeros.apply(predicted["box"])
        losses.total(dict.fromkeys(table, 1.0), table, predicted, batch)[0].backward()
    assert any(event.key == "aten::item" for event in watched.key_averages()) == asks
