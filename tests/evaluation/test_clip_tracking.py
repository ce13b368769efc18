from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from nntrack.evaluation import clip

COUNT = 60
FACE = np.ones(COUNT, bool)
FACE[30:40] = False


@pytest.fixture
def truth():
    angles = np.stack([np.zeros(COUNT), np.linspace(0, 40, COUNT), np.zeros(COUNT)], axis=1)
    quat = Rotation.from_euler("XYZ", angles, degrees=True).as_quat()
    pos_size = np.stack([np.linspace(300, 340, COUNT), np.full(COUNT, 240.0), np.full(COUNT, 50.0)], axis=1)
    quat[~FACE], pos_size[~FACE] = np.nan, np.nan
    return clip.Truth(FACE, quat, pos_size, 30.0)


def pose(truth, number, turn=0.0, shift=0.0, scale=1.0):
    """The true pose with an error: a turn about the head's own up axis in degrees, a shift to the right in px."""
    rotation = Rotation.from_quat(truth.quat[number]) * Rotation.from_euler("Y", turn, degrees=True)
    place = truth.pos_size[number] * [1, 1, scale] + [shift, 0, 0]
    return SimpleNamespace(rotation=rotation.as_quat(), pos_size=place, window=0.3)


def evaluate(truth, answer):
    numbers = iter(range(COUNT))

    def tracker(frame):
        number = next(numbers)
        return answer(number) if FACE[number] else None

    return clip.evaluate_clip(tracker, [None] * COUNT, truth)


def test_a_perfect_tracker_has_no_errors(truth):
    found = evaluate(truth, lambda i: pose(truth, i))
    assert found == {
        "tracked": 1, "imagined": 0, "rotation": 0, "position": 0, "size": 0, "jitter": 0, "found_again": 0, "lost": 0,
        "widest": 0.3, "frames": COUNT,
    }  # fmt: skip


def test_a_constant_error_is_no_jitter(truth):
    found = evaluate(truth, lambda i: pose(truth, i, turn=4, shift=5, scale=1.1))
    assert found["rotation"] == pytest.approx(4) and found["jitter"] == pytest.approx(0, abs=1e-3)
    assert found["position"] == pytest.approx(10) and found["size"] == pytest.approx(10)


def test_jitter_is_the_deviation_of_white_noise(truth):
    turns = np.random.default_rng(0).normal(0, 1.5, COUNT)
    assert evaluate(truth, lambda i: pose(truth, i, turn=turns[i]))["jitter"] == pytest.approx(1.5, rel=0.3)


def test_lost_faces_and_the_time_until_they_are_found(truth):
    found = evaluate(truth, lambda i: None if i in (10, 11, 20) or 40 <= i < 46 else pose(truth, i))
    assert found["lost"] == 2 and found["found_again"] == pytest.approx(6 / 30)
    assert found["tracked"] == pytest.approx(1 - 9 / 50, abs=1e-3)


def test_another_place_is_not_the_face(truth):
    found = evaluate(truth, lambda i: pose(truth, i, shift=60))
    assert found["tracked"] == 0 and found["rotation"] is None and found["jitter"] is None
    assert found["found_again"] == pytest.approx(2)  # 60 frames: never


def test_poses_without_a_face_are_imagined(truth):
    numbers = iter(range(COUNT))
    found = clip.evaluate_clip(lambda frame: pose(truth, min(next(numbers), 29)), [None] * COUNT, truth)
    assert found["imagined"] == 1


def test_another_number_of_frames_is_an_error(truth):
    with pytest.raises(ValueError, match="60 poses are known of 3 frames"):
        clip.evaluate_clip(lambda frame: None, [None] * 3, truth)


def write(folder, frames=4, rows=("0,1,0,0,0,1,30,20,9", "1,0,,,,,,,", "2,0,,,,,,,", "3,0,,,,,,,")):
    folder.mkdir()
    writer = cv2.VideoWriter(str(folder / clip.VIDEO), cv2.VideoWriter.fourcc(*"MJPG"), 30, (64, 48))
    for _ in range(frames):
        writer.write(np.zeros((48, 64, 3), np.uint8))
    writer.release()
    text = "\n".join(("frame,face,qx,qy,qz,qw,x,y,size", *rows))
    (folder / clip.POSES).write_text(text + "\n")
    return folder


def test_a_clip_is_read(tmp_path):
    frames, truth = clip.read(write(tmp_path / "clip"))
    assert [frame.shape for frame in frames] == [(48, 64, 3)] * 4
    assert truth.face.tolist() == [True, False, False, False] and truth.fps == 30
    assert truth.pos_size[0].tolist() == [30, 20, 9] and np.isnan(truth.quat[1:]).all()


def test_a_clip_that_does_not_fit_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"clip\.avi does not exist: `dvc repro synthesize`"):
        clip.read(tmp_path)
    with pytest.raises(ValueError, match=r"has 3 frames, .* has 4 rows"):
        clip.read(write(tmp_path / "short", frames=3))
    with pytest.raises(ValueError, match="is no table of poses"):
        clip.read(write(tmp_path / "odd", rows=("0,1,none,0,0,1,30,20,9",) * 4))
