"""Random texture atlases of people: skin, lips, brows, eyes, beard, hair and clothes, as grey albedo.

An atlas (`heads.atlas`) is float32, 0 black to 1 white. Where features lie follows from the neutral head's landmarks.
"""

from functools import cache
from typing import NamedTuple

import cv2
import numpy as np

from nntrack.geometry import landmarks
from nntrack.geometry.neutral_face import NEUTRAL_LANDMARKS
from nntrack.synthesis.appearance.clothes import clothes
from nntrack.synthesis.heads import atlas
from nntrack.synthesis.heads.atlas import texels
from nntrack.synthesis.heads.surface import CENTRE, mirrored, openings, project
from nntrack.synthesis.textures import noise

SIDE = atlas.ATLAS[1]  # of the skin patch
_COARSE = 160  # side of the maps that are smooth anyway
CROWN = np.array([0.05, -1.0, 1.05])  # from which hair grows

# How low the scalp's hair reaches (y) by depth (z): forehead, temple, in front of the ear, over it, behind it, nape
_HAIRLINE_Z = np.array([-0.25, 0.05, 0.32, 0.47, 0.58, 0.66, 0.73, 0.78, 0.98, 1.08, 1.25, 1.9])
_HAIRLINE_Y = np.array([-0.66, -0.60, -0.45, -0.30, -0.02, 0.14, 0.12, -0.12, -0.05, 0.45, 0.72, 0.80])

# Darker places on both sides, nostrils, below the eyes, inner lids, cheeks: skin point, width, least and most darkening
_SHADED = (
    ((0.065, 0.44, -0.225), 0.022, 0.5, 0.85),
    ((0.31, 0.08, -0.04), 0.06, 0.0, 0.3),
    ((0.2, -0.04, -0.05), 0.06, 0.0, 0.3),
    ((0.42, 0.25, 0.0), 0.13, -0.08, 0.15),
)


class FaceTexture(NamedTuple):
    """A person's texture atlas, and what else depends on it.

    atlas (ATLAS). tone: albedo of the skin. hair: albedo of the hair. oiliness: strength of the skin's highlights.
    scalp (s,): how much hair grows at each skin vertex, 0..1. furrowed: how dark the creases of expressions are, 0..1.
    """

    atlas: np.ndarray
    tone: float
    hair: float
    oiliness: float
    scalp: np.ndarray
    furrowed: float


class _Maps(NamedTuple):
    """What is the same in all atlases.

    points (_COARSE, _COARSE, 3): the neutral surface at every few texels. lips (SIDE, SIDE): a mask, 0..1. strands
    (SIDE, SIDE, 2): angle about the crown and distance from it, as places in the streaks of `_strands`.
    """

    points: np.ndarray
    lips: np.ndarray
    strands: np.ndarray


@cache
def _maps() -> _Maps:
    points = project(CENTRE + atlas.texel_directions(_COARSE).reshape(-1, 3)).reshape(_COARSE, _COARSE, 3)
    lips = np.zeros((SIDE, SIDE), np.float32)
    outline = np.vstack([smooth_curve(NEUTRAL_LANDMARKS[48:55]), smooth_curve(NEUTRAL_LANDMARKS[[*range(54, 60), 48]])])
    cv2.fillPoly(lips, [_fixed(outline)], 1.0, cv2.LINE_AA, 4)
    fine = cv2.resize(points.astype(np.float32), (SIDE, SIDE), interpolation=cv2.INTER_LINEAR)
    offset = fine - CROWN.astype(np.float32)
    angle = np.arctan2(offset[..., 0], offset[..., 2] - 0.6 * offset[..., 1]) / (2 * np.pi) + 0.5
    distance = np.linalg.norm(offset, axis=-1) / 3
    strands = np.stack([angle * 511, distance * 31], axis=-1).astype(np.float32)
    return _Maps(points.astype(np.float32), cv2.GaussianBlur(lips, (0, 0), 1.5), strands)


def _scalp_coverage(points: np.ndarray, line: np.ndarray, recede: float, soft: float) -> np.ndarray:
    """How much hair grows at skin points (..., 3), 0..1.

    Args:
        points: (..., 3), on the neutral surface.
        line: (12,), y of the hairline at `_HAIRLINE_Z`.
        recede: how far the corners above the temples are bald, head radii.
        soft: width of the transition, head radii.
    """
    limit = np.interp(points[..., 2], _HAIRLINE_Z, line)
    corner = np.exp(-(((np.abs(points[..., 0]) - 0.42) / 0.2) ** 2)) * (points[..., 2] < 0.4)
    return np.clip((limit - recede * corner - points[..., 1]) / soft + 0.5, 0, 1).astype(np.float32)


def sample_face_texture(rng: np.random.Generator, surface_points: np.ndarray, bearded: bool = True) -> FaceTexture:
    """A random person's skin, face, hair and clothes; some are ``bearded``. surface_points (s, 3): see `HeadModel`."""
    tone = float(rng.uniform(0.45, 0.85) if rng.random() < 0.65 else rng.uniform(0.2, 0.5))
    dark_hair = rng.uniform(0.02, 0.22)
    hair = float(dark_hair if rng.random() < 0.65 else rng.uniform(0.15, 0.85))
    bald = rng.random() < 0.08
    line = _HAIRLINE_Y + rng.normal(-0.04, 0.07) * (_HAIRLINE_Y < -0.2)
    line[4:7] += rng.uniform(-0.25, 0.2)  # sideburns
    recede = max(0.0, rng.normal(0.11, 0.12))
    if rng.random() < 0.2:  # a high forehead
        line = line - rng.uniform(0.05, 0.45) * np.clip((0.55 - _HAIRLINE_Z) / 0.2, 0, 1)
    soft = rng.uniform(0.05, 0.28)
    maps = _maps()
    coverage: np.ndarray = np.zeros((_COARSE, _COARSE), np.float32)
    scalp = np.zeros(len(surface_points), np.float32)
    if not bald:
        uneven = 0.5 * soft * noise(rng, coverage.shape, (40, 40))
        coverage = _scalp_coverage(
            maps.points + uneven[..., None] * np.array([0, 1, 0], np.float32), line, recede, soft
        )
        scalp = _scalp_coverage(surface_points, line, recede, soft)
    skin = _skin(rng, tone)
    skin = _features(rng, skin, hair)
    if rng.random() < 0.42 and bearded:
        skin = _beard(rng, skin, hair)
    coverage = cv2.resize(np.clip(coverage, 0, 1), (SIDE, SIDE), interpolation=cv2.INTER_LINEAR)
    coverage = np.clip(2.2 * coverage * (1 + 0.18 * noise(rng, coverage.shape, (SIDE // 2, SIDE // 2))), 0, 1)
    skin = skin * (1 - coverage) + coverage * hair * _strands(rng)
    texture = np.zeros(atlas.ATLAS, np.float32)  # a strip between the patches is never seen
    texture[:SIDE] = skin
    _fill_patches(rng, texture, tone)
    return FaceTexture(
        np.clip(texture, 0.01, 1), tone, hair, float(rng.uniform(0, 0.45) ** 1.5), scalp, float(rng.uniform(0.15, 0.7))
    )


def with_beard(rng: np.random.Generator, texture: FaceTexture) -> FaceTexture:
    """The same person with a random beard."""
    whole = texture.atlas.copy()
    whole[:SIDE] = np.clip(_beard(rng, whole[:SIDE], texture.hair), 0.01, 1)
    return texture._replace(atlas=whole)


def _strands(rng: np.random.Generator) -> np.ndarray:
    """Streaks of hair around the crown (SIDE, SIDE), of mean 1."""
    fine: np.ndarray = 0.3 * rng.standard_normal((32, 512), np.float32) + 0.2 * noise(rng, (32, 512), (4, 256))
    fine = cv2.GaussianBlur(fine, (0, 0), sigmaX=0.6, sigmaY=3) * rng.uniform(0.8, 2.2)
    u, v = cv2.split(_maps().strands)
    fine = cv2.remap(fine, u, v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)
    return np.clip(1 + fine, 0.3, 2.2)


def _skin(rng: np.random.Generator, tone: float) -> np.ndarray:
    """Skin (SIDE, SIDE) of mean albedo ``tone``: blotches and pores, at times freckles and wrinkles."""
    size = (SIDE, SIDE)
    patchy = rng.uniform(0.02, 0.3)
    texture = patchy * (0.04 * noise(rng, size, (7, 7)) + 0.008 * noise(rng, size, (24, 24)))
    texture += rng.uniform(0.0, 0.025) * noise(rng, size, (90, 90)) + 0.012 * rng.standard_normal(size, np.float32)
    if rng.random() < 0.25:  # freckles and moles
        texture -= rng.uniform(0.03, 0.1) * (noise(rng, size, (160, 160)) > rng.uniform(2.0, 2.8))
    if rng.random() < 0.35:
        texture -= _wrinkles(rng)
    return tone * (1 + texture)


def _wrinkles(rng: np.random.Generator) -> np.ndarray:
    """Lines across the forehead, at the eyes' outer corners and from the nose to the mouth, 0..1."""
    layer = np.zeros((SIDE, SIDE), np.float32)
    for _ in range(rng.integers(2, 5)):
        y = rng.uniform(-0.6, -0.33)
        x = np.linspace(-0.4, 0.4, 12) * rng.uniform(0.5, 1)
        curve = np.column_stack([x, y + 0.1 * x * x + rng.normal(0, 0.006, 12), -0.22 + 0.5 * x * x])
        stroke(layer, curve, 1, 1.0)
    for side in (-1, 1):
        for end in ((-0.58, -0.04, 0.14), (-0.6, 0.02, 0.17), (-0.57, 0.07, 0.14)):
            curve = np.linspace((-0.48, 0.01, 0.07), end, 4)
            stroke(layer, curve if side < 0 else mirrored(curve), 1, 1.0)
        fold = np.array([(-0.19, 0.40, -0.11), (-0.26, 0.48, -0.09), (-0.31, 0.58, -0.05), (-0.33, 0.68, -0.01)])
        stroke(layer, smooth_curve(fold if side < 0 else mirrored(fold)), 3, 0.6)
    return cv2.GaussianBlur(layer, (0, 0), 1.2) * rng.uniform(0.1, 0.45)


def _features(rng: np.random.Generator, skin: np.ndarray, hair: float) -> np.ndarray:
    """The skin (SIDE, SIDE) with lips, shaded hollows, lines along lids and mouth, and brows; hair: its albedo."""
    skin = skin * (1 - _maps().lips * rng.uniform(0.05, 0.55))
    for centre, sigma, low, high in _SHADED:
        skin *= 1 - rng.uniform(low, high) * _soft_dots(centre, sigma)
    lines = np.zeros((SIDE, SIDE), np.float32)
    for points in (openings().right_eye, openings().left_eye):
        half = len(points) // 2
        stroke(lines, points[: half + 1], int(rng.integers(1, 4)), 1.0)
        stroke(lines, np.vstack([points[half:], points[:1]]), 1, rng.uniform(0.1, 0.7))
    slit = openings().mouth
    stroke(lines, np.vstack([slit, slit[:1]]), 1, 0.5)
    crease = NEUTRAL_LANDMARKS[[36, 37, 38, 39]] + (0, -0.035, -0.005)
    for side in (crease, mirrored(crease)):
        stroke(lines, smooth_curve(side), 1, rng.uniform(0.1, 0.6))
    skin *= 1 - cv2.GaussianBlur(np.minimum(lines, 1), (0, 0), rng.uniform(0.7, 1.3)) * rng.uniform(0.55, 0.95)
    brows = _brows(rng)
    return skin * (1 - brows) + brows * min(hair, rng.uniform(0.05, 0.6)) * 0.9


def _brows(rng: np.random.Generator) -> np.ndarray:
    """How much hair of the brows covers each texel (SIDE, SIDE), 0..1."""
    layer: np.ndarray = np.zeros((SIDE, SIDE), np.float32)
    thick, arch, count = rng.uniform(0.012, 0.042), rng.normal(0, 0.012), 52
    lift = rng.normal(0, 0.008)
    for side in (-1, 1):
        curve = smooth_curve(NEUTRAL_LANDMARKS[list(landmarks.RIGHT_BROW)], count)
        along = np.linspace(0, 1, count)  # outer to inner end
        curve[:, 1] += lift + arch * np.sin(np.pi * along) + thick * 0.3
        width = thick * (0.45 + 0.55 * along)
        start = curve + np.column_stack([np.zeros(count), width * rng.uniform(0.3, 1.0, count), np.zeros(count)])
        tip = curve + np.column_stack([-0.05 + 0.02 * along, -width * rng.uniform(0.4, 1.1, count), np.zeros(count)])
        ends = np.stack([start, tip], axis=1).reshape(-1, 3)
        fixed = _fixed(ends if side < 0 else mirrored(ends)).reshape(-1, 2, 2)
        cv2.polylines(layer, list(fixed), False, 1.0, 1, cv2.LINE_AA, 4)
    layer = cv2.GaussianBlur(layer, (0, 0), rng.uniform(0.6, 1.2))
    return np.clip(layer * rng.uniform(1.0, 2.2), 0, 1) * rng.uniform(0.4, 1.0)


def _beard(rng: np.random.Generator, skin: np.ndarray, hair: float) -> np.ndarray:
    """The skin (SIDE, SIDE) with a beard on jaw, upper lip or chin, of the given albedo; stubble or full."""
    maps = _maps()
    points = maps.points
    x, y, z = np.abs(points[..., 0]), points[..., 1], points[..., 2]
    cheek = np.interp(z, [-0.25, -0.1, 0.1, 0.35, 0.55, 0.72], [0.70, 0.66, 0.62, 0.45, 0.2, 0.02])
    jaw = np.clip((y - cheek - rng.uniform(-0.08, 0.12)) / 0.08, 0, 1) * np.clip((0.8 - z) / 0.1, 0, 1)
    lip = np.exp(-(((y - 0.535) / 0.045) ** 4) - (x / rng.uniform(0.2, 0.34)) ** 6) * (z < 0.1)
    chin = np.exp(-((x / rng.uniform(0.12, 0.3)) ** 4) - ((y - 0.98) / 0.19) ** 4) * (z < 0.3)
    kinds = (jaw + lip, lip, chin, lip + chin, jaw)
    mask = kinds[rng.choice(5, p=(0.55, 0.15, 0.08, 0.17, 0.05))].astype(np.float32)
    mask = cv2.resize(np.clip(mask, 0, 1), (SIDE, SIDE), interpolation=cv2.INTER_LINEAR) * (1 - maps.lips)
    grain = noise(rng, (SIDE, SIDE), (SIDE // 2, SIDE // 2))
    stubble = rng.random() < 0.5
    strength = rng.uniform(0.15, 0.5) if stubble else rng.uniform(0.6, 0.97)
    mask = np.clip(mask * strength * (1 + (0.6 if stubble else 0.25) * grain), 0, 1)
    return skin * (1 - mask) + mask * hair * 0.9 * (1 + 0.3 * grain)


def _fill_patches(rng: np.random.Generator, texture: np.ndarray, tone: float) -> None:
    """Fill all patches of an atlas but the skin's; tone: albedo of the skin."""
    plain = texels(texture, atlas.PLAIN_PATCH)
    plain[:] = tone * rng.uniform(0.85, 1.02) * (1 + 0.05 * noise(rng, plain.shape, (6, 6)))
    cloth = texels(texture, atlas.CLOTH_PATCH)
    cloth[:] = clothes(rng, cloth.shape)
    texels(texture, atlas.EYE_PATCH)[:] = _eye(rng)
    texels(texture, atlas.DARK_PATCH)[:] = rng.uniform(0.02, 0.12)
    rim = texels(texture, atlas.RIM_PATCH)
    rim[:] = tone * np.linspace(0.75, 0.35, len(rim), dtype=np.float32)[:, None]
    texels(texture, atlas.SOLID_PATCH)[:] = rng.choice([rng.uniform(0.01, 0.15), rng.uniform(0.1, 0.9)])
    teeth = texels(texture, atlas.TEETH_PATCH)
    gaps = np.abs(np.sin(np.linspace(0, 11 * np.pi, teeth.shape[1], dtype=np.float32)))
    teeth[:] = rng.uniform(0.5, 0.95) * (0.75 + 0.25 * np.minimum(1, 4 * gaps))
    teeth *= np.abs(np.linspace(-1, 1, teeth.shape[1], dtype=np.float32)) * -0.35 + 1


def _eye(rng: np.random.Generator) -> np.ndarray:
    """The front of an eyeball with iris and pupil (side, side); where they lie decides the gaze."""
    side = round((atlas.EYE_PATCH.u1 - atlas.EYE_PATCH.u0) * SIDE)
    eye = np.full((side, side), rng.uniform(0.4, 0.75), np.float32)
    eye *= 1 + 0.04 * noise(rng, eye.shape, (6, 6))
    # the patch shows 2 radians on either side of the front
    centre = side / 2 + side / 4 * np.clip(rng.normal(0, (0.13, 0.07)), -0.35, 0.35)
    radius = side / 4 * rng.uniform(0.46, 0.52)
    iris = rng.uniform(0.03, 0.25)
    at = tuple(int(v) for v in np.round(centre * 16))
    for scale, value in ((1.0, iris * 0.6), (0.88, iris), (rng.uniform(0.3, 0.55), 0.02)):
        cv2.circle(eye, at, round(radius * scale * 16), float(value), -1, cv2.LINE_AA, 4)
    if rng.random() < 0.7:  # the window or lamp mirrored in it
        glint = tuple(int(v) for v in np.round((centre + radius * rng.uniform(-0.4, 0.4, 2)) * 16))
        cv2.circle(eye, glint, round(radius * rng.uniform(0.1, 0.22) * 16), 1.0, -1, cv2.LINE_AA, 4)
    # the upper lid and its lashes shade it
    eye *= np.clip(np.linspace(0.1, 1.75, side, dtype=np.float32), 0.45, 1)[:, None]
    return cv2.GaussianBlur(eye, (0, 0), 0.7)


@cache
def _soft_dots(centre: tuple[float, float, float], sigma: float) -> np.ndarray:
    """Gaussians about a skin point and its mirror image, (SIDE, SIDE), 1 at their middle; sigma in radii."""
    points = _maps().points
    total = np.zeros(points.shape[:2], np.float32)
    for side in (1, -1):
        at = np.array(centre, np.float32) * (side, 1, 1)
        total += np.exp(-np.sum((points - at) ** 2, axis=-1) / (2 * sigma**2)).astype(np.float32)
    return cv2.resize(np.minimum(total, 1), (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)


def smooth_curve(points: np.ndarray, count: int = 24) -> np.ndarray:
    """A smooth curve through points (n, 3)."""
    at = np.linspace(0, len(points) - 1, count)
    index = np.clip(at.astype(int), 0, len(points) - 2)
    previous, following = points[np.maximum(index - 1, 0)], points[np.minimum(index + 2, len(points) - 1)]
    a, b, t = points[index], points[index + 1], (at - index)[:, None]
    # Catmull and Rom's spline
    cubic = 3 * (a - b) + following - previous
    return a + 0.5 * t * ((b - previous) + t * (2 * previous - 5 * a + 4 * b - following + t * cubic))


def _fixed(points: np.ndarray) -> np.ndarray:
    """Skin points (n, 3) to texels in sixteenths, the fixed-point coordinates of OpenCV's drawing functions."""
    uv = atlas.skin_uv(points) * atlas.ATLAS[::-1]
    return np.round((uv - 0.5) * 16).astype(np.int32)


def stroke(layer: np.ndarray, points: np.ndarray, width: int, value: float) -> None:
    """Draw a line along skin points (n, 3) into a layer (SIDE, SIDE). width: texels."""
    cv2.polylines(layer, [_fixed(points)], False, float(value), width, cv2.LINE_AA, 4)
