"""A parametric head: one mesh, identities, expressions, and the 68 landmarks as vertices of it.

Frame and unit of `geometry.neutral_face`; unrotated, it looks into the camera in AFLW2000-3D's posture.
"""

from functools import cache
from typing import NamedTuple

import numpy as np

from nntrack.geometry import landmarks
from nntrack.geometry.neutral_face import NEUTRAL_LANDMARKS, SKULL_CENTRE
from nntrack.synthesis.heads import blendshapes, body_parts
from nntrack.synthesis.heads.surface import (
    EYE_CENTRE,
    EYE_RADIUS,
    MOUTH,
    jaw_weight,
    lip_weights,
    mirrored,
    neutral_surface,
)
from nntrack.synthesis.mesh import Mesh, Part, merge

# Labels of real faces lie within 0.12 radii (rms) of the mean face; stranger shapes are pulled back to this.
MAX_DISTANCE = 0.10

# An expression is a vector: weights of `blendshapes.EXPRESSION`, the jaw's angle in radians, and how far the subject's
# right and left lids are shut (0..1, below 0 opened wide).
EXPRESSION_SIZE = len(blendshapes.EXPRESSION) + 3


class BuiltInHead(NamedTuple):
    """A `HeadModel` made in code: the neutral mesh and everything that moves it.

    identity (k, n, 3), expression (e, n, 3): displacements at weight 1, in the order of the tables in `blendshapes`.
    jaw (n,): how far each vertex turns with the jaw, 0..1. blink (2, n, 3): displacements that shut the subject's right
    and left eye. mirror (s,): mirror partner of each skin vertex.
    """

    mesh: Mesh
    landmarks: np.ndarray
    identity: np.ndarray
    expression: np.ndarray
    jaw: np.ndarray
    blink: np.ndarray
    mirror: np.ndarray
    occlusion: np.ndarray
    neck: np.ndarray

    @property
    def surface_points(self) -> np.ndarray:
        """The skin vertices (s, 3) on the neutral surface: here they are its own."""
        return self.mesh.points[: len(self.mirror)]

    @property
    def hair_freedom(self) -> np.ndarray:
        """How freely hair stands off at each skin vertex (s,): everywhere."""
        return np.ones(len(self.mirror))

    @property
    def neutral_expression(self) -> np.ndarray:
        """The expression of a face at rest (EXPRESSION_SIZE,)."""
        return np.zeros(EXPRESSION_SIZE)

    def skull(self, rest: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """See `HeadModel.skull`."""
        skin = self.mesh.part == Part.SKIN
        return np.ptp(rest[skin], axis=0) / np.ptp(self.mesh.points[skin], axis=0), SKULL_CENTRE

    def sample_identity(self, rng: np.random.Generator) -> np.ndarray:
        """The vertices (n, 3) of a random person's head at rest."""
        weights = np.clip(rng.normal(size=len(self.identity)), -2.2, 2.2)
        weights[list(blendshapes.IDENTITY).index("double_chin")] = max(0.0, rng.normal(0.2, 0.8))
        points = self.mesh.points + np.tensordot(weights.astype(np.float32), self.identity, axes=1)
        points = points * (1 + np.clip(rng.normal(size=3), -2, 2) * (0.035, 0.035, 0.03))
        low = np.clip((points[:, 1:2] - 0.9) / 0.9, 0, 1) * (self.mesh.part == Part.BODY)[:, None]
        build = np.clip(rng.normal(1.0, 0.1), 0.8, 1.25)  # width and depth of neck and shoulders
        points = points * (1 + (build - 1) * low * (1, 0, 1))
        corners = self.landmarks[list(landmarks.EYE_CORNERS)]
        points = points - points[corners].mean(axis=0)
        return self._pull_back(points, self.mesh.points, 0.75 * MAX_DISTANCE)

    def sample_expression(self, rng: np.random.Generator) -> np.ndarray:
        """A random expression (EXPRESSION_SIZE,): often nearly at rest, sometimes strong."""
        names = list(blendshapes.EXPRESSION)
        weights = np.zeros(len(names))
        count = rng.integers(0, 5)
        weights[rng.integers(0, len(names), count)] = rng.uniform(0.1, 1.0, count)
        if rng.random() < 0.4:
            smile = [names.index("smile_right"), names.index("smile_left")]
            strength = rng.uniform(0.2, 1.15)
            weights[smile] = strength + rng.normal(0, 0.05, 2)
            weights[names.index("squint")] = strength * rng.uniform(0, 1.1)  # a smile may reach the eyes
        screwed_up = rng.random() < 0.1  # against the sun, in pain, in laughter
        if screwed_up:
            for name in ("brows_in", "squint", "sneer"):
                weights[names.index(name)] = rng.uniform(0.4, 1.2)
        weights[names.index("jaw_side")] *= rng.choice([-1.0, 1.0])
        jaw = rng.choice([0.0, rng.uniform(0.01, 0.08), rng.uniform(0.05, 0.33)], p=[0.35, 0.4, 0.25])
        lids = np.full(2, rng.uniform(-0.15, 0.4) if rng.random() < 0.88 else rng.uniform(0.4, 1.0))
        if screwed_up:
            lids = np.full(2, rng.uniform(0.1, 0.9))
        if rng.random() < 0.05:  # a wink
            lids[rng.integers(2)] = rng.uniform(0, 1)
        return np.concatenate([weights, [jaw], lids])

    def express(self, rest: np.ndarray, expression: np.ndarray) -> np.ndarray:
        """The vertices (n, 3) of a head at rest with an expression, pulled back into the range of real faces."""
        weights, jaw, lids = expression[:-3], expression[-3], expression[-2:]
        points = rest + np.tensordot(weights.astype(np.float32), self.expression, axes=1)
        points = points + np.tensordot(lids.astype(np.float32), self.blink, axes=1)
        return self._pull_back(blendshapes.turn_jaw(points, self.jaw, jaw), rest, MAX_DISTANCE)

    def _pull_back(self, points: np.ndarray, start: np.ndarray, limit: float) -> np.ndarray:
        """Points moved back toward ``start`` until their landmarks are within ``limit`` (rms) of the neutral ones."""
        chosen = self.landmarks
        free, base = points[chosen] - start[chosen], start[chosen] - NEUTRAL_LANDMARKS
        # |base + t free|^2 = 68 limit^2
        a, b, c = np.sum(free * free), 2 * np.sum(free * base), np.sum(base * base) - len(base) * limit**2
        if a + b + c <= 0:
            return points
        step = (-b + np.sqrt(max(0.0, b * b - 4 * a * c))) / (2 * a)
        return start + np.clip(step, 0, 1) * (points - start)


@cache
def built_in() -> BuiltInHead:
    """The neutral head. Made once per process (a few tenths of a second)."""
    surface = neutral_surface()
    rims = [body_parts.rim(surface.points[loop], 0.03, 0.4) for loop in (surface.right_lids, surface.left_lids)]
    rims.append(body_parts.rim(surface.points[surface.lips], 0.06, 0.9))
    pieces = [
        body_parts.skin(surface),
        *rims,
        body_parts.eyeball(-1),
        body_parts.eyeball(1),
        body_parts.mouth(),
        body_parts.teeth(True),
    ]
    mesh = merge([*pieces, body_parts.teeth(False), body_parts.ear(-1), body_parts.ear(1), body_parts.body()])
    return BuiltInHead(
        mesh,
        surface.landmarks,
        np.stack([_field(bumps, mesh, True) for bumps in blendshapes.IDENTITY.values()]),
        np.stack([_field(bumps, mesh, False) for bumps in blendshapes.EXPRESSION.values()]),
        _jaw(mesh, surface.lips, rims),
        np.stack([_blink(mesh, surface.right_lids, -1), _blink(mesh, surface.left_lids, 1)]),
        surface.mirror,
        _occlusion(mesh),
        np.where(mesh.part == Part.BODY, np.clip((mesh.points[:, 1] - 0.8) / 0.85, 0, 1), 0.0),
    )


def _field(bumps: tuple[blendshapes.Bump, ...], mesh: Mesh, grown: bool) -> np.ndarray:
    """Displacements (n, 3) float32 of the whole mesh by a row of the tables; eyes and teeth move as rigid bodies.

    grown: whether eyes and teeth move with the skin around them, as between persons but not in an expression.
    """
    moves = blendshapes.evaluate(bumps, mesh.points)
    for side in (-1, 1):
        anchor = EYE_CENTRE * (-side, 1, 1) - (0, 0, EYE_RADIUS)
        chosen = (mesh.part == Part.EYE) & (mesh.points[:, 0] * side > 0)
        moves[chosen] = blendshapes.evaluate(bumps, anchor[None])[0] if grown else 0
    mouth = np.isin(mesh.part, (Part.UPPER_TEETH, Part.LOWER_TEETH, Part.MOUTH))
    moves[mouth] = blendshapes.evaluate(bumps, np.array([[0.0, MOUTH[1], -0.22]]))[0] * (0, 1, 1) if grown else 0
    moves[mesh.part == Part.BODY] = 0
    return moves.astype(np.float32)


def _jaw(mesh: Mesh, lips: np.ndarray, rims: list[Mesh]) -> np.ndarray:
    """How far each vertex (n,) turns with the jaw, 0..1; lips (k,): vertex indices; rims: of eyes and lips."""
    weight = jaw_weight(mesh.points)
    weight[lips] = lip_weights(len(lips))
    start = int(np.flatnonzero(mesh.part == Part.RIM)[0]) + len(rims[0].points) + len(rims[1].points)
    weight[start : start + 2 * len(lips)] = np.tile(weight[lips], 2)
    for part, value in ((Part.EYE, 0), (Part.EAR, 0), (Part.UPPER_TEETH, 0), (Part.LOWER_TEETH, 1), (Part.MOUTH, 0)):
        weight[mesh.part == part] = value
    weight[mesh.part == Part.BODY] = 0
    return weight


def _blink(mesh: Mesh, loop: np.ndarray, side: int) -> np.ndarray:
    """Displacements (n, 3) that shut an eye: the upper lid moves to the lower one, the skin above it less and less.

    loop (k,): vertex indices of the lids' edge, in order. side: -1 the subject's right eye, 1 the left one.
    """
    points = mesh.points
    lids = points[loop]
    half = len(lids) // 2
    first, second = lids[: half + 1], np.vstack([lids[half:], lids[:1]])[::-1]
    upper, lower = (first, second) if first[:, 1].mean() < second[:, 1].mean() else (second, first)
    order = np.argsort(upper[:, 0])
    gap = (lower - upper)[order]
    drop = np.stack([np.interp(points[:, 0], upper[order, 0], gap[:, i], 0, 0) for i in range(3)], axis=1)
    edge = np.interp(points[:, 0], upper[order, 0], upper[order, 1])
    floor = np.interp(points[:, 0], np.sort(lower[:, 0]), lower[np.argsort(lower[:, 0]), 1])
    above = np.clip((points[:, 1] - (edge - 0.075)) / 0.075, 0, 1)
    below = np.clip((floor - points[:, 1] + 1e-6) / np.maximum(floor - edge, 1e-3), 0, 1)
    near = (points[:, 0] * side > 0) & np.isin(mesh.part, (Part.SKIN, Part.RIM)) & (points[:, 2] < 0.2)
    return np.where(near[:, None], drop * (np.minimum(above, below) * 1.02)[:, None], 0).astype(np.float32)


def _occlusion(mesh: Mesh) -> np.ndarray:
    """Ambient light that reaches each vertex, set by hand: less in hollows and under the chin."""
    points = mesh.points
    light = np.ones(len(points))
    hollows = (
        ((-0.20, -0.05, -0.06), (0.09, 0.08, 0.1), 0.35),
        ((-0.31, -0.07, -0.04), (0.16, 0.04, 0.1), 0.2),
        ((-0.06, 0.45, -0.22), (0.06, 0.03, 0.08), 0.5),
        ((-0.2, 0.40, -0.1), (0.035, 0.05, 0.08), 0.25),
        ((-0.26, 0.66, -0.06), (0.035, 0.04, 0.08), 0.25),
        ((0, 0.84, -0.15), (0.2, 0.04, 0.1), 0.2),
    )
    for centre, sigma, depth in hollows:
        for at in {centre, tuple(mirrored(np.array(centre)))}:
            light *= 1 - depth * np.exp(-0.5 * np.sum(((points - at) / sigma) ** 2, axis=1))
    under = np.clip((points[:, 1] - 1.0) / 0.25, 0, 1) * np.clip((points[:, 2] + 0.05) / 0.3, 0, 1)
    light[mesh.part == Part.SKIN] *= (1 - 0.45 * under)[mesh.part == Part.SKIN]
    neck = mesh.part == Part.BODY
    light[neck] *= 1 - 0.5 * np.exp(-(((points[neck, 1] - 1.0) / 0.35) ** 2))
    ear = mesh.part == Part.EAR
    out = np.abs(points[:, 0]) - 0.735 - 0.4 * (points[:, 2] - 0.75)
    light[ear] *= np.clip(0.75 + 5 * out[ear], 0.45, 1)
    light[mesh.part == Part.EYE] *= 0.85
    return light
