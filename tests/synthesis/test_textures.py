import numpy as np
import pytest

from nntrack.synthesis import textures

SIZE = (120, 160)


@pytest.mark.parametrize("name", textures.RELIEFS)
def test_every_relief_is_uneven_and_finite(name, rng):
    y, x = np.mgrid[: SIZE[0], : SIZE[1]].astype(np.float32) / 20
    relief = textures.RELIEFS[name](rng, x, y)
    assert relief.shape == SIZE and np.isfinite(relief).all() and relief.std() > 1e-3


@pytest.mark.parametrize("scale", [3.0, 20.0, 400.0])
def test_materials_keep_the_mean_brightness(scale, rng):
    means = [textures.material(rng, SIZE, scale).mean() for _ in range(20)]
    assert 0.5 < np.mean(means) < 1.2
