import numpy as np
import pytest

from nntrack.data.face_free import LEAST_PLAIN, WINDOWS, FaceFree
from tests import faces


@pytest.fixture
def photos(rng, tmp_path):
    return faces.write(tmp_path / "photos.h5", faces.crops(rng, 12))


def test_images_with_a_face_are_left_out(photos):
    found = FaceFree(photos, np.arange(12), 96)
    assert len(found) == 6 * len(WINDOWS) + LEAST_PLAIN
    bright = [found.image[number].max() > 190 for number in range(6 * len(WINDOWS))]  # the disc of a face
    assert not any(bright)
    assert len(FaceFree(photos, np.arange(1, 12, 2), 96)) == LEAST_PLAIN


def test_every_image_says_that_it_shows_no_face_and_nothing_else(photos):
    found = FaceFree(photos, np.arange(12), 96)
    found.announce(np.arange(len(found)))
    assert {name for name, mask in found.masks.items() if mask.any()} == {"face", "roi"}
    assert not found.labels["face"].any()
    for number in range(len(found)):
        image, (x0, y0, x1, y1) = found.image[number], found.labels["roi"][number]
        assert image.shape == (96, 96) and image.dtype == np.uint8
        assert 0 <= x0 < x1 <= 96 and 0 <= y0 < y1 <= 96
        np.testing.assert_array_equal(found.image[number], image)
