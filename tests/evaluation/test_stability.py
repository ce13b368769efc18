import json
import subprocess
import sys

import numpy as np
import pytest

from nntrack.data import hdf5, images
from nntrack.data.sample import Sample
from nntrack.deploy.runtime import PoseModel
from nntrack.evaluation import stability
from nntrack.evaluation.protocols import DRAWN, NOISE, QUALITIES, STABILITY
from tests import onnx_files
from tests.conftest import ROOT

SETTINGS = {"bbox_scale": 1.2, "center_crop": 0.6, "stability": {"faces": 3, "draws": 5}}
WINDOW = np.array([20.5, 30.5, 149.5, 159.5])  # as large as the net's input and on whole pixels: a patch is a cut-out
SIDE = 129


def write_faces(path, numbers):
    """Photos that depend on their number alone."""

    def samples():
        for i in numbers:
            rng = np.random.default_rng(i)
            labels = {"landmarks": rng.uniform(60, 140, (68, 3)), "pos_size": np.array([100, 90, 40.0])}
            yield Sample(rng.integers(0, 255, (200, 220)).astype(np.uint8), f"photo {i}", f"photo {i}", labels)

    hdf5.write(path, samples(), {"source": "synthetic"})
    return hdf5.Stored(path)


@pytest.fixture
def still(tmp_path):
    return PoseModel(onnx_files.pose(tmp_path / "still.onnx"))


@pytest.fixture
def by_mean(tmp_path):
    return PoseModel(onnx_files.by_mean(tmp_path / "mean.onnx", 20))


def test_a_net_that_looks_at_nothing_does_not_shake(still, rng):
    picture = rng.integers(0, 255, (200, 200)).astype(np.uint8)
    found = stability.shown(still, picture, WINDOW, 40, 3, rng)
    assert found.keys() == STABILITY.keys()
    for row, answers in found.items():
        assert stability.rotation_spread(answers) < 1e-9 and stability.pitch_range(answers) < 1e-9
        if row in DRAWN:
            assert stability.position_spread(answers) < 1e-9 and stability.size_spread(answers) < 1e-9
    # in the picture its answer goes along with the window
    away = np.sqrt(2 * np.mean(stability.SHIFTS**2))
    assert stability.position_spread(found["shift"]) == pytest.approx(100 * away / 40, rel=1e-5)
    sides = np.floor(SIDE * stability.SCALES)
    assert stability.size_spread(found["scale"]) == pytest.approx(100 * sides.std() / sides.mean(), rel=1e-5)
    assert stability.size_spread(found["shift"]) < 1e-9


def test_noise_has_the_spread_that_theory_gives(by_mean, rng):
    grey, draws, head = 128, 400, 40
    found = stability.shown(by_mean, np.full((200, 200), grey, np.uint8), WINDOW, head, draws, rng)
    mean = grey / 255 - 0.5
    for sigma in NOISE:
        answers = found[f"noise_{sigma}"]
        spread = np.sqrt(sigma**2 + 1 / 12) / 255 / SIDE  # of the mean of the patch; whole grey levels add a twelfth
        assert len(answers.quat) == draws
        assert stability.rotation_spread(answers) == pytest.approx(np.degrees(2 * 20 * spread), rel=0.12)
        assert stability.position_spread(answers) == pytest.approx(100 * spread * SIDE / 2 / head, rel=0.12)
        assert stability.size_spread(answers) == pytest.approx(100 * spread / (1 + mean), rel=0.12)
        # peak to peak of so many draws of a Gaussian
        assert 5 < stability.pitch_range(answers) / stability.rotation_spread(answers) < 8


def test_strengths_of_noise_compare(by_mean, rng):
    found = stability.shown(by_mean, np.full((200, 200), 128, np.uint8), WINDOW, 40, 20, rng)
    scaled = [stability.rotation_spread(found[f"noise_{sigma}"]) / sigma for sigma in NOISE[1:]]
    assert np.allclose(scaled, scaled[0], rtol=0.05)


def test_windows_on_a_ramp_have_the_spread_that_theory_gives(tmp_path, rng):
    net = PoseModel(onnx_files.by_mean(tmp_path / "a.onnx", 5))
    ramp = np.repeat(np.arange(20, 220, dtype=np.uint8)[:, None], 200, axis=1)  # a grey level a pixel
    found = stability.shown(net, ramp, WINDOW, 40, 2, rng)
    middle = (ramp[31:160].mean() / 255 - 0.5) * 5
    ends = 2 * np.degrees(np.arcsin(middle + np.array([-4, 4]) / 255 * 5))
    assert stability.pitch_range(found["shift"]) == pytest.approx(ends[1] - ends[0], rel=1e-3)
    assert stability.pitch_range(found["scale"]) < stability.pitch_range(found["shift"]) / 8
    assert stability.pitch_range(found["crop"]) == pytest.approx(ends[1] - ends[0], rel=0.1)


def test_windows_take_every_step_once(rng):
    found = stability.windows(WINDOW, rng)
    for row, rois in found.items():
        centre, side = (rois[:, :2] + rois[:, 2:]) / 2, rois[:, 2:] - rois[:, :2]
        shifts = [0] * 33 if row == "scale" else stability.SHIFTS
        assert np.allclose(np.sort(centre - (WINDOW[:2] + WINDOW[2:]) / 2, axis=0), np.stack([shifts] * 2, axis=1))
        scales = [1] * 33 if row == "shift" else stability.SCALES
        assert np.allclose(np.sort(side[:, 0]) / SIDE, scales) and np.allclose(side[:, 0], side[:, 1])
    assert stability.SHIFTS[[0, 1, -1]].tolist() == [-4, -3.75, 4]
    assert np.allclose(stability.SCALES[[0, -1]], [0.8, 1.25])


@pytest.mark.parametrize("corner", [(40, 50), (-30, -20.25), (120.75, 100.5), (-200, 30), (400, 500)])
def test_noise_on_the_part_that_is_seen_is_noise_on_the_whole(corner, rng):
    for side in (30, 61.25, 88.5, 129, 300):
        picture = rng.integers(0, 255, (180, 240)).astype(np.uint8)
        field = 16 * rng.standard_normal(picture.shape, np.float32)
        roi = np.array([*corner, *(np.array(corner) + side)])
        whole = images.client_patch(stability.add_noise(picture, field), roi, SIDE)
        cut, within = stability.cut_about(picture, roi)
        part = images.client_patch(stability.add_noise(cut, stability.cut_about(field, roi)[0]), within, SIDE)
        assert np.array_equal(part, whole)


def test_noise_is_what_a_camera_delivers(rng):
    noise = np.array([[-300, -0.6, 0.4, 300]], np.float32)
    assert stability.add_noise(np.full((1, 4), 100, np.uint8), noise).tolist() == [[0, 99, 100, 255]]
    fields = list(stability.noisy(np.full((50, 50), 128, np.uint8), 2, rng))
    assert len(fields) == 2 * len(NOISE) and all(f.dtype == np.uint8 for f in fields)
    assert np.allclose([f.std() for f in fields], [*NOISE, *NOISE], rtol=0.1)


def test_compression_loses_more_of_a_frame_the_lower_its_quality(rng):
    picture = np.repeat(np.arange(40, 200, dtype=np.uint8)[:, None], 160, axis=1)
    frames = list(stability.compressed(picture, 3, rng))
    assert len(frames) == 3 and all(f.shape == picture.shape and f.dtype == np.uint8 for same in frames for f in same)
    lost = np.abs(np.array(frames) - picture.astype(float)).mean(axis=(0, 2, 3))
    assert list(QUALITIES) == sorted(QUALITIES, reverse=True)
    assert np.all(np.diff(lost) > 0) and lost[-1] < 4
    assert not np.array_equal(frames[0][0], frames[1][0])  # each draw has noise of its own


def test_every_row_has_every_figure_and_neither_order_nor_threads_count(tmp_path, by_mean):
    faces = write_faces(tmp_path / "a.h5", range(3))
    found = stability.evaluate_stability(by_mean, faces, "net", SETTINGS, seed=1, workers=1)
    assert list(found) == [f"net_{row}" for row in STABILITY]
    for name, row in found.items():
        assert list(row) == [*stability.SPREADS, "n", "views"] and row["n"] == 3
        assert row["views"] == (5 if name.removeprefix("net_") in DRAWN else 33) and row["rotation"] > 0
    assert stability.evaluate_stability(by_mean, faces, "net", SETTINGS, seed=1, workers=3) == found
    turned = write_faces(tmp_path / "b.h5", reversed(range(3)))
    assert stability.evaluate_stability(by_mean, turned, "net", SETTINGS, seed=1) == found
    assert stability.evaluate_stability(by_mean, faces, "net", SETTINGS, seed=2) != found


def test_faces_are_chosen_evenly(tmp_path, still):
    few = SETTINGS | {"stability": {"faces": 2, "draws": 2}}
    ends = write_faces(tmp_path / "ends.h5", (0, 6))
    found = stability.evaluate_stability(still, write_faces(tmp_path / "a.h5", range(7)), "a", few, 0)
    assert found == stability.evaluate_stability(still, ends, "a", few, 0)


def test_a_net_that_does_not_say_how_sure_it_is_will_do(tmp_path):
    net = PoseModel(onnx_files.pose(tmp_path / "a.onnx", rotaxis_scales_tril=None, pos_size_scales_tril=None))
    found = stability.evaluate_stability(net, write_faces(tmp_path / "a.h5", [0]), "a", SETTINGS, 0)
    assert len(found) == len(STABILITY)


def test_faces_without_a_size_are_an_error(tmp_path, still, rng):
    sample = Sample(np.zeros((200, 200), np.uint8), "x", "x", {"landmarks": rng.uniform(0, 99, (68, 3))})
    hdf5.write(tmp_path / "a.h5", [sample], {"source": "real"})
    with pytest.raises(ValueError, match="1 of 1 samples have no pos_size"):
        stability.evaluate_stability(still, hdf5.Stored(tmp_path / "a.h5"), "a", SETTINGS, 0)


def stage(*arguments):
    command = [sys.executable, "-m", "stages.stability", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


def test_the_stage_measures_any_file_and_repeats(tmp_path):
    write_faces(tmp_path / "mine.h5", range(2))
    model = onnx_files.by_mean(tmp_path / "net.onnx", 1)
    for name in ("a.json", "b.json"):
        done = stage(model, tmp_path / "mine.h5", tmp_path / name)
        assert done.returncode == 0, done.stderr
    written = json.loads((tmp_path / "a.json").read_text())
    assert list(written["mine"]) == [f"net_{row}" for row in STABILITY] and written["source"] == "synthetic"
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()


def test_an_empty_dataset_gives_an_empty_section(tmp_path):
    write_faces(tmp_path / "aflw2k.h5", [])
    done = stage(onnx_files.pose(tmp_path / "net.onnx"), tmp_path / "aflw2k.h5", tmp_path / "out.json")
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "out.json").read_text())["aflw2k"] == {} and "nothing was measured" in done.stdout
