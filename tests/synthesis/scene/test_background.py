import numpy as np
import pytest

from nntrack.synthesis.scene import background


@pytest.mark.parametrize("name", background.PAINTERS)
def test_every_painter_gives_a_finite_image_of_the_same_size(rng, name):
    painted = background.PAINTERS[name](rng, np.full((48, 64), 0.5, np.float32))
    assert painted.shape == (48, 64) and np.all(np.isfinite(painted))
