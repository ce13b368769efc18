"""Batches for the steps of a training, prepared in blocks of several steps: few large operations cost less than many
small ones.

The random numbers of a step follow from seed, step and process alone, whatever was sampled before: a training that
continues in the middle needs no state from here.
"""

from collections.abc import Callable

import numpy as np
import torch

from nntrack.training.dataset import Batch, Mixture, to_device
from nntrack.training.distributed import World
from nntrack.training.workers import Workers, can_fork, shared

BLOCK = 16  # steps; larger blocks hardly save time and need memory
WORKERS = 4  # processes, at most
_SAMPLES, _AUGMENTATION = 0, 1  # purposes of random numbers

Prepare = Callable[[Batch, torch.Generator | None], Batch]
Finish = Callable[[Batch], Batch]
Step = tuple[Batch, torch.Tensor]


class BatchProducer:
    """The batches of ``size`` samples that this process of a ``world`` learns from, on its device.

    Blocks are prepared by worker processes, one each: threads would wait for each other, as between short calls each
    needs Python's lock. A CPU trains when they are done; for a GPU they prepare the next blocks meanwhile.
    Close it at the end.
    """

    def __init__(
        self, train: Mixture, prepare: Prepare, finish: Finish, size: int, seed: int, world: World, threads: int
    ) -> None:
        """
        Args:
            train: what is sampled from.
            prepare: from a batch of the mixture, of any size, and the generator of its augmentation, to the input of
                ``finish``; on the CPU. Images stay uint8 up to there.
            finish: from a batch of that to one for network and losses; on the device.
            size: samples of a step, in this process.
            seed: of all random numbers.
            world: the processes that train together.
            threads: as many workers, up to `WORKERS`.
        """
        self._train, self._prepare, self._finish = train, prepare, finish
        self._size, self._seed, self._world = size, seed, world
        self._device = world.fabric.device
        self._prefetch = can_fork() and self._device.type != "cpu"
        self._parallel = min(threads, WORKERS) if can_fork() else 1
        use_workers = self._parallel > 1 or self._prefetch
        self._workers = Workers(self._fill, self._parallel) if use_workers else None
        self._buffers: list[Batch] = []  # a block each, shared with the workers
        self._started: tuple[range, Callable[[], None]] = (range(0), lambda: None)  # blocks, and how to wait for them
        self._blocks: dict[int, list[Step]] = {}

    def batch(self, step: int) -> Step:
        """The batch of a step (1 is the first), and the numbers of the samples of all processes, in order of rank.

        Valid until a step of another block is asked for, which may use its memory.
        """
        block, place = divmod(step - 1, BLOCK)
        if block not in self._blocks:
            self._blocks.clear()  # its memory is used again
            blocks = range(block, block + self._parallel)
            made = [to_device(batch, self._device) for batch in self._prepared(blocks)]
            if self._prefetch:
                self._start(range(blocks.stop, blocks.stop + self._parallel))
            self._blocks = {number: self._steps(number, batch) for number, batch in zip(blocks, made, strict=True)}
        batch, index = self._blocks[block][place]
        return self._finish(batch), index

    @property
    def steps_at_once(self) -> int:
        """The number of steps that are prepared together."""
        return BLOCK * self._parallel

    def close(self) -> None:
        """End the workers."""
        if self._workers is not None:
            self._workers.close()

    def _prepared(self, blocks: range) -> list[Batch]:
        if self._workers is None:
            return [self._make(block) for block in blocks]
        if self._started[0] != blocks:
            self._start(blocks)
        self._started[1]()
        return [self._buffer(block) for block in blocks]

    def _start(self, blocks: range) -> None:
        """Let the workers prepare blocks."""
        self._started[1]()  # others may use the same buffers
        if not self._buffers:
            example = self._prepare(self._train.batch(torch.arange(1)), None)
            samples, count = BLOCK * self._size, self._parallel * (2 if self._prefetch else 1)
            shapes = {name: ((samples, *value.shape[1:]), value.dtype) for name, value in example.items()}
            self._buffers = [{name: shared(*shape) for name, shape in shapes.items()} for _ in range(count)]
        if self._workers is not None:
            self._started = blocks, self._workers.start(blocks)

    def _buffer(self, block: int) -> Batch:
        return self._buffers[block % len(self._buffers)]

    def _fill(self, block: int) -> None:
        buffer = self._buffer(block)
        for name, value in self._make(block).items():
            buffer[name].copy_(value)

    def _make(self, block: int) -> Batch:
        """The samples of a block, step after step."""
        augmentation = _seeded(self._seed, block, _AUGMENTATION, self._world.rank)
        # every process samples for all, and takes its part of every step
        index = self._world.part(self._sample(block)).flatten()
        return self._prepare(self._train.batch(index), augmentation)

    def _sample(self, block: int) -> torch.Tensor:
        """Numbers (BLOCK, processes * size) of the samples of a block."""
        count = BLOCK * self._world.size * self._size
        return self._train.sample(count, _seeded(self._seed, block, _SAMPLES)).view(BLOCK, -1)

    def _steps(self, block: int, batch: Batch) -> list[Step]:
        steps = zip(*(values.chunk(BLOCK) for values in batch.values()), strict=True)
        batches = [dict(zip(batch, values, strict=True)) for values in steps]
        return list(zip(batches, self._sample(block).unbind(), strict=True))


def _seeded(*words: int) -> torch.Generator:
    return torch.Generator().manual_seed(int(np.random.SeedSequence(words).generate_state(1, np.uint64)[0]))
