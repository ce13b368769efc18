import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from nntrack.deploy import deadzone
from nntrack.deploy.world_pose import WorldPose, to_world
from nntrack.geometry.rotations import geodesic_distance

SHAPE = (480, 640)
PLACE = np.array([320.0, 240, 60])
STILL = np.array([0.0, 0, 0, 1])


def world(quat, place):
    return to_world(quat, place, SHAPE)


def smooth(previous, quat, place, degrees, pixels=3.0):
    factors = np.radians(degrees) * np.eye(3), pixels * np.eye(3)
    return deadzone.smooth(previous, quat, place, *factors, world)


@pytest.fixture
def previous():
    quats, positions = world(STILL[None], PLACE[None])
    return WorldPose(quats[0], positions[0])


@pytest.mark.parametrize(("deviation", "passes"), [(2, 0.91), (4, 0.59), (8, 0.36)])
def test_the_filter_passes_what_is_large_beside_the_deviation(deviation, passes):
    """The client's figures of a jump of 5 degrees."""
    offset = np.array([0, 0, 0, np.radians(5), 0, 0])
    covariance = np.diag([1e-4] * 3 + [np.radians(deviation) ** 2] * 3)
    assert deadzone.attenuation(offset, covariance) == pytest.approx(passes, abs=0.01)
    assert deadzone.attenuation(offset, covariance) == pytest.approx(1 / (1 + np.exp(-1.5 * (5 / deviation - 1))))


def test_without_a_proper_covariance_all_passes():
    assert deadzone.attenuation(np.ones(2), np.diag([1.0, -1.0])) == 1


@pytest.mark.parametrize("deviation", [2, 4, 8])
@pytest.mark.parametrize("axis", range(3))
def test_a_turn_of_the_head_is_damped(previous, axis, deviation):
    turn = np.zeros(3)
    turn[axis] = np.radians(5)
    quat = Rotation.from_rotvec(turn).as_quat()
    found = smooth(previous, quat, PLACE, deviation, pixels=1)
    passed = geodesic_distance(previous.quat, found.quat) / np.radians(5)
    assert passed == pytest.approx(1 / (1 + np.exp(-1.5 * (5 / deviation - 1))), abs=0.03)


def test_a_sure_net_is_followed_and_an_unsure_one_is_not(previous):
    quat = Rotation.from_euler("Y", 20, degrees=True).as_quat()
    expected = world(quat[None], PLACE[None])
    sure, unsure = smooth(previous, quat, PLACE, 0.1, 0.1), smooth(previous, quat, PLACE, 60, 60)
    assert np.degrees(geodesic_distance(sure.quat, expected.quat[0])) < 0.01
    assert np.allclose(sure.position, expected.position[0], atol=0.5)
    assert np.degrees(geodesic_distance(unsure.quat, previous.quat)) < 8


def test_a_head_that_stays_stays(previous):
    found = smooth(previous, STILL, PLACE, 2)
    assert np.degrees(geodesic_distance(found.quat, previous.quat)) < 0.01
    assert np.allclose(found.position, previous.position, rtol=0.01)


def test_the_filter_settles_where_the_head_is(previous):
    quat = Rotation.from_euler("Y", 20, degrees=True).as_quat()
    place = np.array([200.0, 300, 50])
    expected = world(quat[None], place[None])
    distances = []
    for _ in range(20):
        previous = smooth(previous, quat, place, 3)
        distances.append(np.linalg.norm(previous.position - expected.position[0]))
    assert np.all(np.diff(distances) < 1e-3) and distances[-1] < 0.05 * distances[0] + 10
    assert np.degrees(geodesic_distance(previous.quat, expected.quat[0])) < 1


def test_a_deviation_larger_than_the_head_is_no_negative_size(previous):
    found = smooth(previous, STILL, PLACE, 2, pixels=500)
    assert np.isfinite(found.position).all() and found.position[2] > 0
