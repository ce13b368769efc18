"""Batches for the steps of a training, made ready for several at once: few large operations cost less than many small.

What is drawn for a step follows from seed, step and process alone, whatever was drawn before: a training that goes on
in the middle needs no state from here.
"""

from collections.abc import Callable, Sequence

import numpy as np
import torch

from nntrack.training import torch_settings
from nntrack.training.cuda_graph import Beside
from nntrack.training.dataset import Batch, Mixture
from nntrack.training.distributed import World
from nntrack.training.kernels import CHANNELS

AHEAD = 16  # steps; on a CPU more hardly save time and need memory
BESIDE = 4  # so many times as far ahead, at most: on a CPU in blocks side by side, on an accelerator in one
FULL = 4096  # samples of a block on an accelerator, as its memory has to hold them; larger batches make larger ones
_SAMPLES, _VARIATIONS = 0, 1  # what draws are for

Prepare = Callable[[Batch, torch.Generator | None], Batch]
Finish = Callable[[Batch], Batch]
Step = tuple[Batch, torch.Tensor]


class Supply:
    """The batches of ``size`` samples that this process of a ``world`` learns from, on its device.

    prepare: a batch of the dataset, of any size, to what ``finish`` makes one for net and losses of, varied by the
    generator it is given. Blocks are prepared, and steps of them finished: till then pictures are bytes.
    threads: so many blocks of ``ahead`` steps are made ready side by side if that is a CPU, each by a process of its
    own: threads would wait for each other, as between short calls each needs Python's lock. Close it at the end.
    """

    def __init__(
        self, train: Mixture, prepare: Prepare, finish: Finish, size: int, seed: int, world: World, threads: int
    ) -> None:
        self._train, self._prepare, self._finish = train, prepare, finish
        self._size, self._seed, self._world = size, seed, world
        self._device = world.fabric.device
        cpu = self._device.type == "cpu"
        # launches take time, and are as many for a large block as for a small one; with fewer steps in a block than
        # variations go by, samples of one step would be varied alike
        self.ahead = AHEAD if cpu else max(CHANNELS, min(AHEAD * BESIDE, FULL // size))
        self._beside = min(threads, BESIDE) if cpu and torch_settings.can_fork() else 1
        self._ahead = Beside(self._make) if self._device.type == "cuda" else None
        self._rooms: list[Batch] = []
        self._workers = torch_settings.Workers(self._fill, self._beside) if self._beside > 1 else None
        self._blocks: dict[int, list[Step]] = {}

    def batch(self, step: int) -> Step:
        """The batch of a step (1 is the first), and the numbers of the samples of all processes, in order of rank.

        Good until a step of another block is asked for, which may take its memory.
        """
        number, place = divmod(step - 1, self.ahead)
        if number not in self._blocks:
            self._blocks.clear()  # its memory is of use now
            numbers = range(number, number + self._beside)
            made = zip(numbers, self._made(numbers), strict=True)
            self._blocks = {number: self._steps(number, shown) for number, shown in made}
        batch, index = self._blocks[number][place]
        return self._finish(batch), index

    @property
    def together(self) -> int:
        """So many steps are made ready at once."""
        return self.ahead * self._beside

    def close(self) -> None:
        """End the processes that helped."""
        if self._workers is not None:
            self._workers.close()

    def _made(self, numbers: Sequence[int]) -> list[Batch]:
        if self._ahead is not None:
            return [self._ahead.take(number) for number in numbers]
        if self._workers is None:
            return [self._make(number) for number in numbers]
        if not self._rooms:
            one = self._prepare(self._train.batch(torch.arange(1)), None)
            samples = self.ahead * self._size
            self._rooms = [
                {name: torch_settings.shared((samples, *value.shape[1:]), value.dtype) for name, value in one.items()}
                for _ in numbers
            ]
        self._workers.each(numbers)
        return [self._room(number) for number in numbers]

    def _room(self, number: int) -> Batch:
        return self._rooms[number % self._beside]

    def _fill(self, number: int) -> None:
        room = self._room(number)
        for name, value in self._make(number).items():
            room[name].copy_(value)

    def _make(self, number: int) -> Batch:
        """The samples of a block, step after step."""
        variations = _seeded(torch.Generator(self._device), self._seed, number, _VARIATIONS, self._world.rank)
        # every process draws for all, and takes its share of every step
        index = self._world.share(self._drawn(number)).flatten()
        return self._prepare(self._train.batch(index), variations)

    def _drawn(self, number: int) -> torch.Tensor:
        draws = _seeded(torch.Generator(), self._seed, number, _SAMPLES)
        return self._train.draw(self.ahead * self._world.size * self._size, draws).view(self.ahead, -1)

    def _steps(self, number: int, shown: Batch) -> list[Step]:
        steps = zip(*(values.chunk(self.ahead) for values in shown.values()), strict=True)
        batches = [dict(zip(shown, values, strict=True)) for values in steps]
        return list(zip(batches, self._drawn(number).unbind(), strict=True))


def _seeded(generator: torch.Generator, *words: int) -> torch.Generator:
    return generator.manual_seed(int(np.random.SeedSequence(words).generate_state(1, np.uint64)[0]))
