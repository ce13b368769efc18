"""Processes that work for a training, forked from it, and the memory that they share with it."""

import math
import mmap
import multiprocessing
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import Any, TypeVar

import torch

from nntrack.processes import end_with_parent, ignore_sigint, starting_processes

Item = TypeVar("Item")


def can_fork() -> bool:
    """Whether `Workers` can be used: on other systems a copy of a process with threads may hang or crash."""
    return sys.platform == "linux"


class Workers:
    """Processes that call ``work`` for one item each at a time; torch has one thread there.

    They are forked from this process at the first `start`, and see all that it had then. What they do is visible here
    only in `shared` memory.
    """

    def __init__(self, work: Callable[[Item], object], count: int) -> None:
        # what a process calls must not need a lock that another thread of this one may hold when it is forked
        self._pool = ProcessPoolExecutor(count, multiprocessing.get_context("fork"), _enter, (work,))

    def start(self, items: Iterable[Item]) -> Callable[[], None]:
        """Begin the work for all items; returns a function that waits for its end.

        That raises what the work raises, and ChildProcessError if a process dies.
        """
        with _report_death(), starting_processes():
            results = self._pool.map(_call_work, items)

        def wait() -> None:
            with _report_death():
                list(results)

        return wait

    def close(self) -> None:
        """End the processes."""
        with ignore_sigint():  # if it is interrupted, they wait for ever
            self._pool.shutdown(cancel_futures=True)


@contextmanager
def _report_death() -> Iterator[None]:
    try:
        yield
    except BrokenProcessPool as error:
        raise ChildProcessError(
            "a process that prepares batches died (out of memory?); run again, or with threads: 1 in params.yaml"
        ) from error


_worker: dict[str, Callable[[Any], object]] = {}  # what a forked process works with


def _enter(work: Callable[[Any], object]) -> None:
    end_with_parent()
    torch.set_num_threads(1)
    _worker["work"] = work


def _call_work(item: Any) -> None:
    _worker["work"](item)


def shared(shape: Sequence[int], dtype: torch.dtype) -> torch.Tensor:
    """A tensor of zeros in memory that this process shares with those that it forks later.

    Not by torch's way, a file in ``/dev/shm``, which containers often have little room for.
    """
    memory = mmap.mmap(-1, math.prod(shape) * dtype.itemsize)
    return torch.frombuffer(memory, dtype=dtype).view(*shape)
