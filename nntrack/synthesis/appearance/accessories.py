"""Random long hair, hats, scarves and glasses, as meshes in the frame and unit of `geometry.neutral_face`."""

from typing import NamedTuple

import numpy as np

from nntrack.geometry.landmarks import LEFT_EYE, RIGHT_EYE
from nntrack.geometry.neutral_face import SKULL_AXES, SKULL_CENTRE
from nntrack.synthesis.heads.atlas import SOLID_PATCH
from nntrack.synthesis.mesh import Mesh, Part, grid_triangles, merge, tube
from nntrack.synthesis.textures import noise

_ROWS, _COLUMNS = 22, 72  # vertices of a sheet
_TEXTURE = (96, 384)  # texels of a sheet


class Sheet(NamedTuple):
    """A surface with a texture of its own that is rendered over the head.

    points (n, 3), triangles (m, 3), uv (n, 2) in 0..1, texture (H, W, 2): brightness and opacity 0..1; follows (n,): 0
    where it moves with the head, 1 with the shoulders.
    """

    points: np.ndarray
    triangles: np.ndarray
    uv: np.ndarray
    texture: np.ndarray
    follows: np.ndarray


def sample_headwear(rng: np.random.Generator, skull: np.ndarray, centre: np.ndarray, hair: float) -> list[Sheet]:
    """Hair, a hat, a scarf, or nothing over the head.

    Args:
        rng: random numbers.
        skull: (3,), size of the skull along x, y, z relative to the neutral one.
        centre: (3,), of the skull.
        hair: its albedo.
    """
    kind = rng.choice(("none", "hair", "hat", "hair and hat", "scarf"), p=(0.34, 0.48, 0.08, 0.06, 0.04))
    sheets = []
    thickness = float(rng.uniform(0.05, 0.28))
    if "hair" in kind:
        sheets.append(_hair(rng, skull, hair, thickness))
    if "hat" in kind:
        sheets.append(_hat(rng, skull, thickness))
    if kind == "scarf":
        sheets.append(_scarf(rng, skull))
    return [sheet._replace(points=sheet.points + (centre - SKULL_CENTRE)) for sheet in sheets]


def _hair(rng: np.random.Generator, skull: np.ndarray, hair: float, thickness: float) -> Sheet:
    azimuth = _azimuths()
    front = rng.uniform(-0.72, -0.5) if rng.random() < 0.6 else rng.uniform(-0.5, -0.2)
    side = rng.choice([rng.uniform(-0.25, 0.2), rng.uniform(0.2, 1.0), rng.uniform(1.0, 2.0)], p=[0.35, 0.25, 0.4])
    back = max(side, 0.45) + rng.uniform(0.0, 0.3)
    opening = rng.uniform(0.75, 1.25) + rng.normal(0, 0.08) * np.sign(azimuth)  # half angle of the face's window
    turn = np.abs(azimuth)
    low = front + 0.25 * (turn / opening) ** 2
    parting = rng.normal(0, 0.12) * np.sin(azimuth) * (turn < 1.6)
    soft = np.clip((turn - opening) / 0.25, 0, 1)
    far = np.clip((turn - 1.6) / 0.5, 0, 1)
    hanging = (front + 0.25) * (1 - soft) + soft * (side + far * (back - side))
    ends = np.where(turn < opening, low + parting, hanging)
    ends += rng.uniform(0.01, 0.08) * noise(rng, (1, _COLUMNS - 1), (1, 24))[0, np.arange(_COLUMNS) % (_COLUMNS - 1)]
    wave = (rng.uniform(0, 0.05), rng.uniform(4, 14), rng.uniform(0, 6))
    points = _dome(azimuth, ends, SKULL_AXES * skull + thickness, flare=rng.uniform(-0.05, 0.3), wave=wave)
    streaks = 1 + np.clip(rng.uniform(0.15, 0.4) * noise(rng, _TEXTURE, (5, 200)), -0.5, 0.8)
    streaks *= 1 + rng.uniform(0, 0.5) * np.exp(-(((np.linspace(0, 1, _TEXTURE[0])[:, None] - 0.4) / 0.12) ** 2))
    ragged = rng.uniform(0.03, 0.2)
    rows = np.linspace(0, 1, _TEXTURE[0])[:, None]
    opacity = np.clip((1 - rows - ragged * (0.5 + 0.5 * noise(rng, _TEXTURE, (2, 160)))) / 0.04, 0, 1)
    return _sheet(points, hair * streaks, opacity)


def _hat(rng: np.random.Generator, skull: np.ndarray, hair: float) -> Sheet:
    """A cap, a woollen hat or one with a brim, over hair that is ``hair`` thick."""
    azimuth = _azimuths()
    low = rng.uniform(-0.55, -0.28) + rng.normal(0, 0.05) * np.sin(azimuth) + 0.15 * (np.abs(azimuth) > 1.7)
    axes = SKULL_AXES * skull + hair + rng.uniform(0.03, 0.1)
    axes[1] += rng.choice([0.0, rng.uniform(0, 0.5)])
    points = _dome(azimuth, low, axes).reshape(_ROWS, _COLUMNS, 3)
    if rng.random() < 0.6:  # the last rows become a visor or a brim
        reach = rng.uniform(0.2, 0.65)
        ahead = np.clip(np.cos(azimuth), 0, 1) ** 0.7 if rng.random() < 0.6 else np.ones(_COLUMNS)
        for row, fraction in ((-3, 0.0), (-2, 0.5), (-1, 1.0)):
            points[row] = points[-3]
            points[row, :, 0] += fraction * reach * ahead * np.sin(azimuth)
            points[row, :, 2] -= fraction * reach * ahead * np.cos(azimuth)
            points[row, :, 1] += fraction * rng.uniform(0, 0.08)
    cloth = rng.uniform(0.03, 0.9) * (1 + rng.uniform(0, 0.12) * noise(rng, _TEXTURE, (24, 96)))
    if rng.random() < 0.3:
        cloth[int(rng.uniform(0.5, 0.9) * _TEXTURE[0]) :] = rng.uniform(0.03, 0.9)
    return _sheet(points.reshape(-1, 3), cloth, np.ones(_TEXTURE))


def _scarf(rng: np.random.Generator, skull: np.ndarray) -> Sheet:
    """Cloth about head and neck that leaves the face free."""
    azimuth = _azimuths()
    turn = np.abs(azimuth)
    opening = rng.uniform(0.85, 1.05)
    ends = np.where(turn < opening, rng.uniform(-0.68, -0.45) + 0.5 * (turn / opening) ** 4, 1.9)
    points = _dome(azimuth, ends, SKULL_AXES * skull + rng.uniform(0.06, 0.14), flare=-0.1)
    folds = 1 + rng.uniform(0.05, 0.25) * noise(rng, _TEXTURE, (4, 40))
    return _sheet(points, rng.uniform(0.03, 0.95) * folds, np.ones(_TEXTURE))


def sample_glasses(rng: np.random.Generator, rest: np.ndarray) -> tuple[Mesh, list[Sheet]]:
    """Glasses that fit landmarks (68, 3) at rest: the frame, and the lenses if they are dark or reflecting."""
    shape = (rng.uniform(0.19, 0.265), rng.uniform(0.14, 0.22), rng.uniform(0.45, 1.0))
    rims = [_rim(rest, side, shape) for side in (-1, 1)]
    dark = rng.random() < 0.35
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
    shine = np.clip(rng.uniform(0.01, 0.12) + 0.15 * noise(rng, _TEXTURE, (3, 3)) * rng.random(), 0, 1)
    sheets = []
    for rim in rims:
        middle = rim.mean(axis=0) - (0, 0, 0.01)
        points = np.vstack([middle, rim])
        index = np.arange(1, len(rim) + 1)
        triangles = np.stack([np.zeros(len(rim), int), index, np.roll(index, -1)], axis=1).astype(np.int32)
        spread = np.abs(points[:, :2] - middle[:2]).max(axis=0)
        uv = 0.5 + 0.45 * (points[:, :2] - middle[:2]) / spread
        texture = np.stack([shine, np.full(_TEXTURE, opacity)], axis=-1).astype(np.float32)
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


def _azimuths() -> np.ndarray:
    """Angles (columns,) around the head: 0 in front, minus and plus pi at the back."""
    return np.linspace(-np.pi, np.pi, _COLUMNS)


def _dome(
    azimuth: np.ndarray,
    ends: np.ndarray,
    axes: np.ndarray,
    flare: float = 0.0,
    wave: tuple[float, float, float] = (0.0, 0.0, 0.0),
) -> np.ndarray:
    """Vertices (n, 3) of a sheet from the crown over the skull's ellipsoid and then hanging down.

    Args:
        azimuth: (columns,), see `_azimuths`.
        ends: (columns,), y at which the sheet ends.
        axes: (3,), half axes of the ellipsoid.
        flare: how much wider the sheet gets per unit that it hangs.
        wave: amplitude, frequency and phase of its undulation.
    """
    drop = ends - SKULL_CENTRE[1]
    total = np.where(drop < 0, np.arccos(np.clip(-drop / axes[1], -1, 1)), np.pi / 2 + np.maximum(drop, 0))
    reach = np.linspace(0, 1, _ROWS)[:, None] * total  # (rows, columns)
    hang = np.maximum(reach - np.pi / 2, 0)
    across = np.sin(np.minimum(reach, np.pi / 2)) * (1 + flare * hang / (1 + hang))
    across = across * (1 + wave[0] * np.sin(wave[1] * hang + wave[2]) * np.minimum(1, hang))
    down = -axes[1] * np.cos(np.minimum(reach, np.pi / 2)) + hang
    points = np.stack([axes[0] * across * np.sin(azimuth), down, -axes[2] * across * np.cos(azimuth)], axis=-1)
    # long hair falls along the neck, behind the shoulders' front
    points[..., 2] += 0.25 * np.minimum(hang, 1) * (points[..., 2] < 0)
    return (points + SKULL_CENTRE).reshape(-1, 3)


def _sheet(points: np.ndarray, brightness: np.ndarray, opacity: np.ndarray) -> Sheet:
    v, u = (a.ravel() for a in np.meshgrid(np.linspace(0, 1, _ROWS), np.linspace(0, 1, _COLUMNS), indexing="ij"))
    texture = np.stack([np.clip(brightness, 0.01, 1), opacity], axis=-1).astype(np.float32)
    follows = np.clip((points[:, 1] - 0.8) / 0.85, 0, 1)
    return Sheet(points, grid_triangles(_ROWS, _COLUMNS).astype(np.int32), np.column_stack([u, v]), texture, follows)
