import json
import multiprocessing
import os
from functools import partial

import cv2
import numpy as np
import pytest
import torch

from benchmarks import _machine, _per_sample, memory
from benchmarks import training as benchmark
from nntrack import config, contract
from nntrack.config import Augment
from nntrack.data import splits
from nntrack.data.hdf5 import Stored
from nntrack.face_model import model
from nntrack.geometry import affine
from nntrack.training import augment, dataset, image_ops, tasks
from tests import faces, shrink
from tests.conftest import ROOT

PLAIN = Augment(**dict.fromkeys(Augment.model_fields, 0.0))
MOVING = PLAIN.model_copy(update={"rotation": 45.0, "scale": 0.3, "shift": 0.2, "flip": 0.5})
FIELDS = {
    *("net", "backbone", "width", "batch", "precision", "threads", "cores", "device", "device_name", "steps", "rounds"),
    *("peak_mb_before_data", "peak_mb", "images_per_second", "ratios", "minor_faults_per_step", "per_sample_workers"),
    *("loader_images_per_second", "loader_core_ms", "mflop_per_image", "peak_gflops", "fraction_of_peak"),
    "operations_per_step",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """What the stages leave, and params.yaml, all tiny."""
    folder, rng = tmp_path_factory.mktemp("checkout"), np.random.default_rng(0)
    faces.write(folder / "data/hdf5/w300lp.h5", faces.samples(rng, 24, depth=False))
    faces.write(folder / "data/hdf5/ytfaces.h5", faces.samples(rng, 8))
    faces.write(folder / "data/hdf5/widerface.h5", faces.crops(rng, 16))
    splits.save(folder / "data/split.json", {"w300lp": ["photo 0"]})
    (folder / "models").mkdir()
    model.save(folder / "models/facemodel.npz", faces.face_model())
    (folder / "params.yaml").write_text((ROOT / "params.yaml").read_text())
    shrink.shrink(folder / "params.yaml")
    return folder


@pytest.fixture
def checkout(folder, monkeypatch):
    monkeypatch.chdir(folder)
    monkeypatch.setattr(_per_sample, "SAMPLES", 16)
    monkeypatch.setattr(_per_sample, "_workers", lambda: multiprocessing.get_context("fork"))  # starts sooner
    threads = cv2.getNumThreads()
    yield folder
    cv2.setNumThreads(threads)


def result(capsys, **options):
    benchmark.main(**{"steps": 1, "rounds": 1, **options})
    return json.loads(capsys.readouterr().out.splitlines()[-1])


def make_task(net):
    return benchmark.make_task(config.load(), net)


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("net", list(benchmark.Net))
def test_the_last_line_holds_all_results(net, checkout, capsys):
    found = result(capsys, net=net)
    assert set(found) == FIELDS
    assert set(found["images_per_second"]) == set(benchmark.WAYS)
    assert set(found["ratios"]) == {"real/cached", "real/compute", "real/per_sample"}
    assert found["net"] == net.value
    assert min(found["images_per_second"].values()) > 0
    assert 0 < found["operations_per_step"]["ready"] < found["operations_per_step"]["rest"]
    assert found["mflop_per_image"] > 1 and found["peak_mb"] >= found["peak_mb_before_data"] > 0


def test_only_what_is_asked_for_is_timed(checkout, capsys):
    found = result(capsys, only="real,cached", backbone="mobilenet_v1", width=0.125)
    assert set(found["images_per_second"]) == {"real", "cached"}
    assert set(found["ratios"]) == {"real/cached"}
    assert (found["backbone"], found["width"]) == ("mobilenet_v1", 0.125)


def test_what_cannot_be_timed_is_an_error(checkout):
    with pytest.raises(ValueError, match="nothing is called 'cache'; known: real, cached"):
        benchmark.main(only="real,cache")
    with pytest.raises(ValueError, match="localizer has but one"):
        benchmark.main(net=benchmark.Net.localizer, backbone="resnet18")
    with pytest.raises(ValueError, match="width"):
        benchmark.main(width=-1.0)


def test_a_cached_batch_reads_no_dataset(checkout, monkeypatch):
    steppers = benchmark.Steppers(make_task(benchmark.Net.pose), _machine.alone(config.load()))
    read = []
    monkeypatch.setattr(dataset.Mixture, "_images", lambda mixture, index: read.append(index) or 1 / 0)
    steppers.cached(2)
    steppers.compute(2)
    assert not read
    with pytest.raises(ZeroDivisionError):
        steppers.real(1)


@pytest.mark.parametrize("net", list(benchmark.Net))
def test_a_sample_is_augmented_as_a_batch_is(net, checkout, monkeypatch):
    """After the same similarity, labels agree to rounding and images to OpenCV's."""
    task = make_task(net)
    train = task.train
    batch = train.batch(torch.arange(len(train)))
    moves = augment.sample_moves(batch["roi"], MOVING, torch.Generator().manual_seed(0))
    monkeypatch.setattr(augment, "sample_moves", lambda *_: moves)
    each = iter(moves.numpy())
    monkeypatch.setattr(_per_sample, "sample_move", lambda *_: next(each))
    view = {"pose": tasks.pose_view, "localizer": tasks.localizer_view}[net]
    whole = task.finish(view(batch, PLAIN, torch.Generator()))
    image = batch.pop("image")[:, 0].numpy()
    for number in range(len(train)):
        sample = {name: column[number] for name, column in batch.items()}
        found = _per_sample.VIEWS[net](PLAIN, image[number], sample, np.random.default_rng(0))
        assert set(found) == set(whole)
        assert found["image"].shape == whole["image"][number].shape
        assert (found["image"] - whole["image"][number]).abs().mean() < 0.01
        for name, value in found.items():
            if name != "image":
                torch.testing.assert_close(value, whole[name][number], atol=2e-5, rtol=0, msg=name)


@pytest.mark.parametrize("net", list(benchmark.Net))
def test_samples_are_read_as_they_were_written(net, checkout, tmp_path):
    """Labels to the bit, images to what a JPEG loses; labels that no sample has are left out."""
    train = make_task(net).train
    generator = torch.Generator().manual_seed(0)
    kept = _per_sample.Encoded(train, 12, lambda image, sample, _: sample | {"image": image}, tmp_path / "x", generator)
    for number in range(len(kept)):
        sample = kept[number]
        wanted = {name: column[0] for name, column in train.batch(sample["index"][None]).items()}
        image = wanted.pop("image")[0].numpy()
        assert np.abs(sample.pop("image").astype(int) - image).mean() < 4
        for name in wanted.keys() - sample.keys():
            assert not train.labels(f"has_{name}").any()
        for name, value in sample.items():
            assert torch.equal(value, wanted[name]), name
    kept.close()


def test_moves_have_the_same_distribution():
    roi, rng = np.array([32, 40, 160, 168], np.float32), np.random.default_rng(0)
    one = np.stack([_per_sample.sample_move(roi, MOVING, rng) for _ in range(4000)])
    other = augment.sample_moves(
        torch.from_numpy(roi).expand(4000, 4), MOVING, torch.Generator().manual_seed(0)
    ).numpy()
    centre = np.array([96, 104, 1])
    for of in (affine.scale_of, affine.is_mirrored, lambda moves: np.abs(moves[:, 1, 0]), lambda moves: moves @ centre):
        np.testing.assert_allclose(of(one).mean(axis=0), of(other).mean(axis=0), rtol=0.05)
        np.testing.assert_allclose(of(one).std(axis=0), of(other).std(axis=0), rtol=0.06)


@pytest.mark.parametrize("name", ["occlusion", "intensity", "blur", "noise"])
def test_changes_have_the_same_distribution(name):
    """Many pictures of a disc on a ramp: their levels have the same mean and spread, and the same sharpness."""
    picture = np.tile(np.linspace(60, 180, 64).astype(np.uint8), (64, 1))
    picture = cv2.circle(picture, (32, 32), 12, 30, -1)
    picture.setflags(write=False)
    settings, rng = PLAIN.model_copy(update={name: 0.5}), np.random.default_rng(0)
    one = np.stack([_per_sample.degrade(picture, settings, rng) for _ in range(1500)])
    assert one.dtype == np.uint8
    many, still = torch.tensor(picture).repeat(6000, 1, 1, 1), torch.eye(2, 3).expand(6000, 2, 3)
    changes = augment.sample_changes(6000, settings, torch.Generator().manual_seed(0))
    other = image_ops.warp(many, still, (64, 64), changes)[:, 0].numpy()
    edges = partial(np.diff, axis=2)
    for of in (lambda p: p, edges):
        one_, other_ = of(one.astype(np.float32)), of(other.astype(np.float32))
        np.testing.assert_allclose(one_.mean(), other_.mean(), rtol=0.03)
        np.testing.assert_allclose(one_.std(), other_.std(), rtol=0.05)
    assert (one != picture).any(axis=(1, 2)).mean() > 0.4


def test_without_changes_an_image_stays():
    picture = np.random.default_rng(0).integers(0, 256, (contract.POSE_SIZE, contract.POSE_SIZE), np.uint8)
    assert np.array_equal(_per_sample.degrade(picture, PLAIN, np.random.default_rng(0)), picture)


def test_a_file_without_images_is_large_and_takes_no_disk(checkout, tmp_path):
    like = Stored("data/hdf5/w300lp.h5")
    path = memory.sparse(tmp_path / "a" / "w300lp.h5", like, 1000)
    on_disk = path.stat()
    assert on_disk.st_size > 1000 * like.image[0].nbytes > 8 * on_disk.st_blocks * 512
    stored = Stored(path)
    assert np.array_equal(stored.image[0], like.image[0]) and not stored.image[-1].any()
    order = np.arange(1000) % len(like)
    for kind in ("labels", "masks", "strings"):
        for name, values in getattr(like, kind).items():
            assert np.array_equal(getattr(stored, kind)[name], values[order]), name


@pytest.mark.slow
def test_memory_is_measured(checkout, monkeypatch, capsys):
    monkeypatch.setenv("PYTHONPATH", os.fspath(ROOT))
    monkeypatch.setattr(_machine, "physical_bytes", lambda: 40 * 192 * 192)
    memory.main(times=2.0, steps=1, rounds=1)
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert found["samples"] == {"small": 24, "large": 80}
    assert found["ratio"] > 0 and found["steps"] == 1
    assert found["label_bytes_per_sample"] == 220 * 4 + 6  # all labels and masks but the camera
    assert all(peak["all"] > 1 for peak in found["peak_mb"].values())
    assert not list((checkout / "work").iterdir())
