"""What belongs to a head besides its skin: lid and lip rims, eyeballs, teeth, mouth, ears, neck and shoulders.

Frame and unit of `geometry.neutral_face`.
"""

import numpy as np
from scipy.interpolate import CubicSpline

from nntrack.synthesis.heads.atlas import (
    CLOTH_PATCH,
    DARK_PATCH,
    EYE_PATCH,
    PLAIN_PATCH,
    RIM_PATCH,
    TEETH_PATCH,
    Patch,
    skin_uv,
)
from nntrack.synthesis.heads.surface import EYE_CENTRE, EYE_RADIUS, Surface, mirrored
from nntrack.synthesis.mesh import Mesh, Part, grid_triangles, merge

_COLLAR = 1.42  # y where clothes begin


def skin(surface: Surface) -> Mesh:
    """The neutral surface itself."""
    return Mesh(surface.points, surface.triangles, skin_uv(surface.points), np.full(len(surface.points), Part.SKIN))


def rim(loop: np.ndarray, depth: float, dark: float) -> Mesh:
    """The edge (n, 3) of an opening folded inward by ``depth``, so that lids and lips have a thickness."""
    middle = loop.mean(axis=0)
    inner = middle + (loop - middle) * (1.0, 0.97, 1.0) + (0, 0, depth)
    points = np.vstack([loop, inner])
    uv = RIM_PATCH.place(np.full(len(points), 0.5), np.r_[np.full(len(loop), 0.2), np.full(len(loop), dark)])
    return Mesh(points, grid_triangles(2, len(loop), wrap=True), uv, np.full(len(points), Part.RIM))


def eyeball(side: int) -> Mesh:
    """The front of an eyeball; side -1 the subject's right, 1 the left. The patch shows it as seen from the front."""
    angles, turns = np.linspace(0, 1.75, 13), np.linspace(0, 2 * np.pi, 24, endpoint=False)
    angle, turn = (a.ravel() for a in np.meshgrid(angles, turns, indexing="ij"))
    unit = np.column_stack([np.sin(angle) * np.cos(turn), np.sin(angle) * np.sin(turn), -np.cos(angle)])
    points = EYE_CENTRE * (-side, 1, 1) + EYE_RADIUS * unit
    uv = EYE_PATCH.place(0.5 + angle / 4 * np.cos(turn), 0.5 + angle / 4 * np.sin(turn))
    return Mesh(points, grid_triangles(len(angles), len(turns), wrap=True), uv, np.full(len(points), Part.EYE))


def teeth(upper: bool) -> Mesh:
    """One row of teeth, a curved strip behind the lips."""
    u, v = (a.ravel() for a in np.meshgrid(np.linspace(0, 1, 17), np.linspace(0, 1, 4)))
    x = 0.46 * (u - 0.5)
    y = 0.575 + 0.095 * v - 0.25 * x * x if upper else 0.668 + 0.08 * v - 0.1 * x * x
    z = (-0.135 if upper else -0.115) + 2.6 * x * x
    uv = TEETH_PATCH.place(u, v / 2 if upper else 0.5 + v / 2)
    part = Part.UPPER_TEETH if upper else Part.LOWER_TEETH
    return Mesh(np.column_stack([x, y, z]), grid_triangles(4, 17), uv, np.full(len(x), part))


def mouth() -> Mesh:
    """The dark behind the teeth: a sheet inside the head, wide enough for an open jaw."""
    u, v = (a.ravel() for a in np.meshgrid(np.linspace(0, 1, 7), np.linspace(0, 1, 7)))
    x, y = 0.5 * (u - 0.5), 0.5 + 0.5 * v
    points = np.column_stack([x, y, 0.02 + 1.2 * x * x])
    uv = DARK_PATCH.place(0.2 + 0.6 * u, 0.2 + 0.6 * v)
    return Mesh(points, grid_triangles(7, 7), uv, np.full(len(x), Part.MOUTH))


def ear(side: int) -> Mesh:
    """An ear: a curled disc with rim and hollow, standing off the side of the head."""
    rings, turns = np.linspace(0, 1, 9), np.linspace(0, 2 * np.pi, 26, endpoint=False)
    ring, turn = (a.ravel() for a in np.meshgrid(rings, turns, indexing="ij"))
    back, up = np.cos(turn), np.sin(turn)
    # wider above, a lobe below; along: backward, height: upward
    width = 0.165 * (1 + 0.28 * up) * np.where(back < 0, 0.75, 1.1)
    along, height = ring * back * width, ring * up * 0.31
    relief = 0.05 * np.exp(-(((ring - 0.86) / 0.13) ** 2)) * (back > -0.75) - 0.05 * np.exp(-((ring / 0.42) ** 2))
    relief += 0.025 * np.exp(-(((ring - 0.55) / 0.1) ** 2)) * (back > -0.3)
    relief -= 0.06 * (ring > 0.97)
    out = 0.02 + 0.3 * (along + 0.12) + relief
    lean = 0.18  # radians, the top leans backward
    z = 0.86 + np.cos(lean) * along + np.sin(lean) * height
    y = 0.11 + np.sin(lean) * along - np.cos(lean) * height
    points = np.column_stack([0.715 + out, y, z])
    points = points if side > 0 else mirrored(points)
    uv = PLAIN_PATCH.place(0.5 + 0.4 * ring * back, 0.5 + 0.4 * ring * up)
    return Mesh(points, grid_triangles(len(rings), len(turns), wrap=True), uv, np.full(len(points), Part.EAR))


def body() -> Mesh:
    """Neck and shoulders: rings from inside the head downward. v of the cloth patch begins at the collar."""
    # y, half width, half depth, z of the middle
    table = np.array(
        [
            (0.45, 0.52, 0.42, 0.98), (0.85, 0.585, 0.50, 0.99), (1.12, 0.59, 0.53, 1.03), (1.38, 0.62, 0.55, 1.08),
            (1.56, 0.74, 0.60, 1.12), (1.70, 1.02, 0.68, 1.15), (1.83, 1.42, 0.76, 1.15), (1.98, 1.80, 0.86, 1.14),
            (2.20, 2.05, 0.95, 1.12), (2.60, 2.20, 1.08, 1.08), (3.30, 2.20, 1.15, 1.05), (5.0, 2.10, 1.15, 1.05),
            (7.5, 2.00, 1.10, 1.05), (11.0, 2.10, 1.15, 1.05),
        ]
    )  # fmt: skip
    return merge([_rings(table, 0.45, _COLLAR, PLAIN_PATCH), _rings(table, _COLLAR, 11.0, CLOTH_PATCH)])


def _rings(table: np.ndarray, top: float, bottom: float, patch: Patch) -> Mesh:
    """The body between two heights, smooth through the rows of ``table``."""
    first, last = np.interp([top, bottom], table[:, 0], np.arange(len(table)))
    rows = np.linspace(first, last, 18)
    y, wide, deep, middle = (CubicSpline(np.arange(len(table)), table[:, i])(rows)[:, None] for i in range(4))
    turns = np.linspace(0, 2 * np.pi, 37)[None]
    # rounded boxes for the shoulders, ellipses for the neck; the collar hangs lower in front
    power = np.clip((y - 1.45) * 0.5, 0, 0.25)
    x = wide * np.sign(np.sin(turns)) * np.abs(np.sin(turns)) ** (1 - power)
    z = middle - deep * np.sign(np.cos(turns)) * np.abs(np.cos(turns)) ** (1 - power)
    sag = 0.16 * np.clip((y - 1.15) / 0.25, 0, 1) * np.cos(turns)
    points = np.stack([x, y + sag, z], axis=-1).reshape(-1, 3)
    # what is near the face gets more texels
    drop = np.broadcast_to(np.clip((y - top) / (bottom - top), 0, 1), x.shape).ravel()
    uv = patch.place(0.5 + 0.46 * points[:, 0] / np.abs(points[:, 0]).max(), 0.04 + 0.9 * np.sqrt(drop))
    return Mesh(points, grid_triangles(*x.shape), uv, np.full(len(points), Part.BODY))
