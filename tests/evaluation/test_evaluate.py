import io
import json
import zipfile

import numpy as np
import pandas as pd
import pytest
import scipy.io
from scipy.spatial.transform import Rotation

from nntrack.commands import evaluate as command
from nntrack.data import hdf5, images
from nntrack.data.sample import Sample
from nntrack.deploy import preprocess
from nntrack.deploy.runtime import LocalizerModel, PoseModel
from nntrack.evaluation import evaluate, metrics, models, protocols
from nntrack.evaluation.bootstrap import Resamples
from nntrack.evaluation.protocols import EvalInputs
from nntrack.networks import weights
from nntrack.networks.pose_net import PoseConfig, PoseNet
from tests import onnx_files, stores
from tests.conftest import ROOT
from tests.stores import FRONTAL

SETTINGS = {"bbox_scale": 1.2, "center_crop": 0.6}
INPUTS = EvalInputs(SETTINGS)
YAWS = np.array([10.0, -20, 40, 80])


def turned(path, rng, repeat=1, **options):
    quats = Rotation.from_euler("y", YAWS[:, None], degrees=True).as_quat()
    return stores.posed(path, np.tile(quats, (repeat, 1)), rng, **options)


def real_photos(path):
    """AFLW2000-3D read on its own, so that a mistake in the reader would show."""
    with zipfile.ZipFile(path) as archive:
        for name in sorted(n for n in archive.namelist() if n.endswith(".jpg")):
            labels = scipy.io.loadmat(io.BytesIO(archive.read(name[:-3] + "mat")))
            pitch, yaw, roll = labels["Pose_Para"][0, :3]
            values = {
                "quat": Rotation.from_euler("XYZ", [-pitch, yaw, roll]).as_quat(),
                "landmarks": labels["pt3d_68"].T * [1, 1, -1],
            }
            yield Sample(images.decode_grey(archive.read(name)), name, name, values)


def test_the_errors_of_a_frontal_net_are_the_labels_angles(tmp_path, rng):
    stored = turned(tmp_path / "aflw2k.h5", rng)
    measured = evaluate.evaluate(PoseModel(onnx_files.pose(tmp_path / "a.onnx")), stored, INPUTS)
    assert list(measured) == ["bbox", "center"]
    for rows in measured.values():
        row = {name: figure.value for name, figure in rows.figures(seed=0).items()}
        assert row["yaw"] == row["geodesic"] == pytest.approx(37.5, abs=1e-3)
        assert row["average"] == pytest.approx(12.5, abs=1e-3) and row["pitch"] == row["roll"] == 0
        assert row["geodesic_median"] == pytest.approx(30, abs=1e-3)
        assert [row[f"geodesic_yaw_{b}"] for b in ("0_30", "30_60", "60_90")] == pytest.approx([15, 40, 80], abs=1e-3)
        assert row["geodesic_balanced"] == pytest.approx(45, abs=1e-3) and "nme2d" not in row
        assert np.allclose(rows.table["true_yaw"], YAWS, atol=1e-3) and np.all(rows.table["yaw"] == 0)


def test_landmarks_in_the_right_place_have_no_error(tmp_path, rng):
    stored = stores.posed(tmp_path / "a.h5", [FRONTAL], rng)
    roi = protocols.landmark_square(stored, np.array([0]), INPUTS)[0]
    x, y, side = preprocess.roi_square(roi, stored.image.shape[1:])
    output = ((stored.labels["landmarks"] - [x, y, 0]) / (side / 2)).astype(np.float32)
    model = PoseModel(onnx_files.pose(tmp_path / "a.onnx", landmarks=output))
    (found,) = evaluate.evaluate(model, stored, INPUTS, ("bbox",)).values()
    assert found.table[["nme2d", "nme3d"]].to_numpy() == pytest.approx(0, abs=1e-4)


def test_held_out_samples_alone_are_measured(tmp_path, rng):
    stored = stores.posed(tmp_path / "w300lp.h5", [FRONTAL] * 6, rng, reader="w300lp", views=2)
    model = PoseModel(onnx_files.pose(tmp_path / "a.onnx"))
    (found,) = evaluate.evaluate(model, stored, EvalInputs(SETTINGS, {"w300lp": ["person 2"]})).values()
    assert found.table["index"].tolist() == [4, 5] and found.table["name"].tolist() == ["photo 4", "photo 5"]
    with pytest.raises(ValueError, match=r"has no sample .* \(pose\): held-out photos"):
        evaluate.evaluate(model, stored, EvalInputs(SETTINGS, {"w300lp": ["somebody else"]}))
    # parameters may hold nothing out
    assert evaluate.evaluate(model, stored, EvalInputs(SETTINGS, {"w300lp": []})) == {}


def test_the_localizer_is_measured_on_the_held_out_subset(tmp_path, rng):
    faces = [(1, "val")] * 3 + [(0, "val")] + [(0, "train")] * 5
    stored = stores.framed(tmp_path / "widerface.h5", faces, rng)
    model = LocalizerModel(onnx_files.localizer(tmp_path / "a.onnx", logit_box=[[3, -0.5, -0.5, 0.5, 0.5]]))
    (found,) = evaluate.evaluate(model, stored, INPUTS).values()
    assert found.table["index"].tolist() == [0, 1, 2, 3] and np.array_equal(np.isnan(found.table["iou"]), [0, 0, 0, 1])
    figures = {name: (figure.value, figure.n) for name, figure in found.figures(seed=0).items()}
    assert figures == {"accuracy": (0.75, 4), "iou": (1, 3), "corner_rmse": (0, 3)}
    with pytest.raises(ValueError, match=r"has no sample .* \(localizer\): validation photos of the authors"):
        evaluate.evaluate(model, stores.framed(tmp_path / "b.h5", [(1, "train")], rng), INPUTS)


@pytest.mark.parametrize("net", ["pose", "localizer"])
def test_every_figure_can_be_computed_from_the_csv(tmp_path, rng, net):
    if net == "pose":
        stored = turned(tmp_path / "a.h5", rng, views=2)
        output = rng.uniform(-1, 1, (1, 68, 3)).astype(np.float32)
        model = PoseModel(onnx_files.pose(tmp_path / "a.onnx", landmarks=output))
    else:
        stored = stores.framed(tmp_path / "a.h5", [(i % 2, "val") for i in range(9)], rng)
        model = LocalizerModel(onnx_files.localizer(tmp_path / "a.onnx"))
    measured = evaluate.evaluate(model, stored, INPUTS)
    evaluate.write_errors(tmp_path / "errors", stored, measured)
    for protocol, rows in measured.items():
        read = pd.read_csv(tmp_path / f"errors/a_{protocol}.csv")
        assert list(read) == ["index", "name", *evaluate.COLUMNS[net], "group"]
        again = metrics.measure(evaluate.METRICS[net], read, Resamples(read["group"], np.random.default_rng(7)))
        assert again == rows.figures(seed=7) and set(again) == set(evaluate.METRICS[net])


def test_protocols_on_the_same_samples_have_the_same_resamples(tmp_path, rng):
    measured = evaluate.evaluate(
        PoseModel(onnx_files.pose(tmp_path / "a.onnx")), turned(tmp_path / "a.h5", rng, repeat=2), INPUTS
    )
    one, other = (rows.figures(seed=3)["yaw"] for rows in measured.values())
    assert one == other and one.low < one.value < one.high
    means = [
        measured["bbox"].resamples(seed).means(measured["bbox"].table[["geodesic"]].T.to_numpy()) for seed in (3, 4)
    ]
    assert not np.array_equal(*means)


def test_headlines_and_detail_have_counts_and_source(tmp_path, rng):
    stored = turned(tmp_path / "a.h5", rng, source="real", views=2)
    measured = evaluate.evaluate(PoseModel(onnx_files.pose(tmp_path / "a.onnx")), stored, INPUTS)
    figures = {name: rows.figures(seed=0) for name, rows in measured.items()}
    evaluate.write_headlines(tmp_path / "m.json", measured, figures, stored, "pose")
    whole = evaluate.detail(measured, figures, stored, "mine")
    assert whole["model"] == "mine" and whole["source"] == "real" and list(whole["protocols"]) == ["bbox", "center"]
    for file, protocol in (("m.json", "bbox"), ("m_center.json", "center")):
        summary, row = json.loads((tmp_path / file).read_text()), whole["protocols"][protocol]
        assert list(summary) == ["yaw", "pitch", "roll", "average", "geodesic", "n", "source"]
        assert summary["n"] == 4 and summary["source"] == "real"
        assert row["n"] == 4 and row["groups"] == 2 and list(row["metrics"]["yaw"]) == ["value", "low", "high", "n"]
        assert row["metrics"]["yaw"]["value"] == summary["yaw"]


def test_the_perspective_is_taken_out_where_the_camera_is_known(tmp_path, rng, monkeypatch):
    stored = stores.posed(tmp_path / "biwi.h5", [FRONTAL] * 2, rng, reader="biwi")
    stored.labels["camera"] = np.tile([400.0, 400, 0, 0], (2, 1))
    stored.masks["camera"] = np.ones(2, bool)
    model = PoseModel(onnx_files.pose(tmp_path / "a.onnx", pos_size=[[0.0, 0.0, 0.5]]))
    calls = []
    monkeypatch.setattr(model, "predict", lambda *a, predict=model.predict: calls.append(a) or predict(*a))
    plain, corrected = evaluate.evaluate(model, stored, INPUTS).values()
    assert len(calls) == 1  # both protocols have the same windows
    # the window's centre is 200 px right and 190 px below the axis, the face's middle 0.4 head radii of 30 px lower
    away = np.degrees(np.arctan(np.hypot(200, 190 + 0.4 * 30) / 400))
    assert np.all(plain.table["geodesic"] == 0)
    assert np.allclose(corrected.table["geodesic"], away, atol=1e-3)
    stored.masks["camera"][1] = False
    with pytest.raises(ValueError, match="1 of 2 samples have no camera"):
        evaluate.evaluate(model, stored, INPUTS, ("perspective",))


def test_errors_name_what_is_missing(tmp_path, rng):
    model = PoseModel(onnx_files.pose(tmp_path / "a.onnx"))
    with pytest.raises(ValueError, match=r"empty\.h5 holds no samples"):
        evaluate.evaluate(model, stores.posed(tmp_path / "empty.h5", [], rng), INPUTS)
    with pytest.raises(ValueError, match=r"2 of 2 samples have no quat, which is measured by"):
        evaluate.evaluate(model, stores.framed(tmp_path / "w.h5", [(1, "val")] * 2, rng), INPUTS)
    with pytest.raises(ValueError, match=r"no protocol is called 'box'; known: bbox, center"):
        evaluate.evaluate(model, stores.posed(tmp_path / "a.h5", [FRONTAL], rng), INPUTS, ("box",))
    nothing = LocalizerModel(onnx_files.localizer(tmp_path / "l.onnx", logit_box=[[-9, 0, 0, 1, 1]]))
    stored = stores.framed(tmp_path / "b.h5", [(0, "")], rng, reader="biwi")
    stored.masks["quat"][:] = True
    with pytest.raises(ValueError, match="found no face"):
        evaluate.evaluate(model, stored, EvalInputs(SETTINGS, localizer=nothing), ("box",))


@pytest.fixture
def stage(monkeypatch):
    monkeypatch.chdir(ROOT)  # where params.yaml is
    return command.main


def files(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_the_stage_measures_any_file_and_repeats(stage, tmp_path, rng):
    turned(tmp_path / "mine.h5", rng)
    model = onnx_files.pose(tmp_path / "net.onnx")
    for name in ("a", "b"):
        out = tmp_path / name
        stage(model, tmp_path / "mine.h5", out / "out.json", out / "detail.json", out / "errors")
    found = files(tmp_path / "a")
    assert list(found) == ["detail.json", "mine_bbox.csv", "mine_center.csv", "out.json", "out_center.json"]
    assert found == files(tmp_path / "b")
    assert json.loads(found["detail.json"])["model"] == "net" and json.loads(found["out.json"])["n"] == 4


def test_weights_are_measured_as_their_export(stage, tmp_path, rng):
    turned(tmp_path / "w300lp.h5", rng, reader="w300lp")
    (tmp_path / "split.json").write_text(json.dumps({"w300lp": ["person 1", "person 2"]}))
    weights.save(tmp_path / "pose" / models.WEIGHTS, PoseNet(PoseConfig("diracnet", 0.25, "quat", 2, 1)))
    out, detail = tmp_path / "out.json", tmp_path / "detail.json"
    stage(tmp_path / "pose", tmp_path / "w300lp.h5", out, detail, split=tmp_path / "split.json")
    written = json.loads(detail.read_text())
    assert written["model"] == "pose" and written["protocols"]["bbox"]["n"] == 2


def test_inputs_are_read_from_files(tmp_path):
    (tmp_path / "split.json").write_text('{"w300lp": ["a"]}')
    found = evaluate.read_inputs(SETTINGS, tmp_path / "split.json", onnx_files.localizer(tmp_path / "l.onnx"))
    assert found.split == {"w300lp": ["a"]} and isinstance(found.localizer, LocalizerModel)
    assert evaluate.read_inputs(SETTINGS, None, None) == INPUTS


def test_an_empty_dataset_gives_a_count_of_zero(stage, tmp_path, rng, capsys):
    stores.posed(tmp_path / "aflw2k.h5", [], rng)
    out = tmp_path / "out"
    model = onnx_files.pose(tmp_path / "net.onnx")
    stage(model, tmp_path / "aflw2k.h5", out / "a.json", out / "d.json", out / "errors")
    for name in ("a.json", "a_center.json"):
        assert json.loads((out / name).read_text()) == {"n": 0, "source": "synthetic"}
    assert json.loads((out / "d.json").read_text()) == {"model": "net", "source": "synthetic", "protocols": {}}
    assert "nothing was measured" in capsys.readouterr().out and (out / "errors").is_dir()


def test_real_photos_prove_preprocessing_and_signs(tmp_path, shared):
    """A released net of other origin: with a wrong sign, axis or crop its errors would be tens of degrees."""
    hdf5.write(tmp_path / "a.h5", real_photos(shared / "real/AFLW2000-3D.zip"), {"source": "real", "reader": "aflw2k"})
    model = PoseModel(shared / "opentrack/head-pose-0.4-small-int8.onnx")
    measured = evaluate.evaluate(model, hdf5.Stored(tmp_path / "a.h5"), INPUTS)
    assert list(measured) == ["bbox", "center"]
    for rows in measured.values():
        row = {name: figure.value for name, figure in rows.figures(seed=0).items()}
        assert len(rows) == 8
        # quantised nets differ between processors, and eight photos are few
        assert row["average"] == pytest.approx(2.2, abs=0.5)
        assert max(row["yaw"], row["pitch"], row["roll"]) < 4
