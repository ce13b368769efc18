"""Random hats, scarves and glasses, as meshes in the frame and unit of `geometry.neutral_face`."""

import numpy as np

from nntrack.geometry.landmarks import LEFT_EYE, RIGHT_EYE
from nntrack.geometry.neutral_face import SKULL_AXES, SKULL_CENTRE
from nntrack.synthesis.appearance.hair import sample_hair
from nntrack.synthesis.appearance.sheets import COLUMNS, ROWS, TEXELS, Sheet, azimuths, cap, dome
from nntrack.synthesis.heads.atlas import SOLID_PATCH
from nntrack.synthesis.mesh import Mesh, Part, grid_triangles, merge, tube
from nntrack.synthesis.textures import noise


def sample_headwear(rng: np.random.Generator, skull: np.ndarray, centre: np.ndarray, hair: float) -> list[Sheet]:
    """Hair, a hat, a scarf, or nothing over the head.

    Args:
        rng: random numbers.
        skull: (3,), size of the skull along x, y, z relative to the neutral one.
        centre: (3,), of the skull.
        hair: its albedo.
    """
    kind = rng.choice(("none", "hair", "hat", "hair and hat", "scarf"), p=(0.38, 0.47, 0.06, 0.05, 0.04))
    sheets = []
    thickness = float(rng.uniform(0.04, 0.2))
    if "hair" in kind:
        sheets.append(sample_hair(rng, skull, hair, thickness))
    if "hat" in kind:
        sheets.append(sample_hat(rng, skull, thickness))
    if kind == "scarf":
        sheets.append(_scarf(rng, skull))
    return [place(sheet, centre) for sheet in sheets]


def place(sheet: Sheet, centre: np.ndarray) -> Sheet:
    """What was made for the neutral skull, on one whose centre (3,) is another."""
    return sheet._replace(points=sheet.points + (centre - SKULL_CENTRE))


def sample_hat(rng: np.random.Generator, skull: np.ndarray, hair: float) -> Sheet:
    """A cap, a woollen hat or one with a brim, over hair that is ``hair`` thick."""
    azimuth = azimuths()
    low = rng.uniform(-0.55, -0.28) + rng.normal(0, 0.05) * np.sin(azimuth) + 0.15 * (np.abs(azimuth) > 1.7)
    axes = SKULL_AXES * skull + hair + rng.uniform(0.03, 0.1)
    axes[1] += rng.choice([0.0, rng.uniform(0, 0.5)])
    points = dome(azimuth, low, axes).reshape(ROWS, COLUMNS, 3)
    if rng.random() < 0.6:  # the last rows become a visor or a brim
        reach = rng.uniform(0.2, 0.65)
        ahead = np.clip(np.cos(azimuth), 0, 1) ** 0.7 if rng.random() < 0.6 else np.ones(COLUMNS)
        for row, fraction in ((-3, 0.0), (-2, 0.5), (-1, 1.0)):
            points[row] = points[-3]
            points[row, :, 0] += fraction * reach * ahead * np.sin(azimuth)
            points[row, :, 2] -= fraction * reach * ahead * np.cos(azimuth)
            points[row, :, 1] += fraction * rng.uniform(0, 0.08)
    cloth = rng.uniform(0.03, 0.9) * (1 + rng.uniform(0, 0.12) * noise(rng, TEXELS, (24, 96)))
    if rng.random() < 0.3:
        cloth[int(rng.uniform(0.5, 0.9) * TEXELS[0]) :] = rng.uniform(0.03, 0.9)
    return cap(points.reshape(-1, 3), cloth, np.ones(TEXELS))


def _scarf(rng: np.random.Generator, skull: np.ndarray) -> Sheet:
    """Cloth about head and neck that leaves the face free."""
    azimuth = azimuths()
    turn = np.abs(azimuth)
    opening = rng.uniform(0.85, 1.05)
    ends = np.where(turn < opening, rng.uniform(-0.68, -0.45) + 0.5 * (turn / opening) ** 4, 1.9)
    points = dome(azimuth, ends, SKULL_AXES * skull + rng.uniform(0.06, 0.14), flare=-0.1)
    folds = 1 + rng.uniform(0.05, 0.25) * noise(rng, TEXELS, (4, 40))
    return cap(points, rng.uniform(0.03, 0.95) * folds, np.ones(TEXELS))


def sample_glasses(rng: np.random.Generator, rest: np.ndarray, dark: bool | None = None) -> tuple[Mesh, list[Sheet]]:
    """Glasses that fit landmarks (68, 3) at rest: the frame, and the lenses if they are dark or reflecting.

    dark: whether they are; None for either.
    """
    shape = (rng.uniform(0.19, 0.265), rng.uniform(0.14, 0.22), rng.uniform(0.45, 1.0))
    rims = [_rim(rest, side, shape) for side in (-1, 1)]
    dark = rng.random() < 0.35 if dark is None else dark
    return _frame(rims, rest, rng.uniform(0.008, 0.028)), _lenses(rng, rims) if dark else []


def _frame(rims: list[np.ndarray], rest: np.ndarray, thick: float) -> Mesh:
    """Rims, bridge and temples."""
    pieces = [_wire(rim, thick, closed=True) for rim in rims]
    inner = [rim[np.argmin(np.abs(rim[:, 0]))] for rim in rims]
    rise = np.array([0, -0.03, -0.02])
    pieces.append(_wire(np.stack([inner[0], (inner[0] + inner[1]) / 2 + rise, inner[1]]), thick, closed=False))
    for rim, side in zip(rims, (-1, 1), strict=True):
        hinge = rim[np.argmax(side * rim[:, 0])] + (0, -0.04, 0)
        ear = np.array([side * (abs(rest[0 if side < 0 else 16, 0]) + 0.07), -0.04, 0.85])
        pieces.append(_wire(np.linspace(hinge, ear, 6), thick, closed=False))
    return merge(pieces)


def _lenses(rng: np.random.Generator, rims: list[np.ndarray]) -> list[Sheet]:
    opacity = rng.uniform(0.35, 1.0)
    shine = np.clip(rng.uniform(0.01, 0.12) + 0.15 * noise(rng, TEXELS, (3, 3)) * rng.random(), 0, 1)
    sheets = []
    for rim in rims:
        middle = rim.mean(axis=0) - (0, 0, 0.01)
        points = np.vstack([middle, rim])
        index = np.arange(1, len(rim) + 1)
        triangles = np.stack([np.zeros(len(rim), int), index, np.roll(index, -1)], axis=1).astype(np.int32)
        spread = np.abs(points[:, :2] - middle[:2]).max(axis=0)
        uv = 0.5 + 0.45 * (points[:, :2] - middle[:2]) / spread
        texture = np.stack([shine, np.full(TEXELS, opacity)], axis=-1).astype(np.float32)
        sheets.append(Sheet(points, triangles, uv, texture, np.zeros(len(points))))
    return sheets


def _rim(rest: np.ndarray, side: int, shape: tuple[float, float, float]) -> np.ndarray:
    """The outline (28, 3) of one lens. shape: half width, half height, roundness (1: an ellipse)."""
    eye = rest[list(RIGHT_EYE if side < 0 else LEFT_EYE)].mean(axis=0)
    turn = np.linspace(0, 2 * np.pi, 28, endpoint=False)
    x, y = (np.sign(f) * np.abs(f) ** shape[2] for f in (np.cos(turn), np.sin(turn)))
    x, y = eye[0] + side * 0.015 + shape[0] * x, eye[1] + 0.03 + shape[1] * y
    front = min(rest[27, 2], rest[[20, 23], 2].mean()) - 0.03
    return np.column_stack([x, y, front + 0.03 + 0.35 * x * x])


def _wire(line: np.ndarray, radius: float, closed: bool) -> Mesh:
    """A thin tube along a line (n, 3) in the colour of the frame."""
    ahead = np.roll(line, -1, axis=0) - np.roll(line, 1, axis=0) if closed else np.gradient(line, axis=0)
    ahead = ahead / np.linalg.norm(ahead, axis=1, keepdims=True)
    reference = np.where(np.abs(ahead[:, 2:]) < 0.8, (0, 0, 1.0), (0, 1.0, 0))
    rows = tube(line, np.full(len(line), radius), 4, reference, closed).swapaxes(0, 1)  # (5, n, 3)
    rows[-1] = rows[0]
    rows = np.concatenate([rows, rows[:, :1]], axis=1) if closed else rows
    points = rows.reshape(-1, 3)
    uv = SOLID_PATCH.place(np.full(len(points), 0.5), np.full(len(points), 0.5))
    return Mesh(points, grid_triangles(*rows.shape[:2]), uv, np.full(len(points), Part.WORN))
