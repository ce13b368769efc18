"""The training loop, for any network: it is told what to learn by a `Task` and leaves the best averaged weights.

The averaged weights (EMA) are what is validated, chosen and handed back. Precision is lightning-fabric's, and so are
devices, through `parallel`; the loop is all here.
"""

import copy
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, NoReturn, TypeVar

import torch
from dvclive.live import Live
from torch import nn
from tqdm import tqdm

from nntrack.config import Params, Precision, Schedule
from nntrack.training import torch_settings
from nntrack.training.batches import Finish, Prepare, Supply
from nntrack.training.checkpoint import Checkpoint, Parts, finite
from nntrack.training.cuda_graph import Number, Numbers, Replay, Step
from nntrack.training.dataset import Batch, Mixture
from nntrack.training.distributed import World, fabric
from nntrack.training.logging import Best, Curves, Recent, Watch, opened, weights
from nntrack.training.optimizer import Muon
from nntrack.training.schedule import pace

LOG_EVERY = 20  # steps, of which the means are logged
CLIP = 5.0  # norm that gradients are clipped to: a step after an outlier, not a jump
SLOW = 0.1  # share of the learning rate that `Task.slow` parameters have

Values = dict[str, tuple[torch.Tensor, torch.Tensor]]
Mean = Callable[[torch.Tensor], torch.Tensor]
Net = TypeVar("Net", bound=nn.Module)


@dataclass(frozen=True)
class Task(Generic[Net]):
    """What there is to learn.

    net: takes ``batch["image"]``.
    train, valid: samples to learn from, and to choose the weights by (None: the last weights are taken).
    prepare, finish: in two steps a batch of the dataset to one for net and losses; see `Supply`.
    total: ``(prediction, batch, ramp, mean)`` to the loss and its parts; mean: of a tensor over processes.
    values: ``(prediction, batch)`` to values per sample and whether each counts; from their means ``score`` makes the
    number to choose by, the lower the better.
    slow: the parameters whose names begin so learn at a tenth of the rate.
    """

    net: Net
    train: Mixture
    valid: Mixture | None
    prepare: Prepare
    finish: Finish
    total: Callable[[Batch, Batch, Number, Mean], tuple[torch.Tensor, dict[str, torch.Tensor]]]
    values: Callable[[Batch, Batch], Values]
    score: Callable[[Mapping[str, float]], float]
    slow: tuple[str, ...] = ()


class Run(NamedTuple):
    """How to compute. precision: lightning-fabric's name. threads: another count changes the last bits.

    devices, nodes: processes per machine, machines; each process has batches of its own.
    """

    seed: int
    threads: int
    precision: Precision
    devices: int = 1
    nodes: int = 1

    @classmethod
    def of(cls, params: Params) -> "Run":
        """As ``params`` say, and as this machine is where they leave it open."""
        place = fabric(params.devices, params.nodes).device
        precision = torch_settings.precision(place) if params.precision == "auto" else params.precision
        return cls(params.seed, params.threads, precision, params.devices, params.nodes)


def device(run: Run) -> torch.device:
    """Where this process trains. Raises ValueError if there are not as many devices."""
    return fabric(run.devices, run.nodes).device


def fit(
    task: Task[Any],
    schedule: Schedule,
    lr: float,
    run: Run,
    live_folder: str | os.PathLike[str],
    checkpoint: Checkpoint | None = None,
) -> Batch | None:
    """Train ``task.net`` and return the best averaged weights, a state dict on the CPU.

    Curves go to ``live_folder`` (dvclive). The same arguments give the same weights and files on the same machine,
    however often the training was ended on its way, if each time it is given the same ``checkpoint``. Of several
    processes that train together the first alone writes and returns weights, the others return None.
    Raises ValueError, naming step, samples and checkpoint, if the loss is no longer a number or exploded.
    """
    # processes are started before the count of threads is set: their launcher sets one, too
    with World(run.devices, run.nodes, run.precision) as world, torch_settings.settings(run.threads):
        world.agree([schedule.model_dump_json(), lr, run, len(task.train)])
        with opened(live_folder if world.rank == 0 else None) as live:
            loop = Loop(task, schedule, lr, run, live, checkpoint, world)
            with closing(loop.supply):
                best = loop.run()
        return best if world.rank == 0 else None


class Average:
    """Exponential moving average of a net's parameters and buffers; ``net`` is a copy that holds it."""

    def __init__(self, net: nn.Module) -> None:
        self.net = copy.deepcopy(net).eval().requires_grad_(False)

    @torch.no_grad()
    def update(self, net: nn.Module, decay: Number) -> None:
        """Move toward ``net``, by all but ``decay`` of the way."""
        mine, theirs = list(tensors(self.net)), list(tensors(net))
        moving = [own for own in mine if own.is_floating_point()]
        # this way what never changes stays what it is, to the last bit
        way = torch._foreach_sub([other for other in theirs if other.is_floating_point()], moving)
        torch._foreach_mul_(way, 1 - decay)
        torch._foreach_add_(moving, way)
        for own, other in zip(mine, theirs, strict=True):
            if not own.is_floating_point():
                own.copy_(other)


def groups(net: nn.Module, weight_decay: float, slow: tuple[str, ...]) -> list[dict[str, Any]]:
    """Parameter groups in the net's order, as `Muon` takes them.

    Kernels of convolutions are ``orthogonal``, but for depthwise ones; biases and norms do not decay; ``slow``
    parameters have their own ``share`` of the rate.
    """
    kernels = {id(m.weight) for m in net.modules() if isinstance(m, nn.Conv2d) and m.groups == 1}
    found: dict[tuple[bool, bool, bool], list[nn.Parameter]] = {}
    for name, parameter in net.named_parameters():
        kind = id(parameter) in kernels, parameter.ndim > 1, name.startswith(slow) if slow else False
        found.setdefault(kind, []).append(parameter)
    return [
        {
            "params": parameters,
            "orthogonal": kernel,
            "weight_decay": weight_decay if decays else 0.0,
            "share": SLOW if is_slow else 1.0,
        }
        for (kernel, decays, is_slow), parameters in found.items()
    ]


class Loop:
    """A training under way, on the device that there is; enter `compute.settings` first. Arguments as `fit` takes them.

    live: where curves go. checkpoint: what it goes on from, if anything.
    """

    def __init__(
        self,
        task: Task[Any],
        schedule: Schedule,
        lr: float,
        run: Run,
        live: Live | None,
        checkpoint: Checkpoint | None,
        world: World,
    ) -> None:
        self.task, self.schedule, self.lr, self.checkpoint = task, schedule, lr, checkpoint
        self.world, self.fabric = world, world.fabric
        net = task.net.to(self.fabric.device, memory_format=torch.channels_last)
        world.join(net, self.any_loss)
        self.average = Average(net)
        # gradients that a loss scale enlarged cannot be clipped before a fused step
        fused = getattr(self.fabric.strategy.precision, "scaler", None) is None
        self.recorded = fused and self.fabric.device.type == "cuda" and world.size == 1
        optimizer = Muon(groups(net, schedule.weight_decay, task.slow), lr, fused=fused, capturable=self.recorded)
        self.net, self.optimizer = self.fabric.setup(net, optimizer)
        self.supply = Supply(task.train, task.prepare, task.finish, schedule.batch_size, run.seed, world, run.threads)
        self.step: Step = Replay(self.descend, self.changed) if self.recorded else self.descend
        self.watch, self.recent = Watch(task.train, world.gather), Recent(world.mean)
        self.curves, self.best = Curves(live), Best()

    def parts(self) -> Parts:
        """All that decides what the next steps do and what is left at the end; rate and samples follow from steps."""
        return {
            "net": self.net.module,
            "average": self.average.net,
            "optimizer": self.optimizer.optimizer,
            "loss scale": self.fabric.strategy.precision,
            "watch": self.watch,
            "recent": self.recent,
            "curves": self.curves,
            "best": self.best,
        }

    def run(self) -> Batch:
        """All steps that are left; returns the best averaged weights, a state dict on the CPU."""
        self.net.train()
        done = self.checkpoint.restore(self.parts(), self.world.first) if self.checkpoint is not None else 0
        steps, todo = self.schedule.steps, range(done + 1, self.schedule.steps + 1)
        with tqdm(todo, initial=done, total=steps, unit="step", mininterval=1.0, disable=self.world.rank > 0) as bar:
            for step in bar:
                self.learn(step)
                last = step == steps
                if last or step % LOG_EVERY == 0:
                    self.check()
                    means = self.recent.take()
                    bar.set_postfix(loss=f"{means['loss']:.3f}", refresh=False)
                    self.curves.log(step, "train", means)
                if self.task.valid is not None and (last or step % self.schedule.validate_every == 0):
                    self.check()
                    self.validate(step, self.task.valid)
                # at the end too, so that nothing is lost if what comes of it cannot be written
                if self.checkpoint is not None and (last or self.due(step, self.checkpoint)):
                    self.check()
                    if self.world.rank == 0 and self.watch.calm:  # else it may be what leads to a loss without return
                        self.checkpoint.save(step, self.parts())
        found = self.best.weights if self.best.weights is not None else weights(self.average.net)
        if not finite(found):  # spoilt by the last step, of which there is no later loss
            self.fail("the last steps left weights that are not numbers; lower the learning rate")
        return found

    def check(self) -> None:
        """Look at all losses so far. Raises ValueError, naming step, samples and checkpoint, if one is not a number."""
        try:
            self.watch.check()
        except ValueError as error:
            self.fail(str(error))

    def fail(self, why: str) -> NoReturn:
        """End for a reason that every process has found, and tell from where training could go on."""
        told = "" if self.checkpoint is None else f". {self.checkpoint.told()}"
        self.world.fail(ValueError(f"{why}{told}"))

    def due(self, step: int, checkpoint: Checkpoint) -> bool:
        """Whether to write a checkpoint after this step; the same in all processes."""
        # to agree on it costs a message, and reading it a wait
        return (self.world.size == 1 or step % LOG_EVERY == 0) and self.world.first(checkpoint.due)

    def any_loss(self) -> torch.Tensor:
        """That of the first sample, as it is."""
        batch = self.task.finish(self.task.prepare(self.task.train.batch(torch.arange(1)), None))
        return self.task.total(self.task.net(batch["image"]), batch, 1.0, self.world.mean)[0]

    def learn(self, step: int) -> None:
        """One step (1 is the first), from drawing samples to the averaged weights."""
        batch, index = self.supply.batch(step)
        figures = self.step(batch, pace(step, self.schedule))
        self.watch.add(step, figures["loss"], index)
        self.recent.add(figures)

    def descend(self, batch: Batch, numbers: Numbers) -> Batch:
        """All that a step does to the net, by numbers as `Pace` has them; returns the loss and its parts."""
        rate, ramp, decay = numbers
        for group in self.optimizer.param_groups:
            group["lr"] = self.lr * group["share"] * rate
        loss, parts = self.task.total(self.net(batch["image"]), batch, ramp, self.world.mean)
        self.optimizer.zero_grad(set_to_none=True)
        self.fabric.backward(loss)
        self.fabric.clip_gradients(self.net, self.optimizer, max_norm=CLIP, error_if_nonfinite=False)
        self.optimizer.step()
        self.average.update(self.net.module, decay)
        return {name: value.detach() for name, value in {"loss": loss, **parts}.items()}

    def changed(self) -> list[torch.Tensor]:
        """What a step changes."""
        states = self.optimizer.optimizer.state.values()
        held = [value for state in states for value in state.values()]
        return [*tensors(self.net.module), *tensors(self.average.net), *held]

    @torch.no_grad()
    def validate(self, step: int, held_out: Mixture) -> None:
        """Log how good the averaged weights are on held-out samples, and keep them if they are the best so far."""
        sums: dict[str, torch.Tensor] = {}
        counts: dict[str, torch.Tensor] = {}
        for plain in held_out.in_order(self.schedule.batch_size, self.world.rank, self.world.size):
            batch = self.task.finish(self.task.prepare(plain, None))
            with self.fabric.autocast():
                prediction = self.average.net(batch["image"])
            for name, (values, valid) in self.task.values(prediction, batch).items():
                sums[name] = sums.get(name, 0) + values.double().sum()
                counts[name] = counts.get(name, 0) + valid.sum()
        totals, counted = self.world.sums(sums), self.world.sums(counts)
        means = {name: total / max(1, counted[name]) for name, total in totals.items()}
        score = self.task.score(means)
        self.curves.log(step, "valid", {"score": score, **means})
        self.best.offer(score, self.average.net)


def tensors(net: nn.Module) -> Iterator[torch.Tensor]:
    """All that a net holds."""
    yield from net.parameters()
    yield from net.buffers()
