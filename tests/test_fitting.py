from itertools import pairwise

import pytest
import torch
from torch import nn

from nntrack import fitting
from nntrack.config import Schedule

SCHEDULE = Schedule(
    batch_size=4, steps=100, warmup_steps=10, weight_decay=0.1, ema_decay=0.9, validate_every=50, losses={"a": 1.0}
)


def test_the_rate_rises_then_falls():
    shares = [fitting.share_of_lr(step, SCHEDULE) for step in range(100)]
    assert shares[0] == 0.1
    assert max(shares) == shares[9] == 1.0
    assert all(a < b for a, b in pairwise(shares[:10]))
    assert all(a >= b for a, b in pairwise(shares[10:]))
    assert shares[-1] < 0.02


def test_the_average_follows_parameters_and_buffers():
    net = nn.BatchNorm1d(2)
    average = fitting.Average(net, 0.9)
    with torch.no_grad():
        net.weight.fill_(3.0)
    net(torch.randn(8, 2))
    for _ in range(200):
        average.update(net)
    torch.testing.assert_close(average.net.weight, net.weight)
    torch.testing.assert_close(average.net.running_mean, net.running_mean)
    assert average.net.num_batches_tracked == net.num_batches_tracked
    assert not average.net.training


def test_the_average_forgets_the_start_at_once():
    net = nn.Linear(1, 1)
    average = fitting.Average(net, 0.999)
    with torch.no_grad():
        net.weight.fill_(5.0)
    for _ in range(20):
        average.update(net)
    assert average.net.weight.item() > 4.9


def test_groups_hold_every_parameter_once():
    net = nn.Sequential()
    net.add_module("body", nn.Linear(3, 3))
    net.add_module("sure", nn.Linear(3, 1))
    found = fitting.groups(net, 0.1, ("sure",))
    held = [parameter for group in found for parameter in group["params"]]
    assert len(held) == len(set(held)) == len(list(net.parameters()))
    for group in found:
        for parameter in group["params"]:
            assert group["weight_decay"] == (0.1 if parameter.ndim > 1 else 0.0)
            assert (group["share"] < 1) == any(parameter is own for own in net.sure.parameters())
    assert [len(group["params"]) for group in fitting.groups(net, 0.1, ())] == [2, 2]


def test_the_start_depends_on_the_seed_alone():
    torch.manual_seed(5)
    before = torch.get_rng_state()
    one, again, other = (fitting.seeded(lambda: nn.Linear(4, 4), seed).weight for seed in (1, 1, 2))
    assert torch.equal(one, again)
    assert not torch.equal(one, other)
    assert torch.equal(torch.get_rng_state(), before)


def test_the_settings_are_put_back():
    before = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    with pytest.raises(KeyError), fitting._settings(1):
        raise KeyError
    assert (torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()) == before
