import csv

import cv2
import numpy as np
import pytest

from nntrack.geometry.perspective import seen_to_camera
from nntrack.synthesis.archives import clip

HEADS = {"anny": 1.0}
FRAMES = 20


@pytest.fixture(scope="module")
def samples():
    return [clip.render(5, number, frames=FRAMES, heads=HEADS) for number in range(FRAMES)]


@pytest.fixture(scope="module")
def written(samples, tmp_path_factory):
    folder = tmp_path_factory.mktemp("clip") / "clip"
    clip.write(folder, (members for members, _ in samples))
    return folder


def poses(folder):
    with open(folder / clip.POSES, newline="") as stream:
        return list(csv.DictReader(stream))


def test_every_reader_of_opencv_reads_every_frame(samples, written):
    for backend in (cv2.CAP_OPENCV_MJPEG, cv2.CAP_FFMPEG):
        video = cv2.VideoCapture(str(written / clip.VIDEO), backend)
        assert video.get(cv2.CAP_PROP_FPS) == clip.FPS and video.get(cv2.CAP_PROP_FRAME_COUNT) == FRAMES
        for _, image in samples:
            found, frame = video.read()
            assert found and frame.shape == (*clip.SIZE, 3)
            assert np.abs(frame[..., 0].astype(float) - image).mean() < 2
        assert not video.read()[0]


def test_a_row_per_frame_tells_whether_somebody_is_there_and_their_pose(written):
    rows = poses(written)
    assert [int(row["frame"]) for row in rows] == list(range(FRAMES))
    absent = [row for row in rows if row["face"] == "0"]
    assert len(absent) == round((clip.NOBODY[1] - clip.NOBODY[0]) * FRAMES)
    assert all(row[name] == "" for row in absent for name in ("qx", "qw", "x", "size"))
    quats = np.array([[float(row[f"q{c}"]) for c in "xyzw"] for row in rows if row["face"] == "1"])
    np.testing.assert_allclose(np.linalg.norm(quats, axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(quats[0], [0, 0, 0, 1], atol=1e-6)  # begins frontal


def test_only_the_person_changes_beside_noise(samples, written):
    empty = [image for (_, image), row in zip(samples, poses(written), strict=True) if row["face"] == "0"]
    assert np.abs(np.subtract(empty[0], empty[1], dtype=float)).max() < 20
    corner = np.stack([image[:40, :40] for _, image in samples]).astype(float)
    assert corner.std(axis=0).mean() < 3


def test_motion_is_smooth(written):
    rows = [row for row in poses(written) if row["face"] == "1"]
    quats = np.array([[float(row[f"q{c}"]) for c in "xyzw"] for row in rows])
    follows = np.diff([int(row["frame"]) for row in rows]) == 1
    turns = 2 * np.degrees(np.arccos(np.clip(np.abs((quats[1:] * quats[:-1]).sum(axis=1)), 0, 1)))
    assert turns[follows].max() < 12


def test_the_size_is_that_of_100_mm_in_front_of_the_stated_camera(written):
    """Near the optical axis, the rotation in the camera's axes is the one that is seen."""
    first = poses(written)[0]
    camera = np.array([[float(first[name]) for name in ("fx", "fy", "cx", "cy")]])
    place = np.array([[float(first["x"]), float(first["y"])]])
    quat = np.array([[float(first[f"q{c}"]) for c in "xyzw"]])
    np.testing.assert_allclose(seen_to_camera(quat, place, camera), quat, atol=0.01)
    assert 400 < camera[0, 0] * 100 / float(first["size"]) < 1100  # mm
