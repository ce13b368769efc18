from types import SimpleNamespace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from nntrack.deploy.runtime import LocalizerModel
from nntrack.evaluation import protocols
from nntrack.evaluation.protocols import PROTOCOLS, EvalInputs
from nntrack.geometry import boxes
from nntrack.geometry.perspective import FACE_MIDDLE, ray_quat
from nntrack.geometry.rotations import quat_apply, quat_multiply
from tests import onnx_files, stores

SETTINGS = {"bbox_scale": 1.2, "center_crop": 0.6}
INPUTS = EvalInputs(SETTINGS)


def test_every_protocol_is_whole_and_has_a_name_of_its_own():
    assert len({(row.dataset, row.net, row.name) for row in PROTOCOLS}) == len(PROTOCOLS)
    for row in PROTOCOLS:
        assert (row.window is protocols.whole_photo) == (row.net == "localizer") and row.title and row.labels, row
        assert row.subset.__doc__ and (row.window is None or row.window.__doc__)


def test_a_dataset_that_is_not_in_the_table_is_measured_by_its_boxes():
    known = {("aflw2k", "pose"): ["bbox", "center"], ("biwi", "pose"): ["box", "perspective"]}
    known |= {("mine", "pose"): ["bbox"], ("mine", "localizer"): ["val"]}
    for (dataset, net), names in known.items():
        assert list(protocols.of_dataset(dataset, net)) == names
    assert protocols.of_dataset("mine", "pose")["bbox"].dataset == protocols.ANY
    assert list(protocols.of_dataset("aflw2k", "pose", ("center",))) == ["center"]
    with pytest.raises(ValueError, match=r"no protocol is called 'box'; known: bbox, center"):
        protocols.of_dataset("aflw2k", "pose", ("box",))


def test_windows_of_known_faces(tmp_path, rng):
    stored, rows = stores.posed(tmp_path / "a.h5", [stores.FRONTAL] * 3, rng), np.array([0, 2])
    tight = boxes.landmark_box(stored.labels["landmarks"])[rows]
    rois = protocols.landmark_square(stored, rows, INPUTS)
    assert np.allclose((rois[:, :2] + rois[:, 2:]) / 2, (tight[:, :2] + tight[:, 2:]) / 2, atol=1e-3)
    assert np.allclose(rois[:, 2:] - rois[:, :2], 1.2 * (tight[:, 2:] - tight[:, :2]).max(1)[:, None], atol=1e-3)
    assert np.array_equal(protocols.central_square(stored, rows, INPUTS), [[90, 90, 360, 360]] * 2)
    assert np.array_equal(protocols.face_square(stored, rows, INPUTS), [[140, 130, 260, 250]] * 2)


def test_faces_without_a_box_are_found_or_left_out(tmp_path, rng):
    stored = stores.framed(tmp_path / "a.h5", [(1, ""), (0, ""), (0, "")], rng)
    rows = np.arange(3)
    with pytest.raises(ValueError, match=r"2 of 3 samples have no bbox: name a localizer .* --localizer FILE\.onnx"):
        protocols.face_square(stored, rows, INPUTS)
    there = LocalizerModel(onnx_files.localizer(tmp_path / "a.onnx", logit_box=[[3, -0.5, -0.5, 0, 0]]))
    found = protocols.face_square(stored, rows, EvalInputs(SETTINGS, localizer=there))
    assert np.allclose(found, [[72, 40, 216, 184], [72, 48, 144, 120], [72, 48, 144, 120]])
    nothing = LocalizerModel(onnx_files.localizer(tmp_path / "b.onnx", logit_box=[[-3, -0.5, -0.5, 0, 0]]))
    found = protocols.face_square(stored, rows, EvalInputs(SETTINGS, localizer=nothing))
    assert np.array_equal(np.isfinite(found).all(axis=1), [True, False, False])


def test_held_out_samples_need_a_split(tmp_path, rng):
    stored = stores.posed(tmp_path / "a.h5", [stores.FRONTAL] * 6, rng, reader="w300lp", views=2)
    chosen = protocols.held_out(stored, EvalInputs(SETTINGS, {"w300lp": ["person 1"]}))
    assert np.array_equal(chosen, [2, 3])
    for split in (None, {"ytfaces": ["person 1"]}):
        with pytest.raises(ValueError, match=r"a\.h5 is measured on samples held out of training: name the split"):
            protocols.held_out(stored, EvalInputs(SETTINGS, split))


def test_the_perspective_is_corrected_at_the_predicted_face(rng):
    quat = Rotation.random(5, random_state=rng).as_quat()
    points, camera = rng.uniform(0, 640, (5, 2)), np.tile([500.0, 510, 320, 240], (5, 1))
    # the output of a perfect net: the label, seen along the ray
    inverse = ray_quat(points, camera) * [-1, -1, -1, 1]
    seen = quat_multiply(inverse, quat)
    eyes = points - quat_apply(seen, FACE_MIDDLE)[:, :2] * 60
    predicted = {"quat": seen, "pos_size": np.concatenate([eyes, np.full((5, 1), 60)], axis=1)}
    found = protocols.correct_perspective(predicted, {"camera": camera})
    assert np.allclose(found["quat"], quat) and found["pos_size"] is predicted["pos_size"]


def test_the_subset_of_the_authors_is_found():
    stored = SimpleNamespace(strings={"subset": np.array(["train", "val", "val"])})
    assert np.array_equal(protocols.validation(stored, INPUTS), [1, 2])
