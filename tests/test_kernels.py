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


@pytest.mark.parametrize("together", [1, 2, 3, 4, 5, 9, 12])
def test_pictures_with_the_same_map_are_warped_as_alone(pictures, maps, together, rng):
    shared = maps[rng.permutation(torch.arange(12) // together)]
    warped = kernels.warp(pictures, shared, (50, 61))
    for number in range(12):
        one = slice(number, number + 1)
        assert torch.equal(warped[one], kernels.warp(pictures[one], shared[one], (50, 61)))


@pytest.mark.parametrize("form", [kernels._level_by_histogram, kernels._level_by_halving, kernels.grey_level])
def test_grey_level_is_the_order_statistic(pictures, form):
    flat = pictures.flatten(1)
    for rank in (0, 17, flat.shape[1] // 2, flat.shape[1] - 1):
        wanted = flat.sort(dim=1).values[:, rank].float()
        assert torch.equal(form(flat, rank), wanted)


@pytest.mark.parametrize("distance", [200, 10**4])
@pytest.mark.parametrize("form", [kernels._warp_each, kernels._warp_batch])
def test_warp_far_outside_shows_the_edge(pictures, form, distance):
    left = torch.tensor([[1.0, 0, -distance], [0, 1, 0]]).expand(12, 2, 3)
    np.testing.assert_array_equal(form(pictures, left, (90, 60)), pictures[:, :, :, -1:].expand(-1, -1, -1, 60))


def changed(form, pictures, chosen, *others):
    """The pictures after an operation that changes the chosen ones where they are; all else must stay."""
    found = pictures.clone()
    form(found, chosen, *others)
    rest = sorted({*range(len(pictures))} - {*chosen.tolist()})
    assert torch.equal(found[rest], pictures[rest])
    assert found.dtype == torch.uint8
    return found[chosen]


@pytest.fixture
def chosen(rng):
    return torch.from_numpy(rng.permutation(12)[:9])


def test_both_forms_of_look_up_agree(pictures, chosen):
    table = torch.randint(0, 256, (9, 256), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    wanted = torch.stack([row[picture.long()] for row, picture in zip(table, pictures[chosen], strict=True)])
    for form in (kernels._look_up_each, kernels._look_up_batch, kernels.look_up):
        assert torch.equal(changed(form, pictures, chosen, table), wanted)


def test_both_forms_of_convolve_agree(pictures, chosen, rng):
    weights = torch.from_numpy(rng.uniform(0, 1, (9, 5, 5)).astype(np.float32))
    weights = torch.where(weights < 0.3, 0.0, weights)
    weights[0] = 0
    weights[0, 1, 4] = 1  # looks one up and two to the right
    weights = weights / weights.sum(dim=(1, 2), keepdim=True)
    sharp = pictures[chosen]
    windows = torch.nn.functional.pad(sharp.double(), [2] * 4, mode="replicate").unfold(2, 5, 1).unfold(3, 5, 1)
    wanted = (windows * weights.double()[:, None, None, None]).sum(dim=(-1, -2))
    for form in (kernels._convolve_each, kernels._convolve_batch, kernels.convolve):
        found = changed(form, pictures, chosen, weights)
        assert (found.double() - wanted).abs().max() < 0.501
        assert torch.equal(found[0, :, 1:, :-2], sharp[0, :, :-1, 2:])


def test_both_forms_of_scaled_agree(pictures):
    gain = torch.linspace(0.001, 0.01, 12)
    wanted = pictures.double() * gain.double()[:, None, None, None] - 0.25
    for form in (kernels._scaled_each, kernels._scaled_batch, kernels.scaled):
        found = form(pictures, gain, -0.25)
        assert found.dtype == torch.float32
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)


@pytest.fixture
def shapes(rng):
    """Maps of the unit square into pictures of 90 x 110 px, which of them are discs, and grey levels."""
    turned = affine.similarity(rng.uniform(-3, 3, 9), rng.uniform(16, 40, 9), rng.uniform(0, 100, (9, 2)))
    halves = np.stack([rng.uniform(0.5, 1, 9), np.ones(9)], axis=-1)
    longer = affine.box_to_box(np.tile([-1.0, -1, 1, 1], (9, 1)), np.concatenate([-halves, halves], axis=-1))
    place = torch.from_numpy(affine.compose(turned, longer).astype(np.float32))
    return place, torch.arange(9) % 3 == 0, torch.arange(9, dtype=torch.uint8) * 25


def test_both_forms_of_cover_agree_but_for_outlines(pictures, chosen, shapes):
    place, disc, level = shapes
    y, x = torch.meshgrid(torch.arange(90) + 0.5, torch.arange(110) + 0.5, indexing="ij")
    inside = affine.move_points(affine.inverse(place), torch.stack([x, y], dim=-1).reshape(1, -1, 2).expand(9, -1, 2))
    depth = torch.where(disc[:, None], inside.norm(dim=-1), inside.abs().amax(dim=-1)).view(9, 1, 90, 110) - 1
    near = depth.abs() < 0.2  # a pixel and a half of the smallest
    wanted = torch.where(depth < 0, level[:, None, None, None], pictures[chosen])
    for form in (kernels._cover_each, kernels._cover_batch, kernels.cover):
        covered = changed(form, pictures, chosen, place, disc, level)
        assert torch.equal(covered[~near], wanted[~near])
    assert torch.equal(changed(kernels._cover_batch, pictures, chosen, place, disc, level), wanted)
    assert 0.05 < (depth < 0).float().mean() < 0.5
    assert near.float().mean() < 0.3


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
