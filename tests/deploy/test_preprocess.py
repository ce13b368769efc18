import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nntrack import contract
from nntrack.deploy import preprocess
from nntrack.geometry import affine
from tests.data.test_images import blob, centre_of

SIZE = contract.POSE_SIZE
pixels = st.floats(-500, 900, width=32)


@pytest.mark.parametrize("centre", [(100.0, 80.0), (101.0, 80.0), (99.0, 83.0)])
def test_a_patch_shows_the_roi(centre):
    x, y = centre
    image = blob(200, 200, x + 5, y - 4)
    roi = np.array([x - 32, y - 32, x + 32, y + 31])
    square = preprocess.roi_square(roi, image.shape)
    patch = preprocess.cut_patch(image, square, 128)
    window = np.array([square.x - 32, square.y - 32, square.x + 32, square.y + 32])
    expected = affine.box_to_box(window, np.array([0.0, 0, 128, 128]))
    # the half pixel by which the client is off
    visible = affine.move_points(expected, np.array([[x + 5 - 0.5, y - 4 - 0.5]]))[0]
    assert np.abs(centre_of(patch) - visible).max() < 0.1


@pytest.mark.parametrize(
    ("rect", "expected"),
    [
        ((10, 20, 30, 40), (25, 40, 40)),
        ((10.5, 11.5, 20.5, 21.5), (20, 23, 22)),  # halves to even: 10, 12, 20, 22
        ((9.5, 0.5, 3.5, 2.5), (12, 1, 4)),  # 10, 0, 4, 2
        ((10.49, 20, 30.49, 9), (25, 24.5, 30)),
        ((-400, 10, 20, 20), (0, 20, 20)),  # the centre comes into the frame
        ((10, 900, 20, 20), (20, 480, 20)),
        ((10, 10, 0.5, 0.4), (10, 10, 0)),  # nothing is left: the client ends here
    ],
)
def test_windows_are_rounded_as_the_client_rounds_them(rect, expected):
    assert preprocess.client_square(np.array(rect, np.float32), (480, 640)) == expected


@given(pixels, pixels, st.floats(1, 600, width=32), st.floats(1, 600, width=32), st.integers(-50, 50))
def test_a_window_that_moves_by_whole_pixels_moves_the_square_by_as_many(x, y, width, height, step):
    shape = (4000, 4000)
    rect = np.array([x + 1000, y + 1000, width, height]).round(3)
    tie = np.any(np.abs(rect - np.floor(rect) - 0.5) < 0.01)  # whether a half goes up depends on what stands before it
    here, there = (preprocess.client_square(rect + [step, step, 0, 0], shape) for step in (0, step))
    assert there.side == here.side
    assert tie or (there.x - here.x, there.y - here.y) == (step, step)


@given(pixels, pixels, st.floats(0, 600, width=32), st.floats(0, 600, width=32))
def test_the_centre_is_in_the_frame_and_the_side_a_whole_number(x, y, width, height):
    square = preprocess.client_square(np.array([x, y, width, height]), (480, 640))
    assert 0 <= square.x <= 640 and 0 <= square.y <= 480
    assert isinstance(square.side, int) and abs(square.side - max(width, height)) <= 0.5


def test_steps_of_less_than_half_a_pixel_show_the_same_patch(rng):
    image = rng.integers(0, 255, (200, 200)).astype(np.uint8)
    squares = {preprocess.roi_square(np.array([40, 50, 140, 150]) + move, image.shape) for move in (-0.4, 0, 0.25, 0.4)}
    assert len(squares) == 1


def test_a_patch_goes_on_beyond_the_edge():
    image = np.full((50, 50), 200, np.uint8)
    square = preprocess.roi_square(np.array([-40, -40, 20, 20]), image.shape)
    assert (preprocess.cut_patch(image, square, SIZE) == 200).all()


def test_pose_input_brightens_dark_patches_only(rng):
    patch = rng.integers(0, 60, (41, 41)).astype(np.uint8)
    brightened = preprocess.pose_input(patch)
    assert np.quantile(brightened, 0.9) == pytest.approx(0.45 - 0.5, abs=1e-6)
    bright = rng.integers(150, 255, (40, 40)).astype(np.uint8)
    assert np.allclose(preprocess.pose_input(bright), bright / 255 - 0.5, atol=1e-6)
    assert np.isfinite(preprocess.pose_input(np.zeros((9, 9), np.uint8))).all()


@pytest.mark.parametrize(
    ("size", "kept", "corner"),
    [
        ((480, 640), (480, 640), (0, 0)),
        ((720, 1280), (720, 960), (160, 0)),
        ((1000, 500), (368, 496), (2, 315)),  # 375 x 500, then multiples of 8
        ((100, 100), (72, 96), (2, 13)),
    ],
)
def test_frames_are_cropped_to_four_by_three_in_multiples_of_eight(size, kept, corner, rng):
    frame = rng.integers(0, 255, (*size, 3)).astype(np.uint8)
    cropped, (left, top) = preprocess.crop_frame(frame)
    assert cropped.shape == (*kept, 3) and (left, top) == corner
    assert np.array_equal(cropped, frame[top : top + kept[0], left : left + kept[1]])


def test_a_frame_of_which_nothing_is_left_is_an_error():
    with pytest.raises(ValueError, match="a frame of 640 x 5 px is too small"):
        preprocess.crop_frame(np.zeros((5, 640), np.uint8))


@pytest.mark.parametrize(("width", "widths"), [(632, [632]), (640, [640, 320]), (5120, [5120, 2560, 1280, 640])])
def test_wide_frames_are_halved_in_colour(width, widths, rng):
    frame = rng.integers(0, 255, (width * 3 // 4, width, 3)).astype(np.uint8)
    levels = preprocess.pyramid(frame)
    assert [level.shape[1] for level in levels] == widths and all(level.ndim == 2 for level in levels)
    assert np.array_equal(levels[0], cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY))
    for i, level in enumerate(levels[1:2]):
        assert np.array_equal(level, cv2.cvtColor(cv2.pyrDown(frame), cv2.COLOR_BGR2GRAY)), i
