from types import SimpleNamespace

import pytest
import torch

from nntrack.training import batches
from nntrack.training.batches import BLOCK, BatchProducer

SIZE = 5
CPU, OTHER = torch.device("cpu"), torch.device("meta")  # the latter stands for a GPU


class Numbers:
    """Samples whose images are their numbers."""

    def sample(self, size, generator):
        return torch.randint(10**6, (size,), generator=generator)

    def batch(self, index):
        return {"image": index.float(), "index": index}


def prepare(batch, generator):
    return batch | {"noise": torch.randn(len(batch["index"]), generator=generator)}


def finish(batch):
    return batch | {"image": 2 * batch["image"]}


@pytest.fixture
def producer():
    """Makes some; their workers end with the test."""
    made = []

    def make(seed=3, rank=0, processes=1, threads=1, device=CPU):
        world = SimpleNamespace(
            size=processes,
            rank=rank,
            fabric=SimpleNamespace(device=device),
            part=lambda index: index.chunk(processes, dim=-1)[rank],
        )
        made.append(BatchProducer(Numbers(), prepare, finish, SIZE, seed, world, threads))
        return made[-1]

    yield make
    for one in made:
        one.close()


def same(one, other):
    return all(torch.equal(one[0][name], other[0][name]) for name in one[0]) and torch.equal(one[1], other[1])


def test_every_step_has_samples_and_augmentation_of_its_own(producer):
    made, steps = producer(), range(1, 3 * BLOCK)
    found = [made.batch(step) for step in steps]
    for batch, index in found:
        assert torch.equal(batch["index"], index)
        assert torch.equal(batch["image"], 2 * index.float())
    for name in ("index", "noise"):
        values = torch.stack([batch[name] for batch, _ in found])
        assert values.shape == (len(steps), SIZE)
        assert len(values.unique()) > 0.99 * values.numel()


@pytest.mark.parametrize("first", [1, 2, BLOCK, BLOCK + 1, 2 * BLOCK + 3])
def test_a_step_does_not_depend_on_those_before(first, producer):
    whole, later = producer(), producer()
    expected = {step: whole.batch(step) for step in range(1, 3 * BLOCK)}
    for step in range(first, 3 * BLOCK):
        assert same(later.batch(step), expected[step])
    assert same(later.batch(1), expected[1])
    assert not same(producer(seed=4).batch(first), expected[first])


@pytest.mark.parametrize("prefetch", [False, True])
@pytest.mark.parametrize("threads", [1, 2, 9])
def test_workers_change_nothing(threads, prefetch, producer, monkeypatch):
    one = producer()
    # a GPU's way, on the processor
    monkeypatch.setattr(batches, "to_device", lambda batch, _: {name: value.clone() for name, value in batch.items()})
    several = producer(threads=threads, device=OTHER if prefetch else CPU)
    for step in [*range(1, 4 * BLOCK), 9 * BLOCK, 3, 2, BLOCK + 1]:
        assert same(several.batch(step), one.batch(step))


def test_processes_share_the_samples_of_one_and_augment_them_differently(producer):
    pair = [producer(rank=rank, processes=2) for rank in range(2)]
    for step in (1, BLOCK, BLOCK + 2):
        (one, index), (other, again) = (made.batch(step) for made in pair)
        assert torch.equal(index, again)
        assert torch.equal(torch.cat([one["index"], other["index"]]), index)
        assert not torch.isin(one["noise"], other["noise"]).any()
