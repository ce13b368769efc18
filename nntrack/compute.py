"""How this process computes while it trains: threads, determinism, and what happens to freed memory."""

import ctypes
import gc
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
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
_SWITCH = 1e-4  # seconds after which a thread lets go of the interpreter that another waits for; Python's are 5e-3

Item = TypeVar("Item")
Result = TypeVar("Result")


@contextmanager
def settings(threads: int) -> Iterator[None]:
    """Global switches for training, put back at the end; the allocator's stay, as there is no way back."""
    before = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled(), cv2.getNumThreads()
    deterministic: Any = torch.utils.deterministic  # torch gives this module a property at run time
    fill = deterministic.fill_uninitialized_memory
    os.environ.setdefault(
        "CUBLAS_WORKSPACE_CONFIG", ":4096:8"
    )  # without it matrix products on CUDA differ between runs
    keep_freed_memory()
    torch.set_num_threads(threads)
    cv2.setNumThreads(1)  # threads of its own would fight with torch's, which go on spinning when their work is done
    torch.use_deterministic_algorithms(True, warn_only=True)
    deterministic.fill_uninitialized_memory = False  # a help in finding bugs that costs time
    gc.freeze()  # what libraries made when they were imported is not looked through for garbage again and again
    try:
        yield
    finally:
        gc.unfreeze()
        torch.set_num_threads(before[0])
        torch.use_deterministic_algorithms(before[1])
        cv2.setNumThreads(before[2])
        deterministic.fill_uninitialized_memory = fill


def precision(device: torch.device) -> Precision:
    """The fastest that a training stands: bf16 where the device multiplies such numbers itself, else float32.

    A processor without instructions for them takes ten times as long with bf16 as with float32, or more.
    """
    if device.type == "cpu":
        known = torch.cpu.get_capabilities()
        native = any(known.get(name, False) for name in _BF16)
    else:
        native = device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
    return "bf16-mixed" if native else "32-true"


def side_by_side(work: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
    """What ``work`` makes of each item, all at once: a thread for each, on which torch has no further ones."""
    if len(items) == 1:
        return [work(items[0])]
    threads, interval = torch.get_num_threads(), sys.getswitchinterval()
    try:
        sys.setswitchinterval(_SWITCH)
        with ThreadPoolExecutor(len(items), initializer=torch.set_num_threads, initargs=(1,)) as pool:
            return list(pool.map(work, items))
    finally:
        sys.setswitchinterval(interval)
        torch.set_num_threads(threads)  # what was set on any thread is what new ones begin with


def keep_freed_memory() -> bool:
    """Let freed memory stay with this process; returns whether the allocator could be told.

    glibc gives blocks above 32 MB, and the free end of its heap, back to the system, so that every training step would
    have its pages faulted in and zeroed anew. Another C library is left as it is.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # TypeError: Windows has no handle of the program itself
        return False
    wanted = {_MMAP_MAX: 0, _TRIM_THRESHOLD: _NEVER, _TOP_PAD: _PAD}
    return all([mallopt(ctypes.c_int(key), ctypes.c_int(value)) for key, value in wanted.items()])
