"""Pictures of heads: a person is drawn once, then posed, lit and photographed as often as wanted.

Image frame: px, corner-based, x right, y down, z into the screen. All labels come from the geometry that is drawn.
"""

from typing import NamedTuple

import cv2
import numpy as np
from scipy.spatial.transform import Rotation

from nntrack.geometry import landmarks
from nntrack.geometry.rotations import quat_to_rotmat
from nntrack.synthesis import rasterizer
from nntrack.synthesis.appearance import accessories, hands
from nntrack.synthesis.appearance import face_texture as looks
from nntrack.synthesis.heads import load
from nntrack.synthesis.heads import mesh as parts
from nntrack.synthesis.heads.mesh import Part
from nntrack.synthesis.lighting import BRIGHTEST, Light, draw_light, shade
from nntrack.synthesis.scene import background as scenery

FACE_MIDDLE = np.array([0.0, 0.40, 0.0])  # from between the eyes to the middle of the face; head frame, head radii
_NECK = np.array([0.0, 0.95, 0.95])  # the shoulders turn against the head about this point


class Lens(NamedTuple):
    """A pinhole camera for the whole picture. focal: px; middle (2,): px, where the optical axis passes."""

    focal: float
    middle: np.ndarray


class Person(NamedTuple):
    """Who is drawn: a head, its vertices (n, 3) at rest, what it looks like and what it wears."""

    head: load.HeadModel
    rest: np.ndarray
    looks: looks.Looks
    sheets: tuple[accessories.Sheet, ...]
    frames: parts.Mesh | None

    def express(self, rng: np.random.Generator) -> np.ndarray:
        """A random expression, a vector that may be interpolated (see `HeadModel.at_rest`)."""
        return self.head.draw_expression(rng)


class Picture(NamedTuple):
    """image (H, W) uint8; landmarks (68, 3) px, z 0 at the eye corners' mean; pos_size (3,) px; quat (4,) xyzw."""

    image: np.ndarray
    landmarks: np.ndarray
    pos_size: np.ndarray
    quat: np.ndarray


class _Posed(NamedTuple):
    """Vertices in the image: turned (n, 3) in radii about the eyes; pixels (n, 3) px with perspective."""

    turned: np.ndarray
    pixels: np.ndarray


class _Camera(NamedTuple):
    rotmat: np.ndarray  # (3, 3), head to image
    body: np.ndarray  # (3,) rotation vector of the shoulders against the head, in the head's frame
    centre: np.ndarray
    radius: float
    distance: float  # head radii
    axis: np.ndarray  # (2,) where the optical axis passes, head radii from between the eyes


def draw_person(rng: np.random.Generator, head: load.HeadModel | None = None) -> Person:
    """A random person. head: whose heads people have; by default the built-in one."""
    head = head or load.load(None)
    rest = head.draw_identity(rng)
    look = looks.draw_looks(rng, head.placed)
    rest = _grow_hair(rng, head, rest, look)
    marks = rest[head.landmarks]
    covers = accessories.draw_covers(rng, *head.skull(rest), look.hair)
    frames, lenses = accessories.draw_glasses(rng, marks) if rng.random() < 0.27 else (None, [])
    return Person(head, rest, look, (*lenses, *covers, *hands.draw_arms(rng, look)), frames)


def draw(
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
) -> Picture:
    """One head in a picture of ``size`` (height, width).

    quat (4,): the head's rotation. centre (2,), radius: px, where the point between the eyes lies and how long 100 mm
    are there. background: (height, width) uint8 to draw onto; by default a random one is drawn. lens: by default the
    camera is at a random distance and looks at the head wherever in the picture that is.
    """
    light = light or draw_light(rng)
    camera = _draw_camera(rng, quat, np.asarray(centre, np.float64), float(radius))
    if lens is not None:
        camera = camera._replace(distance=lens.focal / radius, axis=(lens.middle - camera.centre) / radius)
    ground = scenery.background(rng, size) if background is None else background.astype(np.float32) / 255
    points = person.head.express(person.rest, expression)
    marks = points[person.head.landmarks]
    corners = marks[list(landmarks.EYE_CORNERS)].mean(axis=0)
    picture, covered = _render(person, points, corners, light, camera, size)
    picture = _expose(rng, picture, covered, person.looks.tone)
    picture = ground * (1 - covered) + picture * covered
    if rng.random() < 0.16:
        covered_before = picture
        picture = scenery.cover(rng, picture, camera.centre, radius, person.looks.tone)
        covered = np.maximum(covered, (picture != covered_before).astype(np.float32))
    blur = 0.35 + radius * 0.006 * rng.random() ** 2
    if background is None:
        image = scenery.photograph(rng, picture, blur)
    else:
        image = _added(rng, background, picture, covered, blur)
    labels = _pose(marks, np.zeros(len(marks)), camera, corners).pixels
    return Picture(image, labels, np.array([*camera.centre, radius]), np.asarray(quat, np.float64))


def _added(
    rng: np.random.Generator, background: np.ndarray, picture: np.ndarray, covered: np.ndarray, blur: float
) -> np.ndarray:
    """The background (H, W) uint8 with what is ``covered`` replaced by a photograph of the picture."""
    image = background.copy()
    x, y, width, height = cv2.boundingRect((covered > 0).astype(np.uint8))
    window = (slice(max(0, y - 4), y + height + 4), slice(max(0, x - 4), x + width + 4))
    if width:
        soft = cv2.GaussianBlur(covered[window], (0, 0), 1.0)
        photo = scenery.photograph(rng, picture[window], blur)
        image[window] = np.round(background[window] * (1 - soft) + photo * soft)
    return image


def _expose(rng: np.random.Generator, picture: np.ndarray, covered: np.ndarray, tone: float) -> np.ndarray:
    """Brightness as a camera sets it: near a middle level, darker people a little darker, highlights squeezed."""
    level = rng.uniform(0.22, 0.68) * (tone / 0.5) ** 0.35
    mean = float(np.sum(picture * covered) / max(float(covered.sum()), 1.0))
    return 1.12 * (1 - np.exp(-1.15 * picture * level / max(mean, 0.02)))


def _grow_hair(rng: np.random.Generator, head: load.HeadModel, rest: np.ndarray, look: looks.Looks) -> np.ndarray:
    """The head with its scalp pushed outward as far as short hair stands off."""
    triangles, neutral = head.mesh.triangles, head.placed
    count = len(neutral)
    normals = rasterizer.vertex_normals(rest[:count], triangles[(triangles < count).all(axis=1)])
    # the landmarks before the ears stay where they are
    free = np.clip(np.maximum((-0.15 - neutral[:, 1]) / 0.2, (neutral[:, 2] - 0.85) / 0.15), 0, 1)
    height = rng.uniform(0.0, 0.22) ** 1.3 * (0.5 + 0.5 * np.clip(-neutral[:, 1], 0, 1))
    grown = rest.copy()
    grown[:count] += normals * (height * look.scalp**2 * free * head.grows)[:, None]
    grown[head.landmarks] = rest[head.landmarks]
    return grown


def _draw_camera(rng: np.random.Generator, quat: np.ndarray, centre: np.ndarray, radius: float) -> _Camera:
    rotmat = quat_to_rotmat(np.asarray(quat, np.float64))
    facing = Rotation.from_matrix(rotmat)
    # shoulders stay behind: they take part in some of the head's turn only
    share = np.array([rng.uniform(0.0, 0.4), rng.uniform(0.2, 0.9), rng.uniform(0.0, 0.5)])
    stance = Rotation.from_rotvec(facing.as_rotvec() * share + rng.normal(0, [0.06, 0.15, 0.05]))
    body = (facing.inv() * stance).as_rotvec()
    length = np.linalg.norm(body)
    body *= min(1.0, 1.1 / max(float(length), 1e-9))  # necks turn no farther
    distance = np.exp(rng.uniform(np.log(9), np.log(45)))
    # The camera looks at the middle of the face, so that a label's rotation is the one that a fit without perspective
    # would find. If it looked between the eyes, it would see all faces a little from above.
    return _Camera(rotmat, body, centre, radius, distance, rotmat[:2] @ FACE_MIDDLE)


def _pose(points: np.ndarray, follows: np.ndarray, camera: _Camera, origin: np.ndarray) -> _Posed:
    """Points (n, 3) of the head in the image; ``follows`` (n,): how much of the shoulders' turn each takes."""
    moved = np.array(points, np.float64)
    low = follows > 0
    if low.any():
        turn = Rotation.from_rotvec(camera.body * follows[low, None])
        moved[low] = turn.apply(moved[low] - _NECK) + _NECK
    turned = (moved - origin) @ camera.rotmat.T
    nearness = camera.distance / np.maximum(camera.distance + turned[:, 2:], 0.3 * camera.distance)
    flat = (camera.axis + (turned[:, :2] - camera.axis) * nearness) * camera.radius + camera.centre
    return _Posed(turned, np.column_stack([flat, turned[:, 2] * camera.radius]))


def _render(
    person: Person, points: np.ndarray, origin: np.ndarray, light: Light, camera: _Camera, size: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """The head's brightness and how much of each pixel it covers, both (H, W)."""
    mesh = person.head.mesh._replace(points=points)
    follows, occlusion = person.head.neck, person.head.occlusion
    if person.frames is not None:
        extra = len(person.frames.points)
        mesh = parts.merge([mesh, person.frames])
        follows, occlusion = np.r_[follows, np.zeros(extra)], np.r_[occlusion, np.ones(extra)]
    posed = _pose(mesh.points, follows, camera, origin)
    shading = shade(posed.turned, mesh, occlusion, light, person.looks.oily / person.looks.tone)
    values = np.column_stack([mesh.uv, shading / BRIGHTEST])
    # of what is solid only the near side is seen
    solid = np.isin(mesh.part, (Part.SKIN, Part.BODY))[mesh.triangles[:, 0]]
    triangles = mesh.triangles[~solid | rasterizer.faces_viewer(posed.pixels, mesh.triangles)]
    layer = rasterizer.rasterise(posed.pixels, triangles, values, size, camera.radius)
    picture = _sample(person.looks.texture, layer.values) * layer.values[..., 2] * BRIGHTEST
    covered = (layer.depth < rasterizer.EMPTY).astype(np.float32)
    depth = layer.depth
    for sheet in person.sheets:
        _lay_over(sheet, (picture, covered, depth), light, camera, origin)
    return picture, covered


def _lay_over(
    sheet: accessories.Sheet, layers: tuple[np.ndarray, ...], light: Light, camera: _Camera, origin: np.ndarray
) -> None:
    """Draw a sheet into picture, cover and depth (H, W) where it is nearer."""
    posed = _pose(sheet.points, sheet.follows, camera, origin)
    corner, window = _window(posed.pixels, layers[0].shape)
    picture, covered, depth = (layer[window] for layer in layers)
    if not picture.size:
        return
    mesh = parts.Mesh(sheet.points, sheet.triangles, sheet.uv, np.full(len(sheet.points), Part.WORN))
    shading = shade(posed.turned, mesh, np.ones(len(sheet.points)), light._replace(shadow=False), 0.1)
    values = np.column_stack([sheet.uv, shading / BRIGHTEST])
    pixels = posed.pixels - (*corner, 0)
    layer = rasterizer.rasterise(pixels, sheet.triangles, values, covered.shape, camera.radius)
    sampled = _sample(sheet.texture, layer.values)
    near = (layer.depth < rasterizer.EMPTY) & (layer.depth < depth)
    opacity = np.where(near, sampled[..., 1], 0)
    picture[:] = picture * (1 - opacity) + sampled[..., 0] * layer.values[..., 2] * BRIGHTEST * opacity
    np.maximum(covered, opacity, out=covered)
    np.copyto(depth, layer.depth, where=opacity > 0.5)


def _window(pixels: np.ndarray, size: tuple[int, ...]) -> tuple[np.ndarray, tuple[slice, slice]]:
    """The part of a picture that holds points (n, 3) px: its first corner x, y and its rows and columns."""
    first = np.clip(np.floor(pixels[:, :2].min(axis=0)).astype(int), 0, size[::-1])
    last = np.clip(np.ceil(pixels[:, :2].max(axis=0)).astype(int), first, size[::-1])
    return first, (slice(first[1], last[1]), slice(first[0], last[0]))


def _sample(texture: np.ndarray, values: np.ndarray) -> np.ndarray:
    """The texture at u, v, the first two of ``values`` (H, W, 3)."""
    height, width = texture.shape[:2]
    u, v = (cv2.extractChannel(values, i) for i in range(2))
    return cv2.remap(texture, u * width - 0.5, v * height - 0.5, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
