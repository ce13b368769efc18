import numpy as np
import pytest

from nntrack.evaluation.card import clips
from nntrack.evaluation.card.client import Client
from nntrack.synthesis.controlled import Photo
from tests import onnx_files

GREY = np.full((480, 640), 90, np.uint8)


def test_jitter_is_the_deviation_of_white_noise(rng):
    std = np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6])
    found = clips.jitter(rng.normal(0, std, (4000, 6)))
    assert list(found) == ["live_yaw", "live_pitch", "live_roll", "live_x", "live_y", "live_size"]
    assert np.allclose(list(found.values()), std, rtol=0.05)


def test_a_steady_motion_has_no_jitter_and_a_fast_one_does_not_count():
    steady = np.linspace(0, 20, 60)[:, None] * np.ones(6)
    assert max(clips.jitter(steady).values()) < 1e-9
    assert clips.jitter(10 * steady) == {}
    steady[5:55] = np.nan
    assert clips.jitter(steady) == {}


@pytest.fixture
def make(tmp_path):
    def make(box, logit=2.0):
        localizer = onnx_files.localizer(tmp_path / "l.onnx", logit_box=[[logit, -0.25, -0.25, 0.25, 0.25]])
        return Client(localizer, onnx_files.pose(tmp_path / "p.onnx", box=[box], pos_size=[[0, 0, 0.5]]))

    return make


def test_a_window_that_grows_is_seen_and_one_that_stays_too(make):
    window = np.array([220.0, 140, 420, 340])
    assert clips.widest_on_blank(make([-1, -1, 1, 1]), GREY, window) == pytest.approx(200 / 640, abs=0.02)
    # until the tracker drops it
    assert clips.widest_on_blank(make([-1.3, -1.3, 1.3, 1.3], -2.0), GREY, window) > 2


def test_a_video_is_measured_second_by_second(make):
    found = clips.video(make([-1, -1, 1, 1]), [GREY] * 65, fps=25.0)
    assert [sorted(second) for second in found[:2]] == [sorted(clips.jitter(np.zeros((20, 6))))] * 2
    assert found[-1].keys() == {"blank_widest"} and max(found[0].values()) == 0
    assert clips.video(make([-1, -1, 1, 1], logit=-2.0), [GREY] * 30, fps=25.0) == []  # nobody is there
    assert clips.video(make([-1, -1, 1, 1]), [], fps=25.0) == []


def test_found_again_counts_frames_until_the_pose_is_on_the_face(make, rng):
    net = make([-1, -1, 1, 1])
    here = Photo(GREY, np.array([0, 0, 0, 1.0]), np.array([320.0, 240, 60]), np.array([240.0, 160, 400, 320]))
    back = here._replace(pos_size=np.array([40.0, 40, 30]))
    columns = clips._episode(net, "left", here, [GREY] * clips._GONE, here, rng)
    assert columns == pytest.approx({"left_widest": 0.25, "left_poses": 100, "left_again": 0}, abs=0.01)
    assert clips._episode(net, "left", here, [GREY] * clips._GONE, back, rng)["left_again"] == clips._BACK
