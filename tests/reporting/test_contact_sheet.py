import cv2
import numpy as np
import pytest

from nntrack.reporting import contact_sheet
from nntrack.reporting.contact_sheet import Group, Tile, evenly
from nntrack.reporting.overlay import TRUTH
from tests import faces

COLOUR = (215, 230, 60)


def tiles(count, columns=4, height=50, caption=("a", "b")):
    width = contact_sheet.tile_width(columns)
    return [Tile(np.full((height, width, 3), 100 + number, np.uint8), caption) for number in range(count)]


def test_a_sheet_has_room_for_every_image():
    image = contact_sheet.sheet("title", [Group("heading", tiles(10))], 4, [("what", COLOUR)])
    assert image.shape[1] == contact_sheet.WIDTH and image.dtype == np.uint8
    for number in range(10):
        assert (image == 100 + number).all(axis=2).sum() >= 50 * contact_sheet.tile_width(4)
    longer = contact_sheet.sheet("title", [Group("heading", tiles(13))], 4, [("what", COLOUR)])
    row = 50 + 2 * round(1.4 * 14) + 10
    assert longer.shape == (image.shape[0] + row, contact_sheet.WIDTH, 3)


def test_a_group_without_images_says_so():
    full, empty = contact_sheet.sheet("t", [], 4), contact_sheet.sheet("t", [Group("", [])], 4)
    assert empty.shape[0] > full.shape[0]
    assert (empty[full.shape[0] - 14 :] > 100).any()


def test_the_legend_shows_every_colour_and_takes_the_lines_it_needs():
    colours = [(10 * i, 255 - 10 * i, 128) for i in range(12)]
    image = contact_sheet.sheet("t", [], 4, [("some words about it", colour) for colour in colours])
    assert all((image == colour).all(axis=2).any() for colour in colours)
    assert image.shape[0] > contact_sheet.sheet("t", [], 4, [("short", colours[0])]).shape[0]


def test_long_captions_stay_below_their_image():
    short, long = (contact_sheet.sheet("", [Group("", tiles(1, caption=(text,)))], 4) for text in ("a", "name " * 40))
    assert long.shape == short.shape
    assert np.array_equal(
        long[:, 14 + contact_sheet.tile_width(4) + 10 :], short[:, 14 + contact_sheet.tile_width(4) + 10 :]
    )


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".JPG"])
def test_the_same_pixels_give_the_same_bytes(tmp_path, suffix, rng):
    image = rng.integers(0, 255, (40, 60, 3)).astype(np.uint8)
    for name in "ab":
        contact_sheet.write(tmp_path / f"{name}{suffix}", image)
    assert (tmp_path / f"a{suffix}").read_bytes() == (tmp_path / f"b{suffix}").read_bytes()
    assert cv2.imread(str(tmp_path / f"a{suffix}")).shape == image.shape


def test_thin_coloured_lines_survive_jpeg(tmp_path):
    image = np.full((40, 60, 3), 128, np.uint8)
    image[:, 30] = COLOUR
    contact_sheet.write(tmp_path / "a.jpg", image)
    assert np.abs(cv2.imread(str(tmp_path / "a.jpg"))[20, 30].astype(int) - COLOUR).max() < 30


def test_an_unknown_kind_of_image_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"no image is written as '.tiff'; known: .jpg, .png"):
        contact_sheet.write(tmp_path / "a.tiff", np.zeros((4, 4, 3), np.uint8))


def test_a_sheet_shows_samples_with_and_without_labels(rng):
    face, bare = next(faces.samples(rng, 1)), next(faces.crops(rng, 1))
    both = contact_sheet.sample_sheet("title", [(0, face), (1, bare)])
    plain = contact_sheet.sample_sheet("title", [(1, bare)])
    assert both.shape[1] == plain.shape[1] == contact_sheet.WIDTH
    # turquoise are the landmarks of the one, and their colour in the legend
    assert [(np.abs(s.astype(int) - TRUTH).max(axis=2) < 20).any() for s in (both, plain)] == [True, False]


def test_rows_are_evenly_spaced():
    assert evenly(range(10), 4) == [0, 3, 6, 9]
    assert evenly(range(3), 4) == [0, 1, 2]
    assert evenly([], 4) == []
