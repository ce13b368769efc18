"""Drawing labels on images: landmarks, boxes, head axes and a wireframe of the head.

Colours are BGR and mean the same everywhere: ground truth is turquoise, a prediction is orange.
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
RIGHT_EYE: Colour = (190, 100, 255)  # the subject's, so that a mirrored face is noticed
WINDOW: Colour = (190, 190, 190)
AXES: tuple[Colour, Colour, Colour] = ((70, 70, 255), (60, 200, 60), (255, 130, 50))  # right, down, out of the face

AXES_LEGEND = tuple(zip(("axes: to the right", "down", "out of the face"), AXES, strict=True))

_HEAD = {"quat", "pos_size"}  # labels that define a pose
_SUPERSAMPLING = 4  # lines are drawn this many times larger, then averaged
_FURTHEST = 1e5  # px, to which coordinates are clipped
_SHADOW = 0.45  # opacity of the dark rim that sets a line off from the background
_AXIS_LENGTH = 0.75  # head radii


class Canvas:
    """A copy of an image to draw on. pixels: (H, W, 3) uint8 BGR.

    image: (H, W) or (H, W, 3) uint8. Coordinates are px, (0, 0) the corner of the first pixel.
    """

    def __init__(self, image: np.ndarray) -> None:
        self.pixels = cv2.cvtColor(image, cv2.COLOR_GRAY2BGR) if image.ndim == 2 else image.copy()

    def lines(
        self, strokes: Iterable[np.ndarray], colour: Colour, width: float = 1.3, strength: float = 1.0, rim: float = 2.0
    ) -> None:
        """Draw open lines through points (n, 2), as one shape.

        Args:
            strokes: of each line its points (n, 2 or more), px.
            colour: BGR.
            width: px.
            strength: opacity, 0..1.
            rim: by how many px a dark line behind each is wider; 0 for none.
        """
        strokes = [np.asarray(stroke, np.float64)[:, :2] for stroke in strokes]
        if rim and strokes:
            self._mix(strokes, (0, 0, 0), width + rim, _SHADOW * strength)
        if strokes:
            self._mix(strokes, colour, width, strength)

    def dots(self, points: np.ndarray, colour: Colour, diameter: float = 2.5) -> None:
        """Draw a dot at each of the points (n, 2)."""
        self.lines([np.repeat(point[None, :2], 2, axis=0) for point in np.asarray(points)], colour, diameter, rim=1.2)

    def _mix(self, strokes: Sequence[np.ndarray], colour: Colour, width: float, strength: float) -> None:
        rows, columns = self.pixels.shape[:2]
        points = np.clip(np.concatenate(strokes), -_FURTHEST, _FURTHEST)
        low = np.maximum(np.floor(points.min(axis=0) - width - 1), 0).astype(int)
        high = np.minimum(np.ceil(points.max(axis=0) + width + 1), (columns, rows)).astype(int)
        if (high <= low).any():
            return
        mask = np.zeros(((high - low) * _SUPERSAMPLING)[::-1], np.uint8)
        for stroke in strokes:
            # corner-based coordinates to OpenCV's pixel centres, in sixteenths of a pixel
            fine = (np.clip(stroke, -_FURTHEST, _FURTHEST) - low) * _SUPERSAMPLING - 0.5
            fixed = np.round(fine * 16).astype(np.int32)
            cv2.polylines(mask, [fixed], False, 255, max(1, round(width * _SUPERSAMPLING)), cv2.LINE_AA, shift=4)
        alpha = cv2.resize(mask, (high - low).tolist(), interpolation=cv2.INTER_AREA)[..., None] * (strength / 255)
        part = self.pixels[low[1] : high[1], low[0] : high[0]]
        part[:] = np.round(part + alpha * (np.array(colour) - part.astype(np.float64))).astype(np.uint8)


def draw_box(canvas: Canvas, box: Any, colour: Colour = TRUTH, width: float = 1.3) -> None:
    """Draw a box xyxy (4,)."""
    x0, y0, x1, y1 = (float(v) for v in box)
    canvas.lines([np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1], [x0, y0]])], colour, width)


def draw_landmarks(canvas: Canvas, points: np.ndarray, colour: Colour = TRUTH, right_eye: Colour | None = None) -> None:
    """Draw landmarks (68, 2 or 3) as the strokes of a face; the subject's right eye in ``right_eye``, if given."""
    strokes = {stroke: points[[*stroke, *stroke[:closes]]] for stroke, closes in landmarks.STROKES}
    eye = strokes.pop(landmarks.RIGHT_EYE)
    canvas.lines(strokes.values(), colour, 1.1)
    canvas.lines([eye], right_eye or colour, 1.1)


def draw_axes(
    canvas: Canvas, quat: np.ndarray, pos_size: np.ndarray, width: float = 2.2, colours: Sequence[Colour] = AXES
) -> None:
    """Draw the head's axes from between the eyes: to its left (red, right in the image), down (green), forward (blue).

    The one that points most towards the viewer is drawn last.

    Args:
        canvas: to draw on.
        quat: (4,) xyzw.
        pos_size: (3,) px.
        width: of a line, px.
        colours: of the three axes.
    """
    axes = quat_apply(np.asarray(quat, np.float64), np.diag([1.0, 1.0, -1.0]))
    start, radius = np.asarray(pos_size, np.float64)[:2], float(pos_size[2])
    for i in np.argsort(-axes[:, 2], kind="stable"):
        canvas.lines([np.array([start, start + _AXIS_LENGTH * radius * axes[i, :2]])], colours[i], width)


def draw_wire_head(canvas: Canvas, quat: np.ndarray, pos_size: np.ndarray, colour: Colour = PREDICTED) -> None:
    """Draw the wireframe of a head with this pose; the far side is faint."""
    wires = wireframe.pose(quat, pos_size)
    canvas.lines([run for w in wires for run in _runs(w.points, ~w.visible)], colour, 0.8, 0.16, rim=0)
    canvas.lines([run for w in wires if not w.face for run in _runs(w.points, w.visible)], colour, 0.8, 0.7, rim=1.2)
    canvas.lines([run for w in wires if w.face for run in _runs(w.points, w.visible)], colour, 1.1, 0.95)


def draw_labels(image: np.ndarray, labels: Mapping[str, Any]) -> np.ndarray:
    """Return the image in BGR with all those labels of `sample.FIELDS` that can be drawn.

    A pose without landmarks is drawn as a wireframe.
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
    """Return what the colours of `draw_labels` mean, for labels with these names."""
    true = {"landmarks": "landmarks", "bbox": "face box"}
    texts = [text for name, text in true.items() if name in names]
    texts += ["head"] if set(names) >= _HEAD and "landmarks" not in names else []
    entries = [(", ".join(texts), TRUTH)]
    entries += [("subject's right eye", RIGHT_EYE)] if "landmarks" in names else []
    entries += [("net's window", WINDOW)] if "roi" in names else []
    entries += AXES_LEGEND if set(names) >= _HEAD else []
    return [entry for entry in entries if entry[0]]


def view(
    image: np.ndarray, window: Any, size: tuple[int, int], *sets: Mapping[str, Any]
) -> tuple[np.ndarray, list[dict[str, Any]]]:
    """Return a part of an image resampled to (height, width) ``size``, and sets of labels in its coordinates.

    Args:
        image: (H, W) or (H, W, 3) uint8.
        window: the part, xyxy px; of the aspect ratio of ``size``, since rotations mean nothing after a stretch.
        size: (height, width) px.
        sets: labels in px of ``image``.
    """
    matrix = to_size(window, size)
    arrays = [{name: np.asarray(value, np.float64) for name, value in labels.items()} for labels in sets]
    return images.warp(image, matrix, size), [move_labels(matrix, labels) for labels in arrays]


def to_size(window: Any, size: tuple[int, int]) -> np.ndarray:
    """Return the affine map (2, 3) of a window xyxy onto an image of (height, width) px."""
    return affine.box_to_box(np.asarray(window, np.float64), np.array([0.0, 0.0, size[1], size[0]]))


def window_about(box: Any, image_size: tuple[int, int], scale: float) -> np.ndarray:
    """Return the square xyxy about a box, its side ``scale`` times the longer one, moved into the image if it fits."""
    height, width = image_size
    x0, y0, x1, y1 = (float(v) for v in boxes.square_around(np.asarray(box, np.float64), scale))
    side = min(x1 - x0, width, height)
    x0, y0 = (np.clip((a + b - side) / 2, 0, limit - side) for a, b, limit in ((x0, x1, width), (y0, y1, height)))
    return np.array([x0, y0, x0 + side, y0 + side])


def _runs(points: np.ndarray, chosen: np.ndarray) -> list[np.ndarray]:
    """Return the parts of a line (n, 2) whose points are ``chosen`` (n,), each with the point that follows."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], chosen[:-1], [False]]).astype(int)))
    return [points[start : end + 1] for start, end in edges.reshape(-1, 2)]
