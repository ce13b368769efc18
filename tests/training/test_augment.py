import numpy as np
import pytest
import torch

from nntrack.config import Augment
from nntrack.data import images
from nntrack.deploy import preprocess
from nntrack.geometry import affine, boxes, landmarks
from nntrack.geometry.rotations import geodesic_distance, quat_apply
from nntrack.training import augment, image_ops
from nntrack.training.dataset import Mixture, Part
from tests import faces

PLAIN = Augment(rotation=0.0, scale=0.0, shift=0.0, flip=0.0, intensity=0.0, blur=0.0, noise=0.0, occlusion=0.0)
MOVING = PLAIN.model_copy(update={"rotation": 45.0, "scale": 0.2, "shift": 0.05, "flip": 0.5})
ALL = MOVING.model_copy(update={"intensity": 0.5, "blur": 0.5, "noise": 0.1, "occlusion": 0.5})
SIZE = (129, 129)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def batch(tmp_path_factory):
    stored = faces.write(tmp_path_factory.mktemp("a") / "a.h5", faces.samples(np.random.default_rng(0), 16))
    return Mixture([Part(stored, np.arange(16))]).batch(torch.arange(16))


def in_pixels(points):
    return (points + 1) / 2 * SIZE[0]


def test_the_plain_view_is_the_roi(batch):
    found = augment.view(batch, SIZE)
    np.testing.assert_allclose(found["roi"], np.broadcast_to([-1, -1, 1, 1], (16, 4)), atol=1e-5)
    assert torch.equal(found["quat"], batch["quat"])
    side = batch["roi"][:, 2] - batch["roi"][:, 0]
    np.testing.assert_allclose(found["pos_size"][:, 2], 2 * batch["pos_size"][:, 2] / side, rtol=1e-5)
    assert torch.equal(found["index"], batch["index"])


def test_the_image_agrees_with_opencv(batch):
    moves = augment.sample_moves(batch["roi"], MOVING, generator())
    found = augment.view(batch, SIZE, moves)["image"][:, 0]
    unit = torch.tensor([-1.0, -1, 1, 1]).expand(16, 4)
    to_px = affine.box_to_box(unit, torch.tensor([0.0, 0, *SIZE]).expand(16, 4))
    whole = affine.compose(to_px, affine.compose(affine.box_to_box(batch["roi"], unit), moves)).numpy()
    for number in range(16):
        wanted = images.warp(batch["image"][number, 0].numpy(), whole[number], SIZE)
        # OpenCV counts in 32nds of a pixel and rounds
        assert np.abs(found[number].numpy() - wanted).mean() < 1.0


def test_labels_move_with_the_image(batch):
    """Where a label says that a landmark is, the moved image shows that landmark's own grey level."""
    moves = augment.sample_moves(batch["roi"], MOVING, generator(1))
    found = augment.view(batch, SIZE, moves)

    # dots may cover each other: only what is seen at a landmark's place before the move counts after it
    def grey(single, points):
        x, y = np.floor(points[:, 0]).astype(int), np.floor(points[:, 1]).astype(int)
        inside = (x >= 2) & (y >= 2) & (x < single.shape[1] - 2) & (y < single.shape[0] - 2)
        return np.where(inside, single[np.clip(y, 0, len(single) - 1), np.clip(x, 0, single.shape[1] - 1)], -1), inside

    checked = 0
    for number in range(16):
        flipped = bool(affine.is_mirrored(moves[number]))
        order = landmarks.MIRROR if flipped else np.arange(68)
        before, _ = grey(batch["image"][number, 0].numpy(), batch["landmarks"][number].numpy())
        whole = before == 40 + 3 * np.arange(68)
        after, inside = grey(found["image"][number, 0].numpy(), in_pixels(found["landmarks"][number].numpy())[order])
        use = whole & inside
        assert np.median(np.abs(after - before)[use]) < 3
        checked += use.sum()
    assert checked > 300


def test_labels_agree_with_each_other_after_the_move(batch):
    moves = augment.sample_moves(batch["roi"], MOVING, generator(2))
    found = augment.view(batch, SIZE, moves)
    np.testing.assert_allclose(
        found["bbox"], boxes.face_box(found["landmarks"], found["quat"], found["pos_size"]), atol=1e-5
    )
    corners = found["landmarks"][:, list(landmarks.EYE_CORNERS)].mean(dim=1)
    np.testing.assert_allclose(corners[:, :2], found["pos_size"][:, :2], atol=1e-4)
    # the face is symmetric, so its mirror image is the same face under the mirrored rotation
    mean = torch.from_numpy(faces.MEAN).float().expand(16, 68, 3)
    quat = found["quat"][:, None]
    placed = quat_apply(quat, mean) * found["pos_size"][:, None, 2:]
    np.testing.assert_allclose(placed[..., :2] + found["pos_size"][:, None, :2], found["landmarks"][..., :2], atol=1e-4)


def test_flipping_twice_changes_nothing(batch):
    flip = augment.sample_moves(batch["roi"], PLAIN.model_copy(update={"flip": 1.0}), generator())
    assert bool(affine.is_mirrored(flip).all())
    twice = augment.view(batch, SIZE, affine.compose(flip, flip))
    once = augment.view(batch, SIZE)
    for name, value in once.items():
        if value.is_floating_point():
            np.testing.assert_allclose(twice[name], value, atol=1e-5, err_msg=name)
    # a place that rounding moved may be a grey level off
    assert (twice["image"].float() - once["image"].float()).abs().max() <= 1


def test_turns_stay_within_their_range(batch):
    many = batch["roi"][:1].expand(500, 4)
    moves = augment.sample_moves(many, MOVING, generator())
    quat = affine.move_quat(moves, torch.tensor([0.0, 0, 0, 1]).expand(500, 4))
    angle = torch.rad2deg(geodesic_distance(quat, torch.tensor([0.0, 0, 0, 1]).expand(500, 4)))
    assert 40 < angle.max() <= 45.001
    assert abs(affine.is_mirrored(moves).float().mean() - 0.5) < 0.1
    assert affine.scale_of(moves).log().abs().max() <= 0.2 + 1e-5


@pytest.mark.parametrize("count", [1, 4, 7, 64])
def test_moves_are_shared_by_a_stack(batch, count):
    many = batch["roi"][:1].expand(count, 4)
    moves = augment.sample_moves(many, MOVING, generator())
    few = -(-count // image_ops.STACK)
    assert len(moves) == count
    assert len(moves.unique(dim=0)) == few
    # neighbours in a batch do not share one
    assert len(moves[:few].unique(dim=0)) == few


def test_the_generator_decides_everything(batch):
    one, again, other = (augment.random_view(batch, SIZE, ALL, generator(seed)) for seed in (1, 1, 2))
    for name in ("image", "landmarks", "quat", "bbox"):
        assert torch.equal(one[name], again[name])
        assert not torch.equal(one[name], other[name])


def test_images_stay_uint8_and_the_batch_as_it_was(batch):
    before = batch["image"].clone()
    assert augment.random_view(batch, SIZE, ALL, generator())["image"].dtype == torch.uint8
    assert torch.equal(batch["image"], before)


def changed(inputs, changes):
    """Images after changes, unmoved."""
    return image_ops.warp(inputs, torch.eye(2, 3).expand(len(inputs), 2, 3), tuple(inputs.shape[2:]), changes)


def test_each_change_is_made_to_its_fraction(batch):
    many = batch["image"][:1].expand(80, 1, 192, 192).contiguous()
    for name, fraction in (("occlusion", 0.3), ("intensity", 0.5), ("blur", 0.2), ("noise", 0.0)):
        changes = augment.sample_changes(80, PLAIN.model_copy(update={name: fraction}), generator())
        assert (changed(many, changes) != many).flatten(1).any(dim=1).sum() == round(80 * fraction), name


def everywhere(sample, inputs):
    """All images after changes that ``sample`` returns."""
    return changed(inputs, [sample(torch.arange(-(-len(inputs) // image_ops.STACK)), generator())])


@pytest.mark.parametrize("sample", [augment.sample_occluders, augment.sample_lighting, augment.sample_blur])
def test_every_stack_is_changed_in_its_own_way(sample):
    inputs = torch.randint(0, 256, (1, 1, 40, 50), generator=generator()).byte().expand(20, 1, 40, 50).contiguous()
    found = changed(inputs, [sample(torch.tensor([4, 0, 1]), generator())])
    assert len(found.flatten(1).unique(dim=0)) == 4
    for number in range(20):
        assert torch.equal(found[number], inputs[number]) == (number % 5 in (2, 3))


def test_blur_leaves_a_blank_image_alone():
    blank = torch.full((4, 1, 30, 30), 77, dtype=torch.uint8)
    assert torch.equal(everywhere(augment.sample_blur, blank), blank)


@pytest.mark.parametrize("left", [("quat", "landmarks"), ("bbox",), ()])
def test_labels_may_be_missing(batch, left):
    some = {name: batch[name] for name in ("image", "roi", *left, *(f"has_{name}" for name in left))}
    found = augment.random_view(some, SIZE, ALL, generator())
    assert found.keys() == some.keys()


def test_an_occluder_is_one_grey_level_and_keeps_to_its_size():
    covered = everywhere(augment.sample_occluders, torch.zeros(200, 1, 80, 100, dtype=torch.uint8))
    seen = [single.unique() for single in covered]
    assert all(len(levels) <= 2 for levels in seen)
    fraction = (covered > 0).float().mean(dim=(1, 2, 3))
    assert 0 < fraction.max() <= augment.OCCLUDER[1] ** 2  # a rectangle of that half side


def test_light_is_the_same_function_for_every_pixel_and_rises():
    single = torch.arange(256).byte().expand(24, 1, 3, 256).contiguous()
    relit = everywhere(augment.sample_lighting, single).int()
    assert torch.equal(relit[:, :, 0], relit[:, :, 2])
    assert (relit.diff(dim=-1) >= 0).all()


@pytest.mark.parametrize("size", [(129, 129), (33, 37)])  # the quantile is the grey level of one of the pixels
def test_brightness_is_the_clients(rng, size):
    levels = [(0, 4), (0, 60), (0, 255), (120, 145), (200, 256), (255, 256)]
    patches = np.stack([rng.integers(low, high, size).astype(np.uint8) for low, high in levels])
    image = torch.from_numpy(patches)[:, None]
    found = augment.net_input(image, augment.client_gain(image))
    assert found.dtype == torch.float32
    for patch, value in zip(patches, found, strict=True):
        np.testing.assert_allclose(value[0], preprocess.pose_input(patch), rtol=1e-5, atol=1e-6)
    plain = augment.net_input(image, augment.plain_gain(image))[:, 0]
    np.testing.assert_allclose(plain, patches / 255 - 0.5, rtol=1e-5, atol=1e-6)


def test_pooled_views_show_the_same_place(batch):
    large = torch.nn.functional.interpolate(batch["image"].float(), scale_factor=3, mode="nearest").byte()
    zoomed = {
        name: value * 3 if name in ("roi", "bbox", "pos_size", "landmarks") else value for name, value in batch.items()
    }
    zoomed["image"] = large
    pooled, plain = augment.view(zoomed, SIZE, pool=3), augment.view(batch, SIZE)
    # places that rounding moved may be a grey level off
    assert (pooled["image"].float() - plain["image"].float()).abs().max() <= 1
    np.testing.assert_allclose(pooled["landmarks"], plain["landmarks"], atol=1e-5)
    # a size that the pool does not divide
    cut = zoomed | {"image": large[..., :-1, :-2]}
    assert (augment.view(cut, SIZE, pool=3)["image"].float() - plain["image"].float()).abs().mean() < 0.5
