from functools import partial

import numpy as np
import pytest
import torch

from nntrack.geometry import affine
from nntrack.training import kernels


@pytest.fixture
def pictures(rng):
    smooth = torch.from_numpy(rng.integers(0, 256, (12, 1, 9, 11)).astype(np.float32))
    return torch.nn.functional.interpolate(smooth, size=(90, 110), mode="bicubic").clamp(0, 255).to(torch.uint8)


@pytest.fixture
def maps(rng):
    angle, scale, shift = rng.uniform(-3, 3, 12), np.exp(rng.uniform(-0.4, 0.4, 12)), rng.uniform(-30, 30, (12, 2))
    return torch.from_numpy(affine.similarity(angle, scale, shift).astype(np.float32))


def test_both_forms_of_warp_agree(pictures, maps):
    one = kernels._vary_each(pictures, maps, (50, 61), ())
    other = kernels._warp_batch(pictures, maps, (50, 61))
    assert one.shape == other.shape == (12, 1, 50, 61)
    assert one.dtype == other.dtype == torch.uint8
    difference = (one.float() - other.float()).abs()
    # OpenCV may round places to 32nds of a pixel
    assert difference.mean() < 0.5
    assert difference.max() < 4


def test_warp_by_whole_pixels_is_a_copy(pictures):
    right = torch.tensor([[1.0, 0, 5], [0, 1, 3]]).expand(12, 2, 3)
    moved = kernels.vary(pictures, right, (90, 110))
    np.testing.assert_array_equal(moved[:, :, 3:, 5:], pictures[:, :, :-3, :-5])
    # the edge goes on
    np.testing.assert_array_equal(moved[:, :, :3, 5:], pictures[:, :, :1, :-5].expand(-1, -1, 3, -1))


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 8, 9, 12])
def test_every_picture_is_in_one_stack_and_far_from_its_others(count):
    found = kernels.stacks(count)
    few = found.shape[1]
    assert found.shape == (kernels.CHANNELS, few) and few == -(-count // kernels.CHANNELS)
    for number in range(count):
        _, columns = (found == number).nonzero(as_tuple=True)
        assert columns.unique().tolist() == [number % few]


@pytest.mark.parametrize("count", [1, 2, 3, 5, 8, 11, 12])
def test_pictures_of_a_stack_are_warped_as_alone(pictures, maps, count):
    few = -(-count // kernels.CHANNELS)
    shared = maps[torch.arange(count) % few]
    warped = kernels.vary(pictures[:count], shared, (50, 61))
    assert len(warped) == count
    for number in range(count):
        one = slice(number, number + 1)
        assert torch.equal(warped[one], kernels.vary(pictures[one], shared[one], (50, 61)))


def test_a_stack_of_several_maps_is_warped_by_each(pictures, maps):
    warped = kernels.vary(pictures, maps, (50, 61))
    for number in range(12):
        one = slice(number, number + 1)
        assert torch.equal(warped[one], kernels.vary(pictures[one], maps[one], (50, 61)))


QUANTILES = [kernels._quantile_each, kernels._quantile_batch]


@pytest.mark.parametrize("form", QUANTILES)
@pytest.mark.parametrize("share", [0.0, 0.3, 0.9, 1.0])
@pytest.mark.parametrize("below", [90.0, 127.0, 256.0])
def test_grey_quantile_is_numpys_up_to_a_level(pictures, form, share, below):
    flat = pictures.flatten(1)
    wanted = np.quantile(flat, share, axis=1).clip(max=below)
    np.testing.assert_allclose(form(flat, share * (flat.shape[1] - 1), below), wanted, rtol=1e-5)
    np.testing.assert_allclose(kernels.grey_quantile(pictures, share, below), wanted, rtol=1e-5)


@pytest.mark.parametrize("form", QUANTILES)
def test_grey_quantile_of_nothing_but_bright_pictures(form):
    white = torch.full((3, 50), 255, dtype=torch.uint8)
    assert torch.equal(form(white, 44.1, 127.0), torch.full((3,), 127.0))


@pytest.mark.parametrize("distance", [200, 10**4])
@pytest.mark.parametrize("form", [partial(kernels._vary_each, changes=()), kernels._warp_batch])
def test_warp_far_outside_shows_the_edge(pictures, form, distance):
    left = torch.tensor([[1.0, 0, -distance], [0, 1, 0]]).expand(12, 2, 3)
    np.testing.assert_array_equal(form(pictures, left, (90, 60)), pictures[:, :, :, -1:].expand(-1, -1, -1, 60))
