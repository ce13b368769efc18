import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from nntrack.geometry import boxes, landmarks
from nntrack.geometry.neutral_face import NEUTRAL_LANDMARKS, SKULL_AXES, SKULL_CENTRE
from nntrack.geometry.rotations import quat_apply, rotvec_to_quat
from nntrack.reporting import wireframe

POS_SIZE = np.array([120.0, 90.0, 50.0])
FACE = [wire for wire in wireframe.HEAD if wire.face]
CAP = [wire for wire in wireframe.HEAD if not wire.face]


def posed(quat, pos_size):
    """Landmarks of the mean face as a net would state them."""
    return quat_apply(quat, NEUTRAL_LANDMARKS) * pos_size[2] + [*pos_size[:2], 0]


def test_the_nose_of_wire_is_where_the_landmarks_nose_is(rng):
    for _ in range(10):
        quat = rotvec_to_quat(rng.normal(0, 0.7, 3))
        nose = wireframe.pose(quat, POS_SIZE)[len(CAP) + 3].points[-1]  # the fourth stroke of a face ends at the tip
        assert np.allclose(nose, posed(quat, POS_SIZE)[30, :2])


def test_the_head_moves_and_grows_with_the_pose():
    quat = rotvec_to_quat(np.array([0.2, -0.5, 0.1]))
    near = np.concatenate([w.points for w in wireframe.pose(quat, POS_SIZE)])
    far = np.concatenate([w.points for w in wireframe.pose(quat, POS_SIZE * [1, 1, 0.5] + [7, -3, 0])])
    assert np.allclose((near - POS_SIZE[:2]) / 2, far - POS_SIZE[:2] - [7, -3])


def test_the_cap_fits_the_head():
    ears = NEUTRAL_LANDMARKS[[0, 16]]
    places = np.concatenate([ears, boxes.FOREHEAD])
    assert np.abs(np.linalg.norm((places - SKULL_CENTRE) / SKULL_AXES, axis=1) - 1).max() < 0.1
    cap = np.concatenate([wire.points for wire in CAP])
    assert min(np.linalg.norm(cap - ear, axis=1).min() for ear in ears) < 0.1
    brows = NEUTRAL_LANDMARKS[[*landmarks.RIGHT_BROW, *landmarks.LEFT_BROW]]
    assert np.linalg.norm(cap[:, None] - brows, axis=-1).min(axis=0).max() < 0.25
    # it covers neither eyes nor anything below
    assert cap[cap[:, 2] < 0][:, 1].max() < NEUTRAL_LANDMARKS[list(landmarks.RIGHT_EYE), 1].min()


@pytest.mark.parametrize("yaw", [-90, 0, 90])
def test_the_far_side_is_hidden(yaw):
    quat = Rotation.from_euler("y", yaw, degrees=True).as_quat()
    seen = dict(zip([*range(len(CAP)), *landmarks.STROKES], wireframe.pose(quat, POS_SIZE), strict=False))
    eyes = {eye: seen[(eye, True)].visible for eye in (landmarks.RIGHT_EYE, landmarks.LEFT_EYE)}
    turned = quat_apply(quat, np.array([0.0, 0.0, -1.0]))  # where the nose points
    assert eyes[landmarks.RIGHT_EYE].all() == (turned[0] > -0.5)
    assert eyes[landmarks.LEFT_EYE].all() == (turned[0] < 0.5)


def test_as_much_of_the_skull_is_seen_from_opposite_sides(rng):
    rings = [wire for wire in CAP if np.allclose(wire.points[0], wire.points[-1])]
    assert rings
    for wire in rings:
        assert np.allclose(wire.points[:, 0].min(), -wire.points[:, 0].max(), atol=1e-6)


def test_a_head_seen_from_behind_hides_its_face():
    quat = Rotation.from_euler("y", 180, degrees=True).as_quat()
    face = [wire for wire in wireframe.pose(quat, POS_SIZE) if wire.face]
    middle = [wire for wire, line in zip(face, FACE, strict=True) if np.abs(line.points[:, 0]).max() < 0.5]
    assert middle and not any(wire.visible.any() for wire in middle)
