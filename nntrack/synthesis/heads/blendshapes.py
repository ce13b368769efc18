"""How heads differ and how faces move: named displacement fields over the neutral head, set by hand.

A field takes points (n, 3) of the neutral head to displacements (n, 3) at full weight. Frame and unit of
`geometry.neutral_face`. Most are sums of bumps: Gaussians about a point of the subject's right half and its mirror
image.
"""

from typing import NamedTuple

import numpy as np

from nntrack.synthesis.heads.surface import mirrored

Vector = tuple[float, float, float]
HINGE = np.array([0.0, 0.18, 0.72])  # the jaw turns about the x axis through this point


class Bump(NamedTuple):
    """A Gaussian about ``centre``, ``sigma`` wide, times ``shift``; sides: 0 both, -1 right or 1 left."""

    centre: Vector
    sigma: float | Vector
    shift: Vector
    sides: int = 0


# weight 1 is one standard deviation among people
IDENTITY: dict[str, tuple[Bump, ...]] = {
    "nose_length": (
        Bump((0, 0.36, -0.36), (0.16, 0.13, 0.25), (0, 0.035, 0)),
        Bump((0, 0.44, -0.2), (0.16, 0.08, 0.2), (0, 0.01, 0)),
    ),
    "nose_projection": (Bump((0, 0.33, -0.42), (0.13, 0.16, 0.2), (0, 0, -0.04)),),
    "nose_bridge": (Bump((0, 0.1, -0.28), (0.1, 0.14, 0.2), (0, 0, -0.035)),),
    "nose_tilt": (Bump((0, 0.36, -0.4), (0.12, 0.1, 0.15), (0, -0.035, -0.01)),),
    "nose_width": (Bump((-0.15, 0.38, -0.2), (0.08, 0.11, 0.14), (-0.028, 0, 0)),),
    "nose_root_width": (Bump((-0.09, 0.06, -0.16), (0.06, 0.16, 0.12), (-0.018, 0, 0)),),
    "brow_ridge": (Bump((-0.25, -0.19, -0.16), (0.25, 0.09, 0.2), (0, 0.01, -0.03)),),
    "brow_height": (Bump((-0.36, -0.2, -0.1), (0.25, 0.1, 0.2), (0, -0.025, 0)),),
    "brow_slant": (Bump((-0.52, -0.17, 0.03), (0.13, 0.1, 0.2), (0, -0.025, 0)),),
    "forehead_slope": (Bump((0, -0.75, 0.0), (0.6, 0.3, 0.5), (0, 0, 0.035)),),
    "skull_height": (Bump((0, -1.1, 0.7), (0.8, 0.5, 0.9), (0, -0.06, 0)),),
    "skull_depth": (Bump((0, -0.3, 1.75), (0.8, 0.8, 0.6), (0, 0, 0.07)),),
    "skull_width": (Bump((-0.78, -0.4, 1.0), (0.4, 0.6, 0.7), (-0.04, 0, 0)),),
    "cheekbones": (Bump((-0.58, 0.16, 0.22), (0.18, 0.16, 0.3), (-0.03, 0, -0.02)),),
    "cheek_fullness": (Bump((-0.45, 0.52, 0.15), (0.22, 0.22, 0.3), (-0.04, 0.01, -0.035)),),
    "jaw_width": (Bump((-0.55, 0.8, 0.5), (0.25, 0.28, 0.35), (-0.045, 0, 0)),),
    "chin_length": (Bump((0, 1.08, -0.05), (0.4, 0.22, 0.35), (0, 0.05, 0)),),
    "chin_projection": (Bump((0, 1.0, -0.14), (0.25, 0.17, 0.3), (0, 0, -0.04)),),
    "chin_width": (Bump((-0.2, 1.03, 0.0), (0.16, 0.16, 0.2), (-0.035, 0, 0.0)),),
    "double_chin": (Bump((0, 1.12, 0.3), (0.35, 0.2, 0.35), (0, 0.06, 0)),),
    "eye_spacing": (Bump((-0.31, 0, -0.02), (0.19, 0.16, 0.2), (-0.018, 0, 0)),),
    "eye_depth": (Bump((-0.31, -0.02, -0.02), (0.14, 0.12, 0.2), (0, 0, 0.02)),),
    "eye_slant": (Bump((-0.44, 0, 0.03), (0.09, 0.1, 0.15), (0, -0.018, 0)),),
    "lid_opening": (
        Bump((-0.31, -0.055, -0.05), (0.11, 0.028, 0.1), (0, -0.016, 0)),
        Bump((-0.31, 0.035, -0.04), (0.11, 0.028, 0.1), (0, 0.008, 0)),
    ),
    "lid_fold": (Bump((-0.31, -0.1, -0.05), (0.14, 0.045, 0.15), (0, 0, -0.025)),),
    "mouth_width": (Bump((-0.25, 0.66, -0.07), (0.11, 0.12, 0.15), (-0.028, 0, 0.006)),),
    "mouth_height": (Bump((0, 0.66, -0.2), (0.3, 0.13, 0.3), (0, 0.025, 0)),),
    "upper_lip": (Bump((0, 0.585, -0.255), (0.2, 0.035, 0.15), (0, -0.018, -0.012)),),
    "lower_lip": (Bump((0, 0.75, -0.21), (0.18, 0.05, 0.15), (0, 0.018, -0.014)),),
    "lips_forward": (Bump((0, 0.66, -0.24), (0.22, 0.12, 0.2), (0, 0, -0.035)),),
    "under_lip": (Bump((0, 0.86, -0.15), (0.2, 0.06, 0.15), (0, 0, 0.025)),),
    "nasolabial": (Bump((-0.26, 0.5, -0.08), (0.05, 0.13, 0.1), (0.0, 0, 0.022)),),
    "eye_bags": (Bump((-0.31, 0.1, -0.04), (0.12, 0.04, 0.1), (0, 0, -0.018)),),
    "temple": (Bump((-0.66, -0.3, 0.4), (0.16, 0.22, 0.25), (0.035, 0, 0)),),
    "eye_height_right": (Bump((-0.31, 0, 0), (0.2, 0.2, 0.2), (0, 0.008, 0), -1),),
    "nose_bend": (Bump((0, 0.3, -0.4), (0.12, 0.14, 0.15), (0.012, 0, 0), -1),),
    "mouth_skew": (Bump((-0.25, 0.66, -0.07), (0.12, 0.1, 0.15), (0, 0.012, 0), -1),),
}

# weight 1 is the full movement
EXPRESSION: dict[str, tuple[Bump, ...]] = {
    **{
        f"smile_{side}": (
            Bump((-0.26, 0.66, -0.07), (0.12, 0.11, 0.2), (-0.075, -0.06, 0.035), sign),
            Bump((-0.42, 0.3, -0.01), (0.16, 0.14, 0.2), (-0.02, -0.035, -0.035), sign),
            Bump((-0.31, 0.05, -0.04), (0.12, 0.035, 0.1), (0, -0.012, 0), sign),
            Bump((-0.33, 0.56, -0.03), (0.06, 0.12, 0.1), (-0.01, 0, 0.02), sign),
        )
        for side, sign in (("right", -1), ("left", 1))
    },
    "mouth_down": (Bump((-0.26, 0.67, -0.07), (0.1, 0.1, 0.15), (-0.005, 0.06, 0.01)),),
    "pucker": (
        Bump((-0.24, 0.66, -0.08), (0.12, 0.12, 0.2), (0.1, 0, -0.035)),
        Bump((0, 0.66, -0.23), (0.16, 0.12, 0.2), (0, 0, -0.06)),
    ),
    "stretch": (Bump((-0.26, 0.68, -0.07), (0.13, 0.14, 0.2), (-0.055, 0.02, 0.02)),),
    "brows_up": (Bump((-0.36, -0.21, -0.1), (0.3, 0.13, 0.25), (0, -0.08, 0.005)),),
    "brow_up_right": (Bump((-0.4, -0.21, -0.08), (0.22, 0.12, 0.25), (0, -0.075, 0), -1),),
    "brow_up_left": (Bump((-0.4, -0.21, -0.08), (0.22, 0.12, 0.25), (0, -0.075, 0), 1),),
    "brows_in": (Bump((-0.18, -0.19, -0.17), (0.13, 0.1, 0.15), (0.035, 0.05, -0.01)),),
    "brows_sad": (Bump((-0.17, -0.2, -0.17), (0.12, 0.1, 0.15), (0.01, -0.055, 0)),),
    "squint": (
        Bump((-0.31, 0.05, -0.04), (0.14, 0.045, 0.1), (0, -0.03, -0.01)),
        Bump((-0.31, -0.08, -0.05), (0.16, 0.06, 0.1), (0, 0.022, 0)),
    ),
    "sneer": (
        Bump((-0.16, 0.37, -0.2), (0.09, 0.09, 0.12), (-0.015, -0.04, 0)),
        Bump((-0.14, 0.58, -0.2), (0.1, 0.05, 0.1), (0, -0.03, 0)),
    ),
    "puff": (Bump((-0.42, 0.62, 0.03), (0.17, 0.17, 0.2), (-0.06, 0, -0.06)),),
    "jaw_side": (Bump((0, 0.95, 0.0), (0.5, 0.25, 0.5), (0.06, 0, 0), -1),),
}


def evaluate(bumps: tuple[Bump, ...], points: np.ndarray) -> np.ndarray:
    """The displacements (n, 3) of one row of the tables at points (n, 3)."""
    total = np.zeros_like(points)
    for bump in bumps:
        if bump.sides == 0 and bump.centre[0] == 0:
            total += _gaussian(points, bump) * np.array(bump.shift)
            continue
        if bump.sides <= 0:
            total += _gaussian(points, bump) * np.array(bump.shift)
        if bump.sides >= 0:
            total += _gaussian(mirrored(points), bump) * mirrored(np.array(bump.shift))
    return total


def turn_jaw(points: np.ndarray, weight: np.ndarray, angle: float) -> np.ndarray:
    """Points (n, 3) after the jaw opened by ``angle`` radians, of which each turns by its ``weight`` (n,)."""
    turn = angle * weight
    y, z = points[:, 1] - HINGE[1], points[:, 2] - HINGE[2]
    cos, sin = np.cos(turn), np.sin(turn)
    # positive: the chin (in front of the hinge, z < 0) goes down
    return np.column_stack([points[:, 0], HINGE[1] + cos * y - sin * z, HINGE[2] + sin * y + cos * z])


def _gaussian(points: np.ndarray, bump: Bump) -> np.ndarray:
    offset = (points - np.array(bump.centre)) / np.broadcast_to(bump.sigma, 3)
    return np.exp(-0.5 * np.sum(offset * offset, axis=1))[:, None]
