import numpy as np
import pytest

from nntrack.deploy import preprocess
from nntrack.geometry import affine
from tests.data.test_images import blob, centre_of


@pytest.mark.parametrize("centre", [(100.0, 80.0), (100.5, 80.5), (99.3, 81.7)])
def test_a_patch_shows_the_roi(centre):
    x, y = centre
    image = blob(200, 200, x + 5, y - 4)
    roi = np.array([x - 32, y - 32, x + 32.9, y + 31])
    patch = preprocess.crop_patch(image, roi, 128)
    expected = affine.box_to_box(preprocess.roi_square(roi), np.array([0.0, 0, 128, 128]))
    # the half pixel by which the client is off
    visible = affine.move_points(expected, np.array([[x + 5 - 0.5, y - 4 - 0.5]]))[0]
    assert np.abs(centre_of(patch) - visible).max() < 0.1


def test_a_patch_goes_on_beyond_the_edge():
    image = np.full((50, 50), 200, np.uint8)
    assert (preprocess.crop_patch(image, np.array([-40, -40, 20, 20]), 129) == 200).all()


def test_pose_input_brightens_dark_patches_only(rng):
    patch = rng.integers(0, 60, (40, 40)).astype(np.uint8)
    brightened = preprocess.pose_input(patch)
    assert np.quantile(brightened, 0.9) == pytest.approx(0.45 - 0.5, abs=1e-6)
    bright = rng.integers(150, 255, (40, 40)).astype(np.uint8)
    assert np.allclose(preprocess.pose_input(bright), bright / 255 - 0.5, atol=1e-6)
    assert np.isfinite(preprocess.pose_input(np.zeros((9, 9), np.uint8))).all()
