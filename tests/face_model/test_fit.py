import numpy as np
import pytest

from nntrack.face_model.fit import fit, group_shapes, mirror, observe, principal_modes
from nntrack.geometry.landmarks import MIRROR
from tests import faces


@pytest.fixture(scope="module")
def people():
    """Faces that differ in three ways, one much, one less, one least."""
    rng = np.random.default_rng(3)
    modes = rng.normal(size=(3, 68, 3)) * np.array([0.02, 0.01, 0.005])[:, None, None]
    return [faces.MEAN + np.tensordot(rng.normal(size=3), modes, 1) for _ in range(40)], modes


def observed(tmp_path, people, depth, views=12, moment=0.0):
    rng = np.random.default_rng(0)

    def made():
        for number, face in enumerate(people):
            for view in range(views):
                now = face + moment * rng.normal() * faces.MEAN
                (sample,) = faces.samples(rng, 1, depth=depth, face=now)
                yield type(sample)(sample.image[:1, :1], f"{number} {view}", f"person {number}", sample.labels)

    stored = faces.write(tmp_path / f"{depth}.h5", made())
    return observe([(stored, np.arange(len(stored)))])


@pytest.mark.parametrize(("depth", "limit"), [(True, 0.01), (False, 0.03)])
def test_views_give_the_face_in_three_dimensions(tmp_path, people, depth, limit):
    found, left = group_shapes(observed(tmp_path, people[0], depth))
    # groups are numbered in the order of their names
    order = np.argsort([f"0/person {n}" for n in range(len(people[0]))])
    wanted = np.array(people[0])[order]
    assert np.sqrt(((found - wanted) ** 2).sum(-1).mean()) < limit
    assert np.abs(left).max() < 0.1


def test_modes_are_those_that_the_faces_were_made_with(tmp_path, people):
    model = fit(observed(tmp_path, people[0], True, views=6), 40, 10)
    assert model.shape_basis.shape == (40, 68, 3)
    assert model.expression_basis.shape == (10, 68, 3)
    np.testing.assert_allclose(model.mean, faces.MEAN, atol=0.02)
    # three ways to differ and their mirrored twins; beyond them nothing but rounding
    lengths = np.linalg.norm(model.shape_basis.reshape(40, -1), axis=1)
    assert lengths[6:].max() < 0.02 * lengths[0]
    assert np.all(np.diff(lengths) < 1e-6)
    # a weight of 1 is one deviation: squared lengths add up to the faces' variance
    twins = np.concatenate([people[0], mirror(np.array(people[0]))])
    variance = ((twins - twins.mean(axis=0)) ** 2).sum(axis=(1, 2)).mean()
    np.testing.assert_allclose((lengths**2).sum(), variance, rtol=0.1)


def test_mean_and_modes_respect_the_mirror(tmp_path, people):
    model = fit(observed(tmp_path, people[0][:10], False), 4, 2)
    np.testing.assert_allclose(model.mean[MIRROR] * [-1, 1, 1], model.mean, atol=1e-6)
    for mode in model.shape_basis:
        twin = mirror(mode)
        assert min(np.abs(twin - mode).max(), np.abs(twin + mode).max()) < 1e-4


def test_expression_is_what_changes_within_a_person(tmp_path, people):
    still = fit(observed(tmp_path / "a", people[0][:8], True), 4, 2)
    moving = fit(observed(tmp_path / "b", people[0][:8], True, moment=0.05), 4, 2)
    assert np.linalg.norm(moving.expression_basis) > 5 * np.linalg.norm(still.expression_basis)
    direction = moving.expression_basis[0].ravel() / np.linalg.norm(moving.expression_basis[0])
    assert abs(direction @ faces.MEAN.ravel()) / np.linalg.norm(faces.MEAN) > 0.98


def test_foreign_directions_are_scaled_to_the_faces(tmp_path, people):
    seen = observed(tmp_path, people[0], True, views=6)
    one = fit(seen, 3, 2, bases=(people[1], people[1][:2]))
    other = fit(seen, 3, 2, bases=(1000 * people[1], people[1][:2]))
    np.testing.assert_allclose(one.shape_basis, other.shape_basis, rtol=1e-4, atol=1e-6)
    learnt = fit(seen, 3, 2)
    assert 0.3 < np.linalg.norm(one.shape_basis) / np.linalg.norm(learnt.shape_basis) < 1.5


def test_few_data_give_zero_modes_and_none_an_error(tmp_path):
    empty = faces.write(tmp_path / "empty.h5", [])
    one = faces.write(tmp_path / "one.h5", faces.samples(np.random.default_rng(0), 1))
    model = fit(observe([(empty, np.arange(0)), (one, np.arange(1))]), 40, 10)
    assert np.all(np.isfinite(model.shape_basis))
    assert not model.shape_basis[1:].any()
    with pytest.raises(ValueError, match="no training sample has rotation"):
        observe([(empty, np.arange(0))])


def test_principal_modes_have_fixed_signs(rng):
    spread = rng.normal(size=(30, 68, 3))
    np.testing.assert_allclose(principal_modes(spread, 5), principal_modes(-spread, 5))
