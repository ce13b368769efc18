"""How near a training step is to what the net alone costs: ``python -m benchmarks.training [pose|localizer]``.

Images per second, on the device and with the parameters of the training, of
real: the step as it is: sample, gather, augment, forward, losses, backward, clip, optimizer, average;
cached: the same step on batches that were prepared before;
compute: forward, losses and backward alone, on such a batch;
ready: preparing batches alone: sample, gather, augment;
per_sample: the ancestor's arrangement (`benchmarks._per_sample`) on the same machine, with the best number of workers.
They are timed in turn, after a warm-up, and the medians count; those of ratios too, each of two timings that followed
each other, since a machine that shares its host may be slower a minute later. All images were read once before, as in a
training after its first few per cent of steps; `benchmarks.memory` is for files that do not stay in memory.
Floating-point operations are those of convolutions and matrix products; the peak is that of a product of matrices in
the same precision, measured on the spot. Tensor operations are counted too: on an accelerator each is a launch, and a
small net's step lasts as long as its launches do.
"""

import copy
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from enum import StrEnum
from itertools import count
from pathlib import Path
from typing import Annotated

import torch
import typer
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from benchmarks import _machine
from benchmarks._per_sample import PerSample
from nntrack import config
from nntrack.command_line import run
from nntrack.data import splits
from nntrack.training import tasks, torch_settings
from nntrack.training.batches import BLOCK, BatchProducer, Step
from nntrack.training.cuda_graph import Numbers, Replay
from nntrack.training.dataset import Batch
from nntrack.training.distributed import World
from nntrack.training.loop import Loop, Run

DATA, SPLIT, FACE = Path("data/hdf5"), Path("data/split.json"), Path("models/facemodel.npz")
WAYS = {
    "real": "the step as it is",
    "cached": "on batches prepared before",
    "compute": "forward and backward alone",
    "ready": "preparing batches alone",
    "per_sample": "the ancestor's arrangement",
}
RATIOS = (("real", "cached"), ("real", "compute"), ("real", "per_sample"))

Timer = Callable[[int], float]  # a number of steps to seconds
Task = tasks.PoseTask | tasks.LocalizerTask


class Net(StrEnum):
    """What is trained."""

    pose = "pose"
    localizer = "localizer"


def main(
    net: Annotated[Net, typer.Argument(help="which net")] = Net.pose,
    steps: Annotated[
        int | None, typer.Option(min=1, help="in one timing; if not given, as many as are prepared together")
    ] = None,
    rounds: Annotated[int, typer.Option(min=1, help="timings of each, in turn; the median counts")] = 5,
    only: Annotated[str, typer.Option(help="some of them, with commas between")] = ",".join(WAYS),
    backbone: Annotated[str | None, typer.Option(help="another than that of params.yaml")] = None,
    width: Annotated[float | None, typer.Option(help="another than that of params.yaml")] = None,
) -> None:
    """Print a table of images per second; the last line is one JSON object."""
    params = config.load()
    how = _machine.alone(params)
    names = only.split(",")
    if unknown := set(names) - set(WAYS):
        raise ValueError(f"--only: nothing is called '{', '.join(sorted(unknown))}'; known: {', '.join(WAYS)}")
    before = _machine.peak_mb()
    torch.set_num_threads(how.threads)
    task = make_task(params, net, backbone, width)
    schedule = task.schedule
    with tempfile.TemporaryDirectory() as scratch:
        steppers = Steppers(task, how)
        for _ in task.train.in_order(schedule.batch_size):
            pass
        steps = steppers.together if steps is None else steps
        steppers.real(steps)
        result = {
            "net": net.value,
            "backbone": getattr(schedule, "backbone", None),
            "width": schedule.width,
            "batch": schedule.batch_size,
            "precision": how.precision,
            "threads": how.threads,
            "cores": _machine.cores(),
            "device": steppers.device.type,
            "device_name": _machine.name(steppers.device),
            "steps": steps,
            "rounds": rounds,
            "peak_mb_before_data": before,
            "peak_mb": _machine.peak_mb(),
        }
        result |= measure(names, net, steppers, steps, rounds, Path(scratch))
    result |= roofline(result["images_per_second"], steppers)
    result["operations_per_step"] = operations(steppers)
    show(result)
    print(json.dumps(result))


def make_task(params: config.Params, net: Net, backbone: str | None = None, width: float | None = None) -> Task:
    """What the stage would train, with another backbone or width if given."""
    if net is Net.localizer and backbone is not None:
        raise ValueError("--backbone: the localizer has but one")
    section = params.pose if net is Net.pose else params.localizer
    changes = {name: value for name, value in (("backbone", backbone), ("width", width)) if value is not None}
    section = type(section).model_validate(section.model_dump() | changes)
    split = splits.load(SPLIT)
    if isinstance(section, config.Pose):
        return tasks.pose_task(DATA, split, FACE, section, params.lr, params.seed)
    return tasks.localizer_task(DATA / "widerface.h5", split, section, params.seed)


class Ready:
    """In place of a `BatchProducer`: the steps of its first block, prepared before, again and again."""

    def __init__(self, producer: BatchProducer) -> None:
        self._steps = [producer.batch(step + 1) for step in range(BLOCK)]

    def batch(self, step: int) -> Step:
        """The batch of a step (1 is the first)."""
        return self._steps[(step - 1) % len(self._steps)]


class Steppers:
    """The ways to train ``task`` that use `Loop`, each with a net of its own; each returns seconds."""

    def __init__(self, task: Task, how: Run) -> None:
        self.task, self.how = task, how
        world = World(how.devices, how.nodes, how.precision)
        size = task.schedule.batch_size
        self._batches, self._alone = (
            BatchProducer(task.train, task.prepare, task.finish, size, how.seed, world, threads)
            for threads in (how.threads, 1)
        )
        self._batches.batch(1)  # its workers are forked now: later this process would have to copy all its pages
        ready = Ready(self._alone)
        self.batch, _ = ready.batch(1)
        with torch_settings.settings(how.threads):
            self._real, self._cached, self._compute = (Loop(_copy(task), how, None, None, world) for _ in range(3))
        self._cached.batches = ready
        step = self.forward_backward
        self._once = Replay(step, self._compute.changed) if self._compute.recorded else step
        self.device = self.batch["image"].device
        self._steps = {name: count(1) for name in ("real", "cached", "ready", "alone")}

    @property
    def together(self) -> int:
        """The number of steps that are prepared together."""
        return self._batches.steps_at_once

    def real(self, steps: int) -> float:
        """Seconds of so many steps."""
        return self._learn("real", self._real, steps)

    def cached(self, steps: int) -> float:
        """Seconds of so many steps."""
        return self._learn("cached", self._cached, steps)

    def compute(self, steps: int) -> float:
        """Seconds of so many passes forward and backward."""
        return self._seconds(lambda: self._once(self.batch, ()), steps)

    def ready(self, steps: int) -> float:
        """Seconds for as many batches."""
        numbers = self._steps["ready"]
        return self._seconds(lambda: self._batches.batch(next(numbers)), steps)

    def prepare(self) -> None:
        """Prepare the steps of a new block, in this process alone."""
        first = next(self._steps["alone"]) * BLOCK + 1
        for step in range(first, first + BLOCK):
            self._alone.batch(step)

    def learn(self) -> None:
        """Do the rest of one step, one operation after the other: replayed ones cannot be counted."""
        self._cached.step = self._cached.train_step
        self._cached.learn(next(self._steps["cached"]))

    def forward_backward(self, batch: Batch, _: Numbers = ()) -> Batch:
        """One pass forward, the losses, one pass backward; returns the loss."""
        loop = self._compute
        loss, _ = loop.task.loss(loop.net(batch["image"]), batch, 1.0, loop.world.mean)
        loop.optimizer.zero_grad(set_to_none=True)
        loop.fabric.backward(loss)
        return {"loss": loss.detach()}

    def _learn(self, name: str, loop: Loop, steps: int) -> float:
        return self._seconds(lambda: loop.learn(next(self._steps[name])), steps, loop.check)

    def _seconds(self, step: Callable[[], object], steps: int, finish: Callable[[], None] = lambda: None) -> float:
        with torch_settings.settings(self.how.threads):
            # the processor's caches were used by others before
            for _ in range(self.together):
                step()
            _machine.synchronize()
            start = time.perf_counter()
            for _ in range(steps):
                step()
            finish()
            _machine.synchronize()
            return time.perf_counter() - start


def _copy(task: Task) -> Task:
    """The task with a net of its own, for a loop that trains it."""
    copied = copy.copy(task)
    copied.net = copy.deepcopy(task.net)
    return copied


def measure(names: list[str], net: Net, steppers: Steppers, steps: int, rounds: int, scratch: Path) -> dict:
    """Measurements of the ways called ``names``, timed in turn; ``scratch`` is a folder for temporary files."""
    timers: dict[str, Timer] = {name: getattr(steppers, name) for name in names if name != "per_sample"}
    found = {}
    images = steps * steppers.task.schedule.batch_size
    if "per_sample" in names:
        ancestor = PerSample(net, steppers.task, steppers.how, scratch / "samples.h5")
        workers = sorted({max(1, _machine.cores() // 2), max(1, _machine.cores() - 1), _machine.cores()})
        best = min(workers, key=lambda number: ancestor.seconds(steps, number))
        timers["per_sample"] = lambda steps: ancestor.seconds(steps, best)
        found = {
            "per_sample_workers": best,
            "loader_images_per_second": round(images / min(ancestor.seconds(steps, n, False) for n in workers), 1),
            "loader_core_ms": round(1e3 * ancestor.seconds(steps, 0, False) / images, 3),
        }
    seconds: dict[str, list[float]] = {name: [] for name in timers}
    faults = []
    for _ in range(rounds):
        for name, timer in timers.items():
            earlier = _machine.minor_faults()
            seconds[name].append(timer(steps))
            if name == "real":
                faults.append((_machine.minor_faults() - earlier) / (steps + steppers.together))  # some are not timed
    speed = {name: round(images / statistics.median(values), 1) for name, values in seconds.items()}
    ratios = {f"{a}/{b}": round(ratio(seconds[b], seconds[a]), 3) for a, b in RATIOS if a in speed and b in speed}
    minor = round(statistics.median(faults), 1) if faults else None
    return {"images_per_second": speed, "ratios": ratios, "minor_faults_per_step": minor, **found}


def ratio(ones: list[float], others: list[float]) -> float:
    """The median ratio of timings that followed each other."""
    return statistics.median(one / other for one, other in zip(ones, others, strict=True))


def roofline(speed: dict[str, float], steppers: Steppers) -> dict:
    """Floating-point operations of forward and backward, and the fraction of the peak that they reach."""
    with torch_settings.settings(steppers.how.threads), FlopCounterMode(display=False) as counter:
        steppers.forward_backward(steppers.batch)
    per_image = counter.get_total_flops() / steppers.task.schedule.batch_size
    peak = _machine.matmul_peak(steppers.device, steppers.how.precision)
    fractions = {name: round(speed[name] * per_image / peak, 4) for name in ("compute", "real") if name in speed}
    return {
        "mflop_per_image": round(per_image / 1e6, 1),
        "peak_gflops": round(peak / 1e9, 1),
        "fraction_of_peak": fractions,
    }


class Operations(TorchDispatchMode):
    """Counts tensor operations, except those that return a view."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        """Count and do an operation."""
        self.count += not func.is_view
        return func(*args, **(kwargs or {}))


def operations(steppers: Steppers) -> dict[str, float]:
    """The number of tensor operations of a step: to prepare its batch, and for the rest."""
    with torch_settings.settings(steppers.how.threads):
        with Operations() as ready:
            steppers.prepare()
        with Operations() as rest:
            steppers.learn()
    return {"ready": round(ready.count / BLOCK, 1), "rest": rest.count}


def show(result: dict) -> None:
    """Print a table."""
    kind = f"{result['backbone'] or ''} {result['width']}".strip()
    print(f"{result['net']} ({kind}), batch {result['batch']}, {result['precision']}, {result['device_name']}")
    print(f"{result['cores']} cores, {result['threads']} threads; {result['rounds']} x {result['steps']} steps")
    for name, value in result["images_per_second"].items():
        print(f"{name:12} {WAYS[name]:30} {value:9.1f} images a second")
    for name, value in result["ratios"].items():
        print(f"{name:43} {value:9.3f}")
    if "loader_core_ms" in result:
        print(f"{'its loader alone':43} {result['loader_images_per_second']:9.1f} images a second")
        print(f"{'its loader, one core':43} {result['loader_core_ms']:9.3f} ms an image")
        print(f"{'its workers':43} {result['per_sample_workers']:9}")
    print(f"{'forward and backward':43} {result['mflop_per_image']:9.1f} MFLOP an image")
    print(f"{'matrix product':43} {result['peak_gflops']:9.1f} GFLOP/s")
    for name, value in result["fraction_of_peak"].items():
        print(f"{f'fraction of it, {name}':43} {value:9.4f}")
    print(f"{'tensor operations to prepare a batch':43} {result['operations_per_step']['ready']:9.1f} a step")
    print(f"{'tensor operations of all else':43} {result['operations_per_step']['rest']:9} a step")
    print(f"{'peak memory':43} {result['peak_mb']:9.1f} MB, {result['peak_mb_before_data']} before data was opened")
    if result["minor_faults_per_step"] is not None:
        print(f"{'minor page faults, real':43} {result['minor_faults_per_step']:9.1f} a step")


if __name__ == "__main__":
    run(main)
