import numpy as np
import pytest

from nntrack.reporting import overlay
from nntrack.reporting.overlay import AXES, PREDICTED, TRUTH, Canvas
from tests import faces

BOX = np.array([40.0, 50, 120, 150])


def changed(before, after):
    """Pixel centres (n, 2) at which two pictures differ."""
    rows, columns = np.nonzero((before != after).any(axis=2))
    return np.column_stack([columns, rows]) + 0.5


def distance_to_box(points, box):
    low, high = box[:2] - points, points - box[2:]
    outside = np.linalg.norm(np.maximum(np.maximum(low, high), 0), axis=1)
    inside = np.minimum(-np.maximum(low, high).max(axis=1), 1e9)
    return np.where(outside > 0, outside, inside)


def test_a_box_changes_only_pixels_near_it(rng):
    canvas = Canvas(rng.integers(0, 255, (200, 180)).astype(np.uint8))
    before = canvas.pixels.copy()
    overlay.draw_box(canvas, BOX)
    near = distance_to_box(changed(before, canvas.pixels), BOX)
    assert len(near) and near.max() < 3.5


def test_the_image_itself_is_left_alone(rng):
    for shape in ((60, 50), (60, 50, 3)):
        image = rng.integers(0, 255, shape).astype(np.uint8)
        before = image.copy()
        overlay.draw_labels(image, {"bbox": np.array([5.0, 5, 40, 40])})
        assert np.array_equal(image, before)


def test_a_line_has_its_colour_its_width_and_lies_where_it_is_said_to():
    canvas = Canvas(np.zeros((40, 60), np.uint8))
    canvas.lines([np.array([[10.0, 20.25], [50, 20.25]])], (0, 0, 255), 2.0, rim=0)
    column = canvas.pixels[:, 30, 2] / 255
    assert column.sum() == pytest.approx(2, abs=0.5)  # its edge is soft
    assert (column * (np.arange(40) + 0.5)).sum() / column.sum() == pytest.approx(20.25, abs=0.1)
    assert canvas.pixels[..., :2].max() == 0


def test_strength_mixes_colours():
    canvas = Canvas(np.full((20, 20), 100, np.uint8))
    canvas.lines([np.array([[0.0, 10], [20, 10]])], (200, 200, 200), 6.0, strength=0.5, rim=0)
    assert np.abs(canvas.pixels[10, 10].astype(int) - 150).max() <= 1


def test_what_lies_outside_does_no_harm():
    canvas = Canvas(np.zeros((30, 30), np.uint8))
    canvas.lines([np.array([[-50.0, -9], [-20, -5]])], TRUTH)
    assert canvas.pixels.max() == 0
    canvas.lines([np.array([[-1e12, 15.0], [1e12, 15]])], TRUTH)
    canvas.lines([], TRUTH)
    assert canvas.pixels[15, 15].max() > 100


def test_axes_point_where_the_head_is_turned():
    pos_size = np.array([50.0, 50, 40])
    canvas = Canvas(np.zeros((100, 100), np.uint8))
    overlay.draw_axes(canvas, np.array([0, 0, 0, 1.0]), pos_size)
    assert np.abs(canvas.pixels[50, 70].astype(int) - AXES[0]).max() < 5  # to the right
    assert np.abs(canvas.pixels[70, 50].astype(int) - AXES[1]).max() < 5  # down
    turned = Canvas(np.zeros((100, 100), np.uint8))
    # a yaw to the right of the image: the nose points there
    overlay.draw_axes(turned, np.array([0, -np.sqrt(0.5), 0, np.sqrt(0.5)]), pos_size)
    assert np.abs(turned.pixels[50, 70].astype(int) - AXES[2]).max() < 5


def test_landmarks_are_drawn_near_themselves_and_the_right_eye_apart(rng):
    labels = faces.labels(rng)
    before = Canvas(np.full((192, 192), 90, np.uint8))
    canvas = Canvas(np.full((192, 192), 90, np.uint8))
    canvas.dots(labels["landmarks"], TRUTH)
    places = changed(before.pixels, canvas.pixels)
    nearest = np.linalg.norm(places[:, None] - labels["landmarks"][:, :2], axis=-1).min(axis=1)
    assert nearest.max() < 4
    overlay.draw_landmarks(canvas, labels["landmarks"], TRUTH, overlay.RIGHT_EYE)
    own = (np.abs(canvas.pixels.astype(int) - overlay.RIGHT_EYE).max(axis=2) < 40).nonzero()
    eye = labels["landmarks"][36:42, :2]
    assert (eye.min(axis=0) - 2 < np.min(own, axis=1)[::-1]).all()
    assert (np.max(own, axis=1)[::-1] < eye.max(axis=0) + 2).all()


def test_a_wire_head_is_drawn_about_its_place():
    before = np.zeros((200, 200, 3), np.uint8)
    canvas = Canvas(before)
    overlay.draw_wire_head(canvas, np.array([0, 0, 0, 1.0]), np.array([100.0, 90, 50]), PREDICTED)
    places = changed(before, canvas.pixels)
    assert np.abs((places.min(axis=0) + places.max(axis=0)) / 2 - [100, 90]).max() < 8
    assert 70 < np.ptp(places[:, 0]) < 100 and 100 < np.ptp(places[:, 1]) < 130


def test_a_pose_without_landmarks_is_shown_by_a_head(rng):
    image, labels = np.zeros((192, 192), np.uint8), faces.labels(rng)
    posed = {name: labels[name] for name in ("quat", "pos_size")}
    drawn = overlay.draw_labels(image, posed)
    assert (np.abs(drawn.astype(int) - TRUTH).max(axis=2) < 60).sum() > 100
    assert (drawn != overlay.draw_labels(image, {"quat": labels["quat"]})).any()


def test_labels_keep_their_place_in_a_view(rng):
    image = np.zeros((192, 192), np.uint8)
    image[60:70, 80:90] = 255
    labels = {"bbox": np.array([80.0, 60, 90, 70])}
    picture, [moved] = overlay.view(image, (60, 40, 120, 100), (300, 300), labels)
    rows, columns = np.nonzero(picture > 127)
    assert np.abs(moved["bbox"] - [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]).max() <= 1


def test_a_window_stays_in_the_picture_where_it_fits():
    assert np.array_equal(overlay.window_about([0, 0, 20, 20], (100, 200), 2), [0, 0, 40, 40])
    assert np.array_equal(overlay.window_about([80, 40, 100, 60], (100, 200), 2), [70, 30, 110, 70])
    assert np.array_equal(overlay.window_about([150, 0, 200, 90], (100, 200), 3), [100, 0, 200, 100])


def test_the_legend_names_what_is_drawn():
    assert overlay.legend(()) == []
    assert overlay.legend(("bbox", "quat")) == [("face box", TRUTH)]
    assert overlay.legend(("quat", "pos_size"))[0] == ("head", TRUTH)
    named = [text for text, _ in overlay.legend(("bbox", "landmarks", "roi", "quat", "pos_size"))]
    assert len(named) == 6 and named[0] == "landmarks, face box"
