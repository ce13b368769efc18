"""Work on all cores, in order: what readers do with an archive, chunk by chunk.

Results come back in the order of the tasks, and NumPy computes them on one thread, so they do not depend on the number
of workers or cores. Only a few chunks are in flight, so memory does not grow with the archive. Images travel through
memory that workers share with this process where processes are forked; a pipe would cost as much as decoding them.
"""

import math
import mmap
import multiprocessing
import os
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from multiprocessing.context import BaseContext
from typing import Any, NamedTuple

import cv2
import numpy as np
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from nntrack.data.sample import Sample
from nntrack.processes import WATCHER, end_with_parent, ignore_sigint, starting_processes

Work = Callable[[Any, Any], Sequence[Any]]  # (context, task) -> outcomes, samples among them
_SLOT = 4 << 20  # bytes of shared memory per chunk in flight; images beyond it go through the pipe


class ProgressBar(tqdm):  # type: ignore[misc]
    """tqdm without its thread that watches over bars: a process with other threads cannot be forked."""

    monitor_interval = 0


class _Parked(NamedTuple):
    """Where in a slot a image is."""

    start: int
    shape: tuple[int, ...]


def in_order(work: Work, context: Any, tasks: Sequence[Any], workers: int | None) -> Iterator[Sequence[Any]]:
    """``work(context, task)`` for every task, in order. ``context`` goes to each process once.

    workers: processes, None for one per core; one, or a single task, is done in this process. Raises
    ChildProcessError if a worker process dies.
    """
    workers = min(workers or _cores(), len(tasks))
    with one_thread():
        if workers <= 1:
            yield from (work(context, task) for task in tasks)
        else:
            yield from _by_processes(work, context, tasks, workers)


def _by_processes(work: Work, context: Any, tasks: Sequence[Any], workers: int) -> Iterator[Sequence[Any]]:
    in_flight = workers + 3
    method, threads = _start_method(), cv2.getNumThreads()
    cv2.setNumThreads(1)  # ends OpenCV's threads: a forked worker would wait for them for ever
    slots = [mmap.mmap(-1, _SLOT) for _ in range(in_flight)] if method.get_start_method() == "fork" else None
    _process.update(work=work, context=context, slots=slots)  # a forked worker finds it there
    arguments = () if slots else (work, context)
    pending: deque[tuple[int, Future[Sequence[Any]]]] = deque()
    pool = _pool(workers, method, arguments)
    try:
        for number, task in enumerate(tasks):
            slot = number % in_flight
            if len(pending) == in_flight:
                yield _take(slots, *pending.popleft())
            with starting_processes():
                pending.append((slot, pool.submit(_run, task, slot)))
        while pending:
            yield _take(slots, *pending.popleft())
    except BrokenProcessPool as error:
        raise ChildProcessError("a worker process died (out of memory?); run again, or with fewer workers") from error
    finally:
        with ignore_sigint():  # if it is interrupted, workers wait for ever
            pool.shutdown(cancel_futures=True)
        cv2.setNumThreads(threads)


def _pool(workers: int, method: BaseContext, arguments: tuple[Any, ...]) -> ProcessPoolExecutor:
    """Processes that work. Raises OSError if the system has no room for what they talk through."""
    try:
        return ProcessPoolExecutor(workers, method, _enter, arguments)
    except OSError as error:
        hint = f"{error.strerror}, where worker processes keep their semaphores: free some room or make it writable"
        raise OSError(error.errno, hint, "/dev/shm") from error


def one_thread() -> threadpool_limits:
    """Let NumPy have no threads of its own from now on, or within this context.

    A product of matrices ends in other bits on another number of threads, which is that of the cores if nobody says.
    Beside workers for all cores they are in the way, too: they wait spinning.
    """
    return threadpool_limits(1, "blas")


_process: dict[str, Any] = {}  # what a worker process works with


def _enter(*given: Any) -> None:
    end_with_parent()
    cv2.setNumThreads(1)
    one_thread()
    if given:
        _process.update(work=given[0], context=given[1], slots=None)


def _run(task: Any, slot: int) -> Sequence[Any]:
    outcomes = _process["work"](_process["context"], task)
    if _process["slots"] is not None:
        memory, start = np.frombuffer(_process["slots"][slot], np.uint8), 0
        for sample in outcomes:
            if isinstance(sample, Sample) and start + sample.image.size <= _SLOT:
                size = sample.image.size
                memory[start : start + size] = sample.image.ravel()
                _swap_image(sample, _Parked(start, sample.image.shape))
                start += size
    return outcomes


def _take(slots: list[mmap.mmap] | None, slot: int, future: Future[Sequence[Any]]) -> Sequence[Any]:
    outcomes = future.result()
    for sample in outcomes:
        if isinstance(sample, Sample) and isinstance(sample.image, _Parked):
            start, shape = sample.image
            # copied, because the slot is used again
            _swap_image(sample, np.frombuffer(slots[slot], np.uint8, math.prod(shape), start).reshape(shape).copy())
    return outcomes


def _swap_image(sample: Sample, image: Any) -> None:
    """Another image in a frozen sample, without its checks: they have been made, and are not cheap."""
    vars(sample)["image"] = image


def _cores() -> int:
    with suppress(AttributeError):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _start_method() -> BaseContext:
    """Forking saves every worker its imports, but is only safe in a process without other threads."""
    methods = multiprocessing.get_all_start_methods()
    others = [thread.name for thread in threading.enumerate() if thread is not threading.main_thread()]
    if sys.platform == "linux" and set(others) <= {WATCHER} and "torch" not in sys.modules:
        return multiprocessing.get_context("fork")  # NumPy's own threads are stopped by its fork handlers
    context = multiprocessing.get_context("forkserver" if "forkserver" in methods else "spawn")
    context.set_forkserver_preload(["nntrack.readers._format", "h5py"])  # else every worker imports them
    return context
