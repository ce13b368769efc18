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


def test_both_forms_of_warp_agree(pictures, maps):
    one = kernels._warp_each(pictures, maps, (50, 61))
    other = kernels._warp_batch(pictures, maps, (50, 61))
    assert one.shape == other.shape == (12, 1, 50, 61)
    assert one.dtype == other.dtype == torch.uint8
    difference = (one.float() - other.float()).abs()
    # OpenCV may round places to 32nds of a pixel
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


def test_both_forms_of_replaced_agree(pictures):
    before, chosen = pictures.clone(), torch.tensor([7, 0, 4])
    for form in (kernels._replaced_by_rows, kernels._replaced_by_index):
        mixed = form(pictures, chosen, 255 - pictures[:3])
        assert torch.equal(mixed[chosen], 255 - pictures[:3])
        assert torch.equal(mixed[[1, 2, 3, 5, 6, 8, 9, 10, 11]], pictures[[1, 2, 3, 5, 6, 8, 9, 10, 11]])
    assert torch.equal(pictures, before)


NOISE = [kernels._add_noise_each, kernels._add_noise_batch, kernels.add_noise]


@pytest.mark.parametrize("form", NOISE)
def test_noise_has_the_strength_asked_for_and_is_decided_by_the_generator(form):
    grey, strength = torch.full((20, 1, 60, 70), 128, dtype=torch.uint8), torch.linspace(2, 25, 20)
    one, again, other = (form(grey, strength, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
    assert one.dtype == torch.uint8
    assert torch.equal(one, again)
    normal = [(noisy.float() - 128).flatten(1) / strength[:, None] for noisy in (one, other)]
    assert abs(float(torch.corrcoef(torch.stack(normal).flatten(1))[0, 1])) < 0.02
    assert normal[0].mean(dim=1).abs().max() < 0.05
    np.testing.assert_allclose(normal[0].std(dim=1), 1, atol=0.05)
    # as many beyond two deviations as a normal distribution has
    assert abs(float((normal[0][10:].abs() > 2).float().mean()) - 0.0455) < 0.01
    # no two pictures of a batch share their noise
    assert float(torch.corrcoef(normal[0]).fill_diagonal_(0).abs().max()) < 0.1


@pytest.mark.parametrize("form", NOISE)
def test_noise_is_clipped_and_none_changes_nothing(form, pictures):
    extremes = torch.tensor([0, 255], dtype=torch.uint8)[:, None, None, None].expand(2, 1, 50, 50).contiguous()
    noisy = form(extremes, torch.tensor([20.0, 20.0]), torch.Generator().manual_seed(0)).float()
    assert 5 < noisy[0].mean() < 11  # half of it is cut off
    assert 5 < 255 - noisy[1].mean() < 11
    assert torch.equal(form(pictures, torch.zeros(12), torch.Generator().manual_seed(0)), pictures)
