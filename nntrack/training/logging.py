"""What is kept about a training as it goes: losses to be checked, means to be logged, curves, the best weights.

All of it has a state that goes into checkpoints.
"""

import math
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from dvclive.live import Live
from torch import nn

from nntrack.training.dataset import Batch, Mixture

EXPLODED = 1000.0  # times the loss of the first step (or 1): no training comes back from there ...
PATIENCE = 20  # ... if so many steps in a row are above; a single one may be an outlier, whose gradient is clipped


class _Stateful:
    """Some attributes are the state that goes into checkpoints."""

    _state: ClassVar[tuple[str, ...]]

    def state_dict(self) -> dict[str, Any]:
        """The state."""
        return {name: getattr(self, name) for name in self._state}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a state."""
        vars(self).update(state)


class LossMonitor(_Stateful):
    """Checks losses some steps late: to read one at every step would keep an accelerator waiting."""

    _state = ("_limit",)  # that is all after `check`, if `calm`

    def __init__(self, train: Mixture, gather: Callable[[Any], list[Any]] = lambda value: [value]) -> None:
        """gather: from this process's value to those of all that train together; the loss is the mean of theirs."""
        self._train = train
        self._gather = gather
        self._pending: list[tuple[int, torch.Tensor, torch.Tensor]] = []
        self._limit: float | None = None
        self._steps_above = 0  # in a row

    def add(self, step: int, loss: torch.Tensor, index: torch.Tensor) -> None:
        """Remember a step's loss and its samples' numbers, of all processes in order of rank."""
        self._pending.append((step, loss, index))

    def check(self) -> None:
        """Check all that was added. Raises ValueError, naming step and samples, if a loss is not finite or exploded."""
        if not self._pending:
            return
        own = torch.stack([loss for _, loss, _ in self._pending]).tolist()
        losses = torch.tensor(self._gather(own))  # (processes, steps)
        for (step, _, index), of_processes in zip(self._pending, losses.unbind(1), strict=True):
            value = of_processes.mean().item()
            if self._limit is None:
                self._limit = EXPLODED * max(1.0, value)
            self._steps_above = self._steps_above + 1 if value > self._limit else 0
            if not math.isfinite(value) or self._steps_above == PATIENCE:
                suspects = index.view(len(of_processes), -1)[~(of_processes <= self._limit)]  # NaN is not <= either
                names = ", ".join(self._train.names(suspects.flatten()))
                raise ValueError(
                    f"the loss became {value:.6g} at step {step}; lower the learning rate, or look at the samples of "
                    f"its batch: {names}"
                )
        self._pending.clear()

    @property
    def calm(self) -> bool:
        """Whether the last loss that was checked was not too high."""
        return self._steps_above == 0


class RunningMean(_Stateful):
    """Means of a step's values since they were last taken, as a single batch's say little about the net.

    The sums stay on the device: to read a value at every step would keep an accelerator waiting.
    """

    _state = ("_sums", "_steps")

    def __init__(self, mean: Callable[[torch.Tensor], torch.Tensor] = lambda values: values) -> None:
        """mean: of a tensor over the processes that train together."""
        self._mean = mean
        self._names: list[str] = []
        self._sums: torch.Tensor | None = None
        self._steps = 0

    @torch.no_grad()
    def add(self, values: Mapping[str, torch.Tensor]) -> None:
        """Add a step's values, scalars of the same names every time."""
        self._names = list(values)
        stacked = torch.stack(list(values.values()))
        self._sums = stacked if self._sums is None else self._sums.to(stacked.device) + stacked
        self._steps += 1

    def take(self) -> dict[str, float]:
        """The means over the steps that were added, empty if there are none; then begin anew."""
        if self._sums is None:
            return {}
        means = self._mean(self._sums / self._steps).tolist()
        self._sums, self._steps = None, 0
        return dict(zip(self._names, means, strict=True))


@contextmanager
def live_logger(folder: str | os.PathLike[str] | None) -> Iterator[Live | None]:
    """A context with dvclive writing to ``folder``; with None there is no logger."""
    if folder is None:
        yield None
        return
    try:
        with Live(str(folder), save_dvc_exp=False, dvcyaml=None, report=None) as live:
            yield live
    except OSError as error:
        if error.errno is None or error.filename is not None:
            raise
        # that of a full disk names no file
        raise OSError(error.errno, os.strerror(error.errno), os.fspath(folder)) from error


class Curves:
    """Logs values to dvclive's files, and remembers them so that the same files can be written again."""

    def __init__(self, live: Live | None) -> None:
        """live: None in a process that writes nothing."""
        self._live = live
        self._rows: list[tuple[int, dict[str, float]]] = []

    def log(self, step: int, kind: str, values: Mapping[str, float]) -> None:
        """Add the values of one step as ``kind``/<name>."""
        self._add(step, {f"{kind}/{name}": round(value, 6) for name, value in values.items()})

    def _add(self, step: int, row: dict[str, float]) -> None:
        self._rows.append((step, row))
        if self._live is None:
            return
        self._live.step = step
        for name, value in row.items():
            self._live.log_metric(name, value)
        # after every row: the order in dvclive's summary depends on it
        self._live.sync()  # type: ignore[no-untyped-call]  # dvclive gives it no types

    def state_dict(self) -> dict[str, Any]:
        """All that was logged."""
        return {"rows": self._rows}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Log it all again, into files that are still empty."""
        for step, row in state["rows"]:
            self._add(step, row)


@dataclass
class Best(_Stateful):
    """The weights with the lowest score so far: a state dict on the CPU, None before the first."""

    _state = ("score", "weights")

    weights: Batch | None = None
    score: float = float("inf")

    def offer(self, score: float, net: nn.Module) -> None:
        """Keep a copy of the net's weights if their score is lower."""
        if score < self.score:
            self.score, self.weights = score, copy_weights(net)


def copy_weights(net: nn.Module) -> Batch:
    """A copy of a net's state dict, on the CPU."""
    return {name: value.detach().cpu().clone() for name, value in net.state_dict().items()}
