import numpy as np
import pytest

from nntrack.evaluation.card import faces
from nntrack.evaluation.card.client import Client
from nntrack.evaluation.card.faces import Face
from nntrack.evaluation.perturbations import RANDOM
from tests import onnx_files

BOX = np.array([200.0, 150, 360, 310])


@pytest.fixture
def measure(tmp_path, monkeypatch):
    monkeypatch.setattr(faces, "DRAWS", 4)

    def measure(net, **labels):
        pair = Client(onnx_files.localizer(tmp_path / "l.onnx"), net)
        image = np.random.default_rng(1).integers(0, 255, (480, 640)).astype(np.uint8)
        return faces.measure(pair, Face(image, BOX, **labels), np.random.default_rng(0))

    return measure


@pytest.fixture
def constant(tmp_path):
    return onnx_files.pose(tmp_path / "p.onnx", box=[[-1, -1, 1, 1]], pos_size=[[0, 0, 0.5]])


def test_an_answer_that_never_changes_has_no_jitter(measure, constant):
    columns = measure(constant)
    still = [f"{name}_{what}" for name in RANDOM for what in ("rotation", "position", "size")]
    still += ["crop_pitch_near", "crop_turn_wide", "crop_moved", "mirror", "light_dark_change", "light_rule_change"]
    assert {name: columns[name] for name in still} == pytest.approx(dict.fromkeys(still, 0), abs=1e-4)
    assert columns["crop_settled"] == 0


def test_an_answer_that_follows_the_brightness_jitters_and_jumps_at_the_clients_rule(measure, tmp_path):
    columns = measure(onnx_files.by_mean(tmp_path / "p.onnx", slope=0.5, box=[[-1, -1, 1, 1]]))
    assert 0 < columns["noise_1_rotation"] < columns["noise_32_rotation"]
    assert columns["light_rule_change"] > 1 and columns["light_dark_change"] > 1
    assert columns["crop_pitch_wide"] >= columns["crop_turn_near"] > 0


def test_a_face_without_labels_has_no_error(measure, constant):
    columns = measure(constant)
    assert not {"error", "light_dark_error", "sigma_empty"} & columns.keys() and "sigma" in columns


@pytest.mark.parametrize(("degrees", "within"), [(4, (1, 1)), (8, (0, 1)), (14, (0, 0))])
def test_errors_are_counted_in_stated_deviations(measure, constant, degrees, within):
    """The net states 0.1 rad, 5.7 degrees, about the first axis."""
    half = np.radians(degrees) / 2
    columns = measure(
        constant,
        quat=np.array([np.sin(half), 0, 0, np.cos(half)]),
        pos_size=np.array([280.0, 230, 40]),
        empty=np.zeros((480, 640), np.uint8),
    )
    assert columns["error"] == pytest.approx(degrees, abs=1e-3)
    assert (columns["within_1s_pitch"], columns["within_2s_pitch"]) == within
    assert columns["within_1s_x"] == columns["within_1s_size"] == 1
    assert columns["sigma_empty"] == pytest.approx(columns["sigma"])


def test_of_a_face_whose_window_is_lost_nothing_is_known(measure, tmp_path):
    columns = measure(onnx_files.pose(tmp_path / "p.onnx", box=[[0, 0, 0, 0]]))
    assert not [name for name in columns if name.startswith(("noise", "crop"))]
