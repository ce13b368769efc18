"""How a scanned head fits ours: its posture, its contour, where texture and hair lie on it, how it sits in its clothes.

Frame and unit of `geometry.neutral_face`. Skin points are those of `facekit.SKIN`.
"""

from typing import NamedTuple

import numpy as np
from scipy.interpolate import RBFInterpolator
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from nntrack.geometry import landmarks
from nntrack.geometry.neutral_face import NEUTRAL_LANDMARKS
from nntrack.synthesis import rasterizer
from nntrack.synthesis.heads.surface import CENTRE, project
from nntrack.synthesis.mesh import Mesh, Part, vertex_normals

# What is comparable from face to face: not the brows, which anybody may raise, nor the contour (see `with_contour`)
_COMPARED = np.arange(27, 68)
_VIEWS, _VIEW_SIDE, _VIEW_SCALE = 48, 256, 56.0  # of `occlusion`: directions, px, px per head radius


class SurfaceFit(NamedTuple):
    """Skin points on the neutral surface. surface (s, 3); excess (s,): how much farther from its middle the
    scan is, 1 where they agree."""

    surface: np.ndarray
    excess: np.ndarray


def align(marks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What takes the files' frame to ours: a matrix (3, 3) and a shift (3,), from landmarks (68, 3) of their neutral.

    A similarity. Its rotation is what matters most: a head that hangs by some degrees gives every label that bias. It
    is scaled because the labels' 100 mm are those of the model by which AFLW2000-3D was annotated, and FaceKit's face
    is 3.5 % larger than that model's mean face, at the features and at the jaw alike.
    """
    turned = marks * (0.1, -0.1, -0.1)  # y down, z into the screen, head radii
    own, other = turned[_COMPARED], NEUTRAL_LANDMARKS[_COMPARED]
    own, other = own - own.mean(axis=0), other - other.mean(axis=0)
    rotation = Rotation.align_vectors(other, own)[0].as_matrix()
    scale = np.sum(other * (own @ rotation.T)) / np.sum(own * own)
    matrix = scale * rotation * (0.1, -0.1, -0.1)
    return matrix, -(marks[list(landmarks.EYE_CORNERS)] @ matrix.T).mean(axis=0)


def with_contour(indices: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Vertex indices (68,) of the landmarks, with a contour that follows the jaw in depth, as AFLW2000-3D's does.

    FaceKit's own contour lies where the cheek's outline is seen from the front, 20 mm in front of the jaw: labels, and
    the boxes made of them, would differ from real ones wherever a head is turned.
    """
    found = indices.copy()
    found[list(landmarks.JAW)] = cKDTree(points).query(NEUTRAL_LANDMARKS[list(landmarks.JAW)])[1]
    return found


def fit_to_surface(points: np.ndarray, marks: np.ndarray) -> SurfaceFit:
    """Skin points (s, 3) onto the neutral surface: a smooth warp that takes landmarks to landmarks, then outward."""
    targets = NEUTRAL_LANDMARKS.copy()
    targets[list(landmarks.NOSTRILS), 1] += 0.035  # where the atlas has nostrils, FaceKit has the sill below them
    marks, first = np.unique(marks, axis=0, return_index=True)
    warped = RBFInterpolator(marks, targets[first], kernel="linear", degree=1)(points)
    surface = project(warped)
    excess = np.linalg.norm(warped - CENTRE, axis=1) / np.linalg.norm(surface - CENTRE, axis=1)
    # The atlas has no neck: the throat's texture, where no beard grows, is stretched over it.
    low = np.clip((warped[:, 1:2] - 1.1) / 0.35, 0, 1)
    throat = np.column_stack([warped[:, 0], np.full(len(warped), 1.1), np.maximum(warped[:, 2], 0.95)])
    return SurfaceFit(project(warped * (1 - low) + throat * low), excess)


def find_ears(fit: SurfaceFit) -> np.ndarray:
    """Which skin points (s,) are of an ear: what stands out from the sides of a smooth head."""
    x, y, z = fit.surface.T
    return (fit.excess > 1.05) & (np.abs(x) > 0.6) & (np.abs(y - 0.1) < 0.5) & (z > 0.5) & (z < 1.25)


def hair_freedom(points: np.ndarray, ears: np.ndarray) -> np.ndarray:
    """How freely hair stands off at skin points (s, 3), 0..1: not at the ears (k, 3), nor on the neck."""
    gap = cKDTree(ears).query(points)[0] if len(ears) else np.inf
    return np.clip(gap / 0.12, 0, 1) * np.clip((1.3 - points[:, 1]) / 0.3, 0, 1)


def tuck_in(points: np.ndarray, clothes: np.ndarray) -> np.ndarray:
    """Skin points (s, 3) with the shoulders narrowed, so that they are within the collar of the clothes (k, 3)."""
    collar = clothes[clothes[:, 1] < clothes[:, 1].min() + 0.33]
    middle = (collar.min(axis=0) + collar.max(axis=0)) / 2
    half = np.array([0.60, 0.53])
    offset = (points[:, [0, 2]] - middle[[0, 2]]) / half
    reach = np.maximum(np.linalg.norm(offset, axis=1), 1e-9)
    height = 1.11 + 0.40 * np.clip(-offset[:, 1] / reach, 0, 1) ** 1.5  # the throat begins lower than the nape
    limit = 0.95 + 4 * np.maximum(0, height - points[:, 1])
    shrink = np.minimum(1, limit / reach)
    flat = middle[[0, 2]] + offset * half * shrink[:, None]
    return np.column_stack([flat[:, 0], points[:, 1], flat[:, 1]])


def neck_weight(mesh: Mesh) -> np.ndarray:
    """How far each vertex (n,) turns with the shoulders, 0..1: clothes by their height, skin from the jaw down."""
    y, z = mesh.points[:, 1], mesh.points[:, 2]
    low = np.clip((y - 0.8) / 0.85, 0, 1)
    below = np.clip((y + 0.48 * z - 1.13) / 0.3, 0, 1)  # the line from the chin to the corner of the jaw
    skin = mesh.part == Part.SKIN
    return np.where(mesh.part == Part.BODY, low, np.where(skin, low * below * below * (3 - 2 * below), 0))


def occlusion(mesh: Mesh) -> np.ndarray:
    """How much of the ambient light reaches each vertex (n,), 0..1, found by views from many directions."""
    points = mesh.points
    normals = vertex_normals(points, mesh.triangles)
    index = np.arange(_VIEWS) + 0.5
    height, turn = 1 - 2 * index / _VIEWS, np.pi * (1 + 5**0.5) * index  # a spiral over the sphere
    flat = np.sqrt(1 - height * height)
    total, arrived = np.zeros(len(points)), np.zeros(len(points))
    for direction in np.column_stack([flat * np.cos(turn), height, flat * np.sin(turn)]):
        weight = np.maximum(0, normals @ direction)
        total += weight
        arrived += weight * _sees(points, mesh.triangles, direction)
    light = 0.25 + 0.75 * arrived / np.maximum(total, 1e-9)
    skin = mesh.part == Part.SKIN
    lids = cKDTree(NEUTRAL_LANDMARKS[36:48]).query(points)[0] < 0.07  # folded when open, they are flat when shut
    light = np.where(skin & lids, np.maximum(light, 0.8), light)
    near_collar = points[:, 1] > 1.15  # which is rendered tighter than it would be
    light = np.where(skin & near_collar, np.maximum(light, 0.6), light)
    # What lips hide at rest is dark within; the texture of eyes is shaded already.
    light[mesh.part == Part.MOUTH] = 0.4
    light[mesh.part == Part.EYE] = 0.85
    return np.where(mesh.part == Part.UPPER_TEETH, np.clip(0.75 - 2.5 * (points[:, 2] + 0.1), 0.2, 0.75), light)


def _sees(points: np.ndarray, triangles: np.ndarray, direction: np.ndarray) -> np.ndarray:
    """Whether each vertex (n,) is seen from far off in a direction, 0 or 1."""
    first = np.cross(direction, (0.3, 0.2, 1.0))
    first = first / np.linalg.norm(first)
    seen = (points - (0, 0.4, 0.7)) @ np.stack([first, np.cross(direction, first), -direction]).T
    pixels = seen * _VIEW_SCALE + (_VIEW_SIDE / 2, _VIEW_SIDE / 2, 0)
    depth = rasterizer.rasterize(
        pixels, triangles, np.zeros((len(points), 3)), (_VIEW_SIDE, _VIEW_SIDE), _VIEW_SCALE
    ).depth
    column, row = np.clip(pixels[:, :2].astype(int), 0, _VIEW_SIDE - 1).T
    return (seen[:, 2] < depth[row, column] + 0.04).astype(float)
