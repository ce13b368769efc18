"""What memory a training takes on a dataset larger than the machine's: ``python -m benchmarks.memory``.

The images of the dataset are a hole in its file: it has the size of ``--times`` the machine's memory, but only its
labels (those of 300W-LP, repeated) are on the disk, in ``work/``. Two processes train the pose net on random samples,
one on this file and one on such a file of 300W-LP's own size; they are timed in turn. A hole is mapped as any file is,
but reads as zeros without a disk. So this shows that no file is loaded as a whole, what stays in memory (labels and
strings: bytes a sample), and what the first access to a page costs besides the disk: the kernel makes it, and those
that it reads ahead. It says nothing about a disk. Peaks are those of the processes that train, imports included; by
kind they include their workers. Pages of files stay as long as nothing else needs the memory.
"""

import json
import math
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from itertools import count, islice
from pathlib import Path
from typing import Annotated, Any

import h5py
import numpy as np
import torch
import typer

from benchmarks import _machine
from nntrack import config
from nntrack.command_line import run
from nntrack.data.hdf5 import Stored
from nntrack.data.sample import STRINGS
from nntrack.training import tasks, torch_settings
from nntrack.training.dataset import Mixture
from nntrack.training.distributed import World
from nntrack.training.loop import Loop

NAME = "w300lp"
DATA, FACE, WORK = Path("data/hdf5"), Path("models/facemodel.npz"), Path("work")


def main(
    times: Annotated[float, typer.Option(min=0, help="size of the file, of the machine's memory")] = 1.25,
    steps: Annotated[int, typer.Option(min=1, help="in one timing")] = 32,
    rounds: Annotated[int, typer.Option(min=1, help="timings of each, in turn; the median counts")] = 5,
    measured: Annotated[Path | None, typer.Option(hidden=True)] = None,
) -> None:
    """Print sizes, memory and images per second; the last line is one JSON object."""
    if measured is not None:
        _train_on_request(measured, steps)
        return
    like, memory = Stored(DATA / f"{NAME}.h5"), _machine.physical_bytes()
    counts = {"small": len(like), "large": math.ceil(times * memory / like.image[0].nbytes)}
    WORK.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=WORK) as scratch:
        files = {name: sparse(Path(scratch) / name / f"{NAME}.h5", like, samples) for name, samples in counts.items()}
        results = train(files, steps, rounds)
        sizes = {name: path.stat().st_size for name, path in files.items()}
        on_disk = files["large"].stat().st_blocks * 512
    speed = {name: found["images_per_second"] for name, found in results.items()}
    more = counts["large"] - counts["small"]
    small, large = (results[name]["peak_mb"].get("anonymous", math.nan) for name in ("small", "large"))
    grown = large - small
    result = {
        "samples": counts,
        "file_gb": {name: round(size / 1e9, 3) for name, size in sizes.items()},
        "on_disk_gb": round(on_disk / 1e9, 3),
        "memory_gb": round(memory / 1e9, 3),
        "steps": steps * rounds,
        "before_data_mb": results["large"]["before_data_mb"],
        "peak_mb": {name: found["peak_mb"] for name, found in results.items()},
        "label_bytes_per_sample": results["large"]["label_bytes_per_sample"],
        "anonymous_bytes_per_sample": None
        if math.isnan(grown) or not more
        else round(grown * _machine.MEGABYTE / more),
        "images_per_second": speed,
        "ratio": round(speed["large"] / speed["small"], 3),
    }
    show(result)
    print(json.dumps(result))


def sparse(path: Path, like: Stored, samples: int) -> Path:
    """A dataset of so many samples: the labels of another, repeated, and images that are not written."""
    path.parent.mkdir()
    columns = like.labels | {f"has_{name}": mask for name, mask in like.masks.items()}
    columns |= {name: np.char.encode(texts.astype(str)) for name, texts in like.strings.items()}
    with h5py.File(path, "w", libver="latest") as file:
        images = file.create_dataset("image", (samples, *like.image.shape[1:]), np.uint8)
        images[0] = like.image[0]  # with the first one, all get their place in the file
        for name, values in columns.items():
            if name in STRINGS:
                values = values.astype(h5py.string_dtype("utf-8", values.itemsize))
            target = file.create_dataset(name, (samples, *values.shape[1:]), values.dtype)
            for start in range(0, samples, len(values)):
                target[start : start + len(values)] = values[: samples - start]
        file.attrs.update(like.attributes)
    return path


def train(files: dict[str, Path], steps: int, rounds: int) -> dict[str, dict]:
    """Measurements of a process per file, timed in turn."""
    with ExitStack() as stack:
        processes = {}
        for name, path in files.items():
            command = [sys.executable, "-m", "benchmarks.memory", "--steps", str(steps), "--measured", str(path.parent)]
            process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            processes[name] = stack.enter_context(process)
            stack.callback(process.kill)
            _answer(process)  # it is ready
        speed: dict[str, list[float]] = {name: [] for name in files}
        for _ in range(rounds):
            for name, process in processes.items():
                print("go", file=process.stdin, flush=True)
                speed[name].append(_answer(process))
        results = {}
        for name, process in processes.items():
            process.stdin.close()
            results[name] = _answer(process) | {"images_per_second": round(statistics.median(speed[name]), 1)}
    return results


def _answer(process: subprocess.Popen) -> Any:
    line = process.stdout.readline()
    if not line:
        raise OSError("a process that was to be measured has ended; see above")
    return json.loads(line)


def _train_on_request(folder: Path, steps: int) -> None:
    params = config.load()
    how, schedule = _machine.alone(params), params.pose
    schedule = schedule.model_copy(update={"sampling": {NAME: 1.0}, "no_face": 0.0})
    before = _machine.resident_mb()
    with torch_settings.settings(how.threads):
        task = tasks.pose_task(folder, {}, FACE, schedule, params.lr, how.seed)
        world = World(how.devices, how.nodes, how.precision)
        loop, peak, numbers = Loop(task, how, None, None, world), {}, count(1)
        loop.learn(next(numbers))
        print(json.dumps("ready"), flush=True)
        for _ in sys.stdin:
            start = time.perf_counter()
            for number in islice(numbers, steps):
                loop.learn(number)
            loop.check()
            _machine.synchronize()
            speed = steps * schedule.batch_size / (time.perf_counter() - start)
            # what a step frees stays with the process, so it still counts
            peak = {kind: max(held, peak.get(kind, 0.0)) for kind, held in _machine.resident_mb().items()}
            print(json.dumps(speed), flush=True)
    peak["all"] = _machine.peak_mb()
    print(json.dumps({"before_data_mb": before, "peak_mb": peak, "label_bytes_per_sample": label_bytes(task.train)}))


def label_bytes(mixture: Mixture) -> int:
    """The memory for the labels of one sample."""
    batch = mixture.batch(torch.arange(1))
    return sum(column.nbytes for name, column in batch.items() if name not in ("image", "index"))


def show(result: dict) -> None:
    """Print a table."""
    print(f"{result['memory_gb']} GB of memory, {result['steps']} steps each")
    heads = ("samples", "file, GB", "images/s", "peak, MB", "anonymous", "shared", "of files")
    print(f"{'':8}" + "".join(f"{head:>12}" for head in heads))
    for name, peak in result["peak_mb"].items():
        cells = [result["samples"][name], result["file_gb"][name], result["images_per_second"][name], peak["all"]]
        print(
            f"{name:8}" + "".join(f"{cell:>12}" for cell in [*cells, *map(peak.get, ("anonymous", "shared", "file"))])
        )
    print(f"speed on the large file, of that on the small one: {result['ratio']}")
    print(f"labels of a sample: {result['label_bytes_per_sample']} bytes")
    print(f"a sample more: {result['anonymous_bytes_per_sample']} bytes of anonymous memory at the peak")


if __name__ == "__main__":
    run(main)
