"""Hair that stands off the head: parted, swept back, curly, tied or cut in a fringe, as `Sheet`s over the skull.

Short hair is texture on the scalp (`face_texture`). Frame and unit of `neutral_face`.
"""

import numpy as np

from nntrack.geometry.neutral_face import SKULL_AXES, SKULL_CENTRE
from nntrack.synthesis.appearance.sheets import COLUMNS, ROWS, TEXELS, Sheet, azimuths, cap, dome
from nntrack.synthesis.textures import noise

# Style and how often: most people show their forehead
STYLES = {"parted": 0.48, "swept": 0.14, "curly": 0.16, "tied": 0.10, "fringe": 0.12}


def sample_hair(rng: np.random.Generator, skull: np.ndarray, hair: float, thickness: float) -> Sheet:
    """Hair over the head.

    Args:
        rng: random numbers.
        skull: (3,) how much larger the skull is than the neutral one along x, y, z.
        hair: albedo.
        thickness: head radii.
    """
    style = rng.choice(list(STYLES), p=list(STYLES.values()))
    curly = style == "curly"
    if style == "tied":
        return _knot(rng, skull, hair)
    azimuth = azimuths()
    turn = np.abs(azimuth)
    front = rng.uniform(-0.95, -0.68)
    side = rng.choice([rng.uniform(-0.1, 0.25), rng.uniform(0.25, 1.0), rng.uniform(1.0, 2.2)], p=[0.3, 0.25, 0.45])
    opening = rng.uniform(0.8, 1.45) + rng.normal(0, 0.08) * np.sign(azimuth)  # half angle of the face's window
    ends = _window(rng, azimuth, front, opening, style)
    back = max(side, 0.5) + rng.uniform(0.0, 0.3)
    soft, far = np.clip((turn - opening) / 0.3, 0, 1), np.clip((turn - 1.6) / 0.5, 0, 1)
    ends = np.where(turn < opening, ends, ends * (1 - soft) + soft * (side + far * (back - side)))
    ends += rng.uniform(0.01, 0.06) * _around(rng, 24)
    curl = rng.uniform(0.04, 0.12) if curly else rng.uniform(0, 0.025)
    if curly:
        thickness += rng.uniform(0.05, 0.25)
    wave = (rng.uniform(0, 0.05), rng.uniform(4, 14), rng.uniform(0, 6))
    points = dome(azimuth, ends, SKULL_AXES * skull + thickness, flare=rng.uniform(-0.05, 0.3), wave=wave)
    points = _uneven(rng, points, curl, curly)
    return cap(points, hair * _strands(rng, curly), _edge(rng, curly))


def _window(rng: np.random.Generator, azimuth: np.ndarray, front: float, opening: np.ndarray, style: str) -> np.ndarray:
    """Heights (columns,) at which hair over the face ends, by azimuth."""
    if style == "fringe":
        low = rng.uniform(-0.45, -0.2)
        return low + 0.2 * (azimuth / opening) ** 2 + rng.normal(0, 0.12) * np.sin(azimuth)
    if style != "parted":
        return front + rng.uniform(0.1, 0.4) * (np.abs(azimuth) / opening) ** 2
    parting = np.clip(rng.normal(0, 0.35), -0.7, 0.7)
    temple = rng.uniform(-0.45, 0.3, 2)  # where it passes the temples; now and then a lock hangs over an eye
    if rng.random() < 0.15:
        temple[rng.integers(2)] += rng.uniform(0.2, 0.7)
    way = azimuth - parting
    reach = np.clip(np.abs(way) / np.maximum(np.where(way < 0, opening + parting, opening - parting), 0.1), 0, 1)
    return front + (np.where(way < 0, temple[0], temple[1]) - front) * reach ** rng.uniform(1.0, 2.5)


def _knot(rng: np.random.Generator, skull: np.ndarray, hair: float) -> Sheet:
    """Hair tied at the back of the head or on its top, a ball or a tail."""
    up = rng.uniform(-0.4, 1.3)  # angle from the back upward
    size = rng.uniform(0.22, 0.42)
    middle = SKULL_CENTRE + SKULL_AXES * skull * (0, -np.sin(up), np.cos(up)) * (1 + 0.5 * size)
    v, u = np.meshgrid(np.linspace(0, np.pi, ROWS), np.linspace(0, 2 * np.pi, COLUMNS), indexing="ij")
    ball = np.stack([np.sin(v) * np.cos(u), -np.cos(v), np.sin(v) * np.sin(u)], axis=-1).reshape(-1, 3)
    tail = rng.random() < 0.5
    points = middle + size * ball * (1, rng.uniform(2, 4) if tail else 1, 1) + (0, size if tail else 0, 0)
    points = points + rng.uniform(0, 0.12) * size * rng.standard_normal((len(points), 1))
    return cap(points, hair * _strands(rng, False), np.ones(TEXELS))


def _uneven(rng: np.random.Generator, points: np.ndarray, amount: float, curly: bool) -> np.ndarray:
    """Points of the dome, nearer to or farther from the head in locks or curls."""
    cells = (8, 22) if curly else (3, 30)
    out = amount * noise(rng, (ROWS, COLUMNS), cells)
    out[:, -1] = out[:, 0]
    middle = np.array([0, -0.1, 0.78])
    return middle + (points - middle) * (1 + out.reshape(-1, 1))


def _strands(rng: np.random.Generator, curly: bool) -> np.ndarray:
    cells = (24, 90) if curly else (5, 200)
    streaks = 1 + np.clip(rng.uniform(0.15, 0.5) * noise(rng, TEXELS, cells), -0.55, 0.8)
    shine = rng.uniform(0, 0.6) * np.exp(-(((np.linspace(0, 1, TEXELS[0])[:, None] - 0.4) / 0.15) ** 2))
    roots = 1 - rng.uniform(0, 0.4) * np.exp(-((np.linspace(0, 1, TEXELS[0])[:, None] / 0.25) ** 2))
    return streaks * (1 + shine) * roots


def _edge(rng: np.random.Generator, curly: bool) -> np.ndarray:
    """Opacity: strands end at different heights, curls in clouds."""
    rows = np.linspace(0, 1, TEXELS[0])[:, None]
    ragged, cells = (rng.uniform(0.1, 0.3), (20, 70)) if curly else (rng.uniform(0.02, 0.1), (2, 190))
    return np.clip((1 - rows - ragged * (0.5 + 0.5 * noise(rng, TEXELS, cells))) / rng.uniform(0.04, 0.12), 0, 1)


def _around(rng: np.random.Generator, cells: int) -> np.ndarray:
    """Random values (columns,) that join at the back."""
    return noise(rng, (1, COLUMNS - 1), (1, cells))[0, np.arange(COLUMNS) % (COLUMNS - 1)]
