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


@pytest.mark.parametrize("centre", [(100.0, 80.0), (100.5, 80.5), (99.3, 81.7)])
def test_client_patch_shows_the_roi(centre):
    x, y = centre
    image = blob(200, 200, x + 5, y - 4)
    roi = np.array([x - 32, y - 32, x + 32.9, y + 31])
    patch = images.client_patch(image, roi, 128)
    expected = affine.box_to_box(images.client_square(roi), np.array([0.0, 0, 128, 128]))
    # the half pixel by which the client is off
    shown = affine.move_points(expected, np.array([[x + 5 - 0.5, y - 4 - 0.5]]))[0]
    assert np.abs(centre_of(patch) - shown).max() < 0.1


def test_client_patch_goes_on_beyond_the_edge():
    image = np.full((50, 50), 200, np.uint8)
    assert (images.client_patch(image, np.array([-40, -40, 20, 20]), 129) == 200).all()


def test_client_brightness_lifts_dark_patches_only(rng):
    patch = rng.integers(0, 60, (40, 40)).astype(np.uint8)
    lifted = images.client_brightness(patch)
    assert np.quantile(lifted, 0.9) == pytest.approx(0.45 - 0.5, abs=1e-6)
    bright = rng.integers(150, 255, (40, 40)).astype(np.uint8)
    assert np.allclose(images.client_brightness(bright), bright / 255 - 0.5, atol=1e-6)
    assert np.isfinite(images.client_brightness(np.zeros((9, 9), np.uint8))).all()


def test_decoding_gives_grey_or_says_why_not():
    picture = np.full((12, 9, 3), 77, np.uint8)
    decoded = images.decode_grey(cv2.imencode(".png", picture)[1].tobytes())
    assert decoded.shape == (12, 9) and (decoded == 77).all()
    for damaged in (b"", b"not a picture"):
        with pytest.raises(ValueError):
            images.decode_grey(damaged)


def test_a_sheet_has_room_for_every_picture():
    tiles = [np.full((30, 40), 10 * i, np.uint8) for i in range(1, 6)]
    sheet = images.contact_sheet(tiles, columns=3, tile=(15, 20))
    assert sheet.shape == (30, 60, 3)
    assert {10 * i for i in range(1, 6)} <= set(np.unique(sheet))
    with pytest.raises(ValueError):
        images.contact_sheet([], columns=3)
