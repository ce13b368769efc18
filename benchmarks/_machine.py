"""What benchmarks need to know of the machine: name, cores, memory, precision, speed of a matrix product."""

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
    """How to train in one process, even if the parameters ask for several."""
    return Run.of(params.model_copy(update={"devices": 1, "nodes": 1}))


def cores() -> int:
    """The number of cores that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def name(device: torch.device) -> str:
    """The name of the device."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or platform.machine()


def peak_mb() -> float:
    """The peak of this process's resident memory, pages of mapped files included."""
    unit = 1 if sys.platform == "darwin" else 1024  # bytes of ru_maxrss
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / MEGABYTE, 1)


def resident_mb() -> dict[str, float]:
    """Resident memory of this process and those that it forked, shared pages counted once, by kind: ``anonymous``,
    ``shared`` (written by several), ``file`` (mapped files). Empty on systems without this information."""
    pids = [os.getpid(), *(child.pid for child in multiprocessing.active_children())]
    files = [Path(f"/proc/{pid}/smaps_rollup") for pid in pids]
    lines = [line.split() for path in files if path.exists() for line in path.read_text().splitlines()]
    names = {"anonymous": "Pss_Anon:", "shared": "Pss_Shmem:", "file": "Pss_File:"}
    found = {kind: [int(words[1]) for words in lines if words[0] == name] for kind, name in names.items()}
    return {kind: round(sum(sizes) / 1024, 1) for kind, sizes in found.items() if sizes}


def physical_bytes() -> int:
    """The size of the machine's memory."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def minor_faults() -> int:
    """The number of this process's page faults so far that read no disk."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt


def synchronize() -> None:
    """Wait until the accelerator, if there is one, is idle."""
    if torch.accelerator.is_available():
        torch.accelerator.synchronize()


def matmul_peak(device: torch.device, precision: Precision, repeats: int = 10) -> float:
    """The FLOP/s of a product of two square matrices in this precision, the best of some."""
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
