"""Things that are no faces and look lit and worn as faces are: clothes, hands, limbs, fur, balls, boxes, letters.

Without them whatever is shaded, folded or patterned is a face to a net that learned from drawn pictures. Pictures are
(H, W) float32, 0 black to 1 white; masks 0..1.
"""

from collections.abc import Callable
from itertools import pairwise

import cv2
import numpy as np

from nntrack.synthesis.scene.background import noise

Shape = Callable[[np.random.Generator, np.ndarray, np.ndarray, float], None]  # (rng, mask to fill, centre px, reach px)
_COARSE = 16.0  # px
_LETTERS = np.array(list("ABCDEFGHIKLMNOPRSTUVWXYZabcdefghiklmnoprstuvw0123456789&!?-"))


def stuff(rng: np.random.Generator, size: tuple[int, int], scale: float) -> np.ndarray:
    """A lit material (H, W) of mean about 1: folds, bumps or fibres, often with a print. scale: px of its features."""
    if scale > _COARSE and min(size) > 64:  # half the resolution shows it as well, in a quarter of the time
        half = stuff(rng, (size[0] // 2, size[1] // 2), scale / 2)
        return cv2.resize(half, size[::-1], interpolation=cv2.INTER_LINEAR)
    height, width = size
    y, x = np.mgrid[:height, :width].astype(np.float32)
    bend = scale * rng.uniform(0, 1.5)
    cells = (max(2, round(height / scale / 3)), max(2, round(width / scale / 3)))
    x, y = x + bend * noise(rng, size, cells), y + bend * noise(rng, size, cells)
    relief = RELIEFS[str(rng.choice(list(RELIEFS)))](rng, x / scale, y / scale)
    slope_y, slope_x = np.gradient(relief * scale)
    turn = rng.uniform(0, 2 * np.pi)
    shade = 1 + rng.uniform(0.1, 0.9) * (np.cos(turn) * slope_x + np.sin(turn) * slope_y)
    if rng.random() < 0.5:
        shade = shade * _print(rng, x / scale, y / scale)
    return np.clip(shade, 0.1, 2.5).astype(np.float32)


def _folds(rng: np.random.Generator, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    total = np.zeros_like(x)
    turn = rng.uniform(0, np.pi)
    for _ in range(rng.integers(1, 4)):
        along = turn + rng.normal(0, 0.5)
        phase = (x * np.cos(along) + y * np.sin(along)) * rng.uniform(0.5, 2.5) + rng.uniform(0, 6)
        total += np.abs(np.sin(phase)) ** rng.uniform(0.6, 2.5) * rng.uniform(0.2, 0.6)
    return total


def _bumps(rng: np.random.Generator, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    total = np.zeros_like(x)
    falling = rng.uniform(0.3, 0.8)
    for octave in range(4):
        cells = tuple(max(2, round(float(np.ptp(a)) * 2**octave / 2)) for a in (y, x))
        total += 0.5 * falling**octave / 2**octave * noise(rng, x.shape, cells) * 2
    return total


def _fibres(rng: np.random.Generator, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Hair, fur, straw, grass: streaks along a bent direction."""
    turn = rng.uniform(0, np.pi)
    along, across = x * np.cos(turn) + y * np.sin(turn), y * np.cos(turn) - x * np.sin(turn)
    grain = cv2.GaussianBlur(rng.standard_normal((256, 256), np.float32), (0, 0), sigmaX=4, sigmaY=0.7) * 3
    return rng.uniform(0.05, 0.3) * _tiled(grain, along * 12, across * 24)


def _weave(rng: np.random.Generator, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    pitch = rng.uniform(6, 25)
    return rng.uniform(0.5, 2.0) / pitch * (np.sin(pitch * x) + np.sin(pitch * y + rng.uniform(0, 6))) / 2


RELIEFS = {"folds": _folds, "bumps": _bumps, "fibres": _fibres, "weave": _weave}


def _tiled(grain: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    u, v = (np.mod(a, 256).astype(np.float32) for a in (x, y))
    return cv2.remap(grain, u, v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)


def _print(rng: np.random.Generator, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """A pattern on cloth or paper: stripes, checks, dots, patches; brightness about 1."""
    low = rng.uniform(0.15, 0.9)
    turn, pitch = rng.uniform(0, np.pi), np.exp(rng.uniform(np.log(1), np.log(15)))
    u, v = (x * np.cos(turn) + y * np.sin(turn)) * pitch, (y * np.cos(turn) - x * np.sin(turn)) * pitch
    kind, width = rng.integers(4), rng.uniform(-0.5, 0.8)
    if kind == 0:
        chosen = np.sin(u) > width
    elif kind == 1:
        chosen = (np.sin(u) > width) ^ (np.sin(v * rng.uniform(0.5, 1.5)) > width)
    elif kind == 2:
        chosen = np.sin(u) + np.sin(v) > 1.6 * width
    else:
        patches = cv2.GaussianBlur(rng.standard_normal((256, 256), np.float32), (0, 0), 6)
        chosen = _tiled(patches / patches.std(), u * 6, v * 6) > width
    return np.where(chosen, np.float32(low), np.float32(1.0))


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
    """An arm or a leg: two thinning lengths and a bend, with a hand as often as not."""
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


def write(rng: np.random.Generator, mask: np.ndarray, centre: np.ndarray, reach: float) -> None:
    """Lines of letters, from ``reach`` px left of the centre."""
    scale = reach / rng.uniform(15, 60)
    font = int(rng.choice([cv2.FONT_HERSHEY_SIMPLEX, cv2.FONT_HERSHEY_TRIPLEX, cv2.FONT_HERSHEY_SCRIPT_SIMPLEX]))
    thick = max(1, int(scale * rng.uniform(1, 7)))
    written = np.zeros(mask.shape, np.uint8)  # the only depth letters are drawn in
    for line in range(rng.integers(1, 5)):
        words = "".join(rng.choice(_LETTERS, rng.integers(2, 14)))
        at = (int(centre[0] - reach), int(centre[1] + 34 * scale * line))
        cv2.putText(written, words, at, font, scale, 255, thick, cv2.LINE_AA)
    mask[:] = written / np.float32(255)


SHAPES: dict[str, Shape] = {
    "ellipse": _ellipse,
    "polygon": _polygon,
    "box": _box,
    "blob": _blob,
    "limb": _limb,
    "hand": _hand,
    "torso": _torso,
    "ring": _ring,
    "text": write,
}


def place(rng: np.random.Generator, ground: np.ndarray, count: int, clear: np.ndarray | None = None) -> np.ndarray:
    """``count`` random things in front of a picture; none touches the boxes ``clear`` (k, 4) px, xyxy."""
    height, width = ground.shape
    names = list(SHAPES)
    for _ in range(count):
        reach = float(np.exp(rng.uniform(np.log(0.02), np.log(0.25)))) * width
        mask = np.zeros(ground.shape, np.float32)
        SHAPES[names[rng.integers(len(names))]](rng, mask, rng.uniform(0, 1, 2) * (width, height), reach)
        x, y, w, h = cv2.boundingRect((mask > 0).astype(np.uint8))
        touches = clear is not None and ((clear[:, :2] < (x + w, y + h)) & (clear[:, 2:] > (x, y))).all(axis=1).any()
        if min(w, h) < 4 or touches:
            continue
        window = (slice(y, y + h), slice(x, x + w))
        ground[window] = _solid(rng, ground[window], mask[window], reach)
    return ground


def _solid(rng: np.random.Generator, ground: np.ndarray, mask: np.ndarray, reach: float) -> np.ndarray:
    """A thing of outline ``mask`` over the ground: round toward its edges, lit, of some material."""
    material = stuff(rng, mask.shape, max(3.0, reach * rng.uniform(0.1, 1.0))) if rng.random() < 0.8 else 1.0
    brightness = rng.uniform(0.03, 0.95) * material
    if rng.random() < 0.75:
        brightness = brightness * _rounding(rng, mask)
    soft = cv2.GaussianBlur(mask, (0, 0), np.exp(rng.uniform(-1, 1)))
    return (ground * (1 - soft) + np.clip(brightness, 0, 1.1) * soft).astype(np.float32)


def _rounding(rng: np.random.Generator, mask: np.ndarray) -> np.ndarray:
    """Light on a body blown up from its outline, mean about 1."""
    inside = cv2.distanceTransform((np.pad(mask, 1) > 0.5).astype(np.uint8), cv2.DIST_L2, 3)[1:-1, 1:-1]
    deep = max(1.0, float(inside.max()) * rng.uniform(0.4, 1.0))
    share = np.minimum(inside / deep, 1)
    height = cv2.GaussianBlur(deep * np.sqrt(np.maximum(1 - (1 - share) ** 2, 0)), (0, 0), 0.08 * deep + 0.6)
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
    """A length with round ends, ``first`` px wide at its start and ``last`` at its end."""
    across = end - start
    across = np.array([-across[1], across[0]]) / max(1e-6, float(np.hypot(*across)))
    sides = [start + across * first / 2, end + across * last / 2, end - across * last / 2, start - across * first / 2]
    _fill(mask, np.stack(sides))
    for at, width in ((start, first), (end, last)):
        cv2.circle(mask, tuple(int(16 * v) for v in at), max(1, int(8 * width)), 1.0, -1, cv2.LINE_AA, 4)


def _unit(angle: float) -> np.ndarray:
    return np.array([np.cos(angle), np.sin(angle)])
