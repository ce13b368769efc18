"""The texture atlas of a head: which rectangle of it shows what, and where in it a point of the skin lies."""

from typing import NamedTuple

import numpy as np

from nntrack.synthesis.heads.surface import directions


class Patch(NamedTuple):
    """A rectangle of the atlas, u0, v0, u1, v1."""

    u0: float
    v0: float
    u1: float
    v1: float

    def place(self, u: np.ndarray, v: np.ndarray) -> np.ndarray:
        """Positions 0..1 within the patch to u, v in the atlas, (n, 2)."""
        u, v = np.asarray(u), np.asarray(v)
        return np.column_stack([self.u0 + u * (self.u1 - self.u0), self.v0 + v * (self.v1 - self.v0)])


ATLAS = (1024, 512)  # height, width in texels
_SPLIT, _CLOTHES = 512 / 1024, 640 / 1024
SKIN_PATCH = Patch(0, 0, 1, _SPLIT)
EYE_PATCH = Patch(0.0, _SPLIT, 0.25, _CLOTHES)
PLAIN_PATCH = Patch(0.25, _SPLIT, 0.5, _CLOTHES)  # skin without features: ears, neck
CLOTH_PATCH = Patch(0.0, _CLOTHES, 1.0, 1)
TEETH_PATCH = Patch(0.5, _SPLIT, 0.75, _CLOTHES)
DARK_PATCH = Patch(0.75, _SPLIT, 0.85, _CLOTHES)  # inside the mouth
RIM_PATCH = Patch(0.85, _SPLIT, 0.92, _CLOTHES)
SOLID_PATCH = Patch(0.93, _SPLIT, 1, _CLOTHES)  # frames of glasses, visors


def skin_uv(points: np.ndarray) -> np.ndarray:
    """The place of skin points (n, 3) in the atlas: angle from the front outward, stretched where the face is."""
    x, y, z = directions(points).T
    reach = 0.5 * (np.arccos(np.clip(-z, -1, 1)) / np.pi) ** 0.8 / np.maximum(np.hypot(x, y), 1e-9)
    return SKIN_PATCH.place(0.5 + reach * x, 0.5 + reach * y)


def texel_directions(side: int) -> np.ndarray:
    """Inverts `skin_uv`: unit directions (side, side, 3) from the surface's `CENTRE` to the texels of the skin patch.

    Texels beyond the back of the head repeat it.
    """
    axis = (np.arange(side) + 0.5) / side - 0.5
    u, v = np.meshgrid(axis, axis)
    reach = np.hypot(u, v)
    angle = np.pi * np.minimum(reach / 0.5, 1) ** 1.25
    scale = np.sin(angle) / np.maximum(reach, 1e-9)
    return np.stack([u * scale, v * scale, -np.cos(angle)], axis=-1)


def texels(image: np.ndarray, patch: Patch) -> np.ndarray:
    """The part of an atlas (ATLAS) that a patch covers, a view."""
    height, width = ATLAS
    rows = slice(round(patch.v0 * height), round(patch.v1 * height))
    return image[rows, round(patch.u0 * width) : round(patch.u1 * width)]
