"""How this process computes while it trains: threads, helpers, determinism, and what happens to freed memory."""

import ctypes
import gc
import math
import mmap
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import Any, TypeVar

import cv2
import torch

from nntrack.config import Precision
from nntrack.processes import deaf, end_with_parent, forking

# of glibc's malloc.h
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX = -1, -2, -4
_NEVER = 2**31 - 1
_PAD = 64 * 2**20  # bytes that the heap grows by at least
_BF16 = ("avx512_bf16", "amx_bf16", "bf16")  # torch's names of processors' instructions; the last is ARM's

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


def kind(device: torch.device) -> str:
    """That of processor or GPU: on another, libraries choose other instructions, and end in other bits."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else torch.backends.cpu.get_cpu_capability()


def seeded(build: Callable[[], Result], seed: int) -> Result:
    """What ``build`` returns, its random start decided by ``seed`` alone."""
    # layers draw from the global generator; it is left as it was
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return build()


class Workers:
    """Processes that do ``work`` for one item each at a time; torch has one thread there.

    They are forked from this process when there is something to do for the first time, and see all that it had then.
    Of what they do it sees nothing but what they write to `shared` memory.
    """

    def __init__(self, work: Callable[[Item], object], count: int) -> None:
        self._pool = ProcessPoolExecutor(count, forking(), _enter, (work,))

    def each(self, items: Iterable[Item]) -> None:
        """Do the work for all items. Raises what it raises, and ChildProcessError if a process dies."""
        try:
            with deaf():  # the first call starts them
                done = self._pool.map(_do, items)
            list(done)
        except BrokenProcessPool as error:
            raise ChildProcessError(
                "a process that makes batches ready died (out of memory?); run again, or with threads: 1 in params.yaml"
            ) from error

    def close(self) -> None:
        """End the processes."""
        with deaf():  # if it is interrupted, they wait for ever
            self._pool.shutdown(cancel_futures=True)


_forked: dict[str, Callable[[Any], object]] = {}  # what a forked process works with


def _enter(work: Callable[[Any], object]) -> None:
    end_with_parent()
    torch.set_num_threads(1)
    _forked["work"] = work


def _do(item: Any) -> None:
    _forked["work"](item)


def can_fork() -> bool:
    """Whether `Workers` can be had: on other systems a copy of a process with threads may hang or crash."""
    return sys.platform == "linux"


def shared(shape: Sequence[int], dtype: torch.dtype) -> torch.Tensor:
    """Memory, all zeros, that processes which this one forks later have in common with it.

    Not by torch's way, a file in ``/dev/shm``, which containers often have little room for.
    """
    memory = mmap.mmap(-1, math.prod(shape) * dtype.itemsize)
    return torch.frombuffer(memory, dtype=dtype).view(*shape)


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
