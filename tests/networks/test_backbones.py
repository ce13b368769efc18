import pytest
import torch

from nntrack.networks import backbones


@pytest.mark.parametrize("name", backbones.BACKBONES)
@pytest.mark.parametrize("width", [0.25, 0.5])
def test_features_have_the_length_that_is_said(name, width):
    net = backbones.build(name, width).eval()
    assert net(torch.zeros(2, 1, 129, 129)).shape == (2, net.channels)
    larger = backbones.build(name, 2 * width)
    assert sum(p.numel() for p in larger.parameters()) > sum(p.numel() for p in net.parameters())


@pytest.mark.parametrize("name", backbones.BACKBONES)
def test_every_parameter_is_used(name):
    net = backbones.build(name, 0.25)
    (net(torch.randn(4, 1, 129, 129)) ** 2).sum().backward()
    for label, parameter in net.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, label


@pytest.mark.parametrize("name", backbones.BACKBONES)
def test_fused_nets_compute_the_same(name):
    torch.manual_seed(0)
    net = backbones.build(name, 0.25)
    x = torch.randn(8, 1, 129, 129)
    net(x)  # gives the norms statistics that are not those of the start
    net.eval()
    before = net(x)
    backbones.fuse(net)
    torch.testing.assert_close(net(x), before, rtol=1e-3, atol=1e-4)
    assert not [m for m in net.modules() if isinstance(m, backbones.DiracBlock)]


@pytest.mark.parametrize("outputs", [8, 16])
@pytest.mark.parametrize("halve", [False, True])
def test_fused_blocks_compute_the_same(outputs, halve):
    torch.manual_seed(0)
    block = backbones.DiracBlock(8, outputs, halve)
    x = torch.randn(4, 8, 12, 10)
    block(x)
    before = block.eval()(x)
    assert before.shape == (4, outputs, *((6, 5) if halve else (12, 10)))
    torch.testing.assert_close(block.fused()(x), before, rtol=1e-4, atol=1e-5)


def test_a_block_that_halves_sees_means_alone():
    torch.manual_seed(0)
    block = backbones.DiracBlock(8, 16, halve=True).eval()
    x = torch.randn(2, 8, 12, 10)
    swapped = x.unflatten(-1, (5, 2)).flip(-1).flatten(-2)  # neighbours change places within each pair of columns
    torch.testing.assert_close(block(swapped), block(x))


def test_an_unknown_name_lists_the_known():
    with pytest.raises(ValueError, match=r"'vgg'; known: diracnet, .*resnet18"):
        backbones.build("vgg", 1.0)


def test_cells_tile_the_image():
    cells = backbones.cell_centres(2, 4)
    assert cells.tolist()[:2] == [[-0.75, -0.5], [-0.25, -0.5]]
    torch.testing.assert_close(cells.mean(dim=0), torch.zeros(2))


def test_diracnet_leaves_one_position_of_a_patch():
    layers = backbones.diracnet(0.25).layers
    assert layers(torch.zeros(2, 1, 129, 129)).shape[2:] == (1, 1)
