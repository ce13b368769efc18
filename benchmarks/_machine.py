"""What the benchmarks ask of the machine: its name, cores and memory, what it trains with, how fast it multiplies."""

import os
import platform
import resource
import sys
import time
from pathlib import Path

import torch

from nntrack.config import Params, Precision
from nntrack.fitting import Run

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
    """Memory that this process holds now: ``anonymous``, ``file`` (pages of mapped files); empty where none tells."""
    told = Path("/proc/self/status")
    lines = dict(line.split(":", 1) for line in told.read_text().splitlines()) if told.exists() else {}
    names = {"anonymous": "RssAnon", "file": "RssFile"}
    return {kind: round(int(lines[key].split()[0]) / 1024, 1) for kind, key in names.items() if key in lines}


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
