"""Triangles to pixels with a z-buffer, by OpenCV's software rasteriser."""

from typing import NamedTuple

import cv2
import numpy as np

# The rasteriser wants a perspective camera. From this far off it is as good as a parallel one: perspective, where there
# is some, is in the vertices already.
_DISTANCE = 200.0
_HALF_DEPTH = 50.0


class Layer(NamedTuple):
    """values (H, W, 3) float32: interpolated vertex values, 0 where nothing is; depth (H, W) float32: growing away from
    the viewer, `EMPTY` where nothing is."""

    values: np.ndarray
    depth: np.ndarray


EMPTY = _HALF_DEPTH


def rasterise(
    points: np.ndarray, triangles: np.ndarray, values: np.ndarray, size: tuple[int, int], depth_scale: float
) -> Layer:
    """Draw triangles (m, 3) of vertices (n, 3): x, y in px (corner-based), z into the screen in px.

    values (n, 3), each within 0..1, are interpolated over the triangles. size: (height, width). depth_scale: px; z of
    up to 50 times this to either side is drawn. Depth comes back in this unit.
    """
    height, width = size
    vertices = _to_camera(points, size, depth_scale)
    # outside the photo nothing is seen, and far outside the rasteriser is slow
    inside = np.abs(vertices[:, :2] / [width / height, 1]).max(axis=1) < 1.2
    triangles = triangles[inside[triangles].any(axis=1)]
    picture: np.ndarray = np.zeros((height, width, 3), np.float32)
    depth: np.ndarray = np.full((height, width), _DISTANCE + _HALF_DEPTH, np.float32)
    if len(triangles):
        colours = np.ascontiguousarray(values, np.float32)[:, None]
        args = (np.eye(4, dtype=np.float32), 2 * np.arctan(1 / _DISTANCE), _DISTANCE - _HALF_DEPTH)
        picture, depth = cv2.triangleRasterize(
            vertices[:, None], triangles[:, None], colours, picture, depth, *args, _DISTANCE + _HALF_DEPTH, _settings()
        )
    # the buffer comes back with a rounding error
    return Layer(picture, np.where(depth > _DISTANCE + _HALF_DEPTH - 0.1, EMPTY, depth - _DISTANCE).astype(np.float32))


def _to_camera(points: np.ndarray, size: tuple[int, int], depth_scale: float) -> np.ndarray:
    height, width = size
    depth = points[:, 2] / depth_scale
    # undo the slight perspective of the far camera
    grow = (_DISTANCE + depth) / _DISTANCE
    x, y = (points[:, 0] - width / 2) / (height / 2), (points[:, 1] - height / 2) / (height / 2)
    return np.column_stack([x * grow, -y * grow, -_DISTANCE - depth]).astype(np.float32)


def _settings() -> cv2.TriangleRasterizeSettings:
    settings = cv2.TriangleRasterizeSettings()
    settings.setCullingMode(cv2.RASTERIZE_CULLING_NONE)
    settings.setShadingType(cv2.RASTERIZE_SHADING_SHADED)
    return settings


def faces_viewer(points: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """Which triangles (m,) show the viewer the side from which their corners run counter-clockwise; points in px."""
    a, b, c = (points[triangles[:, i], :2] for i in range(3))
    # y runs down, so that counter-clockwise is a negative area
    return (b[:, 0] - a[:, 0]) * (c[:, 1] - a[:, 1]) < (b[:, 1] - a[:, 1]) * (c[:, 0] - a[:, 0])


def vertex_normals(points: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """Unit normals (n, 3), the mean of the adjoining triangles' weighted by area; outward where these are
    counter-clockwise as seen from outside."""
    a, b, c = (points[triangles[:, i]] for i in range(3))
    faces = np.cross(b - a, c - a)
    normals = np.stack(
        [np.bincount(triangles.ravel(), np.repeat(faces[:, i], 3), len(points)) for i in range(3)], axis=1
    )
    return normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
