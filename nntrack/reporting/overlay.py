"""Labels drawn on pictures for people to look at: landmarks, boxes, head axes and a head of wire.

Colours are BGR and mean the same on every picture: what is true is turquoise, what a net says is orange.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import cv2
import numpy as np

from nntrack.data import images
from nntrack.data.sample import move_labels
from nntrack.geometry import affine, boxes, landmarks
from nntrack.geometry.rotations import quat_apply
from nntrack.reporting import wireframe

Colour = tuple[int, int, int]

TRUTH: Colour = (215, 230, 60)
PREDICTED: Colour = (30, 150, 255)
RIGHT_EYE: Colour = (190, 100, 255)  # the subject's, so that a mirrored face is seen at once
WINDOW: Colour = (190, 190, 190)
AXES: tuple[Colour, Colour, Colour] = ((70, 70, 255), (60, 200, 60), (255, 130, 50))  # right, down, out of the face

AXES_LEGEND = tuple(zip(("axes: to the right", "down", "out of the face"), AXES, strict=True))

_HEAD = {"quat", "pos_size"}  # labels that it takes to draw one
_FINE = 4  # lines are drawn so many times larger, then averaged
_FURTHEST = 1e5  # px: what lies beyond is drawn there
_SHADOW = 0.45  # how dark the rim is that sets a line off from what is behind it
_AXIS_LENGTH = 0.75  # head radii


class Canvas:
    """A picture to draw on, whose own it leaves untouched. pixels: (H, W, 3) uint8 BGR.

    image: (H, W) or (H, W, 3) uint8. Coordinates are corner-based.
    """

    def __init__(self, image: np.ndarray) -> None:
        self.pixels = cv2.cvtColor(image, cv2.COLOR_GRAY2BGR) if image.ndim == 2 else image.copy()

    def lines(
        self, strokes: Iterable[np.ndarray], colour: Colour, width: float = 1.3, strength: float = 1.0, rim: float = 2.0
    ) -> None:
        """Open lines through points (n, 2), as one shape.

        strength: 0..1, how much of the colour is mixed in. rim: px by which a dark line behind is wider; 0 for none.
        """
        strokes = [np.asarray(stroke, np.float64)[:, :2] for stroke in strokes]
        if rim and strokes:
            self._mix(strokes, (0, 0, 0), width + rim, _SHADOW * strength)
        if strokes:
            self._mix(strokes, colour, width, strength)

    def dots(self, points: np.ndarray, colour: Colour, diameter: float = 2.5) -> None:
        """A dot at each of the points (n, 2)."""
        self.lines([np.repeat(point[None, :2], 2, axis=0) for point in np.asarray(points)], colour, diameter, rim=1.2)

    def _mix(self, strokes: Sequence[np.ndarray], colour: Colour, width: float, strength: float) -> None:
        height, wide = self.pixels.shape[:2]
        every = np.clip(np.concatenate(strokes), -_FURTHEST, _FURTHEST)
        low = np.maximum(np.floor(every.min(axis=0) - width - 1), 0).astype(int)
        high = np.minimum(np.ceil(every.max(axis=0) + width + 1), (wide, height)).astype(int)
        if (high <= low).any():
            return
        mask = np.zeros(((high - low) * _FINE)[::-1], np.uint8)
        for stroke in strokes:
            # corner-based coordinates to OpenCV's pixel centres, in sixteenths of a pixel
            fine = (np.clip(stroke, -_FURTHEST, _FURTHEST) - low) * _FINE - 0.5
            fixed = np.round(fine * 16).astype(np.int32)
            cv2.polylines(mask, [fixed], False, 255, max(1, round(width * _FINE)), cv2.LINE_AA, shift=4)
        share = cv2.resize(mask, (high - low).tolist(), interpolation=cv2.INTER_AREA)[..., None] * (strength / 255)
        part = self.pixels[low[1] : high[1], low[0] : high[0]]
        part[:] = np.round(part + share * (np.array(colour) - part.astype(np.float64))).astype(np.uint8)


def draw_box(canvas: Canvas, box: Any, colour: Colour = TRUTH, width: float = 1.3) -> None:
    """A box xyxy (4,)."""
    x0, y0, x1, y1 = (float(v) for v in box)
    canvas.lines([np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1], [x0, y0]])], colour, width)


def draw_landmarks(canvas: Canvas, points: np.ndarray, colour: Colour = TRUTH, right_eye: Colour | None = None) -> None:
    """Landmarks (68, 2 or 3) as the strokes of a face; the subject's right eye in its own colour if one is given."""
    strokes = {stroke: points[[*stroke, *stroke[:closes]]] for stroke, closes in landmarks.STROKES}
    eye = strokes.pop(landmarks.RIGHT_EYE)
    canvas.lines(strokes.values(), colour, 1.1)
    canvas.lines([eye], right_eye or colour, 1.1)


def draw_axes(
    canvas: Canvas, quat: np.ndarray, pos_size: np.ndarray, width: float = 2.2, colours: Sequence[Colour] = AXES
) -> None:
    """The head's axes from between the eyes: to its left (red, right in the image), down (green), forward (blue).

    The one that points most toward the viewer is drawn last.
    """
    axes = quat_apply(np.asarray(quat, np.float64), np.diag([1.0, 1.0, -1.0]))
    start, radius = np.asarray(pos_size, np.float64)[:2], float(pos_size[2])
    for i in np.argsort(-axes[:, 2], kind="stable"):
        canvas.lines([np.array([start, start + _AXIS_LENGTH * radius * axes[i, :2]])], colours[i], width)


def draw_wire_head(canvas: Canvas, quat: np.ndarray, pos_size: np.ndarray, colour: Colour = PREDICTED) -> None:
    """The head of wire with this pose; what is on its far side is faint."""
    wires = wireframe.seen(quat, pos_size)
    canvas.lines([run for w in wires for run in _runs(w.points, ~w.visible)], colour, 0.8, 0.16, rim=0)
    canvas.lines([run for w in wires if not w.face for run in _runs(w.points, w.visible)], colour, 0.8, 0.7, rim=1.2)
    canvas.lines([run for w in wires if w.face for run in _runs(w.points, w.visible)], colour, 1.1, 0.95)


def draw_labels(image: np.ndarray, labels: Mapping[str, Any]) -> np.ndarray:
    """The picture in BGR with whatever labels of `sample.FIELDS` can be drawn on it.

    A pose without landmarks is shown by a head of wire.
    """
    canvas = Canvas(image)
    if "roi" in labels:
        draw_box(canvas, labels["roi"], WINDOW, 0.8)
    if "bbox" in labels:
        draw_box(canvas, labels["bbox"])
    if "landmarks" in labels:
        draw_landmarks(canvas, np.asarray(labels["landmarks"]), TRUTH, RIGHT_EYE)
    if set(labels) >= _HEAD:
        if "landmarks" not in labels:
            draw_wire_head(canvas, labels["quat"], labels["pos_size"], TRUTH)
        draw_axes(canvas, labels["quat"], labels["pos_size"])
    return canvas.pixels


def legend(names: Collection[str]) -> list[tuple[str, Colour]]:
    """What the colours of `draw_labels` mean, where labels of these names are drawn."""
    true = {"landmarks": "landmarks", "bbox": "face box"}
    texts = [text for name, text in true.items() if name in names]
    texts += ["head"] if set(names) >= _HEAD and "landmarks" not in names else []
    entries = [(", ".join(texts), TRUTH)]
    entries += [("subject's right eye", RIGHT_EYE)] if "landmarks" in names else []
    entries += [("net's window", WINDOW)] if "roi" in names else []
    entries += AXES_LEGEND if set(names) >= _HEAD else []
    return [entry for entry in entries if entry[0]]


def view(
    image: np.ndarray, window: Any, size: tuple[int, int], *sides: Mapping[str, Any]
) -> tuple[np.ndarray, list[dict[str, Any]]]:
    """What of an image lies in the ``window`` xyxy, (height, width) ``size`` px, and several sets of labels with it.

    The window shall have the shape of ``size``, for rotations have no meaning after a stretch.
    """
    matrix = to_size(window, size)
    moved = [{name: np.asarray(v, np.float64) for name, v in side.items()} for side in sides]
    return images.warp(image, matrix, size), [move_labels(matrix, side) for side in moved]


def to_size(window: Any, size: tuple[int, int]) -> np.ndarray:
    """The map (2, 3) that takes a window xyxy onto a picture of (height, width) px."""
    return affine.box_to_box(np.asarray(window, np.float64), np.array([0.0, 0.0, size[1], size[0]]))


def window_about(box: Any, image_size: tuple[int, int], scale: float) -> np.ndarray:
    """The square xyxy about a box, its side ``scale`` times the box's longer one, moved into the image if it fits."""
    height, width = image_size
    x0, y0, x1, y1 = (float(v) for v in boxes.square_around(np.asarray(box, np.float64), scale))
    side = min(x1 - x0, width, height)
    x0, y0 = (np.clip((a + b - side) / 2, 0, limit - side) for a, b, limit in ((x0, x1, width), (y0, y1, height)))
    return np.array([x0, y0, x0 + side, y0 + side])


def _runs(points: np.ndarray, chosen: np.ndarray) -> list[np.ndarray]:
    """The stretches of a line (n, 2) whose points are ``chosen`` (n,), each up to the next point beyond."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], chosen[:-1], [False]]).astype(int)))
    return [points[start : end + 1] for start, end in edges.reshape(-1, 2)]
