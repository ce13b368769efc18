"""Starting and ending processes: who is interrupted by Ctrl+C, and who ends when another process has ended."""

import multiprocessing
import os
import signal
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, cast

import psutil

WATCHER = "watcher"  # name of the thread that ends this process: it holds no lock, so forking beside it is safe


@contextmanager
def ignore_sigint() -> Iterator[None]:
    """A context in which this process ignores interruptions (Ctrl+C): for what must not be done by halves.

    Processes started within ignore them for good; this one is interrupted and ends them. Without effect in another
    thread than the main one, which alone is interrupted.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # inherited, however processes are started
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def starting_processes() -> Iterator[None]:
    """`ignore_sigint`, and no warning of Python's if this process has threads and is forked.

    Whoever forks sees to it that the copy needs no lock that another thread may hold just then.
    """
    with ignore_sigint(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)
        yield


def end_with_parent() -> None:
    """From now on this process, one of multiprocessing's, ends when its parent does, even if that was killed."""
    parent = cast(Any, multiprocessing.parent_process())
    _end_after(parent.join)


def end_with_launcher(variable: str) -> None:
    """From now on this process ends when the program that launched it does, even if that was killed.

    variable: of the environment, which the launcher sets for what it starts. So the launcher is the nearest ancestor
    without it; a shell between them, which would live on, has it too.
    """
    for ancestor in psutil.Process().parents():
        try:
            inherited = variable in ancestor.environ()
        except psutil.Error:  # another user's
            inherited = False
        if not inherited:
            _end_after(ancestor.wait)
            return


def _end_after(wait: Callable[[], object]) -> None:
    def watch() -> None:
        wait()
        os._exit(1)

    threading.Thread(target=watch, name=WATCHER, daemon=True).start()
