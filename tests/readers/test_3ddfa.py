import numpy as np
from scipy.spatial.transform import Rotation

from nntrack.geometry.landmarks import EYE_CORNERS
from nntrack.geometry.rotations import geodesic_distance
from nntrack.readers import _3ddfa


def test_poses_survive_the_way_there_and_back(rng):
    quat = Rotation.random(20, rng=1).as_quat()
    pos_size = rng.uniform(100, 300, (20, 3))
    there = _3ddfa.labels_to_pose(quat, pos_size, 450, 450)
    back = _3ddfa.pose_to_labels(there, 450, 450)
    assert geodesic_distance(quat, back["quat"]).max() < 1e-6
    np.testing.assert_allclose(back["pos_size"], pos_size)


def test_points_survive_the_way_there_and_back(rng):
    points = rng.normal(size=(4, 68, 3))
    points[..., 2] -= points[:, EYE_CORNERS, 2].mean(axis=1, keepdims=True)
    np.testing.assert_allclose(_3ddfa.points_from_matlab(_3ddfa.points_to_matlab(points)), points)
