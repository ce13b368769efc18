"""A training's checkpoint: all that it takes to continue to the same bytes after any end, a killed process included.

It is kept in ``<folder>/<digest>/``. The digest is of everything that decides the result, so that the checkpoint of
other parameters, inputs or code is never used. The file is a checksum and what ``torch.save`` makes of tensors and
plain values; reading it runs no code.
"""

import hashlib
import io
import os
import re
import shutil
import sys
import time
import zlib
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from tqdm import tqdm

from nntrack import config
from nntrack.files import replacing, sha256

NAME = "checkpoint"
EVERY = 10.0  # seconds between two checkpoints, at least
TIME_FRACTION = 0.01  # of the time may go into writing them: a slow disk gets fewer
_READ_SIZE = 1 << 22  # bytes


Parts = Mapping[str, Any]  # with `state_dict` and `load_state_dict`, as nets and optimizers have; of plain values


def digest(values: Any, files: Iterable[str | os.PathLike[str]]) -> str:
    """A digest of all that decides a training: JSON-like ``values``, ``files``, libraries, the project's loaded code.

    Files go by name, size and checksum, so that one may be made again or linked anew by DVC. To read them takes a
    second a gigabyte, and brings them into memory, where the training needs them.
    """
    libraries = [library.__version__ for library in (torch, np, cv2)]
    facts = {"values": values, "files": [_content(path) for path in files], "libraries": libraries}
    return config.digest(facts | {"code": _code()})


class Checkpoint:
    """The last good state of the training whose digest is ``key``.

    There is no lock: a file is only ever replaced whole, and processes of one digest write the same states. If one
    removes another's folder, that one writes it again.
    """

    def __init__(self, folder: str | os.PathLike[str], key: str) -> None:
        self.path = Path(folder) / key / NAME
        self._step = 0
        self._written = time.monotonic()
        self._cost = 0.0
        self._failed = False

    def restore(self, parts: Parts, from_first: Callable[[Callable[[], Any]], Any] = lambda call: call()) -> int:
        """Load the checkpoint into ``parts``; returns the step after which it was written, 0 if there is none.

        What other trainings left in the folder is removed.
        from_first: calls a function in one of several processes, and gives the result to all.
        """
        state = from_first(self._find)
        if state is None:
            return 0
        for name, part in parts.items():
            part.load_state_dict(state["parts"][name])
        self._step = state["step"]
        return self._step

    def due(self) -> bool:
        """Whether it is time for the next one. When it is written does not influence the training."""
        return time.monotonic() - self._written >= max(EVERY, self._cost / TIME_FRACTION)

    def save(self, step: int, parts: Parts) -> None:
        """Replace the checkpoint by the state after ``step``, unless a number in it is not finite.

        If it cannot be written there is a warning, once, and the one before stays.
        """
        begun = time.monotonic()
        state = {"step": step, "parts": {name: part.state_dict() for name, part in parts.items()}}
        if finite(state):
            try:
                self._write(state)
                self._step, self._failed = step, False
            except OSError as error:
                if not self._failed:
                    why = error.strerror or error
                    _warn(f"{self.path} could not be written ({why}); training continues. {self.report()}")
                self._failed = True
        self._written = time.monotonic()
        self._cost = self._written - begun

    def report(self) -> str:
        """A sentence on where training could continue from."""
        if not self._step:
            return "There is no checkpoint"
        return f"The last good checkpoint is that of step {self._step}, {self.path}"

    def remove(self) -> None:
        """Delete the checkpoint, when the result is written, and the folder if nothing else is in it."""
        shutil.rmtree(self.path.parent, ignore_errors=True)
        with suppress(OSError):
            self.path.parents[1].rmdir()

    def _find(self) -> dict[str, Any] | None:
        self._tidy()
        state = self._read()
        if state is not None:
            tqdm.write(f"continuing after step {state['step']}, from {self.path}")
        return state

    def _tidy(self) -> None:
        own = self.path.parent
        others = [path for path in own.parent.glob("*") if re.fullmatch("[0-9a-f]{16}", path.name) and path != own]
        for path in others:
            shutil.rmtree(path, ignore_errors=True)

    def _read(self) -> dict[str, Any] | None:
        try:
            data = self.path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            _warn(f"{self.path} cannot be read ({error.strerror or error}); training starts afresh")
            return None
        size = hashlib.sha256().digest_size
        if hashlib.sha256(data[size:]).digest() != data[:size]:
            _warn(f"{self.path} is damaged; training starts afresh")
            return None
        return torch.load(io.BytesIO(data[size:]), map_location="cpu", weights_only=True)

    def _write(self, state: dict[str, Any]) -> None:
        buffer = io.BytesIO()
        torch.save(state, buffer)
        data = buffer.getbuffer()
        with replacing(self.path) as partial, open(partial, "wb") as stream:
            stream.write(hashlib.sha256(data).digest())
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())  # or a power cut could leave the name without the content


def finite(state: Any) -> bool:
    """Whether all numbers in all tensors of a nested state are finite: no training recovers from others."""
    if isinstance(state, torch.Tensor):
        return not state.is_floating_point() or bool(torch.isfinite(state).all())
    if isinstance(state, dict):
        return all(map(finite, state.values()))
    return not isinstance(state, list | tuple) or all(map(finite, state))


def _content(path: str | os.PathLike[str]) -> tuple[str, int, int]:
    checksum = 0
    with open(path, "rb") as stream:
        while data := stream.read(_READ_SIZE):
            checksum = zlib.crc32(data, checksum)
    return Path(path).name, os.path.getsize(path), checksum


def _code() -> dict[str, str]:
    """The hash of the file of each loaded module of the project, by module."""
    ours = {name: module.__file__ for name, module in sys.modules.items() if f"{name}.".startswith("nntrack.")}
    return {name: sha256(file) for name, file in ours.items() if file}


def _warn(text: str) -> None:
    tqdm.write(f"warning: {text}", file=sys.stderr)
