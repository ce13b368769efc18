"""Creases that expressions make in the skin: furrows, lines of raised brows, crow's feet, folds of a smile."""

from functools import cache

import cv2
import numpy as np

from nntrack.synthesis.appearance.face_texture import SIDE, FaceTexture, smooth_curve, stroke
from nntrack.synthesis.heads.surface import mirrored, project

_FACE = slice(120, 392)  # rows and columns of the skin patch around the face
CREASES = ("frown", "brows up", "squint", "smile", "sneer")
# Points of the subject's right half
_LINES: dict[str, tuple[tuple[tuple[float, float, float], ...], ...]] = {
    "frown": (
        ((-0.05, -0.32, -0.22), (-0.045, -0.22, -0.21), (-0.06, -0.13, -0.2)),
        ((-0.1, -0.28, -0.21), (-0.085, -0.2, -0.2)),
        ((-0.07, -0.06, -0.18), (0.0, -0.075, -0.2)),
    ),
    "brows up": tuple(
        ((-0.42, y + 0.05, -0.08), (-0.22, y, -0.18), (0.0, y + 0.02, -0.21)) for y in (-0.58, -0.48, -0.38, -0.3)
    ),
    "squint": (
        ((-0.49, -0.02, 0.08), (-0.58, -0.06, 0.15)),
        ((-0.49, 0.02, 0.08), (-0.6, 0.03, 0.17)),
        ((-0.48, 0.05, 0.07), (-0.57, 0.11, 0.15)),
        ((-0.18, 0.06, -0.05), (-0.3, 0.12, -0.04), (-0.43, 0.09, 0.02)),
        ((-0.2, 0.11, -0.05), (-0.3, 0.17, -0.05), (-0.4, 0.16, 0.0)),
    ),
    "smile": (
        ((-0.19, 0.37, -0.11), (-0.28, 0.46, -0.08), (-0.34, 0.58, -0.04), (-0.35, 0.7, 0.0)),
        ((-0.4, 0.56, 0.03), (-0.42, 0.66, 0.05), (-0.4, 0.76, 0.05)),
    ),
    "sneer": (
        ((-0.1, 0.05, -0.16), (-0.04, 0.1, -0.24)),
        ((-0.13, 0.12, -0.15), (-0.07, 0.18, -0.24)),
        ((-0.18, 0.33, -0.12), (-0.25, 0.42, -0.09), (-0.27, 0.5, -0.07)),
    ),
}


def creased(texture: FaceTexture, depths: np.ndarray) -> np.ndarray:
    """The texture atlas with creases of ``depths`` (len(CREASES),), as `HeadModel.creases` gives them."""
    if depths.max() < 0.05:
        return texture.atlas
    atlas = texture.atlas.copy()
    skin = atlas[_FACE, _FACE]
    for depth, layer in zip(depths, _layers(), strict=True):
        if depth > 0.05:
            skin *= 1 - min(float(depth), 1.2) * texture.furrowed * layer
    return atlas


@cache
def _layers() -> list[np.ndarray]:
    """How much each crease darkens the face at its deepest; lines with lighter rims."""
    layers = []
    for kind in CREASES:
        layer = np.zeros((SIDE, SIDE), np.float32)
        for line in _LINES[kind]:
            curve = smooth_curve(project(np.array(line)))
            stroke(layer, curve, 2, 1.0)
            stroke(layer, mirrored(curve), 2, 1.0)
        fine, wide = cv2.GaussianBlur(layer, (0, 0), 2.0), cv2.GaussianBlur(layer, (0, 0), 5.0)
        layers.append(np.clip(1.5 * fine - 0.8 * wide, -0.3, 0.7)[_FACE, _FACE])
    return layers
