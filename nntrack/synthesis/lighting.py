"""Lamps, and how bright they make each vertex of a mesh."""

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np

from nntrack.synthesis import rasterizer
from nntrack.synthesis.mesh import Mesh, Part, vertex_normals

MAX_SHADING = 4.0
_SHADOW_SIDE = 160  # px of the shadow map
_SHADOW_MIDDLE = np.array([0.0, 0.0, 0.7])  # what it is centred on, head radii


class Light(NamedTuple):
    """ambient: light from all around. directions (k, 3): unit vectors toward the lamps, image frame; strengths (k,).

    shadow: whether the first lamp casts one. slope (3,): how the ambient light changes along x, y, z; by default most
    comes from above.
    """

    ambient: float
    directions: np.ndarray
    strengths: np.ndarray
    shadow: bool
    slope: np.ndarray = np.array([0.0, -0.3, 0.0])


def sample_light(rng: np.random.Generator) -> Light:
    """One to three lamps, mostly from above and in front, or a hard one from the side and darkness on the other."""
    slope = rng.normal(0, [0.22, 0.15, 0.15]) - (0, 0.3, 0)
    if rng.random() < 0.2:
        direction = np.array([[rng.choice([-1, 1]), rng.normal(-0.35, 0.45), rng.normal(-0.2, 0.35)]])
        direction /= np.linalg.norm(direction)
        return Light(float(rng.uniform(0.05, 0.25)), direction, np.array([rng.uniform(0.6, 1.0)]), True, slope)
    count = rng.integers(1, 4)
    directions = rng.normal(0, 1, (count, 3)) * (1.2, 0.7, 0.6) - (0, 0.5, rng.uniform(0.0, 1.4))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    strengths = rng.uniform(0.15, 1.0, count) * np.array([1.0, 0.6, 0.4])[:count]
    return Light(float(rng.uniform(0.12, 0.9) ** 1.3), directions, strengths, rng.random() < 0.65, slope)


def shade(
    points: np.ndarray,
    mesh: Mesh,
    occlusion: np.ndarray,
    light: Light,
    oiliness: float,
    casters: Sequence[tuple[np.ndarray, np.ndarray]] = (),
) -> np.ndarray:
    """Light that each vertex (n,) reflects per albedo, 0..MAX_SHADING.

    Args:
        points: (n, 3), the vertices of ``mesh`` in the image frame, head radii.
        mesh: its triangles and parts.
        occlusion: (n,), how much of the ambient light arrives, 0..1.
        light: the lamps.
        oiliness: strength of the skin's highlights.
        casters: points (k, 3) and triangles of what else casts shadows.
    """
    normals = vertex_normals(points, mesh.triangles)
    # all but the skin may be seen from either side
    away = (normals[:, 2] > 0) & (mesh.part != Part.SKIN)
    normals[away] *= -1
    total = light.ambient * occlusion * np.maximum(0.8 + normals @ light.slope, 0.1)
    teeth = np.isin(mesh.part, (Part.UPPER_TEETH, Part.LOWER_TEETH))
    shiny = np.full(len(Part), 0.3 * oiliness)
    shiny[[Part.EYE, Part.SKIN, Part.WORN]] = 0.5, oiliness, 0.15
    for index, (direction, strength) in enumerate(zip(light.directions, light.strengths, strict=True)):
        lit = np.full(len(points), strength)
        if index == 0 and light.shadow:  # lips do not keep all of it from the teeth
            lit *= np.maximum(visible(points, mesh.triangles, direction, casters), 0.5 * teeth)
        half = direction - (0, 0, 1)
        half = half / max(np.linalg.norm(half), 1e-6)
        specular = shiny[mesh.part] * np.maximum(0, normals @ half) ** 18
        total += lit * (np.maximum(0, normals @ direction) * (0.96 + 0.64 * occlusion) + specular)
    return np.minimum(total, MAX_SHADING)


def visible(
    points: np.ndarray,
    triangles: np.ndarray,
    direction: np.ndarray,
    casters: Sequence[tuple[np.ndarray, np.ndarray]] = (),
) -> np.ndarray:
    """How much of a lamp in a direction (3,) each vertex (n,) sees, 0..1, by a shadow map. casters: as in `shade`."""
    first = np.cross(direction, (0.3, 1.0, 0.2))
    first = first / np.linalg.norm(first)
    basis = np.stack([first, np.cross(direction, first), -direction])
    scale = _SHADOW_SIDE / 3.6
    middle = _SHADOW_MIDDLE @ basis.T
    shapes = [(points, triangles), *casters]
    starts = np.cumsum([0, *(len(shape[0]) for shape in shapes[:-1])])
    triangles = np.concatenate([shape[1] + start for shape, start in zip(shapes, starts, strict=True)])
    seen = np.concatenate([shape[0] for shape in shapes]) @ basis.T
    seen = np.column_stack([(seen[:, :2] - middle[:2]) * scale + _SHADOW_SIDE / 2, seen[:, 2] * scale])
    layer = rasterizer.rasterize(seen, triangles, np.zeros((len(seen), 3)), (_SHADOW_SIDE, _SHADOW_SIDE), scale)
    seen = seen[: len(points)]
    at = seen[:, :2].astype(np.float32)[:, None] - 0.5
    depth = cv2.GaussianBlur(layer.depth, (0, 0), 0.8)
    edge = {"borderMode": cv2.BORDER_CONSTANT, "borderValue": rasterizer.EMPTY}
    nearest = cv2.remap(depth, at, None, cv2.INTER_LINEAR, **edge)  # type: ignore[call-overload]  # one map will do
    return np.clip(1 - (seen[:, 2] / scale - nearest[:, 0] - 0.03) / 0.06, 0.1, 1)
