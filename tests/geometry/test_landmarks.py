import numpy as np
from scipy.spatial.transform import Rotation

from nntrack.geometry import boxes, landmarks


def test_mirror_is_its_own_inverse_and_maps_parts_to_parts():
    assert (landmarks.MIRROR[landmarks.MIRROR] == np.arange(68)).all()
    for right, left in (
        (landmarks.RIGHT_EYE, landmarks.LEFT_EYE),
        (landmarks.RIGHT_BROW, landmarks.LEFT_BROW),
        (landmarks.JAW, landmarks.JAW),
        (landmarks.INNER_LIPS, landmarks.INNER_LIPS),
    ):
        assert set(landmarks.MIRROR[list(right)]) == set(left)
    assert (landmarks.MIRROR[list(landmarks.NOSE_BRIDGE)] == landmarks.NOSE_BRIDGE).all()


def test_strokes_use_every_landmark_once():
    used = sorted(i for stroke, _ in landmarks.STROKES for i in stroke)
    assert used == list(range(68))


def test_landmark_box_is_tight(rng):
    points = rng.normal(size=(4, 68, 3))
    box = boxes.landmark_box(points)
    assert np.allclose(box, np.concatenate([points[..., :2].min(1), points[..., :2].max(1)], -1))


def test_face_box_adds_the_forehead_and_moves_with_the_head(rng):
    points = rng.uniform(-0.5, 0.5, size=(68, 3)) + [0, 0.5, 0]
    upright, size = np.array([0.0, 0, 0, 1]), np.array([0.0, 0, 1])
    box = boxes.face_box(points, upright, size)
    assert box[1] == min(y for _, y, _ in boxes.FOREHEAD)
    assert np.allclose(box[[0, 2, 3]], boxes.landmark_box(points)[[0, 2, 3]])
    moved = boxes.face_box(points * 3 + [5, 7, 0], upright, np.array([5.0, 7, 3]))
    assert np.allclose(moved, box * 3 + [5, 7, 5, 7])
    quarter = Rotation.from_euler("z", 90, degrees=True)
    turned = boxes.face_box(quarter.apply(points), quarter.as_quat(), size)
    assert np.allclose(turned, [-box[3], box[0], -box[1], box[2]])


def test_square_around_keeps_the_centre():
    assert np.allclose(boxes.square_around(np.array([1.0, 2, 5, 4]), 1.5), [0, 0, 6, 6])
