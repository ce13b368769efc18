"""How one NVIDIA GPU is told what to do: a step that is recorded once and launched as one, and work beside it."""

import sys
import warnings
from collections.abc import Callable, Sequence
from itertools import zip_longest
from typing import Generic, Protocol, TypeVar

import torch
from tqdm import tqdm

from nntrack.training.dataset import Batch

WARM_UP = 3  # times that a step is done before it is recorded: libraries make their choices, constants are made
FIRST, LATER = -1, 0  # priorities of streams: what is recorded goes first

Number = float | torch.Tensor  # the latter without a dimension
Numbers = Sequence[Number]
Made = TypeVar("Made")


class Step(Protocol):
    """Something that is done again and again to batches of the same shapes."""

    def __call__(self, batch: Batch, numbers: Numbers) -> Batch:
        """What comes of a batch and of numbers."""


class Replay:
    """A ``step`` that is recorded, as a CUDA graph, when it is done for the first time; what it returns are copies.

    A small net's step is a thousand operations, each of which takes the GPU less time than it takes to launch it. If
    one of them waits for the GPU the step cannot be recorded: a line says so, and they are launched one by one.
    step: does not look at its numbers, which are tensors for it.
    changed: all tensors that a step changes beside what it returns; those that it makes in doing so, zeros, at the end.
    """

    def __init__(self, step: Step, changed: Callable[[], Sequence[torch.Tensor]]) -> None:
        self._step, self._changed = step, changed
        self._graph: torch.cuda.CUDAGraph | None = None
        self._tried = False
        self._batch: Batch = {}
        self._numbers: list[torch.Tensor] = []
        self._made: Batch = {}

    def __call__(self, batch: Batch, numbers: Numbers) -> Batch:
        """Do it."""
        if not self._tried:
            self._tried = True
            self._record(batch, numbers)
        if self._graph is None:
            return self._step(batch, numbers)
        self._give(batch, numbers)
        self._graph.replay()
        return {name: value.clone() for name, value in self._made.items()}

    def _give(self, batch: Batch, numbers: Numbers) -> None:
        torch._foreach_copy_([self._batch[name] for name in batch], list(batch.values()))
        for own, number in zip(self._numbers, numbers, strict=True):
            own.fill_(number)

    def _record(self, batch: Batch, numbers: Numbers) -> None:
        before = [value.detach().clone() for value in self._changed()]
        self._batch = {name: torch.empty_like(value) for name, value in batch.items()}
        place = next(iter(batch.values())).device
        self._numbers = [torch.zeros((), device=place) for _ in numbers]
        self._give(batch, numbers)
        current, beside = torch.cuda.current_stream(), torch.cuda.Stream(priority=FIRST)  # type: ignore[no-untyped-call]
        beside.wait_stream(current)
        with torch.cuda.stream(beside), warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*capturable")  # an optimiser's, which is not yet recorded
            for _ in range(WARM_UP):
                self._step(self._batch, self._numbers)
        current.wait_stream(beside)
        self._graph = self._recorded(current, beside)
        # as if there had been none of all that
        with torch.no_grad():
            for value, old in zip_longest(self._changed(), before):
                value.zero_() if old is None else value.copy_(old)

    def _recorded(self, current: torch.cuda.Stream, beside: torch.cuda.Stream) -> torch.cuda.CUDAGraph | None:
        graph = torch.cuda.CUDAGraph()
        try:
            with torch.cuda.graph(graph, stream=beside):
                self._made = self._step(self._batch, self._numbers)
        except RuntimeError as error:
            torch.cuda.set_stream(current)  # a failure leaves another behind
            _warn(f"a step cannot be recorded, and so takes several times as long ({str(error).splitlines()[0]})")
            return None
        return graph


class Beside(Generic[Made]):
    """What ``make`` makes of numbers, beside the GPU's other work: while one is used the next is made."""

    def __init__(self, make: Callable[[int], Made]) -> None:
        self._make = make
        self._stream = torch.cuda.Stream(priority=LATER)  # type: ignore[no-untyped-call]  # torch gives it no types
        self._begun: dict[int, Made] = {}

    def take(self, number: int) -> Made:
        """That of a number; what was taken before is no longer used, or only by what was launched already."""
        made = self._begun.pop(number) if number in self._begun else self._begin(number)
        torch.cuda.current_stream().wait_stream(self._stream)
        self._begun = {number + 1: self._begin(number + 1)}
        return made

    def _begin(self, number: int) -> Made:
        # memory that is taken again may still be read by what was launched before
        self._stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self._stream):
            return self._make(number)


def _warn(text: str) -> None:
    tqdm.write(f"warning: {text}", file=sys.stderr)
