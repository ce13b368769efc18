"""Random backgrounds: walls, foliage, windows, shelves, people out of focus.

Images are (H, W) float32, 0 black to 1 white.
"""

from collections.abc import Callable

import cv2
import numpy as np

from nntrack.synthesis.textures import blurred, noise, text_mask

Painter = Callable[[np.random.Generator, np.ndarray], np.ndarray]  # (rng, image, which it may change) to an image


def render_background(rng: np.random.Generator, size: tuple[int, int]) -> np.ndarray:
    """An image of (height, width) ``size``, 0..1, sharp or out of focus."""
    image = _leaves(rng, size) if rng.random() < 0.5 else _gradient(rng, size)
    for name in rng.choice(list(PAINTERS), rng.integers(0, 4)):
        image = PAINTERS[str(name)](rng, image)
    if rng.random() < 0.45:
        image = blurred(image, np.exp(rng.uniform(np.log(0.5), np.log(0.03 * size[1]))))
    low, high = np.sort(rng.uniform(-0.2, 1.2, 2))
    high = max(high, low + 0.3)
    spread = np.ptp(image) + 1e-3
    return np.clip(low + (high - low) * (image - image.min()) / spread, 0, 1).astype(np.float32)


def _gradient(rng: np.random.Generator, size: tuple[int, int]) -> np.ndarray:
    corners = rng.uniform(0.1, 0.9) + rng.normal(0, 0.2, (2, 2))
    return cv2.resize(corners.astype(np.float32), size[::-1], interpolation=cv2.INTER_LINEAR)


def _leaves(rng: np.random.Generator, size: tuple[int, int]) -> np.ndarray:
    """An image by the dead leaves model: shapes of all sizes that hide one another, each with its own tone and texture.

    Its edges and patches have the statistics of natural scenes (Lee, Mumford, Huang 2001), which a few large shapes
    lack: a network trained without them takes real clutter for faces.
    """
    height, width = size
    count = int(np.exp(rng.uniform(np.log(30), np.log(400))))
    least = rng.uniform(0.008, 0.03) * width
    reach = np.minimum(least / np.sqrt(rng.random(count) + 1e-4), 0.4 * width)  # areas fall by a power law
    centres = rng.uniform(-0.1, 1.1, (count, 2)) * (width, height)
    # half of the time large ones come first, so that no small one is hidden
    order = np.argsort(-reach) if rng.random() < 0.5 else np.arange(count)
    corners = rng.choice([3, 4, 5, 24], count, p=[0.15, 0.3, 0.15, 0.4])
    outlines = centres[:, None] + reach[:, None, None] * _outlines(rng, corners)
    owner = np.zeros(size, np.int32)  # the number of the shape that is seen at each pixel
    for i in order:
        cv2.fillPoly(owner, [np.round(outlines[i, : corners[i]]).astype(np.int32)], int(i))
    # each shape: a tone at its centre, a slope across it, and the strength of one of three sizes of noise
    tone, rough = rng.uniform(0, 1, count), rng.uniform(0, 0.3, count) ** 1.5
    slope = rng.normal(0, 0.15, (count, 2)) / reach[:, None]
    coarse, middle, fine = (noise(rng, size, (n, n * width // height), n < 100) for n in (12, 40, 120))
    kind = rng.integers(0, 3, count)[owner]
    grain = np.where(kind == 0, coarse, np.where(kind == 1, middle, fine))
    x, y = np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)[:, None]
    at_origin = tone - (slope * centres).sum(axis=1)
    base, right, down, rough = (a.astype(np.float32)[owner] for a in (at_origin, *slope.T, rough))
    return np.clip(base + right * x + down * y + rough * grain, 0, 1)


def _outlines(rng: np.random.Generator, corners: np.ndarray) -> np.ndarray:
    """Points (n, most corners, 2) on ellipses of length 1, of which the first ``corners`` (n,) are a shape."""
    turns = 2 * np.pi * np.arange(corners.max()) / corners[:, None] + rng.uniform(0, 2 * np.pi, (len(corners), 1))
    x, y = np.cos(turns), rng.uniform(0.25, 1, (len(corners), 1)) * np.sin(turns)
    tilt = rng.uniform(0, np.pi, (len(corners), 1))
    return np.stack([np.cos(tilt) * x - np.sin(tilt) * y, np.sin(tilt) * x + np.cos(tilt) * y], axis=2)


def _clouds(rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
    """Noise of several sizes: foliage, stone, cloth."""
    decay = rng.uniform(0.35, 0.9)
    out = image.copy()
    for octave in range(1, 7):
        out += 0.25 * decay**octave * noise(rng, image.shape, (2**octave, 2**octave), rng.random() < 0.8)
    return out


def _polygons(rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
    height, width = image.shape
    for _ in range(rng.integers(2, 14)):
        centre, reach = rng.uniform(0, 1, 2) * (width, height), rng.uniform(0.03, 0.4) * width
        turns = np.sort(rng.uniform(0, 2 * np.pi, rng.integers(3, 7)))
        corners = centre + reach * np.stack([np.cos(turns), np.sin(turns)], axis=1)
        cv2.fillPoly(image, [np.round(corners * 16).astype(np.int32)], float(rng.uniform(0, 1)), cv2.LINE_AA, 4)
    return image


def _rectangles(rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
    """Windows, frames, shelves: upright boxes, often in rows."""
    height, width = image.shape
    for _ in range(rng.integers(1, 6)):
        x, y = rng.uniform(-0.2, 1, 2) * (width, height)
        w, h = rng.uniform(0.04, 0.4, 2) * (width, height)
        value, edge, count = rng.uniform(0, 1), rng.uniform(0, 1), rng.integers(1, 6)
        step = (w * rng.uniform(1.02, 1.5), 0) if rng.random() < 0.5 else (0, h * rng.uniform(1.02, 1.5))
        for i in range(count):
            a = (int(x + i * step[0]), int(y + i * step[1]))
            b = (int(a[0] + w), int(a[1] + h))
            cv2.rectangle(image, a, b, float(value), -1)
            cv2.rectangle(image, a, b, float(edge), int(rng.integers(1, 6)))
    return image


def _lines(rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
    height, width = image.shape
    for _ in range(rng.integers(2, 16)):
        a, b = (tuple(int(v) for v in rng.uniform(-0.2, 1.2, 2) * (width, height)) for _ in range(2))
        cv2.line(image, a, b, float(rng.uniform(0, 1)), int(rng.integers(1, 12)), cv2.LINE_AA)
    return image


def _stripes(rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
    """Blinds, boards, bricks: a wave across the image."""
    height, width = image.shape
    turn, period = rng.uniform(0, np.pi), rng.uniform(0.02, 0.25) * width
    x, y = np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)[:, None]
    wave = np.sin((x * np.cos(turn) + y * np.sin(turn)) * (2 * np.pi / period))
    return image + rng.uniform(0.05, 0.3) * (np.sign(wave) if rng.random() < 0.5 else wave).astype(np.float32)


def _lights(rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
    """Discs of lamps out of focus."""
    height, width = image.shape
    for _ in range(rng.integers(2, 20)):
        place = tuple(int(v) for v in rng.uniform(0, 1, 2) * (width, height))
        cv2.circle(image, place, int(rng.uniform(0.005, 0.06) * width), float(rng.uniform(0.6, 1.3)), -1, cv2.LINE_AA)
    return image


def _figures(rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
    """People far away or from behind: a head without a face on shoulders, under hair of one tone."""
    height, width = image.shape
    for _ in range(rng.integers(1, 4)):
        x, y, r = rng.uniform(0, width), rng.uniform(0.1, 0.9) * height, rng.uniform(0.03, 0.14) * width
        cloth, hair = (float(v) for v in rng.uniform(0, 1, 2))
        shoulders = ((x, y + 3.1 * r), (4.2 * r, 4 * r), 0)
        cv2.ellipse(image, shoulders, cloth, -1, cv2.LINE_AA)
        cv2.ellipse(image, ((x, y + 0.9 * r), (0.9 * r, 1.6 * r), 0), float(rng.uniform(0.2, 0.8)), -1, cv2.LINE_AA)
        cv2.ellipse(image, ((x, y), (1.6 * r, 2.1 * r), float(rng.normal(0, 10))), hair, -1, cv2.LINE_AA)
    return image


def _signs(rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
    height, width = image.shape
    for _ in range(rng.integers(1, 5)):
        text = "".join(rng.choice(list("ABCDEFGHKLMNOPRSTUVXYZ0123456789")) for _ in range(rng.integers(3, 10)))
        place = tuple(int(v) for v in rng.uniform(-0.2, 1, 2) * (width, height))
        scale = rng.uniform(0.5, 4) * width / 450
        mask = text_mask(image.shape, [(text, place)], cv2.FONT_HERSHEY_SIMPLEX, scale, max(1, int(2 * scale)))
        image = np.where(mask > 0.5, np.float32(rng.uniform(0, 1)), image)
    return image


PAINTERS: dict[str, Painter] = {
    "clouds": _clouds,
    "polygons": _polygons,
    "rectangles": _rectangles,
    "lines": _lines,
    "stripes": _stripes,
    "lights": _lights,
    "figures": _figures,
    "signs": _signs,
}
