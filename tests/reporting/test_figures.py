import cv2
import numpy as np
import pandas as pd
import pytest
import torch

from nntrack import config, contract
from nntrack.data.sample import Sample
from nntrack.deploy.runtime import LocalizerModel, PoseModel
from nntrack.networks import weights
from nntrack.networks.localizer import LocalizerConfig, LocalizerNet
from nntrack.reporting import contact_sheet, figures
from nntrack.training import augment, image_ops
from stages import pictures
from tests import faces, onnx_files
from tests.conftest import ROOT

PARAMS = config.load(ROOT / "params.yaml")
DATASETS = PARAMS.convert.datasets


def posed(path, rng, count=6):
    return faces.write(path, faces.samples(rng, count))


def frames(path, rng, count=8):
    samples = (
        Sample(s.image, s.name, s.group, s.labels, subset="val" if i % 4 > 1 else "train")
        for i, s in enumerate(faces.crops(rng, count))
    )
    return faces.write(path, samples)


def write_csv(path, rows):
    pd.DataFrame(rows).to_csv(path, index=False)
    return figures.read_errors(path)


def pose_errors(path, stored):
    rows = [{"index": i, "name": f"face {i}", "yaw": 1.0, "geodesic": 10 - i} for i in range(len(stored))]
    return write_csv(path, rows)


def face_errors(path, stored):
    held_out = np.flatnonzero(stored.strings["subset"] == "val")
    rows = [
        {"index": i, "name": stored.strings["name"][i], "face": int(stored.labels["face"][i]), "reported": 1}
        | {"score": 0.9}
        | ({"iou": 0.5} if stored.masks["bbox"][i] else {})
        for i in held_out
    ]
    return write_csv(path, rows)


def heated():
    torch.manual_seed(0)
    return LocalizerNet(LocalizerConfig(0.5)).eval()


def test_no_file_of_errors_is_no_errors(tmp_path):
    assert figures.read_errors(tmp_path / "none.csv").empty


def test_every_sheet_repeats(tmp_path, rng):
    people, crowd = posed(tmp_path / "w300lp.h5", rng), frames(tmp_path / "widerface.h5", rng)
    off, found = pose_errors(tmp_path / "a.csv", people), face_errors(tmp_path / "b.csv", crowd)
    pose, localizer = PoseModel(onnx_files.pose(tmp_path / "a.onnx")), onnx_files.localizer(tmp_path / "b.onnx")
    makers = (
        lambda: figures.dataset(people),
        lambda: figures.augmentation(people, PARAMS.pose.augment, crowd, PARAMS.localizer.augment, 3),
        lambda: figures.poses(pose, people, off, 1.2),
        lambda: figures.hits_and_misses(LocalizerModel(localizer), crowd, found),
        lambda: figures.heat(heated(), crowd, found),
    )
    for make in makers:
        first = make()
        assert first.dtype == np.uint8 and first.shape[1] == contact_sheet.WIDTH and first.std() > 5
        assert np.array_equal(first, make())


def test_another_seed_gives_another_augmentation_of_the_same_originals(tmp_path, rng):
    people, crowd = posed(tmp_path / "w300lp.h5", rng), frames(tmp_path / "widerface.h5", rng)
    a, b = (figures.augmentation(people, PARAMS.pose.augment, crowd, PARAMS.localizer.augment, seed) for seed in (1, 2))
    side = contact_sheet.WIDTH // figures.COLUMNS
    assert np.array_equal(a[:, :side], b[:, :side]) and not np.array_equal(a[:, side:], b[:, side:])


def test_no_two_augmented_versions_are_alike(tmp_path, rng, monkeypatch):
    people, seen = posed(tmp_path / "w300lp.h5", rng), []
    varied = augment.random_view

    def recorded(batch, *others):
        seen.append(batch["index"][image_ops.stacks(len(batch["index"])).T])
        return varied(batch, *others)

    monkeypatch.setattr(augment, "random_view", recorded)
    figures.augmentation(people, PARAMS.pose.augment, people, PARAMS.localizer.augment, 0)
    assert len(seen) == 2
    for stacks in seen:
        assert (stacks == stacks[0]).all()


def test_augmentation_keeps_labels_on_the_face(tmp_path, rng, monkeypatch):
    """Where nothing but the place changes, a landmark's dot is where its label says."""
    people = posed(tmp_path / "w300lp.h5", rng, 1)
    still = PARAMS.pose.augment.model_copy(update={"intensity": 0.0, "blur": 0.0, "noise": 0.0, "occlusion": 0.0})
    seen = []

    def enlarged(grey, labels):
        seen.append((grey, labels))
        return np.zeros((5, 5, 3), np.uint8)

    monkeypatch.setattr(figures, "_enlarged", enlarged)
    figures.augmentation(people, still, people, still, 0)
    grey, labels = seen[1]
    assert grey.shape == (contract.POSE_SIZE,) * 2 and len(seen) == 2 * figures.COLUMNS
    inside = [p for p in labels["landmarks"][:, :2] if (p > 2).all() and (p < contract.POSE_SIZE - 2).all()]
    dots = np.array([grey[int(y), int(x)] for x, y in inside])
    assert len(dots) > 20 and np.mean(np.abs(dots.astype(int) - np.median(grey)) > 8) > 0.5


def test_the_sheet_of_poses_goes_from_best_to_worst(tmp_path, rng):
    stored = posed(tmp_path / "aflw2k.h5", rng, 30)
    calls = []

    class Recording(PoseModel):
        def predict(self, images, rois):
            calls.append([int(np.flatnonzero((stored.image == i).all(axis=(1, 2)))[0]) for i in images])
            return super().predict(images, rois)

    errors = pose_errors(tmp_path / "a.csv", stored)
    errors.loc[4, "geodesic"] = np.nan
    figures.poses(Recording(onnx_files.pose(tmp_path / "a.onnx")), stored, errors, 1.2)
    best, median, worst = calls
    assert best == [29, 28, 27, 26] and worst == [0, 1, 2, 3, 5, 6, 7, 8]
    assert 15 in median and len(median) == 4


def test_heat_warms_where_it_is():
    picture, heat = np.full((56, 72), 100, np.uint8), np.zeros((14, 18), np.float32)
    heat[3, 5] = 1
    warm = figures._warm(picture, heat).astype(int)
    assert np.unravel_index(warm.sum(axis=2).argmax(), picture.shape)[0] in range(10, 18)
    assert warm[40, 60].max() - warm[40, 60].min() == 0


@pytest.mark.parametrize("empty", [False, True])
def test_the_stage_writes_the_folder(tmp_path, rng, empty, monkeypatch):
    hdf5, models, out = tmp_path / "hdf5", tmp_path / "models", tmp_path / "pictures"
    for name in DATASETS:
        count = 0 if empty else 3
        (frames if name == "widerface" else posed)(hdf5 / f"{name}.h5", rng, count)
    (models / "onnx").mkdir(parents=True)
    onnx_files.pose(models / "onnx/head-pose.onnx")
    onnx_files.localizer(models / "onnx/head-localizer.onnx")
    weights.save(models / "localizer/model.safetensors", heated())
    monkeypatch.chdir(ROOT)
    pictures.main(hdf5, models, tmp_path / "errors", out)
    named = {"augmentation", "poses_best_median_worst", "localizer_hits_misses", "localizer_heat"}
    assert {path.stem for path in out.iterdir()} == named | {f"dataset_{name}" for name in DATASETS}
    assert all(cv2.imread(str(path)).shape[1] == contact_sheet.WIDTH for path in out.iterdir())


def test_the_stage_reads_every_dataset_that_is_converted():
    stages = config.read_yaml(ROOT / "dvc.yaml")["stages"]
    converted = {f"data/hdf5/{name}.h5" for name in stages["convert"]["foreach"]}
    assert converted <= set(stages["pictures"]["deps"])
