"""The training loop, for any network: a `Task` says what is learned, `fit` returns the best averaged weights.

The averaged weights (EMA) are what is validated, chosen and returned. Precision is lightning-fabric's, and so are
devices, through `distributed`; the loop is all here.
"""

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from contextlib import closing
from typing import Any, Generic, NamedTuple, NoReturn, TypeVar

import torch
from dvclive.live import Live
from torch import nn
from tqdm import tqdm

from nntrack.config import Params, Precision, Schedule
from nntrack.training import torch_settings
from nntrack.training.batches import BatchProducer
from nntrack.training.checkpoint import Checkpoint, Parts, finite
from nntrack.training.cuda_graph import Number, Numbers, Replay, Step
from nntrack.training.dataset import Batch, Mixture, to_device
from nntrack.training.distributed import World, fabric
from nntrack.training.ema import Ema, tensors
from nntrack.training.logging import Best, Curves, LossMonitor, RunningMean, copy_weights, live_logger
from nntrack.training.optimizer import Muon, parameter_groups
from nntrack.training.schedule import at_step

LOG_EVERY = 20  # steps, whose means are logged
CLIP = 5.0  # norm that gradients are clipped to: a step after an outlier, not a jump

Values = dict[str, tuple[torch.Tensor, torch.Tensor]]
Mean = Callable[[torch.Tensor], torch.Tensor]  # of a tensor over the processes that train together
Net = TypeVar("Net", bound=nn.Module)


class Task(ABC, Generic[Net]):
    """What a network learns.

    net: takes ``batch["image"]``. schedule, lr: for how long and how fast it is trained. train: samples to learn from.
    valid: samples to choose the weights by; None: the last weights are taken. slow: parameters whose names begin with
    one of these learn slower.
    """

    net: Net
    schedule: Schedule
    lr: float
    train: Mixture
    valid: Mixture | None
    slow: tuple[str, ...] = ()

    @abstractmethod
    def prepare(self, batch: Batch, generator: torch.Generator | None) -> Batch:
        """From a batch of the mixture to the input of `finish`, augmented if a generator is given; on the CPU."""

    @abstractmethod
    def finish(self, batch: Batch) -> Batch:
        """From what `prepare` returns to a batch for network and losses; on the device."""

    @abstractmethod
    def loss(self, prediction: Batch, batch: Batch, ramp: Number, mean: Mean) -> tuple[torch.Tensor, Batch]:
        """The loss and its parts, scalars; ``ramp`` is the factor of the weights of late losses."""

    @abstractmethod
    def evaluate(self, prediction: Batch, batch: Batch) -> Values:
        """By metric, the values of the samples (B,) and whether each counts (B,) bool."""

    @abstractmethod
    def score(self, means: Mapping[str, float]) -> float:
        """The number to choose weights by, from the means of the metrics; lower is better."""


class Run(NamedTuple):
    """How to compute.

    threads: another number changes the last bits. precision: lightning-fabric's name. devices, nodes: processes per
    machine, and machines; each process has batches of its own.
    """

    seed: int
    threads: int
    precision: Precision
    devices: int = 1
    nodes: int = 1

    @classmethod
    def of(cls, params: Params) -> "Run":
        """What the parameters say; precision ``auto`` depends on this machine."""
        device = fabric(params.devices, params.nodes).device
        precision = torch_settings.precision(device) if params.precision == "auto" else params.precision
        return cls(params.seed, params.threads, precision, params.devices, params.nodes)

    @property
    def device(self) -> torch.device:
        """Where this process trains. Raises ValueError if there are not as many devices."""
        return fabric(self.devices, self.nodes).device


def fit(
    task: Task[Any], run: Run, live_folder: str | os.PathLike[str], checkpoint: Checkpoint | None = None
) -> Batch | None:
    """Train ``task.net`` and return the best averaged weights, a state dict on the CPU.

    Curves go to ``live_folder`` (dvclive). The same arguments give the same weights and files on the same machine,
    however often the training was ended on its way, if each time it is given the same ``checkpoint``. Of several
    processes that train together only the first writes and returns weights, the others return None.
    Raises ValueError, naming step, samples and checkpoint, if the loss is not finite or exploded.
    """
    # processes are started before the number of threads is set: their launcher sets one, too
    with World(run.devices, run.nodes, run.precision) as world, torch_settings.settings(run.threads):
        world.agree([task.schedule.model_dump_json(), task.lr, run, len(task.train)])
        with live_logger(live_folder if world.rank == 0 else None) as live:
            loop = Loop(task, run, live, checkpoint, world)
            with closing(loop.batches):
                best = loop.run()
        return best if world.rank == 0 else None


class Loop:
    """A training under way; enter `torch_settings.settings` first."""

    def __init__(
        self, task: Task[Any], run: Run, live: Live | None, checkpoint: Checkpoint | None, world: World
    ) -> None:
        """
        Args:
            task, run: as `fit` takes them.
            live: where curves go; None in a process that writes nothing.
            checkpoint: what training continues from, if anything.
            world: the processes that train together.
        """
        self.task, self.checkpoint, self.world, self.fabric = task, checkpoint, world, world.fabric
        self.device = self.fabric.device
        net = task.net.to(self.device, memory_format=torch.channels_last)
        world.join(net, self.first_loss)
        self.ema = Ema(net)
        # gradients that a loss scale enlarged cannot be clipped before a fused step
        fused = getattr(self.fabric.strategy.precision, "scaler", None) is None
        self.recorded = fused and self.device.type == "cuda" and world.size == 1
        groups = parameter_groups(net, task.schedule.weight_decay, task.slow)
        optimizer = Muon(groups, task.lr, fused=fused, capturable=self.recorded)
        self.net, self.optimizer = self.fabric.setup(net, optimizer)
        size = task.schedule.batch_size
        self.batches = BatchProducer(task.train, task.prepare, task.finish, size, run.seed, world, run.threads)
        self.step: Step = Replay(self.train_step, self.changed) if self.recorded else self.train_step
        self.monitor, self.running = LossMonitor(task.train, world.gather), RunningMean(world.mean)
        self.curves, self.best = Curves(live), Best()

    def run(self) -> Batch:
        """Do all steps that are left; returns the best averaged weights, a state dict on the CPU."""
        self.net.train()
        done = 0 if self.checkpoint is None else self.checkpoint.restore(self.parts(), self.world.from_first)
        steps, todo = self.task.schedule.steps, range(done + 1, self.task.schedule.steps + 1)
        with tqdm(todo, initial=done, total=steps, unit="step", mininterval=1.0, disable=self.world.rank > 0) as bar:
            for step in bar:
                self.learn(step)
                last = step == steps
                if last or step % LOG_EVERY == 0:
                    bar.set_postfix(loss=f"{self.log(step):.3f}", refresh=False)
                if last or step % self.task.schedule.validate_every == 0:
                    self.validate(step)
                if last or self.checkpoint_due(step):  # the last one is for the case that the result cannot be written
                    self.save_checkpoint(step)
        weights = self.best.weights if self.best.weights is not None else copy_weights(self.ema.net)
        if not finite(weights):  # because of the last step, after which there is no loss to check
            self.fail("the last steps left weights that are not numbers; lower the learning rate")
        return weights

    def learn(self, step: int) -> None:
        """One step (1 is the first), from the batch to the averaged weights."""
        batch, index = self.batches.batch(step)
        losses = self.step(batch, at_step(step, self.task.schedule))
        self.monitor.add(step, losses["loss"], index)
        self.running.add(losses)

    def train_step(self, batch: Batch, numbers: Numbers) -> Batch:
        """What a step does to the network, by the numbers of a `StepSchedule`; returns the loss and its parts."""
        rate, ramp, decay = numbers
        for group in self.optimizer.param_groups:
            group["lr"] = self.task.lr * group["lr_factor"] * rate
        loss, parts = self.task.loss(self.net(batch["image"]), batch, ramp, self.world.mean)
        self.optimizer.zero_grad(set_to_none=True)
        self.fabric.backward(loss)
        self.fabric.clip_gradients(self.net, self.optimizer, max_norm=CLIP, error_if_nonfinite=False)
        self.optimizer.step()
        self.ema.update(self.net.module, decay)
        return {name: value.detach() for name, value in {"loss": loss, **parts}.items()}

    def log(self, step: int) -> float:
        """Log the means since the last time; returns the loss."""
        self.check()
        means = self.running.take()
        self.curves.log(step, "train", means)
        return means["loss"]

    @torch.no_grad()
    def validate(self, step: int) -> None:
        """Log how good the averaged weights are on held-out samples, and keep them if they are the best so far."""
        if self.task.valid is None:
            return
        self.check()
        sums: dict[str, torch.Tensor] = {}
        counts: dict[str, torch.Tensor] = {}
        for stored in self.task.valid.in_order(self.task.schedule.batch_size, self.world.rank, self.world.size):
            batch = self.plain(stored)
            with self.fabric.autocast():
                prediction = self.ema.net(batch["image"])
            for name, (values, counted) in self.task.evaluate(prediction, batch).items():
                sums[name] = sums.get(name, 0) + values.double().sum()
                counts[name] = counts.get(name, 0) + counted.sum()
        totals, numbers = self.world.sums(sums), self.world.sums(counts)
        means = {name: total / max(1, numbers[name]) for name, total in totals.items()}
        score = self.task.score(means)
        self.curves.log(step, "valid", {"score": score, **means})
        self.best.offer(score, self.ema.net)

    def checkpoint_due(self, step: int) -> bool:
        """Whether to write a checkpoint after this step; the same in all processes."""
        if self.checkpoint is None:
            return False
        # to agree on it costs a message, and reading that a wait
        return (self.world.size == 1 or step % LOG_EVERY == 0) and self.world.from_first(self.checkpoint.due)

    def save_checkpoint(self, step: int) -> None:
        """Write a checkpoint, unless the loss is too high just then: that may end in one that is not finite."""
        if self.checkpoint is None:
            return
        self.check()
        if self.world.rank == 0 and self.monitor.calm:
            self.checkpoint.save(step, self.parts())

    def check(self) -> None:
        """Check all losses so far. Raises ValueError, naming step, samples and checkpoint, if one is not finite."""
        try:
            self.monitor.check()
        except ValueError as error:
            self.fail(str(error))

    def fail(self, reason: str) -> NoReturn:
        """End for a reason that every process has found, with a word on the last checkpoint."""
        rest = "" if self.checkpoint is None else f". {self.checkpoint.report()}"
        self.world.fail(ValueError(f"{reason}{rest}"))

    def plain(self, stored: Batch) -> Batch:
        """A batch of a mixture for network and losses, on the device, not augmented."""
        return self.task.finish(to_device(self.task.prepare(stored, None), self.device))

    def first_loss(self) -> torch.Tensor:
        """The loss of the first sample."""
        batch = self.plain(self.task.train.batch(torch.arange(1)))
        return self.task.loss(self.task.net(batch["image"]), batch, 1.0, self.world.mean)[0]

    def parts(self) -> Parts:
        """All that decides what the next steps do and what is left at the end; rate and samples follow from steps."""
        return {
            "net": self.net.module,
            "ema": self.ema.net,
            "optimizer": self.optimizer.optimizer,
            "loss scale": self.fabric.strategy.precision,
            "monitor": self.monitor,
            "running": self.running,
            "curves": self.curves,
            "best": self.best,
        }

    def changed(self) -> list[torch.Tensor]:
        """The tensors that a step changes, those of the optimizer last."""
        states = self.optimizer.optimizer.state.values()
        held = [value for state in states for value in state.values()]
        return [*tensors(self.net.module), *tensors(self.ema.net), *held]
