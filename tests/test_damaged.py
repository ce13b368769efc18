"""Files that one stage hands to another, damaged on the way: still sound, or refused in one line that names them."""

import json

import numpy as np
import pytest
from safetensors.torch import save_file

from nntrack.data import hdf5, splits
from nntrack.deploy import runtime
from nntrack.face_model import model
from nntrack.networks import weights as checkpoint
from nntrack.networks.localizer import LocalizerConfig, LocalizerNet
from nntrack.networks.weights import load_localizer
from nntrack.networks.weights import save as save_weights
from nntrack.training.dataset import Mixture, Part
from tests import faces, hostile, onnx_files, stores

DAMAGED = 300  # files of each kind


def make_dataset(path):
    stores.posed(path, np.eye(4)[[3, 3]], np.random.default_rng(0))


def make_weights(path):
    net = LocalizerNet(LocalizerConfig(0.25))
    save_weights(path, net, net.state_dict())


def make_split(path):
    splits.save(path, {"w300lp": ["a", "b"], "ytfaces": []})


def read_dataset(path):
    stored = hdf5.Stored(path)
    if len(stored):
        list(Mixture([Part(stored, np.arange(len(stored)))]).in_order(1))
        stored.sample(0)


def read_net(path):
    with np.errstate(over="ignore"):  # an answer may have become huge
        runtime.PoseModel(path).predict([np.zeros((200, 200), np.uint8)], np.array([[10, 10, 100, 100.0]]))


KINDS = {
    "dataset": (make_dataset, read_dataset),
    "weights": (make_weights, load_localizer),
    "face model": (lambda path: model.save(path, faces.face_model(4, 3)), model.load),
    "split": (make_split, splits.load),
    "net": (onnx_files.pose, read_net),
}


def refused(read, path):
    """Whether a file cannot be read, in one line that names it."""
    try:
        read(path)
    except ValueError as error:
        assert str(path) in str(error) and "\n" not in str(error)
        return True
    return False


@pytest.mark.parametrize("kind", KINDS)
def test_damage_is_refused_by_name_or_leaves_a_sound_file(kind, tmp_path):
    make, read = KINDS[kind]
    path = tmp_path / "sound"
    make(path)
    assert not refused(read, path)
    whole, path = path.read_bytes(), tmp_path / "damaged"
    found = []
    for seed in range(DAMAGED):
        path.write_bytes(hostile.damage(np.random.default_rng(seed), whole))
        found.append(refused(read, path))
    assert sum(found) > DAMAGED / 10
    path.write_bytes(whole[: len(whole) // 2])
    assert refused(read, path)


WIDTHS = (-1, 0, 1e9, 10**30, 1e300, float("nan"), "x", None, [1], {})


@pytest.mark.parametrize(
    "config", [[], 5, None, "x", {}, {"network": 1}, *({"network": "LocalizerNet", "width": width} for width in WIDTHS)]
)
def test_weights_of_an_impossible_network_are_refused(config, tmp_path):
    path = tmp_path / "model.safetensors"
    make_weights(path)
    tensors, _ = checkpoint.read(path)
    save_file(tensors, path, {"config": json.dumps(config)})
    assert refused(load_localizer, path)


def test_json_thousands_deep_is_refused(tmp_path):
    split, weights = tmp_path / "split.json", tmp_path / "model.safetensors"
    split.write_text('{"a": ' * 5000)
    save_file({}, weights, {"config": "[" * 5000})
    assert refused(splits.load, split) and refused(load_localizer, weights)
