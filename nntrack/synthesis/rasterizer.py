"""Triangles to pixels with a z-buffer, by OpenCV's software rasterizer."""

from typing import NamedTuple

import cv2
import numpy as np

# The rasterizer wants a perspective camera. From this far off it is as good as a parallel one: perspective, where there
# is some, is in the vertices already.
_DISTANCE = 200.0
_HALF_DEPTH = 50.0
EMPTY = _HALF_DEPTH  # depth where nothing is


class Layer(NamedTuple):
    """values (H, W, 3) float32: interpolated vertex values, 0 where nothing is; depth (H, W) float32: growing away from
    the viewer, `EMPTY` where nothing is."""

    values: np.ndarray
    depth: np.ndarray


def rasterize(
    points: np.ndarray, triangles: np.ndarray, values: np.ndarray, size: tuple[int, int], depth_scale: float
) -> Layer:
    """Triangles as pixels: the values of the nearest ones, and their depth.

    Args:
        points: (n, 3), x, y in px (corner-based), z into the screen in px.
        triangles: (m, 3), vertex indices.
        values: (n, 3), 0..1, of the vertices.
        size: height, width in px.
        depth_scale: px, the unit of the depth; what lies more than 50 units off is clipped.
    """
    height, width = size
    vertices = _to_camera(points, size, depth_scale)
    # outside the image nothing is seen, and far outside the rasterizer is slow
    inside = np.abs(vertices[:, :2] / [width / height, 1]).max(axis=1) < 1.2
    triangles = triangles[inside[triangles].any(axis=1)]
    image: np.ndarray = np.zeros((height, width, 3), np.float32)
    depth: np.ndarray = np.full((height, width), _DISTANCE + _HALF_DEPTH, np.float32)
    if len(triangles):
        colours = np.ascontiguousarray(values, np.float32)[:, None]
        args = (np.eye(4, dtype=np.float32), 2 * np.arctan(1 / _DISTANCE), _DISTANCE - _HALF_DEPTH)
        image, depth = cv2.triangleRasterize(
            vertices[:, None], triangles[:, None], colours, image, depth, *args, _DISTANCE + _HALF_DEPTH, _settings()
        )
    # the buffer comes back with a rounding error
    return Layer(image, np.where(depth > _DISTANCE + _HALF_DEPTH - 0.1, EMPTY, depth - _DISTANCE).astype(np.float32))


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
