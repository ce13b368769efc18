import numpy as np
import pytest
import torch

from nntrack.deploy import export
from nntrack.deploy.runtime import LocalizerModel, PoseModel
from nntrack.evaluation import models
from nntrack.networks import weights
from nntrack.networks.localizer import LocalizerConfig, LocalizerNet
from nntrack.networks.pose_net import PoseConfig, PoseNet
from tests import onnx_files

POSE = PoseConfig("diracnet", 0.25, "rot6d", 2, 1)


@pytest.fixture
def pose_folder(tmp_path):
    torch.manual_seed(0)
    folder = tmp_path / "mine"
    weights.save(folder / models.WEIGHTS, PoseNet(POSE))
    return folder


def test_weights_are_run_as_their_export(pose_folder, tmp_path, rng):
    net = weights.load_pose(pose_folder / models.WEIGHTS)
    export.export_pose(net, tmp_path / "a.onnx", export.provenance({}, ""))
    images, rois = rng.integers(0, 255, (2, 200, 200)).astype(np.uint8), np.array([[20, 20, 180, 180]] * 2)
    expected = PoseModel(tmp_path / "a.onnx").predict(images, rois)
    for path in (pose_folder, pose_folder / models.WEIGHTS):
        model = models.load(path)
        assert model.path == path
        found = model.predict(images, rois)
        assert all(np.array_equal(found[name], expected[name]) for name in expected)


def test_the_kind_of_net_is_found_in_its_file(pose_folder, tmp_path):
    weights.save(tmp_path / "l.safetensors", LocalizerNet(LocalizerConfig(0.5)))
    assert isinstance(models.load(tmp_path / "l.safetensors"), LocalizerModel)
    assert isinstance(models.load(onnx_files.localizer(tmp_path / "l.onnx")), LocalizerModel)
    assert isinstance(models.load(onnx_files.pose(tmp_path / "p.onnx")), PoseModel)


def test_errors_name_what_is_no_net(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"is a folder, but not of a training, which holds model\.safetensors"):
        models.load(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"a\.onnx does not exist"):
        models.load(tmp_path / "a.onnx")
    (tmp_path / "b.safetensors").write_bytes(b"?")
    with pytest.raises(ValueError, match=r"b\.safetensors holds no network"):
        models.load(tmp_path / "b.safetensors")


def test_the_default_name_is_that_of_the_file(pose_folder):
    assert models.name_of("a/head-pose.onnx") == "head-pose"
    assert models.name_of(pose_folder) == models.name_of(pose_folder / models.WEIGHTS) == "mine"
    assert models.name_of(models.WEIGHTS) == "model"
