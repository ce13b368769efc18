import numpy as np
import pytest

from nntrack.deploy import preprocess
from nntrack.evaluation import perturbations

WINDOW = np.array([20.5, 30.5, 149.5, 159.5])
SIDE = 129


def patch(image, roi):
    return preprocess.cut_patch(image, preprocess.roi_square(roi, image.shape), SIDE)


def test_windows_take_every_step_equally_often(rng):
    found = perturbations.windows(WINDOW, rng)
    count = len(perturbations.SHIFTS)
    for row, rois in found.items():
        centre, side = (rois[:, :2] + rois[:, 2:]) / 2, rois[:, 2:] - rois[:, :2]
        shifts = [0] * count if row == "scale" else perturbations.SHIFTS
        assert np.allclose(np.sort(centre - (WINDOW[:2] + WINDOW[2:]) / 2, axis=0), np.stack([shifts] * 2, axis=1))
        scales = [1] * count if row == "shift" else perturbations.SCALES
        assert np.allclose(np.sort(side[:, 0]) / SIDE, scales) and np.allclose(side[:, 0], side[:, 1])
    assert np.unique(perturbations.SHIFTS, return_counts=True)[1].tolist() == [4] * 9
    assert np.allclose(perturbations.SCALES[[0, -1]], [0.8, 1.25])


def test_every_shift_shows_another_patch(rng):
    """In the tracker a window that moves by less than half a pixel shows the same patch again."""
    image = rng.integers(0, 255, (180, 240)).astype(np.uint8)
    rois = perturbations.windows(np.rint(WINDOW), rng)["shift"]
    squares = [preprocess.roi_square(roi, image.shape) for roi in rois]
    centres = np.array([[square.x, square.y] for square in squares])
    assert {square.side for square in squares} == {130}
    assert np.allclose(np.sort(centres - centres.mean(axis=0), axis=0), perturbations.SHIFTS[:, None])


@pytest.mark.parametrize("corner", [(40, 50), (-30, -20.25), (120.75, 100.5), (-200, 30), (400, 500)])
def test_the_patch_of_a_crop_is_that_of_the_image(corner, rng):
    for side in (30, 61.25, 88.5, 129, 300):
        image = rng.integers(0, 255, (180, 240)).astype(np.uint8)
        field = 16 * rng.standard_normal(image.shape, np.float32)
        roi = np.array([*corner, *(np.array(corner) + side)])
        whole = patch(perturbations.add_noise(image, field), roi)
        crop, roi_in_crop = perturbations.crop_around(image, roi)
        noise = perturbations.crop_around(field, roi)[0]
        assert np.array_equal(patch(perturbations.add_noise(crop, noise), roi_in_crop), whole)


def test_noise_is_what_a_camera_delivers(rng):
    noise = np.array([[-300, -0.6, 0.4, 300]], np.float32)
    assert perturbations.add_noise(np.full((1, 4), 100, np.uint8), noise).tolist() == [[0, 99, 100, 255]]
    fields = list(perturbations.noisy(np.full((50, 50), 128, np.uint8), 2, rng))
    assert len(fields) == 2 * len(perturbations.NOISE) and all(f.dtype == np.uint8 for f in fields)
    assert np.allclose([f.std() for f in fields], [*perturbations.NOISE, *perturbations.NOISE], rtol=0.1)


def test_compression_loses_more_of_a_frame_the_lower_its_quality(rng):
    image = np.repeat(np.arange(40, 200, dtype=np.uint8)[:, None], 160, axis=1)
    frames = list(perturbations.compressed(image, 3, rng))
    assert len(frames) == 3 and all(f.shape == image.shape and f.dtype == np.uint8 for same in frames for f in same)
    lost = np.abs(np.array(frames) - image.astype(float)).mean(axis=(0, 2, 3))
    assert list(perturbations.QUALITIES) == sorted(perturbations.QUALITIES, reverse=True)
    assert np.all(np.diff(lost) > 0) and lost[-1] < 4
    assert not np.array_equal(frames[0][0], frames[1][0])  # each frame has its own noise
