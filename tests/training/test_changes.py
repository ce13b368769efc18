import numpy as np
import pytest
import torch

from nntrack.geometry import affine
from nntrack.training import kernels
from nntrack.training.changes import AddNoise, Convolve, Cover, LookUp

SIZE = (90, 110)
COUNT = 18  # pictures: the last stack lacks some
CHOSEN = torch.tensor([4, 0, 3])  # of 5 stacks


@pytest.fixture
def pictures(rng):
    smooth = torch.from_numpy(rng.integers(0, 256, (COUNT, 1, 9, 11)).astype(np.float32))
    return torch.nn.functional.interpolate(smooth, size=SIZE, mode="bicubic").clamp(0, 255).to(torch.uint8)


def by_each(change, pictures):
    """A CPU's form, by way of a warp that moves nothing."""
    still = torch.eye(2, 3).expand(len(pictures), 2, 3)
    return kernels.vary(pictures, still, tuple(pictures.shape[2:]), [change])


def by_batch(change, pictures):
    """An accelerator's form."""
    found = pictures.clone()
    change.batch(found)
    return found


FORMS = [by_each, by_batch]


def rows():
    """The number of each picture that is in a chosen stack, and of its stack among the chosen."""
    few = -(-COUNT // kernels.CHANNELS)
    places = {stack: row for row, stack in enumerate(CHOSEN.tolist())}
    return [(number, places[number % few]) for number in range(COUNT) if number % few in places]


def changed(form, change, pictures):
    """The pictures of the chosen stacks, and the row of each; all else must stay, and those given, too."""
    before = pictures.clone()
    found = form(change, pictures)
    assert found.dtype == torch.uint8 and found.shape == pictures.shape
    assert torch.equal(pictures, before)
    numbers, places = (list(column) for column in zip(*rows(), strict=True))
    rest = sorted({*range(COUNT)} - {*numbers})
    assert rest and torch.equal(found[rest], pictures[rest])
    return found[numbers], pictures[numbers], places


@pytest.mark.parametrize("form", FORMS)
def test_look_up(form, pictures):
    table = torch.randint(0, 256, (3, 256), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    found, before, places = changed(form, LookUp(CHOSEN, table), pictures)
    wanted = [table[row][picture.long()] for row, picture in zip(places, before, strict=True)]
    assert torch.equal(found, torch.stack(wanted))


@pytest.mark.parametrize("form", FORMS)
def test_convolve(form, pictures, rng):
    weights = torch.from_numpy(rng.uniform(0, 1, (3, 5, 5)).astype(np.float32))
    weights = torch.where(weights < 0.3, 0.0, weights)
    weights[0] = 0
    weights[0, 1, 4] = 1  # looks one up and two to the right
    weights = weights / weights.sum(dim=(1, 2), keepdim=True)
    found, sharp, places = changed(form, Convolve(CHOSEN, weights), pictures)
    windows = torch.nn.functional.pad(sharp.double(), [2] * 4, mode="replicate").unfold(2, 5, 1).unfold(3, 5, 1)
    wanted = (windows * weights[places].double()[:, None, None, None]).sum(dim=(-1, -2))
    assert (found.double() - wanted).abs().max() < 0.501
    moved = [place for place, row in enumerate(places) if row == 0]
    assert torch.equal(found[moved, :, 1:, :-2], sharp[moved, :, :-1, 2:])


@pytest.fixture
def cover(rng):
    """Shapes of 16 to 40 pixels, one of them a disc."""
    turned = affine.similarity(rng.uniform(-3, 3, 3), rng.uniform(0.3, 0.8, 3), rng.uniform(-0.8, 0.8, (3, 2)))
    halves = np.stack([rng.uniform(0.5, 1, 3), np.ones(3)], axis=-1)
    longer = affine.box_to_box(np.tile([-1.0, -1, 1, 1], (3, 1)), np.concatenate([-halves, halves], axis=-1))
    place = torch.from_numpy(affine.compose(turned, longer).astype(np.float32))
    return Cover(CHOSEN, place, torch.arange(3) == 1, torch.tensor([0, 99, 255], dtype=torch.uint8))


@pytest.mark.parametrize("form", FORMS)
def test_cover(form, pictures, cover):
    found, bare, places = changed(form, cover, pictures)
    _, place, disc, level = (column if column is CHOSEN else column[places] for column in cover)
    y, x = torch.meshgrid(*((torch.arange(side) + 0.5) * (2 / side) - 1 for side in SIZE), indexing="ij")
    points = torch.stack([x, y], dim=-1).reshape(1, -1, 2).expand(len(places), -1, 2)
    inside = affine.move_points(affine.inverse(place), points)
    depth = torch.where(disc[:, None], inside.norm(dim=-1), inside.abs().amax(dim=-1)).view(-1, 1, *SIZE) - 1
    near = depth.abs() < (0.2 if form is by_each else 1e-4)  # a polygon, and some pixels on the outline
    wanted = torch.where(depth < 0, level[:, None, None, None], bare)
    assert torch.equal(found[~near], wanted[~near])
    assert 0.05 < (depth < 0).float().mean() < 0.5
    assert near.float().mean() < 0.3


@pytest.mark.parametrize("form", FORMS)
def test_noise_has_the_strength_asked_for_and_is_decided_by_the_generator(form):
    grey, strength = torch.full((20, 1, 60, 70), 128, dtype=torch.uint8), torch.linspace(2, 25, 5)
    one, again, other = (form(AddNoise(strength, torch.Generator().manual_seed(seed)), grey) for seed in (1, 1, 2))
    assert one.dtype == torch.uint8
    assert torch.equal(one, again)
    own = strength.repeat(4)[:, None]
    normal = [(noisy.float() - 128).flatten(1) / own for noisy in (one, other)]
    assert abs(float(torch.corrcoef(torch.stack(normal).flatten(1))[0, 1])) < 0.02
    assert normal[0].mean(dim=1).abs().max() < 0.06
    np.testing.assert_allclose(normal[0].std(dim=1), 1, atol=0.06)
    # as many beyond two deviations as a normal distribution has
    assert abs(float((normal[0][own[:, 0] > 10].abs() > 2).float().mean()) - 0.0455) < 0.01
    # no two pictures of a batch share their noise
    assert float(torch.corrcoef(normal[0]).fill_diagonal_(0).abs().max()) < 0.1


@pytest.mark.parametrize("form", FORMS)
def test_noise_is_clipped_and_none_changes_nothing(form, pictures):
    extremes = torch.tensor([0, 255], dtype=torch.uint8)[:, None, None, None].expand(2, 1, 50, 50).contiguous()
    noisy = form(AddNoise(torch.tensor([20.0]), torch.Generator().manual_seed(0)), extremes).float()
    assert 5 < noisy[0].mean() < 11  # half of it is cut off
    assert 5 < 255 - noisy[1].mean() < 11
    assert torch.equal(form(AddNoise(torch.zeros(5), torch.Generator().manual_seed(0)), pictures), pictures)


def test_changes_are_done_in_their_order(pictures):
    """Black, then white: white; on a CPU in one pass."""
    still = torch.eye(2, 3).expand(COUNT, 2, 3)
    black, white = (LookUp(torch.arange(5), torch.full((5, 256), level, dtype=torch.uint8)) for level in (0, 255))
    for changes, level in (([black, white], 255), ([white, black], 0)):
        assert (kernels.vary(pictures, still, SIZE, changes) == level).all()
