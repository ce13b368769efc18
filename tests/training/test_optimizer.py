import copy

import pytest
import torch
from torch import nn

from nntrack.training import optimizer
from nntrack.training.optimizer import Muon, orthogonal, parameter_groups


def random_matrices(*shapes):
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(shape, generator=generator) for shape in shapes]


SHAPES = [(8, 40), (40, 8), (8, 17), (16, 16), (1, 9)]


def test_singular_values_become_about_one_and_vectors_stay():
    given = random_matrices(*SHAPES)
    for old, found in zip(given, orthogonal(given), strict=True):
        left, values, right = torch.linalg.svd(old, full_matrices=False)
        within = left.mT @ found @ right.mT  # diagonal if the vectors are the same
        new = within.diagonal()
        torch.testing.assert_close(within, torch.diag(new), rtol=0, atol=1e-4)
        large = values / values[0] > 0.05
        assert ((new[large] > 0.6) & (new[large] < 1.3)).all()


def test_it_is_the_iteration_on_whole_matrices():
    given = [matrix.double() for matrix in random_matrices((12, 50), (12, 30), (9, 7))]
    a, b, c = optimizer.COEFFICIENTS
    for old, found in zip(given, orthogonal(given), strict=True):
        naive = old / old.norm()
        for _ in range(optimizer.STEPS):
            square = naive @ naive.mT
            naive = a * naive + (b * square + c * square @ square) @ naive
        torch.testing.assert_close(found, naive)


def test_the_norm_does_not_matter_and_zeros_stay():
    [given] = random_matrices((6, 9))
    torch.testing.assert_close(orthogonal([1e6 * given]), orthogonal([given]))
    assert not orthogonal([torch.zeros(4, 5)])[0].any()


def trained(module, made, steps):
    x = torch.randn(4, 3, 9, 9, generator=torch.Generator().manual_seed(1))
    for _ in range(steps):
        made.zero_grad()
        (module(x) ** 2).mean().backward()
        made.step()
    return module


def make(memory_format=torch.contiguous_format):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 4, 3))
    return net.to(memory_format=memory_format)


def groups(net):
    kernels = [p for p in net.parameters() if p.ndim == 4]
    others = [p for p in net.parameters() if p.ndim < 4]
    return [{"params": kernels, "orthogonal": True, "weight_decay": 0.1}, {"params": others}]


def test_unmarked_parameters_are_changed_by_adamw():
    ours, theirs = make(), make()
    trained(ours, Muon([{"params": list(ours.parameters())}], 0.01), 5)
    trained(theirs, torch.optim.AdamW(theirs.parameters(), 0.01), 5)
    torch.testing.assert_close(dict(ours.named_parameters()), dict(theirs.named_parameters()), rtol=0, atol=0)


def test_the_length_of_a_step_follows_from_the_rate():
    net = make()
    before = copy.deepcopy(net)
    trained(net, Muon(groups(net), 0.01), 1)
    for new, old in ((net[0].weight, before[0].weight), (net[2].weight, before[2].weight)):
        change = (new - old * (1 - 0.01 * 0.1)).flatten(1)
        values = torch.linalg.svdvals(change) / (0.01 * optimizer.RMS * max(change.shape) ** 0.5)
        assert values.max() < 1.3 and values.median() > 0.6


def test_the_order_in_memory_does_not_matter():
    nets = [make(), make(torch.channels_last)]
    for net in nets:
        trained(net, Muon(groups(net), 0.01), 5)
    first, second = (dict(net.named_parameters()) for net in nets)
    torch.testing.assert_close(first, second, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("fused", [False, True])
def test_a_restored_state_continues_to_the_same_weights(fused):
    whole, half = make(), make()
    trained(whole, Muon(groups(whole), 0.01, fused=fused), 6)
    first = Muon(groups(half), 0.01, fused=fused)
    trained(half, first, 3)
    second = Muon(groups(half), 0.01, fused=fused)
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    trained(half, second, 3)
    torch.testing.assert_close(dict(half.named_parameters()), dict(whole.named_parameters()), rtol=0, atol=0)


def test_parameters_without_gradients_stay():
    net = make()
    before = copy.deepcopy(net)
    Muon(groups(net), 0.01).step()
    torch.testing.assert_close(net.state_dict(), before.state_dict(), rtol=0, atol=0)


def test_parameter_groups_hold_every_parameter_once():
    net = nn.Sequential()
    net.add_module("dense", nn.Conv2d(1, 4, 3))
    net.add_module("depthwise", nn.Conv2d(4, 4, 3, groups=4))
    net.add_module("sure", nn.Linear(4, 1))
    found = parameter_groups(net, 0.1, ("sure",))
    held = [parameter for group in found for parameter in group["params"]]
    assert len(held) == len(set(held)) == len(list(net.parameters()))
    for group in found:
        for parameter in group["params"]:
            assert group["weight_decay"] == (0.1 if parameter.ndim > 1 else 0.0)
            assert (group["lr_factor"] < 1) == any(parameter is own for own in net.sure.parameters())
            assert group["orthogonal"] == (parameter is net.dense.weight)
    assert [len(group["params"]) for group in parameter_groups(net, 0.1, ())] == [1, 3, 2]
