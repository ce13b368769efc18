import numpy as np
from scipy.spatial.transform import Rotation

from nntrack.geometry import perspective
from nntrack.geometry.rotations import quat_apply

CAMERA = np.array([[500.0, 520, 320, 240]])


def rays(points, camera):
    across = (points - camera[:, 2:]) / camera[:, :2]
    found = np.concatenate([across, np.ones((len(points), 1))], axis=1)
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def test_on_the_axis_nothing_changes(rng):
    quat = Rotation.random(1, random_state=rng).as_quat()
    assert np.allclose(perspective.seen_to_camera(quat, CAMERA[:, 2:], CAMERA), quat)


def test_the_axis_goes_to_the_ray_by_the_smallest_rotation(rng):
    points = rng.uniform(-2000, 3000, (100, 2))
    camera = np.tile(CAMERA, (100, 1))
    quat, ray = perspective.ray_quat(points, camera), rays(points, camera)
    assert np.allclose(quat_apply(quat, np.array([0.0, 0, 1])), ray)
    assert np.allclose(Rotation.from_quat(quat).magnitude(), np.arccos(ray[:, 2]))


def test_a_head_that_looks_into_the_lens_is_turned_in_the_cameras_frame():
    # right of the axis by 45 degrees: to look into the lens it is turned to the left, about the axis that points down
    point = CAMERA[:, 2:] + [[500.0, 0]]
    found = perspective.seen_to_camera(np.array([[0.0, 0, 0, 1]]), point, CAMERA)
    assert np.allclose(Rotation.from_quat(found).as_rotvec(degrees=True), [[0, 45, 0]])
    assert np.allclose(quat_apply(found, np.array([0.0, 0, -1])), -rays(point, CAMERA))
