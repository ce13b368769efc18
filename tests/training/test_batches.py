from types import SimpleNamespace

import pytest
import torch

from nntrack.training.batches import AHEAD, BESIDE, FULL, Supply
from nntrack.training.kernels import CHANNELS, stack_of

SIZE = 5


class Numbers:
    """Samples whose pictures are their numbers."""

    def draw(self, size, generator):
        return torch.randint(10**6, (size,), generator=generator)

    def batch(self, index):
        return {"image": index.float(), "index": index}


def prepare(batch, generator):
    return batch | {"noise": torch.randn(len(batch["index"]), generator=generator)}


def finish(batch):
    return batch | {"image": 2 * batch["image"]}


def supply(seed=3, rank=0, processes=1, threads=1, size=SIZE, device="cpu"):
    world = SimpleNamespace(
        size=processes,
        rank=rank,
        fabric=SimpleNamespace(device=torch.device(device)),
        share=lambda index: index.chunk(processes, dim=-1)[rank],
    )
    return Supply(Numbers(), prepare, finish, size, seed, world, threads)


def same(one, other):
    return all(torch.equal(one[0][name], other[0][name]) for name in one[0]) and torch.equal(one[1], other[1])


def test_every_step_has_samples_and_variations_of_its_own():
    made, steps = supply(), range(1, 3 * AHEAD)
    batches = [made.batch(step) for step in steps]
    for batch, index in batches:
        assert torch.equal(batch["index"], index)
        assert torch.equal(batch["image"], 2 * index.float())
    for name in ("index", "noise"):
        values = torch.stack([batch[name] for batch, _ in batches])
        assert values.shape == (len(steps), SIZE)
        assert len(values.unique()) > 0.99 * values.numel()


@pytest.mark.parametrize("first", [1, 2, AHEAD, AHEAD + 1, 2 * AHEAD + 3])
def test_a_step_does_not_depend_on_those_before(first):
    whole, later = supply(), supply()
    expected = {step: whole.batch(step) for step in range(1, 3 * AHEAD)}
    for step in range(first, 3 * AHEAD):
        assert same(later.batch(step), expected[step])
    assert same(later.batch(1), expected[1])
    assert not same(supply(seed=4).batch(first), expected[first])


@pytest.mark.parametrize("threads", [2, 3, 9])
def test_threads_decide_nothing(threads):
    one, several = supply(), supply(threads=threads)
    for step in [*range(1, 2 * AHEAD), 5 * AHEAD, 3, 2, AHEAD + 1]:
        assert same(several.batch(step), one.batch(step))


def test_processes_share_the_samples_of_one_and_vary_them_differently():
    pair = [supply(rank=rank, processes=2) for rank in range(2)]
    for step in (1, AHEAD, AHEAD + 2):
        (one, index), (other, again) = (made.batch(step) for made in pair)
        assert torch.equal(index, again)
        assert torch.equal(torch.cat([one["index"], other["index"]]), index)
        assert not torch.isin(one["noise"], other["noise"]).any()


@pytest.mark.parametrize("size", [1, 96, 500, 1500, 10**6])
def test_an_accelerator_makes_many_steps_ready_at_once_if_batches_are_small(size):
    steps = supply(size=size, device="meta").ahead
    assert steps == CHANNELS or (steps * size <= FULL and steps <= AHEAD * BESIDE)
    assert steps == AHEAD * BESIDE or (steps + 1) * size > FULL
    # what is varied alike is in different steps
    of_steps = stack_of(steps * size).view(steps, size)
    assert all(len(of_step.unique()) == size for of_step in of_steps)
    assert supply(size=size).ahead == AHEAD
