"""Processes that this one forks, none of which outlives it."""

import multiprocessing
import os
import threading
import warnings
from multiprocessing.context import BaseContext
from typing import Any, cast


def forking() -> BaseContext:
    """The way to start processes that begin as copies of this one, without Python's warning of other threads.

    What a copy calls must not need a lock that another thread may hold just then. Raises ValueError where the system
    has no such thing.
    """
    warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)
    return multiprocessing.get_context("fork")


def end_with_parent() -> None:
    """A process that was started by another ends with that one, even if it was killed: it would wait for ever."""
    parent = cast(Any, multiprocessing.parent_process())

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
