"""How near a training step is to what the net alone costs: ``python -m benchmarks.training [pose|localizer]``.

Images per second, on the device and with the parameters that training has, of
real: the step as it is: draw, gather, vary, forward, losses, backward, clip, optimiser, average;
cached: the same step on batches that were made ready before;
compute: forward, losses and backward alone, on such a batch;
ready: nothing but making batches ready: draw, gather, vary;
per_sample: the ancestor's arrangement (`benchmarks._per_sample`) on the same machine, with the number of workers that
suits it best.
They are timed in turn, each when it is warm, and the medians count; of ratios too, each of two timings that followed
each other, since a machine that shares its host may be slower a minute later. All pictures were read once before, as a
training has read them after its first few per cent of steps; `benchmarks.memory` is for files that do not stay in
memory. Floating-point operations are those of convolutions and matrix products; the peak is that of a product of
matrices in the numbers that training has, measured on the spot.
Tensor operations are counted too: on an accelerator each is a launch, and a small net's step lasts as long as its
launches do.
"""

import copy
import dataclasses
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
from dvclive import Live
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from benchmarks import _machine
from benchmarks._per_sample import PerSample
from nntrack import config
from nntrack.command_line import run
from nntrack.data import splits
from nntrack.training import tasks
from nntrack.training import torch_settings as compute
from nntrack.training.batches import Step, Supply
from nntrack.training.cuda_graph import Numbers, Replay
from nntrack.training.dataset import Batch
from nntrack.training.distributed import World
from nntrack.training.loop import Loop, Run, Task

DATA, SPLIT, FACE = Path("data/hdf5"), Path("data/split.json"), Path("models/facemodel.npz")
WAYS = {
    "real": "the step as it is",
    "cached": "on batches made ready before",
    "compute": "forward and backward alone",
    "ready": "making batches ready alone",
    "per_sample": "the ancestor's arrangement",
}
RATIOS = (("real", "cached"), ("real", "compute"), ("real", "per_sample"))

Timer = Callable[[int], float]  # a number of steps to seconds


class Net(StrEnum):
    """What is trained."""

    pose = "pose"
    localizer = "localizer"


def main(
    net: Annotated[Net, typer.Argument(help="which net")] = Net.pose,
    steps: Annotated[
        int | None, typer.Option(min=1, help="in one timing; if not given, as many as are made ready together")
    ] = None,
    rounds: Annotated[int, typer.Option(min=1, help="timings of each, in turn; the median counts")] = 5,
    only: Annotated[str, typer.Option(help="some of them, with commas between")] = ",".join(WAYS),
    backbone: Annotated[str | None, typer.Option(help="another than that of params.yaml")] = None,
    width: Annotated[float | None, typer.Option(help="another than that of params.yaml")] = None,
) -> None:
    """Print a table of images per second; the last line is one JSON object."""
    params = config.load()
    how = _machine.alone(params)
    schedule, lr = chosen(params, net, backbone, width)
    names = only.split(",")
    if unknown := set(names) - set(WAYS):
        raise ValueError(f"--only: nothing is called '{', '.join(sorted(unknown))}'; known: {', '.join(WAYS)}")
    before = _machine.peak_mb()
    torch.set_num_threads(how.threads)
    task = make_task(net, schedule, how)
    with tempfile.TemporaryDirectory() as scratch:
        live = Live(scratch, save_dvc_exp=False, dvcyaml=None, report=None)
        steppers = Steppers(task, schedule, lr, how, live)
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


def chosen(
    params: config.Params, net: Net, backbone: str | None, width: float | None
) -> tuple[config.Pose | config.Localizer, float]:
    """Schedule and learning rate of a net, with another backbone or width if given."""
    if net is Net.localizer and backbone is not None:
        raise ValueError("--backbone: the localizer has but one")
    schedule = params.pose if net is Net.pose else params.localizer
    changes = {name: value for name, value in (("backbone", backbone), ("width", width)) if value is not None}
    section = type(schedule).model_validate(schedule.model_dump() | changes)
    return section, params.lr if net is Net.pose else section.lr


def make_task(net: Net, schedule: config.Pose | config.Localizer, how: Run) -> Task:
    """What the stage would train."""
    split = splits.load(SPLIT)
    if net is Net.pose:
        return tasks.pose_task(DATA, split, FACE, schedule, how)
    return tasks.localizer_task(DATA / "widerface.h5", split, schedule, how)


class Ready:
    """In place of a `supply.Supply`: its first steps, again and again, made ready before."""

    def __init__(self, supply: Supply) -> None:
        self._steps = [supply.batch(step + 1) for step in range(supply.ahead)]

    def batch(self, step: int) -> Step:
        """That of a step (1 is the first)."""
        return self._steps[(step - 1) % len(self._steps)]


class Steppers:
    """The ways to train ``task`` that go through `fitting.Loop`, each with a net of its own; each gives seconds."""

    def __init__(self, task: Task, schedule: config.Schedule, lr: float, how: Run, live: Live) -> None:
        self.task, self.schedule, self.lr, self.how = task, schedule, lr, how
        world = World(how.devices, how.nodes, how.precision)
        self._supply, self._alone = (
            Supply(task.train, task.prepare, task.finish, schedule.batch_size, how.seed, world, threads)
            for threads in (how.threads, 1)
        )
        self._supply.batch(1)  # its processes are forked now: later this one would have all its pages to copy
        ready = Ready(self._alone)
        self.batch, _ = ready.batch(1)
        with compute.settings(how.threads):
            # copies: a loop takes the net as its own
            self._real, self._cached, self._compute = (
                Loop(dataclasses.replace(task, net=copy.deepcopy(task.net)), schedule, lr, how, live, None, world)
                for _ in range(3)
            )
        self._cached.supply = ready
        step = self.forward_backward
        self._once = Replay(step, self._compute.changed) if self._compute.recorded else step
        self.device = self.batch["image"].device
        self._steps = {name: count(1) for name in ("real", "cached", "ready", "alone")}

    @property
    def together(self) -> int:
        """So many steps are made ready at once."""
        return self._supply.together

    def real(self, steps: int) -> float:
        """Seconds of so many steps."""
        return self._learn("real", self._real, steps)

    def cached(self, steps: int) -> float:
        """Seconds of so many steps."""
        return self._learn("cached", self._cached, steps)

    def compute(self, steps: int) -> float:
        """Seconds of so many times forward and backward."""
        return self._seconds(lambda: self._once(self.batch, ()), steps)

    def ready(self, steps: int) -> float:
        """Seconds for as many batches."""
        numbers = self._steps["ready"]
        return self._seconds(lambda: self._supply.batch(next(numbers)), steps)

    def supply(self) -> int:
        """Make ready, in this process alone, the steps of a block that is not there yet; returns how many."""
        ahead = self._alone.ahead
        first = next(self._steps["alone"]) * ahead + 1
        for step in range(first, first + ahead):
            self._alone.batch(step)
        return ahead

    def learn(self) -> None:
        """All else of one step, by one operation after the other: when they are replayed none is seen."""
        self._cached.step = self._cached.descend
        self._cached.learn(next(self._steps["cached"]))

    def forward_backward(self, batch: Batch, _: Numbers = ()) -> Batch:
        """Once, with the losses between them; returns their sum."""
        loop = self._compute
        loss, _ = loop.task.total(loop.net(batch["image"]), batch, 1.0)
        loop.optimizer.zero_grad(set_to_none=True)
        loop.fabric.backward(loss)
        return {"loss": loss.detach()}

    def _learn(self, name: str, loop: Loop, steps: int) -> float:
        return self._seconds(lambda: loop.learn(next(self._steps[name])), steps, loop.check)

    def _seconds(self, step: Callable[[], object], steps: int, finish: Callable[[], None] = lambda: None) -> float:
        with compute.settings(self.how.threads):
            # others had the caches before, those of the processes that help, too
            for _ in range(self.together):
                step()
            _machine.synchronize()
            start = time.perf_counter()
            for _ in range(steps):
                step()
            finish()
            _machine.synchronize()
            return time.perf_counter() - start


def measure(names: list[str], net: Net, steppers: Steppers, steps: int, rounds: int, scratch: Path) -> dict:
    """Figures of the ways called ``names``, timed in turn; ``scratch`` is a folder for what it takes."""
    timers: dict[str, Timer] = {name: getattr(steppers, name) for name in names if name != "per_sample"}
    found = {}
    images = steps * steppers.schedule.batch_size
    if "per_sample" in names:
        how, schedule = steppers.how, steppers.schedule
        path = scratch / "samples.h5"
        ancestor = PerSample(net, steppers.task, schedule.augment, schedule.batch_size, steppers.lr, how.seed, path)
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
    """The median of what each of some is to the one that was measured beside it."""
    return statistics.median(one / other for one, other in zip(ones, others, strict=True))


def roofline(speed: dict[str, float], steppers: Steppers) -> dict:
    """Floating-point operations of forward and backward, and their share of what matrix products reach."""
    with compute.settings(steppers.how.threads), FlopCounterMode(display=False) as counter:
        steppers.forward_backward(steppers.batch)
    per_image = counter.get_total_flops() / steppers.schedule.batch_size
    peak = _machine.matmul_peak(steppers.device, steppers.how.precision)
    shares = {name: round(speed[name] * per_image / peak, 4) for name in ("compute", "real") if name in speed}
    return {"mflop_per_image": round(per_image / 1e6, 1), "peak_gflops": round(peak / 1e9, 1), "share_of_peak": shares}


class Operations(TorchDispatchMode):
    """Counts tensor operations, without those that only look at a tensor in another way."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        """Count and do one."""
        self.count += not func.is_view
        return func(*args, **(kwargs or {}))


def operations(steppers: Steppers) -> dict[str, float]:
    """How many a step takes for making its batch ready, and for all else."""
    with compute.settings(steppers.how.threads):
        with Operations() as ready:
            steps = steppers.supply()
        with Operations() as rest:
            steppers.learn()
    return {"ready": round(ready.count / steps, 1), "rest": rest.count}


def show(result: dict) -> None:
    """The figures for people."""
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
    for name, value in result["share_of_peak"].items():
        print(f"{f'share of it, {name}':43} {value:9.4f}")
    print(f"{'tensor operations to make a batch ready':43} {result['operations_per_step']['ready']:9.1f} a step")
    print(f"{'tensor operations of all else':43} {result['operations_per_step']['rest']:9} a step")
    print(f"{'peak memory':43} {result['peak_mb']:9.1f} MB, {result['peak_mb_before_data']} before data was opened")
    if result["minor_faults_per_step"] is not None:
        print(f"{'minor page faults, real':43} {result['minor_faults_per_step']:9.1f} a step")


if __name__ == "__main__":
    run(main)
