"""What is around and before a face in a picture: backgrounds, things that cover it, and what a camera does to it all.

Pictures here are (H, W) float32, 0 black to 1 white.
"""

from collections.abc import Callable

import cv2
import numpy as np

Painter = Callable[[np.random.Generator, np.ndarray], np.ndarray]


def noise(rng: np.random.Generator, size: tuple[int, int], cells: tuple[int, int], smooth: bool = True) -> np.ndarray:
    """Random values (H, W) of unit variance on a coarse grid of (rows, columns) cells, interpolated or in blocks."""
    grid = rng.standard_normal((max(1, cells[0]), max(1, cells[1])), np.float32)
    return cv2.resize(grid, size[::-1], interpolation=cv2.INTER_CUBIC if smooth else cv2.INTER_NEAREST)


def background(rng: np.random.Generator, size: tuple[int, int]) -> np.ndarray:
    """A place: walls, foliage, windows, shelves, people out of focus; sharp or blurred."""
    ground = _leaves(rng, size) if rng.random() < 0.5 else _gradient(rng, size)
    names = list(PAINTERS)
    for name in rng.choice(names, rng.integers(0, 4)):
        ground = PAINTERS[str(name)](rng, ground)
    if rng.random() < 0.45:
        ground = _blurred(ground, np.exp(rng.uniform(np.log(0.5), np.log(0.03 * size[1]))))
    low, high = np.sort(rng.uniform(-0.2, 1.2, 2))
    high = max(high, low + 0.3)
    spread = np.ptp(ground) + 1e-3
    return np.clip(low + (high - low) * (ground - ground.min()) / spread, 0, 1).astype(np.float32)


def _gradient(rng: np.random.Generator, size: tuple[int, int]) -> np.ndarray:
    corners = rng.uniform(0.1, 0.9) + rng.normal(0, 0.2, (2, 2))
    return cv2.resize(corners.astype(np.float32), size[::-1], interpolation=cv2.INTER_LINEAR)


def _leaves(rng: np.random.Generator, size: tuple[int, int]) -> np.ndarray:
    """Shapes of all sizes that hide one another, each with a tone, a slope and a texture of its own.

    The dead leaves model (Lee, Mumford, Huang 2001): its edges and patches have the statistics of natural scenes, which
    a few large shapes lack, and a net that never saw them takes real clutter for faces.
    """
    height, width = size
    count = int(np.exp(rng.uniform(np.log(30), np.log(400))))
    least = rng.uniform(0.008, 0.03) * width
    reach = np.minimum(least / np.sqrt(rng.random(count) + 1e-4), 0.4 * width)  # areas fall by a power law
    centres = rng.uniform(-0.1, 1.1, (count, 2)) * (width, height)
    # large ones first, as often as not: then no small one is hidden
    order = np.argsort(-reach) if rng.random() < 0.5 else np.arange(count)
    corners = rng.choice([3, 4, 5, 24], count, p=[0.15, 0.3, 0.15, 0.4])
    outlines = centres[:, None] + reach[:, None, None] * _outlines(rng, corners)
    owner = np.zeros(size, np.int32)
    for i in order:
        cv2.fillPoly(owner, [np.round(outlines[i, : corners[i]]).astype(np.int32)], int(i))
    tone, rough = rng.uniform(0, 1, count), rng.uniform(0, 0.3, count) ** 1.5
    slope = rng.normal(0, 0.15, (count, 2)) / reach[:, None]
    coarse, middle, fine = (noise(rng, size, (n, n * width // height), n < 100) for n in (12, 40, 120))
    kind = rng.integers(0, 3, count)[owner]
    kinds = np.where(kind == 0, coarse, np.where(kind == 1, middle, fine))
    x, y = np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)[:, None]
    at_origin = tone - (slope * centres).sum(axis=1)
    base, right, down, rough = (a.astype(np.float32)[owner] for a in (at_origin, *slope.T, rough))
    leaves = base + right * x + down * y + rough * kinds
    return np.clip(leaves, 0, 1)


def _outlines(rng: np.random.Generator, corners: np.ndarray) -> np.ndarray:
    """Points (n, most corners, 2) on ellipses of length 1, of which the first ``corners`` (n,) are a shape."""
    turns = 2 * np.pi * np.arange(corners.max()) / corners[:, None] + rng.uniform(0, 2 * np.pi, (len(corners), 1))
    x, y = np.cos(turns), rng.uniform(0.25, 1, (len(corners), 1)) * np.sin(turns)
    tilt = rng.uniform(0, np.pi, (len(corners), 1))
    return np.stack([np.cos(tilt) * x - np.sin(tilt) * y, np.sin(tilt) * x + np.cos(tilt) * y], axis=2)


def _clouds(rng: np.random.Generator, ground: np.ndarray) -> np.ndarray:
    """Noise of several sizes: foliage, stone, cloth."""
    size = ground.shape
    falling = rng.uniform(0.35, 0.9)
    out = ground.copy()
    for octave in range(1, 7):
        out += 0.25 * falling**octave * noise(rng, size, (2**octave, 2**octave), rng.random() < 0.8)
    return out


def _polygons(rng: np.random.Generator, ground: np.ndarray) -> np.ndarray:
    height, width = ground.shape
    for _ in range(rng.integers(2, 14)):
        centre, reach = rng.uniform(0, 1, 2) * (width, height), rng.uniform(0.03, 0.4) * width
        turns = np.sort(rng.uniform(0, 2 * np.pi, rng.integers(3, 7)))
        corners = centre + reach * np.stack([np.cos(turns), np.sin(turns)], axis=1)
        cv2.fillPoly(ground, [np.round(corners * 16).astype(np.int32)], float(rng.uniform(0, 1)), cv2.LINE_AA, 4)
    return ground


def _rectangles(rng: np.random.Generator, ground: np.ndarray) -> np.ndarray:
    """Windows, frames, shelves: upright boxes, often in rows."""
    height, width = ground.shape
    for _ in range(rng.integers(1, 6)):
        x, y = rng.uniform(-0.2, 1, 2) * (width, height)
        w, h = rng.uniform(0.04, 0.4, 2) * (width, height)
        value, edge, count = rng.uniform(0, 1), rng.uniform(0, 1), rng.integers(1, 6)
        step = (w * rng.uniform(1.02, 1.5), 0) if rng.random() < 0.5 else (0, h * rng.uniform(1.02, 1.5))
        for i in range(count):
            a = (int(x + i * step[0]), int(y + i * step[1]))
            b = (int(a[0] + w), int(a[1] + h))
            cv2.rectangle(ground, a, b, float(value), -1)
            cv2.rectangle(ground, a, b, float(edge), int(rng.integers(1, 6)))
    return ground


def _lines(rng: np.random.Generator, ground: np.ndarray) -> np.ndarray:
    height, width = ground.shape
    for _ in range(rng.integers(2, 16)):
        a, b = (tuple(int(v) for v in rng.uniform(-0.2, 1.2, 2) * (width, height)) for _ in range(2))
        cv2.line(ground, a, b, float(rng.uniform(0, 1)), int(rng.integers(1, 12)), cv2.LINE_AA)
    return ground


def _stripes(rng: np.random.Generator, ground: np.ndarray) -> np.ndarray:
    """Blinds, boards, bricks: a wave across the picture."""
    height, width = ground.shape
    turn, period = rng.uniform(0, np.pi), rng.uniform(0.02, 0.25) * width
    x, y = np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)[:, None]
    wave = np.sin((x * np.cos(turn) + y * np.sin(turn)) * (2 * np.pi / period))
    return ground + rng.uniform(0.05, 0.3) * (np.sign(wave) if rng.random() < 0.5 else wave).astype(np.float32)


def _lights(rng: np.random.Generator, ground: np.ndarray) -> np.ndarray:
    """Discs of lamps out of focus."""
    height, width = ground.shape
    for _ in range(rng.integers(2, 20)):
        place = tuple(int(v) for v in rng.uniform(0, 1, 2) * (width, height))
        cv2.circle(ground, place, int(rng.uniform(0.005, 0.06) * width), float(rng.uniform(0.6, 1.3)), -1, cv2.LINE_AA)
    return ground


def _figures(rng: np.random.Generator, ground: np.ndarray) -> np.ndarray:
    """People far away or from behind: a head without a face on shoulders, under hair of one tone."""
    height, width = ground.shape
    for _ in range(rng.integers(1, 4)):
        x, y, r = rng.uniform(0, width), rng.uniform(0.1, 0.9) * height, rng.uniform(0.03, 0.14) * width
        cloth, hair = (float(v) for v in rng.uniform(0, 1, 2))
        shoulders = ((x, y + 3.1 * r), (4.2 * r, 4 * r), 0)
        cv2.ellipse(ground, shoulders, cloth, -1, cv2.LINE_AA)
        cv2.ellipse(ground, ((x, y + 0.9 * r), (0.9 * r, 1.6 * r), 0), float(rng.uniform(0.2, 0.8)), -1, cv2.LINE_AA)
        cv2.ellipse(ground, ((x, y), (1.6 * r, 2.1 * r), float(rng.normal(0, 10))), hair, -1, cv2.LINE_AA)
    return ground


def _letters(rng: np.random.Generator, ground: np.ndarray) -> np.ndarray:
    height, width = ground.shape
    for _ in range(rng.integers(1, 5)):
        text = "".join(rng.choice(list("ABCDEFGHKLMNOPRSTUVXYZ0123456789")) for _ in range(rng.integers(3, 10)))
        place = tuple(int(v) for v in rng.uniform(-0.2, 1, 2) * (width, height))
        scale = rng.uniform(0.5, 4) * width / 450
        mask = np.zeros(ground.shape, np.uint8)  # OpenCV writes on bytes only
        cv2.putText(mask, text, place, 0, scale, 255, max(1, int(2 * scale)), cv2.LINE_AA)
        ground = np.where(mask > 127, np.float32(rng.uniform(0, 1)), ground)
    return ground


PAINTERS: dict[str, Painter] = {
    "clouds": _clouds,
    "polygons": _polygons,
    "rectangles": _rectangles,
    "lines": _lines,
    "stripes": _stripes,
    "lights": _lights,
    "figures": _figures,
    "letters": _letters,
}


def cover(rng: np.random.Generator, picture: np.ndarray, centre: np.ndarray, radius: float, tone: float) -> np.ndarray:
    """Put a hand or a thing before a face about ``centre`` px, head ``radius`` px; ``tone``: the skin's brightness."""
    place = centre + radius * np.array([rng.normal(0, 0.75), rng.normal(0.75, 0.6)])
    mask = np.zeros(picture.shape, np.float32)
    if rng.random() < 0.5:
        value = _hand(rng, mask, place, radius) * tone
    else:
        value = _thing(rng, mask, place, radius)
    mask = _blurred(mask, 0.01 * radius + 0.4)
    return picture * (1 - mask) + np.clip(value, 0, 1) * mask


def _hand(rng: np.random.Generator, mask: np.ndarray, place: np.ndarray, radius: float) -> np.ndarray:
    """Fingers side by side and a palm, drawn into ``mask``; returns their shading."""
    shade = np.ones(mask.shape, np.float32)
    turn = rng.uniform(0, 2 * np.pi)
    along, across = np.array([np.cos(turn), np.sin(turn)]), np.array([-np.sin(turn), np.cos(turn)])
    width = radius * rng.uniform(0.15, 0.2)
    spread = rng.uniform(0, 0.12)
    for i in range(4):
        root = place + across * width * (i - 1.5)
        tip = root + (along + across * spread * (i - 1.5)) * radius * (0.75 - 0.07 * abs(i - 1.2))
        edge = float(rng.uniform(0.55, 0.75))
        for layer, value, share in ((shade, edge, 1.08), (shade, 1.0, 0.72), (mask, 1.0, 1.0)):
            _capsule(layer, root, tip, value, width * share)
    _capsule(mask, place - along * radius * 0.1, place - along * radius * 0.5, 1.0, width * 4.1)
    _capsule(mask, place - along * radius * 0.4, place - along * radius * 3.0, 1.0, width * 3.0)
    return _blurred(shade, 0.03 * radius) * rng.uniform(0.7, 1.1)


def _thing(rng: np.random.Generator, mask: np.ndarray, place: np.ndarray, radius: float) -> np.ndarray:
    """A cup, a telephone, a microphone: a box, a disc or a rod; returns its shading."""
    box = (tuple(map(float, place)), tuple(map(float, radius * rng.uniform(0.2, 1.1, 2))), float(rng.uniform(0, 180)))
    kind = rng.integers(3)
    if kind == 0:
        cv2.fillPoly(mask, [np.round(cv2.boxPoints(box)).astype(np.int32)], 1.0, cv2.LINE_AA)
    elif kind == 1:
        cv2.ellipse(mask, box, 1.0, -1, cv2.LINE_AA)
    else:
        end = place + radius * 3 * np.array([rng.normal(0, 0.6), 1.0])
        _capsule(mask, place, end, 1.0, radius * rng.uniform(0.1, 0.25))
        _capsule(mask, place, place, 1.0, radius * rng.uniform(0.25, 0.5))
    value = rng.uniform(0.02, 0.9) + 0.12 * noise(rng, mask.shape, (6, 6))
    return value + rng.uniform(0, 0.2) * noise(rng, mask.shape, (40, 40), rng.random() < 0.5)


def _capsule(layer: np.ndarray, start: np.ndarray, end: np.ndarray, value: float, width: float) -> None:
    a, b = (tuple(int(v) for v in np.round(p * 16)) for p in (start, end))
    cv2.line(layer, a, b, value, max(1, round(width)), cv2.LINE_AA, 4)


def photograph(rng: np.random.Generator, picture: np.ndarray, blur: float) -> np.ndarray:
    """What lens and sensor do: blur of about ``blur`` px, motion, contrast, noise. Returns (H, W) uint8."""
    sigma = blur * np.exp(rng.normal(0, 0.5))
    picture = _blurred(picture, sigma)
    if rng.random() < 0.1:
        picture = _smeared(rng, picture, blur)
    picture = cv2.pow(np.clip(picture, 0, 1), np.exp(rng.normal(0, 0.2)))
    if rng.random() < 0.3:
        low, high = rng.uniform(0, 0.15), rng.uniform(0.8, 1.0)
        picture = low + (high - low) * picture
    grain = 0.03 * rng.random() ** 2 + 0.003
    coarse = rng.standard_normal(picture.shape, np.float32)
    picture = picture + grain * (coarse if rng.random() < 0.5 else 1.6 * _blurred(coarse, 0.6))
    return np.clip(picture * 255 + 0.5, 0, 255).astype(np.uint8)


def _smeared(rng: np.random.Generator, picture: np.ndarray, blur: float) -> np.ndarray:
    length = max(3, 2 * round(rng.uniform(1, 6) * blur) + 1)
    kernel = np.zeros((length, length), np.float32)
    middle, turn = length // 2, rng.uniform(0, np.pi)
    step = np.array([np.cos(turn), np.sin(turn)]) * middle
    start, end = (tuple(int(v) for v in np.round(middle + sign * step)) for sign in (-1, 1))
    cv2.line(kernel, start, end, 1.0, 1)
    return cv2.filter2D(picture, -1, kernel / kernel.sum(), borderType=cv2.BORDER_REPLICATE)


def _blurred(picture: np.ndarray, sigma: float) -> np.ndarray:
    """Gaussian blur; a wide one on a smaller copy, where it costs little and looks the same."""
    if sigma < 0.3:
        return picture
    if sigma < 4:
        return cv2.GaussianBlur(picture, (0, 0), sigma)
    factor = sigma / 2.5
    small = tuple(max(2, round(n / factor)) for n in picture.shape[::-1])
    blurred = cv2.GaussianBlur(cv2.resize(picture, small, interpolation=cv2.INTER_AREA), (0, 0), 2.5)
    return cv2.resize(blurred, picture.shape[::-1], interpolation=cv2.INTER_CUBIC)
