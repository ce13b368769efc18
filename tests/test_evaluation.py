import io
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import scipy.io
from scipy.spatial.transform import Rotation

from nntrack import evaluation, images, landmarks, store
from nntrack.runtime import LocalizerModel, PoseModel
from nntrack.sample import Sample
from tests import onnx_files

ROOT = Path(__file__).parents[1]
SETTINGS = {"bbox_scale": 1.2, "center_crop": 0.6}
FRONTAL = np.array([0, 0, 0, 1.0])


def write_posed(path, quats, rng, source="synthetic", reader="aflw2k"):
    def samples():
        for i, quat in enumerate(quats):
            points = rng.uniform(150, 250, (68, 3))
            labels = {"quat": np.asarray(quat, float), "landmarks": points, "face": np.float32(1)}
            yield Sample(rng.integers(0, 255, (450, 450)).astype(np.uint8), f"photo {i}", f"photo {i}", labels)

    store.write(path, samples(), {"source": source, "reader": reader})
    return store.Stored(path)


def write_faces(path, faces, rng):
    """Frames of two subsets; a face fills the middle half."""

    def samples():
        for i, (face, subset) in enumerate(faces):
            labels = {"face": np.float32(face)} | ({"bbox": np.array([72, 56, 216, 168.0])} if face else {})
            yield Sample(np.zeros((224, 288), np.uint8), f"frame {i}", f"frame {i}", labels, subset=subset)

    store.write(path, samples(), {"source": "synthetic"})
    return store.Stored(path)


def real_photos(path):
    """AFLW2000-3D read anew, so that reader and evaluator are not proven by each other."""
    with zipfile.ZipFile(path) as archive:
        for name in sorted(n for n in archive.namelist() if n.endswith(".jpg")):
            labels = scipy.io.loadmat(io.BytesIO(archive.read(name[:-3] + "mat")))
            pitch, yaw, roll = labels["Pose_Para"][0, :3]
            values = {
                "quat": Rotation.from_euler("XYZ", [-pitch, yaw, roll]).as_quat(),
                "landmarks": labels["pt3d_68"].T * [1, 1, -1],
            }
            yield Sample(images.decode_grey(archive.read(name)), name, name, values)


def test_protocols_cut_what_they_say(tmp_path, rng):
    stored = write_posed(tmp_path / "a.h5", [FRONTAL] * 3, rng)
    boxes = landmarks.landmark_box(stored.labels["landmarks"])
    rois = evaluation.crop_rois(stored, "bbox", SETTINGS)
    assert np.allclose((rois[:, :2] + rois[:, 2:]) / 2, (boxes[:, :2] + boxes[:, 2:]) / 2, atol=1e-3)
    assert np.allclose(rois[:, 2:] - rois[:, :2], 1.2 * (boxes[:, 2:] - boxes[:, :2]).max(1)[:, None], atol=1e-3)
    assert np.array_equal(evaluation.crop_rois(stored, "center", SETTINGS), [[90, 90, 360, 360]] * 3)


def test_a_frontal_net_errs_by_the_labels_angles(tmp_path, rng):
    yaws = np.array([10.0, -20, 40, 80])
    stored = write_posed(tmp_path / "aflw2k.h5", Rotation.from_euler("y", yaws[:, None], degrees=True).as_quat(), rng)
    results = evaluation.evaluate_pose(PoseModel(onnx_files.pose(tmp_path / "a.onnx")), stored, "still", SETTINGS)
    assert list(results) == ["still_bbox", "still_center"]
    for row in results.values():
        assert row["yaw"] == row["geodesic_mean"] == pytest.approx(37.5, abs=1e-3)
        assert row["average"] == pytest.approx(12.5, abs=1e-3) and row["pitch"] == row["roll"] == 0
        assert row["geodesic_median"] == pytest.approx(30, abs=1e-3)
        assert [row[f"geodesic_yaw_{b}"] for b in ("0_30", "30_60", "60_100")] == pytest.approx([15, 40, 80], abs=1e-3)
        assert row["n"] == 4 and "nme" not in row


def test_crops_are_not_cut_as_photos_are(tmp_path, rng):
    stored = write_posed(tmp_path / "300wlp.h5", [FRONTAL], rng, reader="300wlp")
    results = evaluation.evaluate_pose(PoseModel(onnx_files.pose(tmp_path / "a.onnx")), stored, "still", SETTINGS)
    assert list(results) == ["still_bbox"]


def test_landmarks_in_the_right_place_have_no_error(tmp_path, rng):
    stored = write_posed(tmp_path / "a.h5", [FRONTAL], rng)
    square = images.client_square(evaluation.crop_rois(stored, "bbox", SETTINGS)[0])
    half = (square[2] - square[0]) / 2
    shift = [*((square[:2] + square[2:]) / 2), 0]
    told = ((stored.labels["landmarks"] - shift) / half).astype(np.float32)
    model = PoseModel(onnx_files.pose(tmp_path / "a.onnx", landmarks=told))
    results = evaluation.evaluate_pose(model, stored, "a", SETTINGS, ("bbox",))
    assert results["a_bbox"]["nme"] == 0


def test_the_localizer_is_measured_on_the_held_out_subset(tmp_path, rng):
    faces = [(1, "val")] * 3 + [(0, "val")] + [(0, "train")] * 5
    stored = write_faces(tmp_path / "widerface.h5", faces, rng)
    model = LocalizerModel(onnx_files.localizer(tmp_path / "a.onnx", logit_box=[[3, -0.5, -0.5, 0.5, 0.5]]))
    found = evaluation.evaluate_localizer(model, stored, "a")
    assert found == {"a_val": {"accuracy": 0.75, "iou": 1, "corner_rmse": 0, "n": 4, "n_faces": 3}}
    with pytest.raises(ValueError, match="no sample of the subset 'val'"):
        evaluation.evaluate_localizer(model, write_faces(tmp_path / "b.h5", [(1, "train")], rng), "a")


def test_results_carry_the_dataset_and_its_source(tmp_path, rng):
    stored = write_posed(tmp_path / "aflw2k.h5", [FRONTAL], rng, source="real")
    evaluation.write_results(tmp_path / "out/a.json", stored, {"x_bbox": {"yaw": 1.5}})
    written = (tmp_path / "out/a.json").read_text()
    assert json.loads(written) == {"aflw2k": {"x_bbox": {"yaw": 1.5}}, "source": "real"}
    assert list((tmp_path / "out").iterdir()) == [tmp_path / "out/a.json"]


def test_pictures_are_drawn_and_repeat(tmp_path, rng):
    stored = write_posed(tmp_path / "a.h5", [FRONTAL] * 4, rng)
    model = PoseModel(onnx_files.pose(tmp_path / "a.onnx"))
    for name in ("a.jpg", "b.jpg"):
        evaluation.draw_predictions(model, stored, SETTINGS, tmp_path / name, 3)
    assert (tmp_path / "a.jpg").read_bytes() == (tmp_path / "b.jpg").read_bytes()
    assert images.decode_grey((tmp_path / "a.jpg").read_bytes()).shape == (225, 675)


def test_what_cannot_be_measured_says_why(tmp_path, rng):
    model = PoseModel(onnx_files.pose(tmp_path / "a.onnx"))
    with pytest.raises(ValueError, match=r"empty\.h5 holds no samples"):
        evaluation.evaluate_pose(model, write_posed(tmp_path / "empty.h5", [], rng), "a", SETTINGS)
    with pytest.raises(ValueError, match=r"2 of 2 samples have no quat; not a posed dataset"):
        stored = write_faces(tmp_path / "w.h5", [(1, "val")] * 2, rng)
        evaluation.evaluate_pose(model, stored, "a", SETTINGS)
    with pytest.raises(ValueError, match=r"no protocol is called 'box'; known: bbox, center"):
        evaluation.evaluate_pose(model, write_posed(tmp_path / "a.h5", [FRONTAL], rng), "a", SETTINGS, ("box",))


def stage(*arguments):
    command = [sys.executable, "-m", "stages.evaluate", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


def test_the_stage_measures_any_file(tmp_path, rng):
    write_posed(tmp_path / "mine.h5", [FRONTAL], rng)
    model = onnx_files.pose(tmp_path / "net.onnx")
    done = stage(model, tmp_path / "mine.h5", tmp_path / "out.json")
    assert done.returncode == 0, done.stderr
    written = json.loads((tmp_path / "out.json").read_text())
    assert list(written["mine"]) == ["net_bbox", "net_center"] and written["mine"]["net_bbox"]["n"] == 1


def test_an_empty_dataset_gives_an_empty_section(tmp_path, rng):
    write_posed(tmp_path / "aflw2k.h5", [], rng)
    model = onnx_files.pose(tmp_path / "net.onnx")
    out, picture = tmp_path / "out.json", tmp_path / "p.jpg"
    done = stage(model, tmp_path / "aflw2k.h5", out, "--picture", picture)
    assert done.returncode == 0, done.stderr
    assert json.loads(out.read_text())["aflw2k"] == {} and picture.exists()
    assert "nothing was measured" in done.stdout


def test_real_photos_prove_preprocessing_and_signs(tmp_path, shared):
    """A released net that nobody here trained: a wrong sign, axis or crop would cost it tens of degrees."""
    store.write(tmp_path / "a.h5", real_photos(shared / "real/AFLW2000-3D.zip"), {"source": "real"})
    model = PoseModel(shared / "opentrack/head-pose-0.4-small-int8.onnx")
    results = evaluation.evaluate_pose(model, store.Stored(tmp_path / "a.h5"), "released", SETTINGS)
    for row in results.values():
        assert row["n"] == 8
        # quantised nets round otherwise on other processors, and eight photos are few
        assert row["average"] == pytest.approx(2.2, abs=0.5)
        assert max(row["yaw"], row["pitch"], row["roll"]) < 4
