import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from nntrack.data import sample
from nntrack.geometry import affine
from nntrack.geometry.landmarks import MIRROR
from nntrack.geometry.rotations import geodesic_distance, quat_apply

MIRRORING = np.array([[-1.0, 0, 0], [0, 1, 0]])


@pytest.fixture(params=[False, True], ids=["plain", "mirrored"])
def maps(request, rng):
    """(50, 2, 3) similarities."""
    found = affine.similarity(rng.uniform(-4, 4, 50), rng.uniform(0.2, 3, 50), rng.normal(size=(50, 2)) * 9)
    return affine.compose(found, np.tile(MIRRORING, (50, 1, 1))) if request.param else found


@pytest.fixture
def labels(rng):
    """A posed face: landmarks are the rotated, scaled and shifted shape, so that all labels must move as one."""
    quat = Rotation.random(50, rng=rng).as_quat()
    shape = rng.normal(size=(50, 68, 3))
    pos_size = np.concatenate([rng.normal(size=(50, 2)), rng.uniform(0.5, 2, (50, 1))], axis=1)
    return {"quat": quat, "pos_size": pos_size, "landmarks": posed(shape, quat, pos_size)}, shape


def posed(shape, quat, pos_size):
    points = quat_apply(quat[:, None], shape) * pos_size[:, None, 2:]
    points[..., :2] += pos_size[:, None, :2]
    return points


def test_labels_of_one_face_move_together(maps, labels):
    labels, shape = labels
    moved = sample.move_labels(maps, labels)
    if affine.is_mirrored(maps)[0]:
        shape = shape[:, MIRROR] * [-1, 1, 1]
    assert np.allclose(moved["landmarks"], posed(shape, moved["quat"], moved["pos_size"]))


def test_inverse_undoes_and_composition_is_one_after_the_other(maps, labels):
    labels, _ = labels
    back = sample.move_labels(affine.inverse(maps), sample.move_labels(maps, labels))
    twice = sample.move_labels(maps, sample.move_labels(maps, labels))
    once = sample.move_labels(affine.compose(maps, maps), labels)
    for name in ("landmarks", "pos_size"):
        assert np.allclose(back[name], labels[name])
        assert np.allclose(twice[name], once[name])
    assert geodesic_distance(back["quat"], labels["quat"]).max() < 1e-12
    assert geodesic_distance(twice["quat"], once["quat"]).max() < 1e-12


def test_torch_gives_what_numpy_gives(maps, labels):
    labels, _ = labels
    labels = {**labels, "bbox": np.tile([1.0, 2, 5, 9], (50, 1))}
    expected = sample.move_labels(maps, labels)
    found = sample.move_labels(torch.from_numpy(maps), {k: torch.from_numpy(v) for k, v in labels.items()})
    for name, value in expected.items():
        assert np.allclose(found[name].numpy(), value)


def test_boxes_are_exact_for_quarter_turns_and_never_smaller_than_an_inscribed_ellipse(rng):
    box = np.array([1.0, 2, 5, 4])
    quarter = affine.similarity(np.array(np.pi / 2), np.array(2.0), np.array([1.0, 1]))
    assert np.allclose(affine.move_box(quarter, box), [-7, 3, -3, 11])
    turn = affine.similarity(np.array(0.7), np.array(1.3), np.array([0.0, 3]))
    t = np.linspace(0, 2 * np.pi, 720)
    ellipse = affine.move_points(turn, np.stack([3 + 2 * np.cos(t), 3 + np.sin(t)], -1))
    expected = [*ellipse.min(0), *ellipse.max(0)]
    assert np.allclose(affine.move_box(turn, box), expected, atol=1e-3)


def test_a_camera_projects_points_to_where_the_moved_image_has_them(maps, rng):
    """A quarter turn swaps the focal lengths; with one focal length for both it holds for every similarity."""
    quarters = affine.similarity(np.arange(4) * np.pi / 2, np.array([1.0, 2, 0.5, 3]), rng.normal(size=(4, 2)))
    for cases, focal in ((maps, np.full((len(maps), 2), 5.0)), (quarters, np.tile([5.0, 4.0], (4, 1)))):
        camera = np.concatenate([focal, rng.normal(size=(len(cases), 2))], axis=1)
        moved = affine.move_camera(cases, camera)
        # the image's axes in the camera's: turned and mirrored, with lengths of 1
        linear = cases[..., :2] / affine.scale_of(cases)[:, None, None]
        points = rng.normal(size=(len(cases), 1, 2))
        seen = affine.move_points(cases, points * focal[:, None] + camera[:, None, 2:])
        again = points @ linear.swapaxes(-1, -2) * moved[:, None, :2] + moved[:, None, 2:]
        assert np.allclose(seen, again)
        assert (moved[:, :2] > 0).all()


@pytest.mark.parametrize("like", [np.zeros(1), torch.zeros(1)])
def test_from_unit_maps_the_square_to_the_image(like):
    square, image = np.array([-1.0, -1, 1, 1]), np.array([0.0, 0, 288, 224])
    matrix = affine.from_unit(like, 224, 288)
    assert type(matrix) is type(like)
    np.testing.assert_array_equal(matrix, affine.box_to_box(square, image))


def test_box_to_box_takes_corners_to_corners(rng):
    source, target = np.array([1.0, 2, 5, 9]), np.array([-1.0, -1, 1, 1])
    matrix = affine.box_to_box(source, target)
    assert np.allclose(affine.move_points(matrix, source.reshape(2, 2)).ravel(), target)
