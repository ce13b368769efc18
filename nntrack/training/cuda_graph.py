"""A training step recorded as a CUDA graph, and launched as one.

A small network's step is a thousand operations, each of which takes the GPU less time than it takes to launch it.
"""

import sys
import warnings
from collections.abc import Callable, Sequence
from itertools import zip_longest

import torch
from tqdm import tqdm

from nntrack.training.dataset import Batch

WARM_UP = 3  # steps before the recording: libraries choose their algorithms, constants are made

Number = float | torch.Tensor  # the latter without a dimension
Numbers = Sequence[Number]
Step = Callable[[Batch, Numbers], Batch]  # from a batch, always of the same shapes, to outputs by name


class Replay:
    """A step that is recorded when it is called for the first time, and replayed from then on.

    If it waits for the GPU it cannot be recorded: a warning says so, and its operations are launched one by one.
    """

    def __init__(self, step: Step, changed: Callable[[], Sequence[torch.Tensor]]) -> None:
        """
        Args:
            step: what is recorded; its numbers become tensors, at whose values it does not look.
            changed: all tensors that a step changes besides its outputs. Those that the first step makes come last,
                and are zeros before it.
        """
        self._step, self._changed = step, changed
        self._graph: torch.cuda.CUDAGraph | None = None
        self._tried = False
        self._batch: Batch = {}
        self._numbers: list[torch.Tensor] = []
        self._outputs: Batch = {}

    def __call__(self, batch: Batch, numbers: Numbers) -> Batch:
        """One step; returns copies of its outputs."""
        if not self._tried:
            self._tried = True
            self._record(batch, numbers)
        if self._graph is None:
            return self._step(batch, numbers)
        self._set_inputs(batch, numbers)
        self._graph.replay()
        return {name: value.clone() for name, value in self._outputs.items()}

    def _set_inputs(self, batch: Batch, numbers: Numbers) -> None:
        torch._foreach_copy_([self._batch[name] for name in batch], list(batch.values()))
        for own, number in zip(self._numbers, numbers, strict=True):
            own.fill_(number)

    def _record(self, batch: Batch, numbers: Numbers) -> None:
        before = [value.detach().clone() for value in self._changed()]
        self._batch = {name: torch.empty_like(value) for name, value in batch.items()}
        self._numbers = [torch.zeros((), device=next(iter(batch.values())).device) for _ in numbers]
        self._set_inputs(batch, numbers)
        current, side = torch.cuda.current_stream(), torch.cuda.Stream()  # type: ignore[no-untyped-call]
        side.wait_stream(current)
        with torch.cuda.stream(side), warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*capturable")  # from an optimizer that is not recorded yet
            for _ in range(WARM_UP):
                self._step(self._batch, self._numbers)
        current.wait_stream(side)
        self._graph = self._capture(current, side)
        # as if none of these steps had been done
        with torch.no_grad():
            for value, old in zip_longest(self._changed(), before):
                value.zero_() if old is None else value.copy_(old)

    def _capture(self, current: torch.cuda.Stream, side: torch.cuda.Stream) -> torch.cuda.CUDAGraph | None:
        graph = torch.cuda.CUDAGraph()
        try:
            with torch.cuda.graph(graph, stream=side):
                self._outputs = self._step(self._batch, self._numbers)
        except RuntimeError as error:
            torch.cuda.set_stream(current)  # a failure leaves the other one current
            reason = str(error).splitlines()[0]
            text = f"warning: the step cannot be recorded, and so takes several times as long ({reason})"
            tqdm.write(text, file=sys.stderr)
            return None
        return graph
