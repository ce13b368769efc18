import csv
import socket
import struct

import cv2
import numpy as np
import pytest

from nntrack.commands import track
from nntrack.deploy import frames
from tests import onnx_files
from tests.deploy.test_frames import camera, video  # noqa: F401  # a fixture


@pytest.fixture
def models(tmp_path):
    folder = tmp_path / "models"
    folder.mkdir()
    onnx_files.localizer(folder / "head-localizer.onnx")
    onnx_files.pose(folder / "head-pose.onnx", box=[[-0.9, -0.9, 0.9, 0.9]])
    return folder


@pytest.fixture
def run(models):
    def run(*source, **options):
        given = {"out": None, "csv": None, "models": models, "fov": 56.0, "opentrack": None} | options
        track.main([str(name) for name in source], window=False, smooth=True, **given)

    return run


def rows(path):
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_a_video_is_drawn_and_written_as_a_table(run, tmp_path, capsys):
    run(video(tmp_path / "a.avi"), out=tmp_path / "out.mp4", csv=tmp_path / "poses.csv")
    found = rows(tmp_path / "poses.csv")
    assert [row["frame"] for row in found] == list("012345") and found[1]["seconds"] == "0.0500"
    played = cv2.VideoCapture(str(tmp_path / "out.mp4"))
    assert played.get(cv2.CAP_PROP_FRAME_COUNT) == 6 and played.get(cv2.CAP_PROP_FPS) == 20
    said = capsys.readouterr().out
    assert "a face in 6 of 6 frames" in said and "out.mp4, " in said and said.count("\n") == 1


def test_pictures_are_tracked_each_by_itself(run, tmp_path):
    for name in ("a.png", "b.png"):
        cv2.imwrite(str(tmp_path / name), np.full((480, 640), 90, np.uint8))
    run(tmp_path / "a.png", tmp_path / "b.png", csv=tmp_path / "poses.csv", out=tmp_path / "out.mp4")
    first, second = rows(tmp_path / "poses.csv")
    assert {**first, "frame": "", "seconds": ""} == {**second, "frame": "", "seconds": ""}
    run(tmp_path / "a.png", out=tmp_path / "out.png")
    assert cv2.imread(str(tmp_path / "out.png")).shape == (480, 640, 3)


def test_poses_are_sent_to_opentrack(run, tmp_path):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        receiver.settimeout(5)
        run(video(tmp_path / "a.avi"), csv=tmp_path / "p.csv", opentrack=f"127.0.0.1:{receiver.getsockname()[1]}")
        for row in rows(tmp_path / "p.csv"):
            values = struct.unpack("<6d", receiver.recv(100))
            names = ("x_cm", "y_cm", "z_cm", "yaw", "pitch", "roll")
            assert values == pytest.approx([float(row[name]) for name in names], abs=1e-3)


def test_what_a_camera_delivered_is_kept_when_it_vanishes(run, tmp_path, camera, capsys):  # noqa: F811
    camera(4)
    with pytest.raises(frames.CameraGone, match="camera 3 delivers no more frames"):
        run("3", csv=tmp_path / "p.csv")
    assert len(rows(tmp_path / "p.csv")) == 4
    assert "camera 3: a face in 4 of 4 frames" in capsys.readouterr().out


def test_a_camera_is_followed_until_it_is_interrupted(run, tmp_path, camera, monkeypatch):  # noqa: F811
    camera(9)

    def interrupted(self):
        yield np.zeros((48, 64, 3), np.uint8)
        raise KeyboardInterrupt

    monkeypatch.setattr(frames.Source, "__iter__", interrupted)
    run("3", csv=tmp_path / "p.csv")
    assert len(rows(tmp_path / "p.csv")) == 1
    with pytest.raises(KeyboardInterrupt):
        monkeypatch.undo()
        source = video(tmp_path / "a.avi")
        monkeypatch.setattr(frames.Source, "__iter__", interrupted)
        run(source, csv=tmp_path / "q.csv")
    assert not (tmp_path / "q.csv").exists()


def test_a_video_that_is_cut_off_is_said_to_be(run, tmp_path, capsys):
    path = video(tmp_path / "a.avi", 60, (320, 240))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    run(path, csv=tmp_path / "p.csv")
    said = capsys.readouterr().out
    assert len(rows(tmp_path / "p.csv")) < 60
    assert "it should hold 60 frames: the rest cannot be read" in said


@pytest.mark.parametrize(
    ("source", "options", "message"),
    [
        ("gone.mp4", {}, "gone.mp4 does not exist"),
        ("a.avi", {"out": "out.gif"}, "out.gif: a video is written"),
        ("a.avi", {"fov": 200.0}, "between 0 and 180 degrees"),
        ("a.avi", {"opentrack": "nothing"}, "the host nothing is not known"),
        ("a.avi", {"out": "a.avi"}, "would replace a.avi, which is an input"),
    ],
)
def test_what_the_user_can_mend_is_one_line_and_leaves_nothing(run, tmp_path, monkeypatch, source, options, message):
    monkeypatch.chdir(tmp_path)
    video(tmp_path / "a.avi")
    before = sorted(tmp_path.rglob("*"))
    if "out" in options:
        options = options | {"out": tmp_path.joinpath(options["out"]).relative_to(tmp_path)}
    with pytest.raises((ValueError, OSError), match=message.replace("nothing is", ".* is")):
        run(source, csv=tmp_path / "p.csv", **options)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_refused_model_is_one_line(run, models, tmp_path):
    onnx_files.pose(models / "head-pose.onnx", quat=None)
    with pytest.raises(ValueError, match=r"head-pose\.onnx: no output is called quat"):
        run(video(tmp_path / "a.avi"), csv=tmp_path / "p.csv")


def no_screen(title):
    raise OSError("there is no screen")


def test_without_a_screen_there_must_be_another_output(models, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("nntrack.reporting.screen.Screen", no_screen)
    source = str(video(tmp_path / "a.avi"))
    given = {"models": models, "fov": 56.0, "opentrack": None, "window": True, "smooth": True, "out": None}
    with pytest.raises(ValueError, match="no window can be shown, there is no screen: name a file"):
        track.main([source], csv=None, **given)
    track.main([source], csv=tmp_path / "p.csv", **given)
    assert "no window is shown: there is no screen" in capsys.readouterr().out


def test_a_window_that_is_closed_ends_it(models, tmp_path, monkeypatch):
    class Closing:
        open = True
        shown = 0

        def __init__(self, title):
            pass

        def write(self, frame):
            Closing.shown += 1
            self.open = Closing.shown < 3

        def close(self):
            pass

    monkeypatch.setattr("nntrack.reporting.screen.Screen", Closing)
    source = str(video(tmp_path / "a.avi"))
    given = {"models": models, "fov": 56.0, "opentrack": None, "window": True, "smooth": True, "out": None}
    track.main([source], csv=tmp_path / "p.csv", **given)
    assert Closing.shown == 3 == len(rows(tmp_path / "p.csv"))
