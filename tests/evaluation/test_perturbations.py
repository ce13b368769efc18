import cv2
import numpy as np
import pytest

from nntrack.deploy import preprocess
from nntrack.evaluation import perturbations
from nntrack.evaluation.perturbations import NOISE, RANDOM, part_around, perturbed

SIDE = 129


def patch(image, roi):
    return preprocess.cut_patch(image, preprocess.roi_square(roi, image.shape), SIDE)


@pytest.mark.parametrize("corner", [(40, 50), (-30, -20.25), (120.75, 100.5), (-200, 30), (400, 500)])
@pytest.mark.parametrize("side", [30, 88.5, 129, 300])
def test_the_net_sees_noise_on_the_part_as_noise_on_all(corner, side, rng):
    image = rng.integers(0, 255, (184, 240)).astype(np.uint8)
    window = np.array([*corner, *np.add(corner, side)], np.float64)
    everywhere = np.full_like(image, 255 - image)
    part = part_around(window, image.shape, 16)
    changed = image.copy()
    changed[part] = everywhere[part]
    assert np.array_equal(patch(changed, window), patch(everywhere, window))


def test_a_part_is_decoded_from_a_jpeg_as_in_the_whole_frame(rng):
    image = cv2.resize(rng.integers(0, 255, (20, 30)).astype(np.uint8), (240, 160))
    window = np.array([61.0, 33, 150, 120])
    part = part_around(window, image.shape, 16)
    frames = dict(perturbed(image, (slice(None), slice(None)), 1, np.random.default_rng(0)))
    clean = frames["noise_1"]
    assert np.array_equal(frames["jpeg_30"][part], perturbations._jpeg(clean[part], 30))


def test_noise_is_as_strong_as_it_is_called_and_the_same_field(rng):
    image = np.full((160, 160), 128, np.uint8)
    whole = (slice(None), slice(None))
    frames = list(perturbed(image, whole, 4, rng))
    assert {name for name, _ in frames} == set(RANDOM)
    off = {sigma: [f.astype(float) - 128 for n, f in frames if n == f"noise_{sigma}"] for sigma in NOISE}
    for sigma, fields in off.items():
        assert len(fields) == 4 and np.std(fields) == pytest.approx(sigma, rel=0.06)
    assert np.corrcoef(off[8][0].ravel(), off[32][0].ravel())[0, 1] > 0.99
    assert abs(np.corrcoef(off[8][0].ravel(), off[8][1].ravel())[0, 1]) < 0.05


def test_the_mirror_image_of_the_mirror_image_is_the_image(rng):
    image, box = rng.integers(0, 255, (20, 30)).astype(np.uint8), np.array([3.0, 4, 11, 15])
    other, moved = perturbations.mirrored(image, box)
    assert np.array_equal(other[4:15, 19:27], image[4:15, 3:11][:, ::-1]) and moved.tolist() == [19, 4, 27, 15]
    back, again = perturbations.mirrored(other, moved)
    assert np.array_equal(back, image) and np.array_equal(again, box)


def test_an_eighth_of_the_light_is_darker_and_noisier(rng):
    image = np.full((200, 200), 200, np.uint8)
    dark = perturbations.underexposed(image, rng).astype(float)
    assert dark.mean() == pytest.approx(200 * 8 ** (-1 / 2.2), rel=0.02)
    half = perturbations.underexposed(image, rng, 0.5).astype(float)
    assert dark.std() / dark.mean() > 1.5 * half.std() / half.mean()
