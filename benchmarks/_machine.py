"""What the benchmarks ask of the machine: its name, cores and memory, what it trains with, how fast it multiplies."""

import multiprocessing
import os
import platform
import resource
import sys
import time
from pathlib import Path

import torch

from nntrack.config import Params, Precision
from nntrack.training.loop import Run

MEGABYTE = 1 << 20
_NUMBERS = {"32-true": torch.float32, "bf16-mixed": torch.bfloat16, "16-mixed": torch.float16}


def alone(params: Params) -> Run:
    """How to train in one process, whatever is told of several."""
    return Run.of(params.model_copy(update={"devices": 1, "nodes": 1}))


def cores() -> int:
    """How many this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def name(device: torch.device) -> str:
    """What the device calls itself."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    told = Path("/proc/cpuinfo")
    lines = told.read_text().splitlines() if told.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or platform.machine()


def peak_mb() -> float:
    """The most memory that this process ever held at a time, pages of mapped files included."""
    unit = 1 if sys.platform == "darwin" else 1024  # bytes of ru_maxrss
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / MEGABYTE, 1)


def resident_mb() -> dict[str, float]:
    """Memory that this process and those that it forked hold now, a page that several have counted once: ``anonymous``,
    ``shared`` between them to write to, ``file`` (pages of mapped files); empty where none tells."""
    pids = [os.getpid(), *(child.pid for child in multiprocessing.active_children())]
    told = [Path(f"/proc/{pid}/smaps_rollup") for pid in pids]
    lines = [line.split() for path in told if path.exists() for line in path.read_text().splitlines()]
    names = {"anonymous": "Pss_Anon:", "shared": "Pss_Shmem:", "file": "Pss_File:"}
    found = {kind: [int(words[1]) for words in lines if words[0] == name] for kind, name in names.items()}
    return {kind: round(sum(sizes) / 1024, 1) for kind, sizes in found.items() if sizes}


def physical_bytes() -> int:
    """Of the machine's memory."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def minor_faults() -> int:
    """Pages that were given to this process so far without reading a disk."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt


def synchronize() -> None:
    """Wait until an accelerator, if there is one, has done what it was told."""
    if torch.accelerator.is_available():
        torch.accelerator.synchronize()


def matmul_peak(device: torch.device, precision: Precision, repeats: int = 10) -> float:
    """FLOP/s of a product of two square matrices of the numbers that nets are multiplied in, the best of some."""
    side = 1024 if device.type == "cpu" else 8192
    a, b = (torch.randn(side, side).to(device, _NUMBERS[precision]) for _ in range(2))
    best = float("inf")
    for _ in range(repeats):
        synchronize()
        start = time.perf_counter()
        a @ b
        synchronize()
        best = min(best, time.perf_counter() - start)
    return 2 * side**3 / best
