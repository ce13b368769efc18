"""Lamps, and how bright they make each vertex of a mesh."""

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

    shadow: whether the first lamp casts one.
    """

    ambient: float
    directions: np.ndarray
    strengths: np.ndarray
    shadow: bool


def sample_light(rng: np.random.Generator) -> Light:
    """One to three lamps, mostly from above and in front, sometimes hard from one side."""
    count = rng.integers(1, 4)
    directions = rng.normal(0, 1, (count, 3)) * (1.2, 0.7, 0.6) - (0, 0.5, rng.uniform(0.0, 1.4))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    strengths = rng.uniform(0.15, 1.0, count) * np.array([1.0, 0.6, 0.4])[:count]
    return Light(float(rng.uniform(0.12, 0.9) ** 1.3), directions, strengths, rng.random() < 0.65)


def shade(points: np.ndarray, mesh: Mesh, occlusion: np.ndarray, light: Light, oiliness: float) -> np.ndarray:
    """Light that each vertex (n,) reflects per albedo, 0..MAX_SHADING.

    Args:
        points: (n, 3), the vertices of ``mesh`` in the image frame, head radii.
        mesh: its triangles and parts.
        occlusion: (n,), how much of the ambient light arrives, 0..1.
        light: the lamps.
        oiliness: strength of the skin's highlights.
    """
    normals = vertex_normals(points, mesh.triangles)
    # all but the skin may be seen from either side
    away = (normals[:, 2] > 0) & (mesh.part != Part.SKIN)
    normals[away] *= -1
    total = light.ambient * occlusion * (0.8 - 0.3 * normals[:, 1])
    shiny = np.full(len(Part), 0.3 * oiliness)
    shiny[[Part.EYE, Part.SKIN, Part.WORN]] = 0.5, oiliness, 0.15
    for index, (direction, strength) in enumerate(zip(light.directions, light.strengths, strict=True)):
        lit = strength * (visible(points, mesh.triangles, direction) if index == 0 and light.shadow else 1.0)
        half = direction - (0, 0, 1)
        half = half / max(np.linalg.norm(half), 1e-6)
        specular = shiny[mesh.part] * np.maximum(0, normals @ half) ** 18
        total += lit * (np.maximum(0, normals @ direction) * (0.96 + 0.64 * occlusion) + specular)
    return np.minimum(total, MAX_SHADING)


def visible(points: np.ndarray, triangles: np.ndarray, direction: np.ndarray) -> np.ndarray:
    """How much of a lamp in a direction (3,) each vertex (n,) sees, 0..1, by a shadow map."""
    first = np.cross(direction, (0.3, 1.0, 0.2))
    first = first / np.linalg.norm(first)
    basis = np.stack([first, np.cross(direction, first), -direction])
    seen = points @ basis.T
    scale = _SHADOW_SIDE / 3.6
    middle = _SHADOW_MIDDLE @ basis.T
    seen = np.column_stack([(seen[:, :2] - middle[:2]) * scale + _SHADOW_SIDE / 2, seen[:, 2] * scale])
    layer = rasterizer.rasterize(seen, triangles, np.zeros((len(seen), 3)), (_SHADOW_SIDE, _SHADOW_SIDE), scale)
    at = seen[:, :2].astype(np.float32)[:, None] - 0.5
    depth = cv2.GaussianBlur(layer.depth, (0, 0), 0.8)
    edge = {"borderMode": cv2.BORDER_CONSTANT, "borderValue": rasterizer.EMPTY}
    nearest = cv2.remap(depth, at, None, cv2.INTER_LINEAR, **edge)  # type: ignore[call-overload]  # one map will do
    return np.clip(1 - (seen[:, 2] / scale - nearest[:, 0] - 0.03) / 0.06, 0.1, 1)
