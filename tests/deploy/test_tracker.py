import doctest
import subprocess
import sys
from types import ModuleType

import cv2
import numpy as np
import pytest

import nntrack
from nntrack import contract
from nntrack.deploy import preprocess, tracker
from nntrack.deploy.tracker import State, Tracker
from nntrack.geometry.rotations import geodesic_distance
from tests import onnx_files
from tests.conftest import ROOT

FRAME = np.full((480, 640, 3), 90, np.uint8)  # halved once: its smallest size is 320 x 240
FIRST = np.array([80, 90, 160, 120])  # x, y, width, height of the localizer's box there
VIDEOS = ["bottle.mp4", "female.gif", "male.gif", "sister.mkv", "walk.mkv"]


class Counted(nntrack.LocalizerModel):
    """A localizer whose answers can be changed, and that counts how often it is asked."""

    calls = 0
    answer = None

    def predict(self, images):
        self.calls += 1
        if self.answer is None:
            return super().predict(images)
        score, box = self.answer
        return {"score": np.array([score], np.float32), "bbox": np.array([box], np.float32)}


@pytest.fixture
def make(tmp_path):
    """``make(**outputs)``: a tracker whose pose net has these constant outputs."""

    def make(smooth=True, fov=56.0, logit=2.0, **outputs):
        net = nntrack.PoseModel(onnx_files.pose(tmp_path / "pose.onnx", **outputs))
        box = [[logit, -0.5, -0.25, 0.5, 0.75]]
        localizer = Counted(onnx_files.localizer(tmp_path / "localizer.onnx", logit_box=box))
        return Tracker(localizer, net, smooth=smooth, fov=fov)

    return make


def frames(path, count):
    video = cv2.VideoCapture(str(path))
    for _ in range(count):
        read, frame = video.read()
        if not read:
            return
        yield frame


@pytest.fixture(scope="module")
def reference(shared):
    """The program that agrees with the C++ client, without its last line, which starts it."""
    source = (shared / "tools/closed_loop.py").read_text()
    module = ModuleType("closed_loop")
    ipp, threads = cv2.ipp.useIPP(), cv2.getNumThreads()
    exec(compile(source[: source.rindex("main()")], "closed_loop.py", "exec"), module.__dict__)
    yield module
    cv2.ipp.setUseIPP(ipp)
    cv2.setNumThreads(threads)


@pytest.mark.slow
@pytest.mark.parametrize("video", VIDEOS)
def test_it_tracks_as_the_client_does(video, reference, shared):
    files = [str(shared / "opentrack" / f"head-{net}.onnx") for net in ("localizer", "pose-0.4-small-int8")]
    expected, found = reference.Tracker(*files), Tracker(*files)
    for frame in frames(shared / "video" / video, 300):
        theirs, ours = expected.frame(frame), found(frame)
        assert (theirs is None) == (ours is None)
        if ours is None:
            continue
        _, corner = preprocess.crop_frame(frame)
        quat = theirs[0].astype(np.float64) / np.linalg.norm(theirs[0])
        assert np.degrees(geodesic_distance(quat, ours.quat.astype(np.float64))) < 1e-3
        assert np.allclose(theirs[1] + [*corner, 0], ours.pos_size, atol=1e-2)
        assert (ours.window, ours.relocated) == (pytest.approx(theirs[2], abs=1e-5), theirs[3])


def test_the_first_pose(make):
    pose = make()(FRAME)
    # the square of 160 about (160, 150) of the smallest size, twice as large in the frame
    assert pose.roi.tolist() == [160, 140, 480, 460]
    assert np.allclose(pose.pos_size, [320 + 16, 300 - 32, 128])
    assert np.allclose(pose.bbox, [320 - 80, 300 - 96, 320 + 112, 300 + 128])
    assert pose.window == pytest.approx(0.7 * 160 / 320) and not pose.relocated
    assert pose.landmarks is None
    assert np.allclose(pose.pos_size_std, 160 * np.array([0.1, np.hypot(0.01, 0.2), np.linalg.norm([0.02, 0.03, 0.3])]))
    assert np.allclose(np.radians(pose.rotation_std[0]), 0.1)


def test_position_and_angles_are_those_of_the_world_pose(make):
    pose = make(pos_size=[[0, -0.375, 0.8]])(FRAME)  # in the middle of the frame
    assert np.allclose(pose.pos_size, [320, 240, 128])
    distance = 400 / np.tan(np.radians(28)) / 256 * 20
    assert np.allclose(pose.position, [0, 0, distance + 10], atol=1e-3)
    assert np.allclose([pose.yaw, pose.pitch, pose.roll], 0, atol=1e-4)
    beside = make(pos_size=[[0.5, -0.875, 0.8]])(FRAME)
    assert beside.position[0] > 0 and beside.position[1] > 0  # to the right, up
    assert beside.yaw > 0 and beside.pitch < 0  # seen frontally there, it looks into the camera: left and down


def test_a_wider_field_of_view_is_a_nearer_head(make):
    assert make(fov=90)(FRAME).position[2] < make(fov=56)(FRAME).position[2]


def test_the_next_window_is_the_nets_box(make):
    follow = make()
    first = follow(FRAME)
    rect = np.concatenate([first.bbox[:2], first.bbox[2:] - first.bbox[:2]]) / 2
    square = preprocess.client_square(rect, (240, 320))
    second = follow(FRAME)
    assert np.allclose(second.roi, 2 * np.array([square.x, square.y] * 2) + square.side * np.array([-1, -1, 1, 1]))


def test_a_large_face_is_cut_from_the_larger_frame(make):
    large = np.zeros((960, 1280), np.uint8)  # smaller sizes: 640, 320
    follow = make(box=[[-1, -1, 1, 1]])
    pose = follow(large)  # a window of 640 px: floor(log2(640 / 129)) = 2
    assert pose.roi.tolist() == [320, 280, 960, 920] and pose.window == 0.5


@pytest.mark.parametrize("shape", [(480, 640), (720, 1280), (640, 480), (101, 203)])
def test_poses_are_in_pixels_of_the_whole_frame(make, shape):
    pose = make(logit=2.0, pos_size=[[0, 0, 0.5]])(np.zeros(shape, np.uint8))
    cropped, corner = preprocess.crop_frame(np.zeros(shape, np.uint8))
    middle = corner + np.array([0.5, 0.625]) * cropped.shape[::-1]
    assert np.abs(pose.pos_size[:2] - middle).max() <= 1.5


def test_a_mirrored_frame_gives_a_mirrored_pose(shared):
    files = [shared / "opentrack" / f"head-{net}.onnx" for net in ("localizer", "pose-0.4-small-int8")]
    frame = next(frames(shared / "video/female.gif", 1))
    here, there = Tracker(*files)(frame), Tracker(*files)(np.ascontiguousarray(frame[:, ::-1]))
    assert np.allclose([there.yaw, there.pitch, there.roll], [-here.yaw, here.pitch, -here.roll], atol=4)
    assert np.allclose(there.position, here.position * [-1, 1, 1], rtol=0.1, atol=2)


def test_the_localizer_is_asked_only_while_the_boxes_part(make):
    follow = make(box=[[-0.7, -0.7, 0.7, 0.7]])
    for _ in range(3):
        follow(FRAME)
    # the window shrinks to 112, 78, 55 px: an IoU with the first box of 0.65, 0.32, 0.16
    assert follow.localizer.calls == 1
    follow(FRAME)
    assert follow.localizer.calls == 2 and follow.state == State.TRACKING


def test_a_face_elsewhere_moves_the_window(make):
    follow = make(box=[[-0.3, -0.3, 0.3, 0.3]])
    follow(FRAME)
    follow.localizer.answer = (0.9, [10, 20, 90, 100])
    pose = follow(FRAME)
    assert pose.relocated and pose.roi.tolist() == [20, 40, 180, 200]


def test_while_the_localizer_is_unsure_the_pose_net_is_trusted(make):
    follow = make(box=[[-0.9, -0.9, 0.9, 0.9]])
    follow(FRAME)
    follow.localizer.answer = (0.5, [0, 0, 200, 200])
    rois = [follow(FRAME).roi for _ in range(12)]
    assert follow.state == State.TRACKING
    assert follow.localizer.calls > 2 and np.ptp([roi[0] + roi[2] for roi in rois]) < 10


@pytest.mark.parametrize(
    ("answer", "found"),
    [((0.5, [0, 0, 99, 99]), 0), ((0.51, [0, 0, 99, 99]), 1), ((1, [9, 9, 24, 24]), 0), ((1, [9, 9, 24, 26]), 1)],
)
def test_what_counts_as_a_face(make, answer, found):
    follow = make()
    follow.localizer.answer = answer
    assert (follow(FRAME) is not None) == found
    assert follow.state == (State.TRACKING if found else State.SEARCHING)


def test_a_face_is_lost_and_found_again(make):
    follow = make(box=[[0, 0, 0.001, 0.001]])
    assert follow(FRAME) is not None
    follow.localizer.answer = (0.1, [0, 0, 99, 99])
    assert follow(FRAME) is None and follow.state == State.SHRANK
    assert follow(FRAME) is None and follow.state == State.SEARCHING
    follow.localizer.answer = (0.9, [0, 0, 99, 99])
    assert follow(FRAME) is not None and follow.state == State.TRACKING


def test_a_window_that_grows_is_dropped(make):
    follow = make(box=[[-2, -2, 2, 2]])
    follow(FRAME)
    follow.localizer.answer = (0.1, [0, 0, 99, 99])
    poses = [follow(FRAME) for _ in range(4)]
    assert follow.state == State.SEARCHING and poses[-1] is None
    assert max(pose.window for pose in poses if pose) <= tracker.LARGEST_WINDOW


def test_an_inverted_box_is_a_lost_face(make):
    follow = make(box=[[0.5, 0.5, -0.5, -0.5]])
    follow(FRAME)
    follow.localizer.answer = (0.1, [0, 0, 99, 99])
    assert follow(FRAME) is None and follow.state == State.SHRANK


@pytest.mark.parametrize(
    ("outputs", "message"),
    [
        ({"box": [[0, 0, np.nan, 1]]}, "box holds a number that is not finite"),
        ({"pos_size": [[0, 0, -0.5]]}, "the head's size is -"),
        ({"quat": [[0, 0, 0, 2]]}, "a quaternion has length 2"),
    ],
)
def test_what_a_net_must_not_say_is_an_error(make, outputs, message):
    with pytest.raises(ValueError, match=message):
        make(**outputs)(FRAME)


@pytest.mark.parametrize("frame", [FRAME.astype(np.float32), FRAME[..., :2], FRAME[0, 0], np.zeros((2, 9, 9, 3))])
def test_another_kind_of_frame_is_an_error(make, frame):
    with pytest.raises(ValueError, match="a frame is"):
        make()(frame)


def test_a_field_of_view_of_no_camera_is_an_error(make):
    with pytest.raises(ValueError, match="between 0 and 180 degrees, not 180"):
        make(fov=180)


def test_the_filter_damps_and_can_be_switched_off(make, tmp_path):
    """A pose net whose head turns with the light."""
    factors = {"rotaxis_scales_tril": [0.2 * np.eye(3)], "pos_size_scales_tril": [0.1 * np.eye(3)]}
    still = {"box": [[-1, -1, 1, 1]]}  # the window stays where it is
    net = nntrack.PoseModel(onnx_files.by_mean(tmp_path / "net.onnx", 1, **factors, **still))
    localizer = nntrack.LocalizerModel(onnx_files.localizer(tmp_path / "l.onnx"))
    pitches = {}
    for smooth in (False, True):
        follow = Tracker(localizer, net, smooth=smooth)
        pitches[smooth] = [follow(np.full((480, 640), grey, np.uint8)).pitch for grey in (130, 130, 150)]
    assert pitches[True][0] == pitches[False][0]
    assert abs(pitches[True][2] - pitches[True][0]) < 0.7 * abs(pitches[False][2] - pitches[False][0])


def test_without_uncertainty_there_is_no_filter(make):
    follow = make(rotaxis_scales_tril=None)
    pose = follow(FRAME)
    assert pose.rotation_std is None and pose.pos_size_std is None
    assert follow(FRAME) is not None


def test_reset_forgets_the_face(make):
    follow = make()
    first = follow(FRAME)
    follow(FRAME)
    follow.reset()
    assert np.array_equal(follow(FRAME).roi, first.roi) and follow.localizer.calls == 2


def test_it_runs_without_torch(tmp_path):
    localizer, pose = onnx_files.localizer(tmp_path / "l.onnx"), onnx_files.pose(tmp_path / "p.onnx")
    program = f"""
import sys, numpy, nntrack
assert nntrack.Tracker({str(localizer)!r}, {str(pose)!r})(numpy.zeros((48, 64), numpy.uint8))
assert not {{"torch", "h5py", "pandas", "scipy"}} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True)


def test_the_example_works(tmp_path, monkeypatch):
    onnx_files.localizer(tmp_path / "head-localizer.onnx")
    side = contract.POSE_SIZE
    onnx_files.write(tmp_path / "head-pose.onnx", onnx_files.POSE | {"pos_size": [[0, -0.375, 0.8]]}, (side, side))
    cv2.imwrite(str(tmp_path / "photo.jpg"), FRAME)
    monkeypatch.chdir(tmp_path)
    results = doctest.testmod(tracker)
    assert results.attempted == 4 and not results.failed


def test_a_box_to_follow_is_taken_for_the_face_without_the_localizer(make):
    tracked = make(box=[[-1, -1, 1, 1]])
    tracked.follow(np.array([100, 60, 300, 260]))
    pose = tracked(FRAME)
    assert tracked.localizer.calls == 0 and tracked.state is State.TRACKING
    assert np.allclose(pose.roi, [100, 60, 300, 260]) and not pose.relocated
    tracked(FRAME)
    assert tracked.localizer.calls == 0
    # a wide frame is cut to its middle, which the box is not measured from
    tracked.follow(np.array([300, 60, 500, 260]))
    assert np.allclose(tracked(np.full((480, 1000, 3), 90, np.uint8)).roi, [300, 60, 500, 260], atol=1)


def test_a_box_to_follow_is_forgotten_with_the_face(make):
    tracked = make(box=[[-1, -1, 1, 1]])
    tracked.follow(np.array([100, 60, 300, 260]))
    tracked.reset()
    tracked(FRAME)
    assert tracked.localizer.calls == 1
