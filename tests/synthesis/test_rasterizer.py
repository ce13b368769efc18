import numpy as np
import pytest

from nntrack.synthesis import rasterizer


def test_a_filled_square_covers_the_pixels_whose_centres_it_holds():
    points = np.array([[3.2, 4.3, 0], [9.4, 4.3, 0], [9.4, 8.1, 0], [3.2, 8.1, 0]])
    layer = rasterizer.rasterize(points, np.array([[0, 1, 2], [0, 2, 3]], np.int32), np.ones((4, 3)), (12, 16), 10.0)
    expected = np.zeros((12, 16), bool)
    expected[4:8, 3:9] = True
    np.testing.assert_array_equal(layer.values[..., 0] > 0.5, expected)
    np.testing.assert_array_equal(layer.depth < rasterizer.EMPTY, expected)


def test_the_nearer_triangle_is_seen():
    square = np.array([[2, 2, 5], [14, 2, 5], [2, 14, 5]], float)
    points = np.vstack([square, square - [0, 0, 10]])
    values = np.repeat([0.2, 0.9], 3)[:, None] * np.ones(3)
    triangles = np.array([[3, 4, 5], [0, 1, 2]], np.int32)
    layer = rasterizer.rasterize(points, triangles, values, (16, 16), 1.0)
    assert layer.values[4, 4, 0] == pytest.approx(0.9)
    assert layer.depth[4, 4] == pytest.approx(-5, abs=0.01)
