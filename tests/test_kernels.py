import numpy as np
import pytest
import torch

from nntrack import affine, kernels


@pytest.fixture
def pictures(rng):
    smooth = torch.from_numpy(rng.integers(0, 256, (12, 1, 9, 11)).astype(np.float32))
    return torch.nn.functional.interpolate(smooth, size=(90, 110), mode="bicubic").clamp(0, 255).to(torch.uint8)


@pytest.fixture
def maps(rng):
    angle, scale, shift = rng.uniform(-3, 3, 12), np.exp(rng.uniform(-0.4, 0.4, 12)), rng.uniform(-30, 30, (12, 2))
    return torch.from_numpy(affine.similarity(angle, scale, shift).astype(np.float32))


@pytest.mark.parametrize("kind", [torch.uint8, torch.float32])
def test_both_forms_of_warp_agree(pictures, maps, kind):
    pictures = pictures.to(kind)
    one = kernels._warp_each(pictures, maps, (50, 61))
    other = kernels._warp_batch(pictures, maps, (50, 61))
    assert one.shape == other.shape == (12, 1, 50, 61)
    assert one.dtype == other.dtype == torch.float32
    difference = (one - other).abs()
    # OpenCV may round places to 32nds of a pixel, and bytes to whole grey levels
    assert difference.mean() < 0.5
    assert difference.max() < 4


def test_warp_by_whole_pixels_is_a_copy(pictures):
    right = torch.tensor([[1.0, 0, 5], [0, 1, 3]]).expand(12, 2, 3)
    moved = kernels.warp(pictures, right, (90, 110))
    np.testing.assert_array_equal(moved[:, :, 3:, 5:], pictures[:, :, :-3, :-5])
    # the edge goes on
    np.testing.assert_array_equal(moved[:, :, :3, 5:], pictures[:, :, :1, :-5].expand(-1, -1, 3, -1))


@pytest.mark.parametrize("form", [kernels._level_by_histogram, kernels._level_by_halving, kernels.grey_level])
def test_grey_level_is_the_order_statistic(pictures, form):
    flat = pictures.flatten(1)
    for rank in (0, 17, flat.shape[1] // 2, flat.shape[1] - 1):
        wanted = flat.sort(dim=1).values[:, rank].float()
        assert torch.equal(form(flat, rank), wanted)


def test_noise_is_standard_normal_and_decided_by_the_generator():
    shape = torch.Size((20, 1, 60, 70))
    one, again, other = (kernels.noise(shape, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
    assert torch.equal(one, again)
    assert abs(float(torch.corrcoef(torch.stack([one.flatten(), other.flatten()]))[0, 1])) < 0.02
    assert abs(float(one.mean())) < 0.02
    assert abs(float(one.std()) - 1) < 0.02
    # no two pictures of a batch share their noise
    assert float(torch.corrcoef(one.flatten(1)).fill_diagonal_(0).abs().max()) < 0.1
