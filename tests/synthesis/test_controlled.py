import numpy as np
import pytest

from nntrack.evaluation.errors import aflw_degrees
from nntrack.synthesis import controlled
from nntrack.synthesis.controlled import ACTIONS, LIGHTS, SIZE, WORN, Pose


@pytest.fixture(scope="module")
def person():
    return controlled.sample_bare(np.random.default_rng(3))


POSE = Pose(np.array([5.0, -10, 3]), 115.0)
SEED = [1, 2]


@pytest.fixture(scope="module")
def photo(person):
    return controlled.photograph(SEED, person, POSE)


def changed(a, b):
    """Rows and columns between which two images differ."""
    rows, columns = np.nonzero(a.image != b.image)
    return (columns.min(), rows.min(), columns.max(), rows.max()) if len(rows) else None


def test_equal_seeds_give_equal_photos_and_others_do_not(person, photo):
    assert np.array_equal(controlled.photograph(SEED, person, POSE).image, photo.image)
    assert not np.array_equal(controlled.photograph([7], person, POSE).image, photo.image)
    assert photo.image.shape == SIZE and photo.image.dtype == np.uint8


@pytest.mark.parametrize("action", ACTIONS)
def test_an_action_moves_the_face_alone(action, person, photo):
    other = controlled.photograph(SEED, person, POSE, controlled.expression(action))
    assert np.array_equal(other.quat, photo.quat) and np.array_equal(other.pos_size, photo.pos_size)
    assert np.abs(other.image.astype(int) - photo.image).max() > 20
    far = np.ones(SIZE, bool)
    x0, y0, x1, y1 = np.round(photo.box + [-30, -30, 30, 60]).astype(int)
    far[y0:y1, x0:x1] = False
    # the camera sets the same brightness but for a little
    assert np.abs(other.image[far].astype(int) - photo.image[far]).mean() < 1.5


@pytest.mark.parametrize("name", WORN)
def test_what_is_worn_changes_the_image_but_not_the_head(name, person, photo):
    other = controlled.photograph(SEED, WORN[name](np.random.default_rng(0), person), POSE)
    assert np.array_equal(other.quat, photo.quat) and np.allclose(other.box, photo.box)
    assert changed(other, photo) is not None


@pytest.mark.parametrize("name", LIGHTS)
def test_light_changes_the_image_but_not_the_head(name, person, photo):
    other = controlled.photograph(SEED, person, POSE, light=LIGHTS[name])
    assert np.array_equal(other.quat, photo.quat) and changed(other, photo) is not None


def test_light_from_a_side_leaves_the_other_dark(person):
    pose = POSE._replace(angles=np.zeros(3))
    left, right = (controlled.photograph(SEED, person, pose, light=LIGHTS[side]).image for side in ("left", "right"))
    x, y = np.round(pose.middle).astype(int)
    ratios = [
        image[y - 40 : y + 20, x - 50 : x].mean() / image[y - 40 : y + 20, x : x + 50].mean() for image in (left, right)
    ]
    assert ratios[0] < 0.8 and ratios[1] > 1.25


def test_a_camera_above_sees_a_head_that_looks_down():
    level = aflw_degrees(Pose(np.array([10.0, 0, 0]), 100.0).quat[None])[0]
    above = aflw_degrees(Pose(np.array([10.0, 0, 0]), 100.0, elevation=15.0).quat[None])[0]
    assert np.allclose(level, [10, 0, 0]) and np.allclose(above, [-5, 0, 0])


def test_the_middle_of_the_face_is_where_it_is_asked_for(person):
    photo = controlled.photograph(SEED, person, POSE._replace(middle=np.array([200.0, 300])))
    centre = (photo.box[:2] + photo.box[2:]) / 2
    assert np.linalg.norm(centre - [200, 300]) < 0.35 * POSE.radius


@pytest.mark.parametrize("frames", [1, 40])
def test_a_calm_head_hardly_moves(frames, rng):
    poses = controlled.calm_poses(rng, frames)
    assert len(poses) == frames
    angles = np.array([pose.angles for pose in poses])
    assert np.abs(np.diff(angles, axis=0)).max(initial=0) < 1.0


def test_a_cover_hides_the_face_and_nothing_far_from_it(photo, rng):
    hidden = controlled.covered(rng, photo.image, photo.box)
    x0, y0, x1, y1 = np.round(photo.box).astype(int)
    assert (hidden != photo.image)[y0:y1, x0:x1].mean() > 0.9
    assert np.array_equal(hidden[:, : x0 - 80], photo.image[:, : x0 - 80])
    outside = controlled.covered(rng, photo.image, np.array([-300.0, 0, -200, 100]))
    assert np.array_equal(outside, photo.image)


@pytest.mark.parametrize("behind", [False, True])
def test_an_empty_scene_is_the_same_again(behind):
    scene = controlled.empty_scene([4], behind)
    assert scene.shape == SIZE and np.array_equal(scene, controlled.empty_scene([4], behind))
