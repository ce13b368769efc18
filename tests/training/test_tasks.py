import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from nntrack import config
from nntrack.data import hdf5, splits
from nntrack.face_model import model
from nntrack.networks import weights
from nntrack.training import checkpoint, loop, tasks
from nntrack.training.loop import Run
from nntrack.training.tasks import MEASURED
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
        "sampling": {"w300lp": 0.8, "ytfaces": 0.2},
    }
)
LOCALIZER = PARAMS.localizer.model_copy(
    update={"batch_size": 4, "steps": 12, "warmup_steps": 2, "validate_every": 6, "ema_decay": 0.8, "width": 0.5}
)
STILL = config.Augment(**dict.fromkeys(config.Augment.model_fields, 0.0))
HELD_OUT = {"w300lp": ["photo 0"], "widerface": ["photo 0", "photo 1"]}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)
    faces.write(folder / "w300lp.h5", faces.samples(rng, 48, depth=False))
    faces.write(folder / "ytfaces.h5", faces.samples(rng, 16))
    faces.write(folder / "widerface.h5", faces.crops(rng, 24))
    model.save(folder / "facemodel.npz", faces.face_model())
    return folder


def train_pose(data, out, run=RUN, lr=2e-3, work=None, held_out=HELD_OUT, **changes):
    params = POSE.model_copy(update=changes)
    tasks.train_pose(data, held_out, data / "facemodel.npz", out, params, lr, run, work)
    return out


def train_localizer(data, out, run=RUN, work=None, **changes):
    tasks.train_localizer(data / "widerface.h5", HELD_OUT, out, LOCALIZER.model_copy(update=changes), run, work)
    return out


def contents(folder):
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def column(path):
    with open(path, newline="") as stream:
        return [float(row[path.stem]) for row in csv.DictReader(stream, delimiter="\t")]


@pytest.mark.parametrize(
    ("run", "changes"),
    # a processor without instructions for bf16 is slow in it
    [(RUN, {"steps": 6}), (RUN._replace(threads=2, precision="bf16-mixed"), {"steps": 1, "batch_size": 2})],
    ids=["plain", "default"],
)
@pytest.mark.parametrize("train", [train_pose, train_localizer])
def test_the_same_seed_gives_the_same_bytes(train, run, changes, data, tmp_path):
    one, again = (contents(train(data, tmp_path / name, run, **changes)) for name in "ab")
    assert one == again
    assert set(one) >= {"model.safetensors", "live/metrics.json", "live/plots/metrics/valid/score.tsv"}


def test_another_seed_gives_other_weights(data, tmp_path):
    one, other = (contents(train_localizer(data, tmp_path / str(s), RUN._replace(seed=s), steps=1)) for s in (3, 4))
    assert other["model.safetensors"] != one["model.safetensors"]


def test_the_pose_net_learns(data, tmp_path):
    out = train_pose(data, tmp_path / "pose", steps=60, augment=STILL, no_face=0)
    train = column(out / "live/plots/metrics/train/loss.tsv")
    valid = column(out / "live/plots/metrics/valid/score.tsv")
    assert train[-1] < 0.7 * train[0]
    assert valid[-1] < 0.8 * valid[0]
    assert not any("timestamp" in text.decode() for text in contents(out / "live").values())
    net = weights.load_pose(out / "model.safetensors")
    np.testing.assert_array_equal(net.face_mean, faces.face_model().mean)


def test_curves_are_means_of_the_steps_between(data, tmp_path, monkeypatch):
    def curve(name, every):
        monkeypatch.setattr(loop, "LOG_EVERY", every)
        return column(train_localizer(data, tmp_path / name, steps=5) / "live/plots/metrics/train/loss.tsv")

    single, means = curve("single", 1), curve("means", 3)
    assert len(single) == 5
    assert means == pytest.approx([sum(single[:3]) / 3, sum(single[3:]) / 2], rel=1e-4)


def test_the_best_weights_are_kept(data, tmp_path):
    """A training whose last steps ruin the net hands back what was best before."""
    out = train_localizer(data, tmp_path / "l")
    scores = column(out / "live/plots/metrics/valid/score.tsv")
    assert len(scores) == 2
    summary = json.loads((out / "live/metrics.json").read_text())
    assert summary["valid"]["score"] == scores[-1]
    weights.load_localizer(out / "model.safetensors")


def test_without_held_out_samples_the_last_weights_are_kept(data, tmp_path):
    tasks.train_pose(data, {}, data / "facemodel.npz", tmp_path, POSE.model_copy(update={"steps": 2}), 1e-3, RUN)
    assert (tmp_path / "model.safetensors").exists()
    assert not (tmp_path / "live/plots/metrics/valid").exists()


def test_a_loss_that_is_not_finite_names_step_and_samples(data, tmp_path):
    with pytest.raises(ValueError, match=r"the loss became nan at step \d+; .*w300lp:face \d+"):
        train_pose(data, tmp_path, lr=float("inf"), steps=4)
    assert not (tmp_path / "model.safetensors").exists()


class Killed(BaseException):
    pass


@pytest.fixture
def kill(monkeypatch):
    """Ends the training made by the call given, in its fourth step; there is a checkpoint after every step."""
    monkeypatch.setattr(checkpoint, "EVERY", 0.0)
    monkeypatch.setattr(checkpoint, "TIME_FRACTION", float("inf"))
    learn = loop.Loop.learn

    def killing(self, step):
        if step == 4:
            raise Killed
        return learn(self, step)

    def kill(train, *args, **kwargs):
        with monkeypatch.context() as patch, pytest.raises(Killed):
            patch.setattr(loop.Loop, "learn", killing)
            train(*args, **kwargs)

    return kill


SHORT = {"steps": 6, "validate_every": 2, "batch_size": 4}
CONTINUING = "continuing after step 3"


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
@pytest.mark.parametrize("train", [train_pose, train_localizer])
def test_a_training_that_was_ended_continues_to_the_same_bytes(train, precision, data, tmp_path, kill, capsys):
    run, work = RUN._replace(precision=precision), tmp_path / "work/net"
    whole = contents(train(data, tmp_path / "whole", run, **SHORT))
    kill(train, data, tmp_path / "out", run, work=work, **SHORT)
    assert contents(train(data, tmp_path / "out", run, work=work, **SHORT)) == whole
    assert CONTINUING in capsys.readouterr().out
    assert not work.exists()


def test_only_the_same_training_continues(data, tmp_path, monkeypatch):
    """Whatever else the result depends on, another one has another checkpoint."""
    copy, found = tmp_path / "data", []
    copy.mkdir()
    for path in data.iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    monkeypatch.setattr(loop, "fit", lambda *args: found.append(args[-1].path) or {})
    monkeypatch.setattr(weights, "save", lambda *args: None)

    def go(**changes):
        train_pose(copy, tmp_path / "out", **({"work": tmp_path / "work"} | changes))
        return found[-1]

    first = go()
    assert go() == first
    others = [
        {"lr": 1e-3},
        {"run": RUN._replace(seed=4)},
        {"run": RUN._replace(threads=2)},
        {"run": RUN._replace(nodes=2)},
        {"run": RUN._replace(precision="bf16-mixed")},
        {"steps": 5},
        {"width": 0.5},
        {"augment": STILL},
        {"losses": dict(reversed(POSE.losses.items()))},  # another sum in the last bits
        {"sampling": dict(reversed(POSE.sampling.items()))},  # other numbers for the same samples
        {"held_out": {"w300lp": ["photo 1"]}},
    ]
    assert len({first, *(go(**changes) for changes in others)}) == 1 + len(others)
    content = checkpoint._content
    for name in ("w300lp.h5", "ytfaces.h5", "facemodel.npz"):
        (copy / name).write_bytes((copy / name).read_bytes())  # made again
        assert go() == first, name
        with monkeypatch.context() as patch:
            patch.setattr(checkpoint, "_content", lambda path, n=name: (*content(path), Path(path).name == n))
            assert go() != first, name


def test_a_training_whose_net_could_not_be_written_is_not_lost(data, tmp_path, monkeypatch, capsys):
    def full(*args):
        raise OSError(28, "No space left on device")

    whole = contents(train_localizer(data, tmp_path / "whole", **SHORT))
    work = tmp_path / "work"
    with monkeypatch.context() as patch, pytest.raises(OSError, match="No space left"):
        patch.setattr(weights, "save", full)
        train_localizer(data, tmp_path / "out", work=work, **SHORT)
    assert contents(train_localizer(data, tmp_path / "out", work=work, **SHORT)) == whole
    assert "continuing after step 6" in capsys.readouterr().out


@pytest.mark.slow
def test_a_killed_stage_continues_to_the_same_bytes(data, tmp_path):
    values = config.read_yaml(ROOT / "params.yaml")
    values |= {"seed": RUN.seed, "threads": RUN.threads, "precision": RUN.precision}
    values["localizer"] = LOCALIZER.model_dump() | {"steps": 40}
    (tmp_path / "params.yaml").write_text(json.dumps(values))
    splits.save(tmp_path / "split.json", HELD_OUT)
    code = (
        "from pathlib import Path; from nntrack.training import checkpoint; from stages import train_localizer; "
        "checkpoint.EVERY = 0.0; "
        f"train_localizer.main(Path({os.fspath(data / 'widerface.h5')!r}), Path('split.json'), Path('out'))"
    )
    command = [sys.executable, "-c", code]
    how = {"cwd": tmp_path, "env": os.environ | {"PYTHONPATH": os.fspath(ROOT)}, "text": True}
    with subprocess.Popen(command, stderr=subprocess.DEVNULL, **how) as stage:
        while not list(tmp_path.glob("work/localizer/*/checkpoint")):
            assert stage.poll() is None
            time.sleep(0.005)
        time.sleep(0.1)
        stage.send_signal(signal.SIGKILL)
    assert stage.returncode == -signal.SIGKILL
    done = subprocess.run(command, capture_output=True, check=True, **how)
    assert "continuing after step" in done.stdout
    assert not (tmp_path / "work/localizer").exists()
    assert contents(tmp_path / "out") == contents(train_localizer(data, tmp_path / "whole", steps=40))


def test_what_cannot_be_trained_on_is_an_error(data, tmp_path):
    empty = tmp_path / "empty"
    for name in ("w300lp", "ytfaces", "widerface"):
        faces.write(empty / f"{name}.h5", [])
    model.save(empty / "facemodel.npz", faces.face_model())
    with pytest.raises(ValueError, match=r"there are no samples in .*w300lp\.h5, .*ytfaces\.h5"):
        train_pose(empty, tmp_path / "out")
    with pytest.raises(ValueError, match=r"there are no samples in .*widerface\.h5"):
        train_localizer(empty, tmp_path / "out")
    with pytest.raises(FileNotFoundError, match=r"other\.h5 does not exist"):
        train_pose(data, tmp_path / "out", sampling={"other": 1.0})
    with pytest.raises(ValueError, match=r"widerface\.h5 holds no poses"):
        train_pose(data, tmp_path / "out", sampling={"widerface": 1.0})
    with pytest.raises(ValueError, match="no loss is called 'x'"):
        train_pose(data, tmp_path / "out", losses={"x": 1.0})
    with pytest.raises(ValueError, match="no loss is called 'rotation'"):
        train_localizer(data, tmp_path / "out", losses={"rotation": 1.0})
    with pytest.raises(ValueError, match="no backbone is called 'vgg'"):
        train_pose(data, tmp_path / "out", backbone="vgg")


@pytest.mark.parametrize("reader", MEASURED)
def test_what_is_measured_on_is_not_trained_on_under_any_name(reader, rng, tmp_path):
    hdf5.write(tmp_path / "mine.h5", faces.samples(rng, 4), {"reader": reader})
    model.save(tmp_path / "facemodel.npz", faces.face_model())
    with pytest.raises(ValueError, match=r"mine\.h5 is for measuring"):
        train_pose(tmp_path, tmp_path / "out", sampling={"mine": 1.0}, no_face=0)


def test_a_fraction_of_a_pose_batch_shows_no_face(data):
    for wanted in (0.0, 0.25):
        params = POSE.model_copy(update={"no_face": wanted})
        task = tasks.pose_task(data, HELD_OUT, data / "facemodel.npz", params, 1e-3, 0)
        for mixture in (task.train, task.valid):
            batch = mixture.batch(mixture.sample(2000, torch.Generator().manual_seed(0)))
            without = batch["has_face"] & (batch["face"] == 0)
            assert without.float().mean().item() == pytest.approx(wanted, abs=0.03)
            assert not batch["has_quat"][without].any()


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
    found = tasks.localizer_view(batch, LOCALIZER.augment, None)
    assert found["has_face"].tolist() == [True, False, True]
    assert found["has_bbox"].tolist() == [True, False, False]
    torch.testing.assert_close(found["bbox"][:2], box[:2].clamp(-1, 1))  # what lies beyond the frame is not seen
