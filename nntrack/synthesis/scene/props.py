"""Objects and body parts without a face: limbs, hands, torsos, balls, boxes, text, shaded and patterned as people are.

Without them a network trained on rendered images takes whatever is shaded, folded or patterned for a face. Images are
(H, W) float32, 0 black to 1 white; masks 0..1.
"""

from collections.abc import Callable
from itertools import pairwise

import cv2
import numpy as np

from nntrack.synthesis.textures import material, random_text

Shape = Callable[[np.random.Generator, np.ndarray, np.ndarray, float], None]  # (rng, mask to fill, centre px, reach px)


def _ellipse(rng: np.random.Generator, mask: np.ndarray, centre: np.ndarray, reach: float) -> None:
    box = (tuple(centre.tolist()), (2 * reach, 2 * reach * rng.uniform(0.3, 1)), rng.uniform(0, 180))
    cv2.ellipse(mask, box, 1.0, -1, cv2.LINE_AA)


def _polygon(rng: np.random.Generator, mask: np.ndarray, centre: np.ndarray, reach: float) -> None:
    turns = np.sort(rng.uniform(0, 2 * np.pi, rng.integers(3, 7)))
    _fill(mask, centre + reach * np.stack([np.cos(turns), np.sin(turns)], axis=1))


def _box(rng: np.random.Generator, mask: np.ndarray, centre: np.ndarray, reach: float) -> None:
    size = (2 * reach, 2 * reach * rng.uniform(0.2, 1))
    angle = rng.normal(0, 6) + rng.choice([0, 90]) if rng.random() < 0.7 else rng.uniform(0, 180)
    _fill(mask, cv2.boxPoints((tuple(centre.tolist()), size, float(angle))))


def _blob(rng: np.random.Generator, mask: np.ndarray, centre: np.ndarray, reach: float) -> None:
    turns = np.linspace(0, 2 * np.pi, 60, endpoint=False)
    radius = np.ones(60)
    for order in range(2, 7):
        radius += rng.normal(0, 0.35 / order) * np.cos(order * turns + rng.uniform(0, 6))
    around = np.stack([np.cos(turns), rng.uniform(0.4, 1) * np.sin(turns)], axis=1) * radius[:, None]
    angle = rng.uniform(0, np.pi)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    _fill(mask, centre + reach * around @ turn.T)


def _limb(rng: np.random.Generator, mask: np.ndarray, centre: np.ndarray, reach: float) -> None:
    """An arm or a leg: two tapering segments and a bend, often with a hand."""
    angle = rng.uniform(0, 2 * np.pi)
    thick = reach * rng.uniform(0.22, 0.45)
    joints = [centre]
    for bend in (0.0, rng.uniform(-2.2, 2.2)):
        angle += bend
        joints.append(joints[-1] + reach * 1.3 * np.array([np.cos(angle), np.sin(angle)]))
    for (a, b), width in zip(pairwise(joints), (thick, 0.75 * thick), strict=True):
        _taper(mask, a, b, width, 0.75 * width)
    if rng.random() < 0.6:
        _fingers(rng, mask, joints[-1], thick * 1.1, angle)


def _hand(rng: np.random.Generator, mask: np.ndarray, centre: np.ndarray, reach: float) -> None:
    _fingers(rng, mask, centre, reach * 0.9, rng.uniform(0, 2 * np.pi))


def _fingers(rng: np.random.Generator, mask: np.ndarray, root: np.ndarray, width: float, angle: float) -> None:
    """A palm ``width`` px wide at ``root`` with four fingers and a thumb about direction ``angle``."""
    _taper(mask, root, root + 0.7 * width * _unit(angle), width * 0.9, width)
    spread, curl = rng.uniform(0.0, 0.25), rng.uniform(0.3, 1.0)
    for i in range(4):
        start = root + 0.8 * width * _unit(angle) + width * (0.27 * i - 0.4) * _unit(angle + np.pi / 2)
        way = angle + spread * (i - 1.5)
        knee = start + 0.5 * width * _unit(way)
        _taper(mask, start, knee, 0.23 * width, 0.21 * width)
        _taper(mask, knee, knee + 0.5 * width * curl * _unit(way + rng.normal(0, 0.3)), 0.21 * width, 0.16 * width)
    side = rng.choice([-1, 1])
    start = root + 0.3 * side * width * _unit(angle + np.pi / 2)
    _taper(mask, start, start + 0.8 * width * _unit(angle + side * rng.uniform(0.3, 1.2)), 0.28 * width, 0.2 * width)


def _torso(rng: np.random.Generator, mask: np.ndarray, centre: np.ndarray, reach: float) -> None:
    """A body without a head: shoulders, waist, hips."""
    half = np.array([(0.2, -1.0), (0.75, -0.85), (0.95, -0.5), (0.75, 0.2), (0.65, 0.8), (0.8, 1.6), (0.85, 3.0)])
    half = half * (rng.uniform(0.7, 1.1), 1.0) * np.exp(rng.normal(0, 0.1, half.shape))
    outline = np.vstack([half, (half * (-1, 1))[::-1]])
    angle = rng.normal(0, 0.25)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    _fill(mask, centre + reach * outline @ turn.T)


def _ring(rng: np.random.Generator, mask: np.ndarray, centre: np.ndarray, reach: float) -> None:
    axes = (int(16 * reach), int(16 * reach * rng.uniform(0.4, 1)))
    at = tuple(int(16 * v) for v in centre)
    thick = max(1, int(reach * rng.uniform(0.05, 0.5)))
    cv2.ellipse(mask, at, axes, rng.uniform(0, 180), 0, 360, 1.0, thick, cv2.LINE_AA, 4)


SHAPES: dict[str, Shape] = {
    "ellipse": _ellipse,
    "polygon": _polygon,
    "box": _box,
    "blob": _blob,
    "limb": _limb,
    "hand": _hand,
    "torso": _torso,
    "ring": _ring,
    "text": random_text,
}


def add_props(rng: np.random.Generator, image: np.ndarray, count: int, clear: np.ndarray | None = None) -> np.ndarray:
    """The image, changed in place, with ``count`` random props that do not touch the boxes ``clear`` (k, 4) xyxy."""
    height, width = image.shape
    names = list(SHAPES)
    for _ in range(count):
        reach = float(np.exp(rng.uniform(np.log(0.02), np.log(0.25)))) * width
        mask = np.zeros(image.shape, np.float32)
        SHAPES[names[rng.integers(len(names))]](rng, mask, rng.uniform(0, 1, 2) * (width, height), reach)
        x, y, w, h = cv2.boundingRect((mask > 0).astype(np.uint8))
        touches = clear is not None and ((clear[:, :2] < (x + w, y + h)) & (clear[:, 2:] > (x, y))).all(axis=1).any()
        if min(w, h) < 4 or touches:
            continue
        window = (slice(y, y + h), slice(x, x + w))
        image[window] = _with_solid(rng, image[window], mask[window], reach)
    return image


def _with_solid(rng: np.random.Generator, image: np.ndarray, mask: np.ndarray, reach: float) -> np.ndarray:
    """The image with a lit body of outline ``mask`` over it, rounded toward its edges, of some material."""
    surface = material(rng, mask.shape, max(3.0, reach * rng.uniform(0.1, 1.0))) if rng.random() < 0.8 else 1.0
    brightness = rng.uniform(0.03, 0.95) * surface
    if rng.random() < 0.75:
        brightness = brightness * _rounding(rng, mask)
    soft = cv2.GaussianBlur(mask, (0, 0), np.exp(rng.uniform(-1, 1)))
    return (image * (1 - soft) + np.clip(brightness, 0, 1.1) * soft).astype(np.float32)


def _rounding(rng: np.random.Generator, mask: np.ndarray) -> np.ndarray:
    """Shading (H, W), about 1, of a body that bulges inside its outline."""
    inside = cv2.distanceTransform((np.pad(mask, 1) > 0.5).astype(np.uint8), cv2.DIST_L2, 3)[1:-1, 1:-1]
    deep = max(1.0, float(inside.max()) * rng.uniform(0.4, 1.0))
    depth = np.minimum(inside / deep, 1)
    height = cv2.GaussianBlur(deep * np.sqrt(np.maximum(1 - (1 - depth) ** 2, 0)), (0, 0), 0.08 * deep + 0.6)
    slope_y, slope_x = np.gradient(height)
    length = np.sqrt(slope_x**2 + slope_y**2 + 1)
    turn, level = rng.uniform(0, 2 * np.pi), rng.uniform(0.2, 0.9)
    flat = np.sqrt(1 - level**2)
    lit = np.maximum(0, (-flat * np.cos(turn) * slope_x - flat * np.sin(turn) * slope_y + level) / length)
    ambient = rng.uniform(0.15, 0.8)
    return (ambient + (1.4 - ambient) * lit + rng.uniform(0, 0.5) * lit**12).astype(np.float32)


def _fill(mask: np.ndarray, outline: np.ndarray) -> None:
    cv2.fillPoly(mask, [np.round(outline * 16).astype(np.int32)], 1.0, cv2.LINE_AA, 4)


def _taper(mask: np.ndarray, start: np.ndarray, end: np.ndarray, first: float, last: float) -> None:
    """A segment with round ends, ``first`` px wide at its start and ``last`` at its end."""
    across = end - start
    across = np.array([-across[1], across[0]]) / max(1e-6, float(np.hypot(*across)))
    sides = [start + across * first / 2, end + across * last / 2, end - across * last / 2, start - across * first / 2]
    _fill(mask, np.stack(sides))
    for at, width in ((start, first), (end, last)):
        cv2.circle(mask, tuple(int(16 * v) for v in at), max(1, int(8 * width)), 1.0, -1, cv2.LINE_AA, 4)


def _unit(angle: float) -> np.ndarray:
    return np.array([np.cos(angle), np.sin(angle)])
