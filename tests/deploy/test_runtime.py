import os
import re
import subprocess
import sys

import numpy as np
import pytest

from nntrack import contract
from nntrack.deploy import preprocess, runtime
from tests import onnx_files
from tests.conftest import ROOT

SIDE = contract.POSE_SIZE


def test_outputs_are_in_pixels_of_the_image(tmp_path):
    landmarks = np.zeros((1, 68, 3), np.float32)
    landmarks[0, 5] = [1, -1, 0.5]
    model = runtime.PoseModel(onnx_files.pose(tmp_path / "a.onnx", landmarks=landmarks))
    image = np.zeros((300, 400), np.uint8)
    found = model.predict([image], np.array([[100, 50, 200, 130]]))  # a square of 100 about (150, 90)
    assert np.allclose(found["pos_size"], [[155, 80, 40]], atol=1e-4)
    assert np.allclose(found["bbox"], [[125, 60, 185, 130]], atol=1e-4)
    assert np.allclose(found["landmarks"][0, [0, 5]], [[150, 90, 0], [200, 40, 25]], atol=1e-4)
    assert np.allclose(found["pos_size_scales_tril"][0, 2], [1, 1.5, 15], atol=1e-4)
    assert np.allclose(found["rotaxis_scales_tril"][0, 2], [0.02, 0.03, 0.3], atol=1e-6)
    assert all(value.dtype == np.float32 and len(value) == 1 for value in found.values())


def test_the_input_is_preprocessed_as_by_the_client(tmp_path, rng):
    model = runtime.PoseModel(onnx_files.by_mean(tmp_path / "a.onnx", 0))
    for brightest in (60, 255):  # dark images are brightened
        image = rng.integers(0, brightest, (200, 200)).astype(np.uint8)
        roi = np.array([20.3, 40.1, 120.9, 140.2])
        square = preprocess.roi_square(roi, image.shape)
        x = preprocess.pose_input(preprocess.cut_patch(image, square, SIDE))
        found = model.predict([image], roi[None])["pos_size"][0, 0]
        assert np.isclose(found, square.x + x.mean() * square.side / 2, atol=1e-3)


def test_predictions_do_not_depend_on_other_images(tmp_path, rng):
    model = runtime.PoseModel(onnx_files.by_mean(tmp_path / "a.onnx", 0))
    images = list(rng.integers(0, 255, (3, 150, 150)).astype(np.uint8))
    rois = np.array([[10, 10, 90, 90], [0, 0, 150, 150], [-20, 30, 60, 110]])
    together = model.predict(images, rois)
    for i in range(3):
        alone = model.predict(images[i : i + 1], rois[i : i + 1])
        assert all(np.array_equal(alone[name][0], together[name][i]) for name in together)


def test_factors_and_landmarks_are_optional(tmp_path):
    model = runtime.PoseModel(onnx_files.pose(tmp_path / "a.onnx", rotaxis_scales_tril=None))
    assert not model.has_uncertainty and not model.has_landmarks
    found = model.predict([np.zeros((50, 50), np.uint8)], np.array([[0, 0, 50, 50]]))
    assert list(found) == ["quat", "pos_size", "bbox"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"quat": None}, "no output is called quat"),
        ({"quat": None, "Quat": onnx_files.POSE["quat"]}, "upper and lower case count"),
        ({"box": [[0, 0, 1]]}, "box has shape (1, 3), expected (1, 4)"),
        ({"pos_size": np.zeros((2, 3), np.float32)}, "pos_size has shape (2, 3)"),
        ({"extra": np.zeros(3, np.int64)}, "extra is tensor(int64)"),
        ({"quat": np.array([[0, 0, 0, 1]], np.float16)}, "quat is tensor(float16)"),
    ],
)
def test_outputs_that_the_client_refuses_are_refused(tmp_path, changes, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        runtime.PoseModel(onnx_files.pose(tmp_path / "a.onnx", **changes))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"size": (129, 128)}, "expected a square"),
        ({"size": (129, 129), "name": "image"}, "one input called 'x', got 'image'"),
        ({"size": (129, 129), "batch": "n"}, "all fixed"),
        ({"size": (129, 129), "version": 1}, "model_version is 1"),
        ({"size": (129, 129), "version": 5}, "model_version is 5"),
    ],
)
def test_the_input_and_the_version_are_checked(tmp_path, changes, message):
    with pytest.raises(ValueError, match=message):
        runtime.PoseModel(onnx_files.write(tmp_path / "a.onnx", onnx_files.POSE, **changes))


def test_a_file_that_is_not_there_or_not_onnx(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"gone\.onnx does not exist"):
        runtime.PoseModel(tmp_path / "gone.onnx")
    with pytest.raises(IsADirectoryError, match="is a folder: name an ONNX file"):
        runtime.PoseModel(tmp_path)
    (tmp_path / "a.onnx").write_text("no model")
    with pytest.raises(ValueError, match=r"a\.onnx cannot be loaded"):
        runtime.LocalizerModel(tmp_path / "a.onnx")


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"quat": [[0, 0, 0, 1.1]]}, "length 1.100"), ({"box": [[0, 0, np.nan, 1]]}, "box holds a number")],
)
def test_values_that_the_client_does_not_check_are_checked(tmp_path, changes, message):
    model = runtime.PoseModel(onnx_files.pose(tmp_path / "a.onnx", **changes))
    with pytest.raises(ValueError, match=message):
        model.predict([np.zeros((50, 50), np.uint8)], np.array([[0, 0, 50, 50]]))


def test_the_localizers_box_is_in_pixels_of_the_frame(tmp_path):
    model = runtime.LocalizerModel(onnx_files.localizer(tmp_path / "a.onnx"))
    found = model.predict([np.zeros((480, 640), np.uint8), np.zeros((224, 288), np.uint8)])
    assert np.allclose(found["bbox"], [[160, 180, 480, 420], [72, 84, 216, 196]])
    assert np.allclose(found["score"], 1 / (1 + np.exp(-2)))
    assert found["face"].tolist() == [1, 1]
    unsure = runtime.LocalizerModel(onnx_files.localizer(tmp_path / "b.onnx", logit_box=[[0, 0, 0, 1, 1]]))
    assert unsure.predict([np.zeros((9, 9), np.uint8)])["face"].tolist() == [0]  # a half is not enough


def test_the_kind_of_net_is_known_by_its_outputs_and_the_file_opened_once(tmp_path, monkeypatch):
    opened = []
    monkeypatch.setattr(runtime, "_open_session", lambda *a, o=runtime._open_session: opened.append(a) or o(*a))
    assert isinstance(runtime.load(onnx_files.localizer(tmp_path / "l.onnx")), runtime.LocalizerModel)
    assert isinstance(runtime.load(onnx_files.pose(tmp_path / "p.onnx")), runtime.PoseModel)
    assert len(opened) == 2


def test_onnxruntime_sends_no_telemetry(tmp_path):
    model = onnx_files.pose(tmp_path / "a.onnx")
    home = tmp_path / "home"
    home.mkdir()
    environment = {k: v for k, v in os.environ.items() if k not in ("CI", "ORT_DISABLE_TELEMETRY", "XDG_CACHE_HOME")}
    code = f"import nntrack; nntrack.load({str(model)!r})"
    subprocess.run([sys.executable, "-c", code], env=environment | {"HOME": str(home)}, cwd=ROOT, check=True)
    assert list(home.rglob("*")) == []


def test_no_images_are_no_error(tmp_path):
    assert runtime.PoseModel(onnx_files.pose(tmp_path / "a.onnx")).predict([], np.zeros((0, 4))) == {}
    found = runtime.LocalizerModel(onnx_files.localizer(tmp_path / "b.onnx")).predict([])
    assert {name: value.shape for name, value in found.items()} == {"score": (0,), "face": (0,), "bbox": (0, 4)}


def test_released_models_load(shared):
    pose = runtime.PoseModel(shared / "opentrack/head-pose-0.4-small-int8.onnx")
    assert pose.version == contract.MODEL_VERSION and pose.has_uncertainty and pose.input_size == (129, 129)
    localizer = runtime.LocalizerModel(shared / "opentrack/head-localizer.onnx")
    assert localizer.predict([np.zeros((480, 640), np.uint8)])["face"].tolist() == [0]
