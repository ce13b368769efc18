import numpy as np
import pytest

from nntrack.face_model import model as facemodel
from nntrack.face_model.model import FaceModel
from tests import faces


def some_model(rng):
    return FaceModel(*(rng.normal(size=shape).astype(np.float32) for shape in ((68, 3), (4, 68, 3), (2, 68, 3))))


def test_comes_back_from_disk_and_bytes_repeat(tmp_path, rng):
    model = some_model(rng)
    facemodel.save(tmp_path / "a.npz", model)
    facemodel.save(tmp_path / "b.npz", model)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    found = facemodel.load(tmp_path / "a.npz")
    for name in ("mean", "shape_basis", "expression_basis"):
        np.testing.assert_array_equal(getattr(found, name), getattr(model, name))


def test_landmarks_are_linear_in_the_weights(rng):
    model = some_model(rng)
    shape, expression = rng.normal(size=(5, 4)), rng.normal(size=(5, 2))
    found = model.landmarks(shape, expression)
    assert found.shape == (5, 68, 3)
    np.testing.assert_allclose(
        model.landmarks(2 * shape, 2 * expression) - model.mean, 2 * (found - model.mean), atol=1e-5
    )
    np.testing.assert_array_equal(model.landmarks(np.zeros(4), np.zeros(2)), model.mean)


def test_wrong_shapes_and_files_are_named(tmp_path):
    with pytest.raises(ValueError, match=r"shape_basis .* \(68, 3\)"):
        FaceModel(faces.MEAN, faces.MEAN, np.zeros((1, 68, 3)))
    with pytest.raises(FileNotFoundError, match="dvc repro facemodel"):
        facemodel.load(tmp_path / "none.npz")
    np.savez(tmp_path / "other.npz", mean=faces.MEAN)
    with pytest.raises(ValueError, match=r"other\.npz is not a face model"):
        facemodel.load(tmp_path / "other.npz")
