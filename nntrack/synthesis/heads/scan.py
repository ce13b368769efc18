"""A `HeadModel` made of scans: FaceKit's meshes in our posture, cut down to what is seen.

Frame and unit of `geometry.neutral_face`.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from nntrack.geometry import landmarks
from nntrack.synthesis.heads import atlas, cutting, expressions, facekit, scan_fit
from nntrack.synthesis.mesh import Mesh, Part, merge

# (name, probability, least, greatest): the commonest movements, besides any mode now and then
_FREQUENT = (("mouthSmile", 0.35, 0.15, 0.9), ("eyeSquint", 0.2, 0.1, 0.8))


class ScannedHead(NamedTuple):
    """A `HeadModel` of n vertices, s of them skin.

    identity (k, n, 3), expression (e, n, 3): displacements at weight 1; names (e,) of the expressions.
    """

    mesh: Mesh
    landmarks: np.ndarray
    surface_points: np.ndarray
    hair_freedom: np.ndarray
    occlusion: np.ndarray
    neck: np.ndarray
    identity: np.ndarray
    expression: np.ndarray
    names: tuple[str, ...]

    @property
    def neutral_expression(self) -> np.ndarray:
        """The expression of a face at rest (e,)."""
        return np.zeros(len(self.names))

    def skull(self, rest: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """See `HeadModel.skull`."""
        return cutting.skull(rest, self.surface_points, self.hair_freedom)

    def sample_identity(self, rng: np.random.Generator) -> np.ndarray:
        """The vertices (n, 3) of a random person's head at rest.

        The modes' change of size is taken out: in an image a large head looks like a near one, also to those who
        annotated the real images.
        """
        weights = np.clip(rng.normal(size=len(self.identity)), -2.5, 2.5)
        points = self.mesh.points + np.tensordot(weights.astype(np.float32), self.identity, axes=1)
        own, neutral = (p[self.landmarks] - p[self.landmarks].mean(axis=0) for p in (points, self.mesh.points))
        points = points * (np.sum(neutral * neutral) / np.sum(own * neutral))
        points = points * (1 + np.clip(rng.normal(size=3), -2, 2) * 0.03)
        points = cutting.vary_build(rng, points, self.neck)
        return points - points[self.landmarks[list(landmarks.EYE_CORNERS)]].mean(axis=0)

    def sample_expression(self, rng: np.random.Generator) -> np.ndarray:
        """A random expression (e,): up to three modes, a smile, lids and jaw; both sides of the face mostly agree."""
        weights = dict.fromkeys(self.names, 0.0)
        for name in rng.choice(self.names, rng.integers(0, 4)) if self.names else ():
            strength, symmetric = rng.uniform(0.1, 0.9), rng.random() < 0.7
            for side in (name, _partner(name)) if symmetric else (name,):
                weights[side] = strength
        for name, probability, low, high in _FREQUENT:
            if rng.random() < probability:
                weights |= _both(name, rng.uniform(low, high) + rng.normal(0, 0.04, 2))
        smile = max(0.0, weights.get("mouthSmile_L", 0.0))
        if rng.random() < 0.6:  # a smile may reach the eyes
            weights |= _both("eyeSquint", np.full(2, smile * rng.uniform(0.2, 1.1)))
        screwed_up = rng.random() < 0.1  # against the sun, in pain, in laughter
        if screwed_up:
            for name in ("browDown", "eyeSquint", "noseSneer"):
                weights |= _both(name, rng.uniform(0.4, 1.1) + rng.normal(0, 0.04, 2))
        weights["jawOpen"] = rng.choice([0.0, rng.uniform(0.01, 0.15), rng.uniform(0.1, 0.8)], p=[0.4, 0.35, 0.25])
        lids = np.full(2, rng.uniform(-0.15, 0.35) if rng.random() < 0.88 else rng.uniform(0.35, 1.0))
        if screwed_up:
            lids = np.full(2, rng.uniform(0.1, 0.9))
        if rng.random() < 0.05:  # a wink
            lids[rng.integers(2)] = rng.uniform(0, 1)
        weights |= _both("eyeBlink", lids)
        return np.array([weights[name] for name in self.names])

    def creases(self, expression: np.ndarray) -> np.ndarray:
        """See `HeadModel.creases`."""
        return expressions.creases(self.names, expression)

    def express(self, rest: np.ndarray, expression: np.ndarray) -> np.ndarray:
        """The vertices (n, 3) of a head at rest with an expression."""
        used = np.flatnonzero(expression)
        return rest + np.tensordot(expression[used].astype(np.float32), self.expression[used], axes=1)


def load(folder: Path) -> ScannedHead:
    """The head of a folder in FaceKit's layout. Raises FileNotFoundError or ValueError as `facekit.read` does."""
    scans = facekit.read(folder)
    matrix, shift = scan_fit.align(scans.neutral[facekit.LANDMARKS])
    points = scans.neutral @ matrix.T + shift
    marks = scan_fit.with_contour(facekit.LANDMARKS, points[: facekit.SKIN.stop])
    fit = scan_fit.fit_to_surface(points[: facekit.SKIN.stop], points[marks])
    ears = scan_fit.find_ears(fit)
    clothes = cutting.clothes()
    points[: facekit.SKIN.stop] = scan_fit.tuck_in(points[: facekit.SKIN.stop], clothes.points)
    pieces = _pieces(points, scans.triangles, fit.surface, ears)
    source = np.concatenate([piece.source for piece in pieces])
    mesh = merge([*(piece.mesh for piece in pieces), clothes])
    skin = pieces[0].source
    # skin that is tucked in must stay there, and so must clothes
    free = np.where(source < facekit.SKIN.stop, 1 - np.clip((points[source, 1] - 1.15) / 0.3, 0, 1), 1)
    free = np.r_[free, np.zeros(len(clothes.points))]
    source = np.r_[source, np.zeros(len(clothes.points), int)]
    return ScannedHead(
        mesh,
        np.searchsorted(skin, marks),
        fit.surface[skin],
        scan_fit.hair_freedom(points[skin], points[: facekit.SKIN.stop][ears]),
        scan_fit.occlusion(mesh),
        scan_fit.neck_weight(mesh),
        _moves(list(scans.identities), source, free, matrix),
        _moves(list(scans.expressions.values()), source, free, matrix),
        tuple(scans.expressions),
    )


def _moves(fields: list[np.ndarray], source: np.ndarray, free: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Modes of the files as displacements (k, n, 3) float32 of the mesh's vertices.

    Args:
        fields: k times (SOLID, 3), frame and unit of the files.
        source: (n,), each vertex's index in the files.
        free: (n,), factor of each vertex's displacement, 0..1.
        matrix: (3, 3), from the files' frame to ours.
    """
    moves = np.zeros((len(fields), len(source), 3), np.float32)
    for move, field in zip(moves, fields, strict=True):
        move[:] = free[:, None] * (field[source] @ matrix.T)
    return moves


def _pieces(points: np.ndarray, triangles: np.ndarray, surface: np.ndarray, ears: np.ndarray) -> list[cutting.Piece]:
    """Skin first; then ears, which the atlas shows as plain skin, eye sockets, mouth, teeth and eyeballs."""
    of_skin = (triangles < facekit.SKIN.stop).all(axis=1)
    of_ears = np.zeros(len(triangles), bool)
    of_ears[of_skin] = ears[triangles[of_skin]].all(axis=1)
    shown = of_skin & ~of_ears & (points[triangles, 1] < cutting.LOWEST).all(axis=1)
    gums, teeth = (
        cutting.front_only(points, cutting.within(triangles, which)) for which in (facekit.GUMS, facekit.TEETH)
    )
    pieces = [
        cutting.cut(points, triangles[shown], Part.SKIN, lambda source: atlas.skin_uv(surface[source])),
        cutting.cut(
            points, triangles[of_ears], Part.EAR, lambda source: cutting.side_view(points[source], atlas.PLAIN_PATCH)
        ),
        cutting.cut(
            points,
            cutting.within(triangles, facekit.SOCKETS),
            Part.RIM,
            lambda source: cutting.one_texel(source, atlas.RIM_PATCH),
        ),
        cutting.cut(
            points,
            cutting.within(triangles, facekit.MOUTH),
            Part.MOUTH,
            lambda source: cutting.one_texel(source, atlas.DARK_PATCH),
        ),
        cutting.cut(points, gums, Part.MOUTH, lambda source: cutting.one_texel(source, atlas.RIM_PATCH)),
        cutting.cut(points, teeth, Part.UPPER_TEETH, lambda source: cutting.one_texel(source, atlas.TEETH_PATCH)),
    ]
    return [*pieces, *(cutting.eyeball(points, triangles, which) for which in (facekit.RIGHT_EYE, facekit.LEFT_EYE))]


def _both(name: str, strength: np.ndarray) -> dict[str, float]:
    """A mode of both sides; strength (2,): the subject's right and left."""
    return {f"{name}_R": strength[0], f"{name}_L": strength[1]}


def _partner(name: str) -> str:
    """The same mode on the other side of the face; itself where it has no side."""
    return name[:-1] + {"L": "R", "R": "L"}[name[-1]] if name.endswith(("_L", "_R")) else name
