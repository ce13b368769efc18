import numpy as np
import pytest
import torch

from nntrack.geometry import affine
from nntrack.training import image_ops
from nntrack.training.image_ops import AddNoise, Convolve, Cover, LookUp

SIZE = (90, 110)
COUNT = 18  # images: the last stack lacks some
STACKS = torch.tensor([4, 0, 3])  # those changed, of 5
# the image and the row of `STACKS` of those that are changed
CHANGED = {number: STACKS.tolist().index(number % 5) for number in range(COUNT) if number % 5 in STACKS}


@pytest.fixture
def inputs(rng):
    smooth = torch.from_numpy(rng.integers(0, 256, (COUNT, 1, 9, 11)).astype(np.float32))
    return torch.nn.functional.interpolate(smooth, size=SIZE, mode="bicubic").clamp(0, 255).to(torch.uint8)


@pytest.fixture
def maps(rng):
    angle, scale = rng.uniform(-3, 3, COUNT), np.exp(rng.uniform(-0.4, 0.4, COUNT))
    return torch.from_numpy(affine.similarity(angle, scale, rng.uniform(-30, 30, (COUNT, 2))).astype(np.float32))


def apply(inputs, *changes):
    """The changes, by a warp that moves nothing."""
    still = torch.eye(2, 3).expand(len(inputs), 2, 3)
    return image_ops.warp(inputs, still, tuple(inputs.shape[2:]), changes)


def change(inputs, made):
    """The images of the chosen stacks after and before a change, and the row of each; nothing else may change."""
    before = inputs.clone()
    found = apply(inputs, made)
    assert found.dtype == torch.uint8 and found.shape == inputs.shape
    assert torch.equal(inputs, before)
    rest = sorted({*range(COUNT)} - {*CHANGED})
    assert rest and torch.equal(found[rest], inputs[rest])
    return found[list(CHANGED)], inputs[list(CHANGED)], list(CHANGED.values())


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 8, 9, 12])
def test_every_image_is_in_one_stack_and_far_from_its_others(count):
    found = image_ops.stacks(count)
    few = -(-count // image_ops.STACK)
    assert found.shape == (few, image_ops.STACK)
    for number, stack in enumerate(image_ops.stack_of(count).tolist()):
        assert stack == number % few
        assert (found == number).nonzero()[:, 0].unique().tolist() == [stack]


@pytest.mark.parametrize("count", [1, 2, 5, 8, 12])
@pytest.mark.parametrize("shared", [True, False])
def test_images_of_a_stack_are_warped_as_alone(inputs, maps, count, shared):
    own = maps[image_ops.stack_of(count)] if shared else maps
    warped = image_ops.warp(inputs[:count], own[:count], (50, 61))
    assert warped.shape == (count, 1, 50, 61)
    for number in range(count):
        one = slice(number, number + 1)
        assert torch.equal(warped[one], image_ops.warp(inputs[one], own[one], (50, 61)))


def test_a_warp_shows_what_is_there(inputs, maps):
    """As torch samples it, up to OpenCV's 32nds of a pixel."""
    found = image_ops.warp(inputs, maps, (50, 61)).float()
    pixels = torch.stack(torch.meshgrid(torch.arange(61) + 0.5, torch.arange(50) + 0.5, indexing="xy"), dim=-1)
    back = affine.move_points(affine.inverse(maps), pixels.reshape(1, -1, 2).expand(COUNT, -1, 2))
    grid = (2 * back / torch.tensor(SIZE[::-1]) - 1).view(COUNT, 50, 61, 2)
    wanted = torch.nn.functional.grid_sample(inputs.float(), grid, padding_mode="border", align_corners=False)
    difference = (found - wanted).abs()
    assert difference.mean() < 0.5 and difference.max() < 4


def test_a_warp_by_whole_pixels_is_a_copy(inputs):
    moved = image_ops.warp(inputs, torch.tensor([[1.0, 0, 5], [0, 1, 3]]).expand(COUNT, 2, 3), SIZE)
    assert torch.equal(moved[:, :, 3:, 5:], inputs[:, :, :-3, :-5])
    # the edge is repeated
    assert torch.equal(moved[:, :, :3, 5:], inputs[:, :, :1, :-5].expand(-1, -1, 3, -1))


@pytest.mark.parametrize("distance", [200, 10**4])
def test_a_warp_far_outside_shows_the_edge(inputs, distance):
    left = torch.tensor([[1.0, 0, -distance], [0, 1, 0]]).expand(COUNT, 2, 3)
    edge = inputs[:, :, :, -1:].expand(-1, -1, -1, 60)
    assert torch.equal(image_ops.warp(inputs, left, (90, 60)), edge)


@pytest.mark.parametrize("fraction", [0.0, 0.3, 0.9, 1.0])
@pytest.mark.parametrize("below", [90.0, 127.0, 256.0])
def test_grey_quantile_is_numpys_up_to_a_level(inputs, fraction, below):
    wanted = np.quantile(inputs.flatten(1), fraction, axis=1).clip(max=below)
    np.testing.assert_allclose(image_ops.grey_quantile(inputs, fraction, below), wanted, rtol=1e-5)


def test_grey_quantile_of_bright_images():
    white = torch.full((3, 1, 5, 10), 255, dtype=torch.uint8)
    assert torch.equal(image_ops.grey_quantile(white, 0.9, 127.0), torch.full((3,), 127.0))


def test_look_up(inputs):
    table = torch.randint(0, 256, (3, 256), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    found, before, rows = change(inputs, LookUp(STACKS, table))
    wanted = [table[row][single.long()] for row, single in zip(rows, before, strict=True)]
    assert torch.equal(found, torch.stack(wanted))


def test_convolve(inputs, rng):
    kernel = torch.from_numpy(rng.uniform(0, 1, (3, 5, 5)).astype(np.float32))
    kernel[0] = 0
    kernel[0, 1, 4] = 1  # looks one up and two to the right
    kernel = kernel / kernel.sum(dim=(1, 2), keepdim=True)
    found, sharp, rows = change(inputs, Convolve(STACKS, kernel))
    windows = torch.nn.functional.pad(sharp.double(), [2] * 4, mode="replicate").unfold(2, 5, 1).unfold(3, 5, 1)
    wanted = (windows * kernel[rows].double()[:, None, None, None]).sum(dim=(-1, -2))
    assert (found.double() - wanted).abs().max() < 0.501
    moved = [place for place, row in enumerate(rows) if row == 0]
    assert torch.equal(found[moved, :, 1:, :-2], sharp[moved, :, :-1, 2:])


def test_cover(inputs, rng):
    """Shapes of 16 to 40 pixels, one of them a disc."""
    rotated = affine.similarity(rng.uniform(-3, 3, 3), rng.uniform(0.3, 0.8, 3), rng.uniform(-0.8, 0.8, (3, 2)))
    halves = np.stack([rng.uniform(0.5, 1, 3), np.ones(3)], axis=-1)
    longer = affine.box_to_box(np.tile([-1.0, -1, 1, 1], (3, 1)), np.concatenate([-halves, halves], axis=-1))
    place = torch.from_numpy(affine.compose(rotated, longer).astype(np.float32))
    disc, level = torch.arange(3) == 1, torch.tensor([0, 99, 255], dtype=torch.uint8)
    found, bare, rows = change(inputs, Cover(STACKS, place, disc, level))
    y, x = torch.meshgrid(*((torch.arange(side) + 0.5) * (2 / side) - 1 for side in SIZE), indexing="ij")
    points = torch.stack([x, y], dim=-1).reshape(1, -1, 2).expand(len(rows), -1, 2)
    inside = affine.move_points(affine.inverse(place[rows]), points)
    depth = torch.where(disc[rows][:, None], inside.norm(dim=-1), inside.abs().amax(dim=-1)).view(-1, 1, *SIZE) - 1
    near = depth.abs() < 0.2  # a polygon, and some pixels on the outline
    wanted = torch.where(depth < 0, level[rows][:, None, None, None], bare)
    assert torch.equal(found[~near], wanted[~near])
    assert 0.05 < (depth < 0).float().mean() < 0.5
    assert near.float().mean() < 0.3


def test_noise_has_its_std_and_is_decided_by_the_generator():
    grey, std = torch.full((20, 1, 60, 70), 128, dtype=torch.uint8), torch.linspace(2, 25, 5)
    one, again, other = (apply(grey, AddNoise(std, torch.Generator().manual_seed(seed))) for seed in (1, 1, 2))
    assert torch.equal(one, again)
    own = std.repeat(4)[:, None]
    normal = [(noisy.float() - 128).flatten(1) / own for noisy in (one, other)]
    assert abs(float(torch.corrcoef(torch.stack(normal).flatten(1))[0, 1])) < 0.02
    assert normal[0].mean(dim=1).abs().max() < 0.06
    np.testing.assert_allclose(normal[0].std(dim=1), 1, atol=0.06)
    # as many beyond two standard deviations as a normal distribution has
    assert abs(float((normal[0][own[:, 0] > 10].abs() > 2).float().mean()) - 0.0455) < 0.01
    # no two images of a batch share their noise
    assert float(torch.corrcoef(normal[0]).fill_diagonal_(0).abs().max()) < 0.1


def test_noise_is_clipped_and_none_changes_nothing(inputs):
    extremes = torch.tensor([0, 255], dtype=torch.uint8)[:, None, None, None].expand(2, 1, 50, 50).contiguous()
    noisy = apply(extremes, AddNoise(torch.tensor([20.0]), torch.Generator().manual_seed(0))).float()
    assert 5 < noisy[0].mean() < 11  # half of it is cut off
    assert 5 < 255 - noisy[1].mean() < 11
    assert torch.equal(apply(inputs, AddNoise(torch.zeros(5), torch.Generator().manual_seed(0))), inputs)


def test_changes_are_made_in_their_order(inputs):
    """Black, then white: white."""
    black, white = (LookUp(torch.arange(5), torch.full((5, 256), level, dtype=torch.uint8)) for level in (0, 255))
    assert (apply(inputs, black, white) == 255).all()
    assert (apply(inputs, white, black) == 0).all()
