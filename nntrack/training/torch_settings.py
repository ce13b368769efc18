"""How torch computes in this process: threads, determinism, precision, seeds, and what happens to freed memory."""

import ctypes
import gc
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import cv2
import torch

from nntrack.config import Precision

# of glibc's malloc.h
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX = -1, -2, -4
_NEVER = 2**31 - 1
_PAD = 64 * 2**20  # bytes that the heap grows by at least
_BF16 = ("avx512_bf16", "amx_bf16", "bf16")  # torch's names of processors' instructions; the last is ARM's

Result = TypeVar("Result")


@contextmanager
def settings(threads: int) -> Iterator[None]:
    """A context with the global settings for training. Only that of the allocator stays afterwards: it has no undo."""
    before = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled(), cv2.getNumThreads()
    deterministic: Any = torch.utils.deterministic  # torch gives this module a property at run time
    fill = deterministic.fill_uninitialized_memory
    # without it matrix products on CUDA differ between runs
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    keep_freed_memory()
    torch.set_num_threads(threads)
    cv2.setNumThreads(1)  # its threads would compete with torch's, which go on spinning when their work is done
    torch.use_deterministic_algorithms(True, warn_only=True)
    deterministic.fill_uninitialized_memory = False  # helps to find bugs, but costs time
    gc.freeze()  # or the objects that libraries made at import would be searched for garbage again and again
    try:
        yield
    finally:
        gc.unfreeze()
        torch.set_num_threads(before[0])
        torch.use_deterministic_algorithms(before[1])
        cv2.setNumThreads(before[2])
        deterministic.fill_uninitialized_memory = fill


def precision(device: torch.device) -> Precision:
    """The fastest precision to train with: bf16 where the device has instructions for it, else float32.

    A processor without them takes ten times as long with bf16 as with float32, or more.
    """
    if device.type == "cpu":
        known = torch.cpu.get_capabilities()
        native = any(known.get(name, False) for name in _BF16)
    else:
        native = device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
    return "bf16-mixed" if native else "32-true"


def kind(device: torch.device) -> str:
    """The name of the GPU, or the instruction set of the processor: with another one the last bits differ."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else torch.backends.cpu.get_cpu_capability()


def seeded(build: Callable[[], Result], seed: int) -> Result:
    """The result of ``build()`` with torch's random numbers seeded; their state is restored afterwards."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return build()


def keep_freed_memory() -> bool:
    """Make the allocator keep freed memory; returns whether that was possible, which takes glibc.

    glibc gives blocks above 32 MB, and the free end of its heap, back to the system, so that every training step would
    have its pages faulted in and zeroed anew.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # TypeError: Windows has no handle of the program itself
        return False
    wanted = {_MMAP_MAX: 0, _TRIM_THRESHOLD: _NEVER, _TOP_PAD: _PAD}
    return all([mallopt(ctypes.c_int(key), ctypes.c_int(value)) for key, value in wanted.items()])
