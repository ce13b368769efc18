import numpy as np
import pytest

from nntrack.synthesis.scene import props

SIZE = (120, 160)


@pytest.mark.parametrize("name", props.SHAPES)
def test_every_shape_fills_some_of_a_mask(name, rng):
    for _ in range(10):
        mask = np.zeros(SIZE, np.float32)
        props.SHAPES[name](rng, mask, np.array([80.0, 60.0]), 30.0)
        assert mask.min() >= 0 and mask.max() <= 1
        assert 0 < (mask > 0.5).sum() < mask.size


def test_nothing_is_placed_in_front_of_what_must_stay_clear(rng):
    clear = np.array([[20, 30, 70, 90], [100, 10, 140, 60]])
    empty = rng.random(SIZE).astype(np.float32)
    filled = props.add_props(rng, empty.copy(), 60, clear)
    for x0, y0, x1, y1 in clear:
        assert np.array_equal(empty[y0:y1, x0:x1], filled[y0:y1, x0:x1])
    assert not np.array_equal(empty, filled)


def test_the_same_generator_places_the_same_props():
    first, again = (props.add_props(np.random.default_rng(3), np.full(SIZE, 0.5, np.float32), 9) for _ in range(2))
    assert np.array_equal(first, again)
