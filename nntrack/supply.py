"""Batches for the steps of a training, made ready for several at once: few large operations cost less than many small.

What is drawn for a step follows from seed, step and process alone, whatever was drawn before: a training that goes on
in the middle needs no state from here.
"""

from collections.abc import Callable

import numpy as np
import torch

from nntrack import compute
from nntrack.dataset import Batch, Mixture
from nntrack.parallel import World

AHEAD = 8  # steps; on a CPU more hardly save time and need memory
BESIDE = 4  # so many times as far ahead, at most: on a CPU in blocks side by side, on an accelerator in one
FULL = 4096  # samples of a block on an accelerator, at most: its memory has to hold them
_SAMPLES, _VARIATIONS = 0, 1  # what draws are for

Prepare = Callable[[Batch, torch.Generator | None], Batch]
Step = tuple[Batch, torch.Tensor]


class Supply:
    """The batches of ``size`` samples that this process of a ``world`` learns from, on its device.

    prepare: a batch of the dataset, of any size, to one for net and losses, varied by the generator it is given.
    threads: so many blocks are made ready side by side if that is a CPU. ``ahead``: steps of one block.
    """

    def __init__(self, train: Mixture, prepare: Prepare, size: int, seed: int, world: World, threads: int) -> None:
        self._train, self._prepare, self._size, self._seed, self._world = train, prepare, size, seed, world
        self._device = world.fabric.device
        cpu = self._device.type == "cpu"
        self._beside = min(threads, BESIDE) if cpu else 1
        # launches take time, and are as many for a large block as for a small one
        self.ahead = AHEAD if cpu else max(1, min(AHEAD * BESIDE, FULL // size))
        self._blocks: dict[int, list[Step]] = {}

    def batch(self, step: int) -> Step:
        """The batch of a step (1 is the first), and the numbers of the samples of all processes, in order of rank."""
        number, place = divmod(step - 1, self.ahead)
        # the memory of those before is of use now
        self._blocks = {later: block for later, block in self._blocks.items() if later >= number}
        if number not in self._blocks:
            numbers = range(number, number + self._beside)
            self._blocks = dict(zip(numbers, compute.side_by_side(self._block, numbers), strict=True))
        return self._blocks[number][place]

    def _block(self, number: int) -> list[Step]:
        world, draws, variations = self._world, torch.Generator(), torch.Generator(self._device)
        _seed(draws, self._seed, number, _SAMPLES)
        _seed(variations, self._seed, number, _VARIATIONS, world.rank)
        # every process draws for all, and takes its share of every step
        index = self._train.draw(self.ahead * world.size * self._size, draws).view(self.ahead, -1)
        shown = self._prepare(self._train.batch(world.share(index).flatten()), variations)
        steps = zip(*(values.chunk(self.ahead) for values in shown.values()), strict=True)
        batches = [dict(zip(shown, values, strict=True)) for values in steps]
        return list(zip(batches, index.unbind(), strict=True))


def _seed(generator: torch.Generator, *words: int) -> None:
    generator.manual_seed(int(np.random.SeedSequence(words).generate_state(1, np.uint64)[0]))
