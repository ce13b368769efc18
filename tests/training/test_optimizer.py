import copy

import pytest
import torch

from nntrack.training import optimizer as muon


def random_matrices(*shapes):
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(shape, generator=generator) for shape in shapes]


SHAPES = [(8, 40), (40, 8), (8, 17), (16, 16), (1, 9)]


def test_singular_values_become_about_one_and_vectors_stay():
    given = random_matrices(*SHAPES)
    for old, found in zip(given, muon.orthogonal(given), strict=True):
        left, values, right = torch.linalg.svd(old, full_matrices=False)
        within = left.mT @ found @ right.mT  # diagonal if the vectors are the same
        new = within.diagonal()
        torch.testing.assert_close(within, torch.diag(new), rtol=0, atol=1e-4)
        told = values / values[0] > 0.05
        assert ((new[told] > 0.6) & (new[told] < 1.3)).all()


def test_it_is_the_iteration_on_whole_matrices():
    given = [matrix.double() for matrix in random_matrices((12, 50), (12, 30), (9, 7))]
    a, b, c = muon.COEFFICIENTS
    for old, found in zip(given, muon.orthogonal(given), strict=True):
        naive = old / old.norm()
        for _ in range(muon.STEPS):
            square = naive @ naive.mT
            naive = a * naive + (b * square + c * square @ square) @ naive
        torch.testing.assert_close(found, naive)


def test_size_does_not_matter_and_nothing_stays_nothing():
    [given] = random_matrices((6, 9))
    torch.testing.assert_close(muon.orthogonal([1e6 * given]), muon.orthogonal([given]))
    assert not muon.orthogonal([torch.zeros(4, 5)])[0].any()


def trained(module, optimizer, steps):
    x = torch.randn(4, 3, 9, 9, generator=torch.Generator().manual_seed(1))
    for _ in range(steps):
        optimizer.zero_grad()
        (module(x) ** 2).mean().backward()
        optimizer.step()
    return module


def make(memory_format=torch.contiguous_format):
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3), torch.nn.ReLU(), torch.nn.Conv2d(8, 4, 3))
    return net.to(memory_format=memory_format)


def groups(net):
    kernels = [p for p in net.parameters() if p.ndim == 4]
    others = [p for p in net.parameters() if p.ndim < 4]
    return [{"params": kernels, "orthogonal": True, "weight_decay": 0.1}, {"params": others}]


def test_unmarked_parameters_are_adamws():
    ours, theirs = make(), make()
    trained(ours, muon.Muon([{"params": list(ours.parameters())}], 0.01), 5)
    trained(theirs, torch.optim.AdamW(theirs.parameters(), 0.01), 5)
    torch.testing.assert_close(dict(ours.named_parameters()), dict(theirs.named_parameters()), rtol=0, atol=0)


def test_a_step_has_the_length_that_is_said():
    net = make()
    before = copy.deepcopy(net)
    trained(net, muon.Muon(groups(net), 0.01), 1)
    for new, old in ((net[0].weight, before[0].weight), (net[2].weight, before[2].weight)):
        change = (new - old * (1 - 0.01 * 0.1)).flatten(1)
        values = torch.linalg.svdvals(change) / (0.01 * muon.RMS * max(change.shape) ** 0.5)
        assert values.max() < 1.3 and values.median() > 0.6


def test_the_order_in_memory_does_not_matter():
    nets = [make(), make(torch.channels_last)]
    for net in nets:
        trained(net, muon.Muon(groups(net), 0.01), 5)
    first, second = (dict(net.named_parameters()) for net in nets)
    torch.testing.assert_close(first, second, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("fused", [False, True])
def test_a_restored_state_goes_on_to_the_same_weights(fused):
    whole, half = make(), make()
    trained(whole, muon.Muon(groups(whole), 0.01, fused=fused), 6)
    first = muon.Muon(groups(half), 0.01, fused=fused)
    trained(half, first, 3)
    second = muon.Muon(groups(half), 0.01, fused=fused)
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    trained(half, second, 3)
    torch.testing.assert_close(dict(half.named_parameters()), dict(whole.named_parameters()), rtol=0, atol=0)


def test_what_has_no_gradient_stays():
    net = make()
    before = copy.deepcopy(net)
    muon.Muon(groups(net), 0.01).step()
    torch.testing.assert_close(net.state_dict(), before.state_dict(), rtol=0, atol=0)
