from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest

from nntrack.data import images
from nntrack.geometry import affine


def blob(height, width, x, y, sigma=3.0):
    """A bright spot whose centre is at (x, y) in corner-based coordinates."""
    rows, columns = np.mgrid[:height, :width] + 0.5
    return (255 * np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * sigma**2))).astype(np.uint8)


def centre_of(image):
    rows, columns = np.mgrid[: image.shape[0], : image.shape[1]] + 0.5
    weight = image.astype(np.float64)
    return np.array([(weight * columns).sum(), (weight * rows).sum()]) / weight.sum()


@pytest.mark.parametrize("scale", [0.2, 0.4, 0.9, 1.7])
def test_warp_moves_pixels_as_points_move(scale):
    image = blob(200, 260, 120.3, 88.8, sigma=8)
    matrix = affine.similarity(np.array(0.4), np.array(scale), np.array([70.0, 20.0]))
    expected = affine.move_points(matrix, np.array([[120.3, 88.8]]))[0]
    warped = images.warp(image, matrix, (400, 400))
    assert np.abs(centre_of(warped) - expected).max() < 0.1


def test_warp_does_not_alias_fine_detail():
    stripes = np.zeros((400, 400), np.uint8)
    stripes[:, ::2] = 255
    small = images.warp(stripes, affine.similarity(np.array(0.0), np.array(0.25), np.zeros(2)), (100, 100))
    assert np.ptp(small.astype(int)[5:-5, 5:-5]) < 10


def test_decoding_gives_grey_or_says_why_not():
    image = np.full((12, 9, 3), 77, np.uint8)
    decoded = images.decode_grey(cv2.imencode(".png", image)[1].tobytes())
    assert decoded.shape == (12, 9) and (decoded == 77).all()
    for damaged in (b"", b"not a image"):
        with pytest.raises(ValueError):
            images.decode_grey(damaged)


def test_images_are_decoded_in_several_threads(rng):
    whole = cv2.imencode(".jpg", rng.integers(0, 255, (64, 64), np.uint8))[1].tobytes()
    damaged = whole[: len(whole) // 2]

    def fails(data):
        try:
            images.decode_grey(data)
        except ValueError:
            return True
        return False

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(fails, [whole, damaged] * 100)) == [False, True] * 100


def test_a_sheet_has_room_for_every_picture():
    tiles = [np.full((30, 40), 10 * i, np.uint8) for i in range(1, 6)]
    sheet = images.contact_sheet(tiles, columns=3, tile=(15, 20))
    assert sheet.shape == (30, 60, 3)
    assert {10 * i for i in range(1, 6)} <= set(np.unique(sheet))
    with pytest.raises(ValueError):
        images.contact_sheet([], columns=3)
