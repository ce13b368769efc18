import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from nntrack import contract
from nntrack.deploy.world_pose import angles, to_world
from nntrack.geometry.rotations import geodesic_distance, mirror_quat, quat_apply

SHAPE = (480, 640)
FRONTAL = np.array([[0.0, 0, 0, 1]])
OFFSET = np.array(contract.WORLD_POSE.offset)


def eyes(world):
    """Where the point between the eyes is, without the offset to the neck."""
    return world.position - quat_apply(world.quat, OFFSET)


def test_a_head_in_the_middle_is_straight_ahead():
    world = to_world(FRONTAL, np.array([[320.0, 240, 50]]), SHAPE)
    assert np.allclose(world.quat, FRONTAL)
    # half a diagonal of 400 px at 28 degrees; a head of 200 mm is 100 px high
    distance = 400 / np.tan(np.radians(28)) / 100 * 200
    assert np.allclose(world.position, [[0, 0, distance + 100]])


def test_a_head_projects_back_to_where_it_was_seen(rng):
    places = np.stack([rng.uniform(0, 640, 20), rng.uniform(0, 480, 20), rng.uniform(10, 200, 20)], axis=1)
    quats = Rotation.random(20, rng).as_quat()
    for fov in (40, 56, 90):
        x, y, z = eyes(to_world(quats, places, SHAPE, fov)).T
        focal = 400 / np.tan(np.radians(fov / 2))
        assert np.allclose(focal * x / z + 320, places[:, 0]) and np.allclose(focal * y / z + 240, places[:, 1])
        assert np.allclose(focal * contract.WORLD_POSE.head_height / 2 / z, places[:, 2])


def test_twice_the_size_is_half_the_distance():
    near, far = to_world(np.tile(FRONTAL, (2, 1)), np.array([[100.0, 50, 40], [100, 50, 20]]), SHAPE).position - OFFSET
    assert far[2] > 1.9 * near[2]


def test_a_head_that_is_seen_frontally_looks_into_the_camera(rng):
    places = np.stack([rng.uniform(0, 640, 20), rng.uniform(0, 480, 20), np.full(20, 50.0)], axis=1)
    world = to_world(np.tile(FRONTAL, (20, 1)), places, SHAPE)
    forward = quat_apply(world.quat, np.array([0, 0, -1.0]))  # out of the face
    place = eyes(world)
    assert np.allclose(forward, -place / np.linalg.norm(place, axis=1, keepdims=True))


def test_a_mirrored_frame_gives_a_mirrored_pose(rng):
    quats = Rotation.random(20, rng).as_quat()
    places = np.stack([rng.uniform(0, 640, 20), rng.uniform(0, 480, 20), rng.uniform(10, 99, 20)], axis=1)
    there, here = (
        to_world(mirror_quat(quats), np.abs([640, 0, 0] - places), SHAPE),
        to_world(quats, places, SHAPE),
    )
    assert np.allclose(there.position, here.position * [-1, 1, 1])
    assert np.allclose(geodesic_distance(there.quat, mirror_quat(here.quat)), 0, atol=1e-6)
    for a, b in zip(there.quat, here.quat, strict=True):
        assert np.allclose(angles(a), np.array(angles(b)) * [-1, 1, -1])


def test_angles_turn_yaw_first_then_pitch_then_roll():
    for yaw, pitch, roll in ((30, 0, 0), (0, 20, 0), (0, 0, -15), (-50, 25, 35), (170, -80, 10)):
        quat = Rotation.from_euler("YXZ", [yaw, -pitch, roll], degrees=True).as_quat()
        assert angles(quat) == pytest.approx((yaw, pitch, roll))


def test_about_one_axis_angles_are_those_of_aflw():
    for turn in ([20, 0, 0], [0, 30, 0], [0, 0, -40]):
        pitch, yaw, roll = turn
        quat = Rotation.from_euler("XYZ", [-pitch, yaw, roll], degrees=True).as_quat()
        assert angles(quat) == pytest.approx((yaw, pitch, roll))
