import os
import subprocess
import sys

import cv2
import numpy as np
import pytest

from nntrack.deploy import frames
from tests.conftest import ROOT


def video(path, count=6, size=(64, 48), fps=20.0):
    codec = "MJPG" if path.suffix == ".avi" else "mp4v"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*codec), fps, size)
    for number in range(count):
        writer.write(np.full((size[1], size[0], 3), 40 * (number % 6), np.uint8))
    writer.release()
    return path


@pytest.fixture
def camera(monkeypatch):
    """``camera(count)``: camera 3 is there and delivers so many frames."""

    class Capture:
        left = 0

        def __init__(self, number):
            self.number = number

        def isOpened(self):
            return self.number == 3

        def read(self):
            Capture.left -= 1
            return (True, np.zeros((48, 64, 3), np.uint8)) if Capture.left >= 0 else (False, None)

        def get(self, what):
            return 0.0

        def release(self):
            pass

    def start(count):
        Capture.left = count
        monkeypatch.setattr(cv2, "VideoCapture", Capture)

    return start


@pytest.mark.parametrize("suffix", [".avi", ".mp4"])
def test_a_video(tmp_path, suffix):
    source = frames.open_source([str(video(tmp_path / f"a{suffix}"))])
    found = list(source)
    assert (source.count, source.fps, source.camera, source.still) == (6, 20, False, False)
    assert [frame.shape for frame in found] == [(48, 64, 3)] * 6
    assert np.allclose([frame.mean() for frame in found], 40 * np.arange(6), atol=6)


def test_pictures_in_their_order_grey_ones_too(tmp_path):
    for name, image in (("b.png", np.full((20, 30), 9, np.uint8)), ("a.jpg", np.full((40, 50, 3), 200, np.uint8))):
        cv2.imwrite(str(tmp_path / name), image)
    source = frames.open_source([str(tmp_path / name) for name in ("b.png", "a.jpg")])
    assert [frame.shape for frame in source] == [(20, 30, 3), (40, 50, 3)] and source.still and source.count == 2


def test_a_camera_that_vanishes(camera):
    camera(3)
    source = frames.open_source(["3"])
    assert source.camera and source.count is None and source.fps == 30
    with pytest.raises(frames.CameraGone, match="camera 3 delivers no more frames"):
        [next(source.frames) for _ in range(4)]


def test_a_camera_that_is_not_there(camera):
    camera(3)
    with pytest.raises(OSError, match="camera 4 cannot be opened"):
        frames.open_source(["4"])


@pytest.mark.parametrize("content", [b"", b"no video", bytes(5000)])
@pytest.mark.parametrize("name", ["a.mp4", "a.avi", "noise"])
def test_a_file_that_is_no_video(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=f"{name} holds no frame that can be read"):
        frames.open_source([str(tmp_path / name)])


def test_a_video_that_is_cut_off_gives_what_can_be_read(tmp_path):
    path = video(tmp_path / "a.avi", 60, (320, 240))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    source = frames.open_source([str(path)])
    assert 1 <= len(list(source)) < 60


def test_a_damaged_video_is_one_line_and_no_more(tmp_path):
    path = video(tmp_path / "a.mp4")
    path.write_bytes(path.read_bytes()[:300])
    code = f"""
from nntrack.command_line import run
def main():
    from nntrack.deploy.frames import open_source
    list(open_source([{str(path)!r}]))
run(main)"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, env=os.environ)
    assert done.returncode == 1 and done.stderr.count("\n") == 1 and "holds no frame" in done.stderr


def test_what_is_not_there_or_not_a_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"gone\.mp4 does not exist: name a video"):
        frames.open_source(["gone.mp4"])
    with pytest.raises(IsADirectoryError, match="is a folder"):
        frames.open_source([str(tmp_path)])


def test_two_videos_or_a_broken_picture_are_errors(tmp_path):
    two = [str(video(tmp_path / name)) for name in ("a.avi", "b.avi")]
    with pytest.raises(ValueError, match=r"a\.avi is no picture .*: name pictures, or one video"):
        frames.open_source(two)
    (tmp_path / "c.png").write_bytes(b"no picture")
    with pytest.raises(ValueError, match=r"c\.png cannot be decoded"):
        list(frames.open_source([str(tmp_path / "c.png")]))
