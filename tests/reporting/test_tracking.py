import csv

import cv2
import numpy as np
import pytest

from nntrack import Tracker
from nntrack.reporting import overlay, tracking
from tests import onnx_files

FRAME = np.full((480, 640, 3), 90, np.uint8)


@pytest.fixture
def pose(tmp_path):
    marks = np.random.default_rng(0).uniform(-0.5, 0.5, (1, 68, 3)).astype(np.float32)
    net = onnx_files.pose(tmp_path / "p.onnx", landmarks=marks)
    return Tracker(onnx_files.localizer(tmp_path / "l.onnx"), net)(FRAME)


def test_what_was_found_is_drawn_and_the_frame_left_alone(pose):
    before = FRAME.copy()
    drawn = tracking.draw(FRAME, pose, "tracking", 30.0)
    assert np.array_equal(FRAME, before) and drawn.shape == FRAME.shape
    x0, y0, _, _ = pose.bbox.round().astype(int)
    assert np.abs(drawn[y0 + 30, x0 - 1 : x0 + 2].astype(int) - overlay.PREDICTED).min() < 100
    assert (drawn[:80] > 250).any()  # the text
    changed = np.argwhere((drawn != FRAME).any(axis=2))
    assert len(changed) > 3000


def test_without_a_face_the_state_alone_is_written():
    drawn = tracking.draw(FRAME[..., 0], None, "no face found")
    changed = np.argwhere((drawn != FRAME).any(axis=2))
    assert 100 < len(changed) and changed[:, 0].max() < 40


def test_rows_have_all_columns(tmp_path, pose):
    with tracking.table(tmp_path / "a.csv") as write:
        write(tracking.row(0, 0.0, pose, "tracking"))
        write(tracking.row(1, 0.04, None, "no face found"))
    with (tmp_path / "a.csv").open(newline="") as stream:
        first, second = csv.DictReader(stream)
    assert tuple(first) == tracking.COLUMNS
    assert float(first["yaw"]) == pytest.approx(pose.yaw, abs=1e-3) and first["relocated"] == "0"
    assert float(first["size_px"]) == pytest.approx(pose.pos_size[2], abs=1e-3)
    assert (second["seconds"], second["state"], second["yaw"]) == ("0.0400", "no face found", "")


def test_a_table_that_is_not_finished_is_not_there(tmp_path):
    with pytest.raises(KeyboardInterrupt), tracking.table(tmp_path / "a.csv"):
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("suffix", tracking.VIDEOS)
def test_a_recording_can_be_played(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    with tracking.recording(path, 25.0) as recorder:
        for shape in ((48, 64, 3), (48, 64, 3), (100, 50, 3)):
            recorder.write(np.full(shape, 200, np.uint8))
    video = cv2.VideoCapture(str(path))
    found = [video.read()[1] for _ in range(3)]
    assert video.get(cv2.CAP_PROP_FPS) == 25 and [frame.shape for frame in found] == [(48, 64, 3)] * 3
    assert np.allclose(found[0], 200, atol=6)
    assert found[2][:, 28:36].mean() > 190 and found[2][:, :15].mean() < 30  # put into the middle


@pytest.mark.parametrize("suffix", tracking.PICTURES)
def test_a_recording_of_a_picture(tmp_path, suffix):
    with tracking.recording(tmp_path / f"a{suffix}", 1.0) as recorder:
        recorder.write(FRAME)
    assert np.allclose(cv2.imread(str(tmp_path / f"a{suffix}")), FRAME, atol=3)


def test_a_recording_of_nothing_is_an_error_and_leaves_nothing(tmp_path):
    with pytest.raises(OSError, match=r"a\.mp4 cannot be written"), tracking.recording(tmp_path / "a.mp4", 25.0):
        pass
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "still", "count", "fault"),
    [
        ("a.mp4", False, 9, None),
        ("a.avi", False, None, None),
        ("a.png", True, 1, None),
        ("a.mp4", True, 3, None),
        ("a.png", False, 9, "a video is written"),
        ("a.gif", False, 9, "a video is written"),
        ("a.png", True, 3, "a video is written"),
        ("a.mp4", True, 1, "a picture is written"),
    ],
)
def test_the_suffix_says_what_is_written(tmp_path, name, still, count, fault):
    if fault is None:
        tracking.check_suffix(tmp_path / name, still, count)
    else:
        with pytest.raises(ValueError, match=fault):
            tracking.check_suffix(tmp_path / name, still, count)
