import numpy as np
from scipy.spatial.transform import Rotation

from nntrack.geometry.neutral_face import NEUTRAL_LANDMARKS
from nntrack.geometry.rotations import geodesic_distance
from nntrack.readers import _rigid


def test_the_fit_is_that_of_the_bulk_of_the_landmarks(rng):
    turn = Rotation.random(30, rng=2)
    points = np.stack([t.apply(NEUTRAL_LANDMARKS) for t in turn]) * 50 + [10, 20, 30]
    points[:, 48:68] += rng.normal(size=(30, 20, 3)) * 25  # a mouth gone astray
    head = _rigid.fit(points)
    assert np.degrees(geodesic_distance(head.quat, turn.as_quat())).max() < 1
    np.testing.assert_allclose(head.pos_size, np.tile([10, 20, 50], (30, 1)), atol=1)
