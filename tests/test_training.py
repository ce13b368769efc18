import csv
import json

import numpy as np
import pytest
import torch

from nntrack import config, facemodel, networks, training
from nntrack.fitting import Run
from tests import faces
from tests.conftest import ROOT

PARAMS = config.load(ROOT / "params.yaml")
RUN = Run(seed=3, threads=1, precision="32-true")
POSE = PARAMS.pose.model_copy(
    update={
        "backbone": "mobilenet_v1",
        "width": 0.25,
        "batch_size": 16,
        "steps": 24,
        "warmup_steps": 2,
        "validate_every": 12,
        "ema_decay": 0.8,
        "sampling": {"300wlp": 0.8, "ytfaces": 0.2},
    }
)
LOCALIZER = PARAMS.localizer.model_copy(
    update={"batch_size": 4, "steps": 12, "warmup_steps": 2, "validate_every": 6, "ema_decay": 0.8, "width": 0.5}
)
STILL = config.Augment(**dict.fromkeys(config.Augment.model_fields, 0.0))
HELD_OUT = {"300wlp": ["photo 0"], "widerface": ["photo 0", "photo 1"]}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)
    faces.write(folder / "300wlp.h5", faces.samples(rng, 48, depth=False))
    faces.write(folder / "ytfaces.h5", faces.samples(rng, 16))
    faces.write(folder / "widerface.h5", faces.crops(rng, 24))
    facemodel.save(folder / "facemodel.npz", faces.face_model())
    return folder


def train_pose(data, out, run=RUN, lr=2e-3, **changes):
    params = POSE.model_copy(update=changes)
    training.train_pose(data, HELD_OUT, data / "facemodel.npz", out, params, lr, run)
    return out


def train_localizer(data, out, run=RUN, **changes):
    training.train_localizer(data / "widerface.h5", HELD_OUT, out, LOCALIZER.model_copy(update=changes), run)
    return out


def contents(folder):
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def column(path):
    with open(path, newline="") as stream:
        return [float(row[path.stem]) for row in csv.DictReader(stream, delimiter="\t")]


@pytest.mark.parametrize("train", [train_pose, train_localizer])
def test_the_same_seed_gives_the_same_bytes(train, data, tmp_path):
    one, again = contents(train(data, tmp_path / "a", steps=6)), contents(train(data, tmp_path / "b", steps=6))
    assert one == again
    assert set(one) >= {"model.safetensors", "live/metrics.json", "live/plots/metrics/valid/score.tsv"}
    other = contents(train(data, tmp_path / "c", RUN._replace(seed=4), steps=6))
    assert other["model.safetensors"] != one["model.safetensors"]


def test_the_pose_net_learns(data, tmp_path):
    out = train_pose(data, tmp_path / "pose", steps=60, augment=STILL)
    train = column(out / "live/plots/metrics/train/loss.tsv")
    valid = column(out / "live/plots/metrics/valid/score.tsv")
    assert train[-1] < 0.8 * train[0]
    assert valid[-1] < 0.8 * valid[0]
    assert not any("timestamp" in text.decode() for text in contents(out / "live").values())
    net = networks.load_pose(out / "model.safetensors")
    np.testing.assert_array_equal(net.face_mean, faces.face_model().mean)


def test_the_best_weights_are_kept(data, tmp_path):
    """A training whose last steps ruin the net hands back what was best before."""
    out = train_localizer(data, tmp_path / "l")
    scores = column(out / "live/plots/metrics/valid/score.tsv")
    assert len(scores) == 2
    summary = json.loads((out / "live/metrics.json").read_text())
    assert summary["valid"]["score"] == scores[-1]
    networks.load_localizer(out / "model.safetensors")


def test_half_precision_trains_too(data, tmp_path):
    train_pose(data, tmp_path / "p", RUN._replace(precision="bf16-mixed"), steps=2)
    train_localizer(data, tmp_path / "l", RUN._replace(precision="bf16-mixed"), steps=2)


def test_without_held_out_samples_the_last_weights_are_kept(data, tmp_path):
    training.train_pose(data, {}, data / "facemodel.npz", tmp_path, POSE.model_copy(update={"steps": 2}), 1e-3, RUN)
    assert (tmp_path / "model.safetensors").exists()
    assert not (tmp_path / "live/plots/metrics/valid").exists()


def test_a_loss_that_is_no_number_names_step_and_samples(data, tmp_path):
    with pytest.raises(ValueError, match=r"the loss became nan at step \d+; .*300wlp:face \d+"):
        train_pose(data, tmp_path, lr=float("inf"), steps=4)
    assert not (tmp_path / "model.safetensors").exists()


def test_what_cannot_be_trained_on_is_said(data, tmp_path):
    empty = tmp_path / "empty"
    for name in ("300wlp", "ytfaces", "widerface"):
        faces.write(empty / f"{name}.h5", [])
    facemodel.save(empty / "facemodel.npz", faces.face_model())
    with pytest.raises(ValueError, match=r"no sample to draw from in .*300wlp\.h5, .*ytfaces\.h5"):
        train_pose(empty, tmp_path / "out")
    with pytest.raises(ValueError, match=r"no sample to draw from in .*widerface\.h5"):
        train_localizer(empty, tmp_path / "out")
    with pytest.raises(ValueError, match="'aflw2k' is not for training"):
        train_pose(data, tmp_path / "out", sampling={"aflw2k": 1.0})
    with pytest.raises(ValueError, match="no loss is called 'x'"):
        train_pose(data, tmp_path / "out", losses={"x": 1.0})
    with pytest.raises(ValueError, match="no loss is called 'rotation'"):
        train_localizer(data, tmp_path / "out", losses={"rotation": 1.0})
    with pytest.raises(ValueError, match="no backbone is called 'vgg'"):
        train_pose(data, tmp_path / "out", backbone="vgg")


def test_faces_pushed_out_of_the_frame_do_not_count():
    box = torch.tensor([[-0.5, -0.5, 0.5, 0.5], [0.9, 0.0, 1.5, 0.5], [0.0, 0.0, 0.0, 0.0]])
    frame = torch.tensor([0.0, 0.0, 288.0, 224.0]).expand(3, 4)
    to_px = torch.tensor([144.0, 112.0, 144.0, 112.0])
    batch = {
        "image": torch.zeros(3, 1, 224, 288, dtype=torch.uint8),
        "roi": frame,
        "bbox": (box + 1) * to_px,
        "face": torch.tensor([1.0, 1.0, 0.0]),
        "has_face": torch.ones(3, dtype=torch.bool),
        "has_bbox": torch.tensor([True, True, False]),
    }
    shown = training.show_localizer(LOCALIZER.augment, 1, batch, None)
    assert shown["has_face"].tolist() == [True, False, True]
    assert shown["has_bbox"].tolist() == [True, False, False]
    torch.testing.assert_close(shown["bbox"][:2], box[:2])
