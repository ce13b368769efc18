"""Processes that begin as copies of this one; none that was started by another outlives it."""

import multiprocessing
import os
import signal
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.context import BaseContext
from typing import Any, cast

import psutil

WATCH = "watch"  # name of the thread that ends this process: it holds no lock, so that forking beside it is safe
SHELLS = ("sh", "ash", "dash", "bash", "zsh", "ksh", "fish", "cmd")


def forking() -> BaseContext:
    """The way to start processes that begin as copies of this one, without Python's warning of other threads.

    What a copy calls must not need a lock that another thread may hold just then. Raises ValueError where the system
    has no such thing.
    """
    warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)
    return multiprocessing.get_context("fork")


@contextmanager
def deaf() -> Iterator[None]:
    """No interruption here: for what must be done whole, such as starting processes and ending them.

    Those that are started never hear of one: this process does, and ends them. One that comes just now is lost. Other
    threads than the main one hear of none, and so what they start does.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # inherited however processes are started
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def end_with_parent() -> None:
    """A copy ends with the process that it was made of, even if that one was killed: it would wait for ever."""
    parent = cast(Any, multiprocessing.parent_process())
    _end_after(parent.join)


def end_with_launcher() -> None:
    """The same for a program that another started, be it through a shell, which would live on."""
    above = psutil.Process().parents()
    for launcher in [process for process in above if process.name().split(".")[0] not in SHELLS][:1]:
        _end_after(launcher.wait)


def _end_after(wait: Callable[[], object]) -> None:
    def watch() -> None:
        wait()
        os._exit(1)

    threading.Thread(target=watch, name=WATCH, daemon=True).start()
