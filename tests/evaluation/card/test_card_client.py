import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from nntrack import Tracker
from nntrack.evaluation.card import client
from nntrack.evaluation.card.client import Client
from tests import onnx_files

FRAME = np.random.default_rng(0).integers(0, 255, (480, 640)).astype(np.uint8)
BOX = np.array([200.0, 150, 401, 352])


@pytest.fixture
def files(tmp_path):
    return onnx_files.localizer(tmp_path / "l.onnx"), onnx_files.by_mean(tmp_path / "p.onnx", slope=0.5)


def test_a_look_is_what_the_tracker_sees_there(files):
    """Both go through the same window, whatever the size of the frame that it is cut from."""
    looker, tracker = Client(*files), Tracker(*files, smooth=False)
    for frame, box in ((FRAME, BOX), (FRAME, BOX / 4), (FRAME[:200, :300], BOX / 2), (FRAME[:, :500], BOX)):
        tracker.reset()
        tracker.follow(box)
        pose, look = tracker(frame), looker.look(frame, box)
        assert np.array_equal(pose.quat, look.quat) and np.allclose(pose.pos_size, look.pos_size)
        assert np.array_equal(pose.rotation_tril, look.rotation_tril)


def test_the_localizer_is_asked_on_the_frame_that_the_client_shows_it(files):
    box = Client(*files).localize(FRAME)
    assert box.tolist() == [160, 180, 480, 420]  # -0.5, -0.25, 0.5, 0.75 of a frame of 640 x 480


def test_no_face_has_no_box(tmp_path, files):
    assert (
        Client(onnx_files.localizer(tmp_path / "no.onnx", logit_box=[[-2, 0, 0, 1, 1]]), files[1]).localize(FRAME)
        is None
    )


def test_offsets_are_about_the_heads_own_axes():
    head = Rotation.from_euler("XYZ", [20, 70, -10], degrees=True)
    nod = head * Rotation.from_euler("x", 3, degrees=True)
    assert np.allclose(client.offsets(head.as_quat(), nod.as_quat()[None]), [[3, 0, 0]], atol=1e-6)
    assert client.angle(head.as_quat(), nod.as_quat()) == pytest.approx(3)


def test_the_largest_angle_is_between_the_two_furthest():
    quats = Rotation.from_euler("y", [[0], [1], [-4], [2.5]], degrees=True).as_quat() * [[1], [-1], [1], [1]]
    assert client.largest_angle(quats) == pytest.approx(6.5)


def test_spreads_know_nothing_of_lost_faces():
    assert client.spreads([None]) == {}
    one = client.Answer(np.array([0, 0, 0, 1.0]), np.array([10.0, 20, 50]), None)
    other = one._replace(pos_size=np.array([14.0, 20, 50]))
    found = client.spreads([one, other])
    assert found == pytest.approx({"rotation": 0, "position": 4, "size": 0}, abs=1e-9)
    assert np.isnan(client.sigma(one)) and np.isnan(client.sigma(None))
