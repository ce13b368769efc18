import json

import numpy as np
import pytest

from nntrack.data import hdf5
from nntrack.data.sample import Sample
from nntrack.deploy.runtime import PoseModel
from nntrack.evaluation import perturbations, stability
from nntrack.evaluation.perturbations import NOISE, PERTURBATIONS, RANDOM
from stages.stability import main
from tests import onnx_files
from tests.conftest import ROOT

SETTINGS = {"bbox_scale": 1.2, "center_crop": 0.6, "stability": {"faces": 3, "draws": 5}}
WINDOW = np.array([20.5, 30.5, 149.5, 159.5])  # about as large as the net's input
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


def test_a_constant_net_has_no_jitter(still, rng):
    image = rng.integers(0, 255, (200, 200)).astype(np.uint8)
    found = stability.predict_views(still, image, WINDOW, 40, 3, rng)
    assert found.keys() == PERTURBATIONS.keys()
    for row, views in found.items():
        assert stability.rotation_spread(views) < 1e-9 and stability.pitch_range(views) < 1e-9
        if row in RANDOM:
            assert stability.position_spread(views) < 1e-9 and stability.size_spread(views) < 1e-9
    # in the image its output moves along with the window, whose ends are rounded to even numbers: 20..150
    side = SIDE + 1
    away = np.sqrt(2 * np.mean(perturbations.SHIFTS**2))
    assert stability.position_spread(found["shift"]) == pytest.approx(100 * away / 40, rel=1e-5)
    sides = np.rint(side * perturbations.SCALES)
    assert stability.size_spread(found["scale"]) == pytest.approx(100 * sides.std() / sides.mean(), rel=1e-5)
    assert stability.size_spread(found["shift"]) < 1e-9


def test_noise_has_the_spread_that_theory_gives(by_mean, rng):
    grey, count, head = 128, 150, 40
    found = stability.predict_views(by_mean, np.full((200, 200), grey, np.uint8), WINDOW, head, count, rng)
    mean = grey / 255 - 0.5
    for sigma in NOISE:
        views = found[f"noise_{sigma}"]
        spread = np.sqrt(sigma**2 + 1 / 12) / 255 / SIDE  # of the mean of the patch; whole grey levels add a twelfth
        assert len(views.quat) == count
        assert stability.rotation_spread(views) == pytest.approx(np.degrees(2 * 20 * spread), rel=0.15)
        assert stability.position_spread(views) == pytest.approx(100 * spread * SIDE / 2 / head, rel=0.15)
        assert stability.size_spread(views) == pytest.approx(100 * spread / (1 + mean), rel=0.15)
        # peak to peak of so many samples of a Gaussian
        assert 5 < stability.pitch_range(views) / stability.rotation_spread(views) < 8


def test_strengths_of_noise_can_be_compared(by_mean, rng):
    found = stability.predict_views(by_mean, np.full((200, 200), 128, np.uint8), WINDOW, 40, 20, rng)
    scaled = [stability.rotation_spread(found[f"noise_{sigma}"]) / sigma for sigma in NOISE[1:]]
    assert np.allclose(scaled, scaled[0], rtol=0.05)


def test_windows_on_a_ramp_have_the_spread_that_theory_gives(tmp_path, rng):
    net = PoseModel(onnx_files.by_mean(tmp_path / "a.onnx", 5))
    ramp = np.repeat(np.arange(20, 220, dtype=np.uint8)[:, None], 200, axis=1)  # a grey level a pixel
    found = stability.predict_views(net, ramp, WINDOW, 40, 2, rng)
    middle = (ramp[31:160].mean() / 255 - 0.5) * 5
    ends = 2 * np.degrees(np.arcsin(middle + np.array([-4, 4]) / 255 * 5))
    # the patch lies half-way between rows, whose mean is rounded
    assert stability.pitch_range(found["shift"]) == pytest.approx(ends[1] - ends[0], rel=5e-3)
    assert stability.pitch_range(found["scale"]) < stability.pitch_range(found["shift"]) / 6
    assert stability.pitch_range(found["crop"]) == pytest.approx(ends[1] - ends[0], rel=0.1)


def test_jitter_depends_on_neither_order_nor_threads(tmp_path, by_mean):
    faces = write_faces(tmp_path / "a.h5", range(3))
    found = stability.evaluate_stability(by_mean, faces, "net", SETTINGS, seed=1, workers=1)
    assert list(found) == [f"net_{row}" for row in PERTURBATIONS]
    for name, row in found.items():
        assert list(row) == [*stability.SPREADS, "n", "views"] and row["n"] == 3
        assert row["views"] == (5 if name.removeprefix("net_") in RANDOM else 36) and row["rotation"] > 0
    assert stability.evaluate_stability(by_mean, faces, "net", SETTINGS, seed=1, workers=3) == found
    turned = write_faces(tmp_path / "b.h5", reversed(range(3)))
    assert stability.evaluate_stability(by_mean, turned, "net", SETTINGS, seed=1) == found
    assert stability.evaluate_stability(by_mean, faces, "net", SETTINGS, seed=2) != found


def test_faces_are_chosen_evenly(tmp_path, still):
    few = SETTINGS | {"stability": {"faces": 2, "draws": 2}}
    ends = write_faces(tmp_path / "ends.h5", (0, 6))
    found = stability.evaluate_stability(still, write_faces(tmp_path / "a.h5", range(7)), "a", few, 0)
    assert found == stability.evaluate_stability(still, ends, "a", few, 0)


def test_a_net_without_uncertainty_has_jitter_too(tmp_path):
    net = PoseModel(onnx_files.pose(tmp_path / "a.onnx", rotaxis_scales_tril=None, pos_size_scales_tril=None))
    found = stability.evaluate_stability(net, write_faces(tmp_path / "a.h5", [0]), "a", SETTINGS, 0)
    assert len(found) == len(PERTURBATIONS)


def test_faces_without_a_size_are_an_error(tmp_path, still, rng):
    sample = Sample(np.zeros((200, 200), np.uint8), "x", "x", {"landmarks": rng.uniform(0, 99, (68, 3))})
    hdf5.write(tmp_path / "a.h5", [sample], {"source": "real"})
    with pytest.raises(ValueError, match="1 of 1 samples have no pos_size"):
        stability.evaluate_stability(still, hdf5.Stored(tmp_path / "a.h5"), "a", SETTINGS, 0)


@pytest.fixture
def stage(monkeypatch):
    monkeypatch.chdir(ROOT)  # where params.yaml is
    return main


def test_the_stage_measures_any_file_and_repeats(stage, tmp_path):
    write_faces(tmp_path / "mine.h5", range(2))
    model = onnx_files.by_mean(tmp_path / "net.onnx", 1)
    for name in ("a.json", "b.json"):
        stage(model, tmp_path / "mine.h5", tmp_path / name)
    written = json.loads((tmp_path / "a.json").read_text())
    assert list(written["mine"]) == [f"net_{row}" for row in PERTURBATIONS] and written["source"] == "synthetic"
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()


def test_an_empty_dataset_gives_an_empty_section(stage, tmp_path, capsys):
    write_faces(tmp_path / "aflw2k.h5", [])
    stage(onnx_files.pose(tmp_path / "net.onnx"), tmp_path / "aflw2k.h5", tmp_path / "out.json")
    assert json.loads((tmp_path / "out.json").read_text())["aflw2k"] == {}
    assert "nothing was measured" in capsys.readouterr().out
