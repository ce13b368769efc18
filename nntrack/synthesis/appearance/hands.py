"""Random arms and hands, hanging, folded or raised, as sheets. Frame and unit of `geometry.neutral_face`."""

import cv2
import numpy as np

from nntrack.synthesis.appearance.face_texture import FaceTexture
from nntrack.synthesis.appearance.sheets import Sheet
from nntrack.synthesis.heads.atlas import CLOTH_PATCH, texels
from nntrack.synthesis.mesh import Mesh, Part, grid_triangles, merge, tube
from nntrack.synthesis.textures import material

SHOULDER = np.array([1.72, 2.2, 1.12])  # of the subject's left arm
UPPER, FORE = 2.9, 2.55  # lengths
_TEXTURE = (128, 128)
SIDES = 12  # of the tubes
_Wrist = tuple[tuple[float, float, float], float, float]
# Where a left wrist rests (x outward), std of its place, and probability: hanging, folded, on a table, on the hip, near
# the face, above the head, at the cheek
_WRISTS: tuple[_Wrist, ...] = (
    ((2.3, 7.2, 0.8), 0.3, 0.40),
    ((-0.7, 4.6, -0.3), 0.5, 0.20),
    ((0.9, 5.0, -1.3), 0.6, 0.17),
    ((2.0, 5.6, 0.9), 0.3, 0.14),
    ((0.8, 1.6, -0.75), 0.45, 0.03),
    ((1.8, -0.6, 0.6), 0.6, 0.03),
    ((0.75, 1.5, 0.05), 0.15, 0.03),
)

_HANGING, _CHEEK = _WRISTS[0], _WRISTS[-1]


def sample_arms(rng: np.random.Generator, texture: FaceTexture) -> list[Sheet]:
    """Both arms, the right one first, in sleeves of the body's cloth or of another."""
    sleeves, often = _sleeves(rng, texture), [probability for *_, probability in _WRISTS]
    return [_arm(rng, side, sleeves, _WRISTS[rng.choice(len(_WRISTS), p=often)]) for side in (-1, 1)]


def hanging_arms(rng: np.random.Generator, texture: FaceTexture) -> list[Sheet]:
    """Both arms, far from the face."""
    sleeves = _sleeves(rng, texture)
    return [_arm(rng, side, sleeves, _HANGING) for side in (-1, 1)]


def hand_at_cheek(rng: np.random.Generator, texture: FaceTexture) -> Sheet:
    """The right or left arm, its hand along the cheek."""
    return _arm(rng, int(rng.choice((-1, 1))), _sleeves(rng, texture), _CHEEK)


def _sleeves(rng: np.random.Generator, texture: FaceTexture) -> np.ndarray:
    """Brightness and opacity of an arm from the shoulder down, (H, W, 2)."""
    cloth = cv2.resize(texels(texture.atlas, CLOTH_PATCH), _TEXTURE[::-1], interpolation=cv2.INTER_AREA)
    if rng.random() < 0.3:
        cloth = np.clip(rng.uniform(0.03, 0.95) * material(rng, _TEXTURE, rng.uniform(10, 60)), 0.02, 1)
    rows = np.linspace(0, 1, _TEXTURE[0])[:, None]
    sleeve = rng.choice([rng.uniform(0.15, 0.35), 0.84], p=[0.35, 0.65])
    skin = texture.tone * rng.uniform(0.85, 1.05)
    brightness = np.where(rows < sleeve, cloth, skin).astype(np.float32)
    return np.stack([brightness, np.ones_like(brightness)], axis=-1)


def _arm(rng: np.random.Generator, side: int, texture: np.ndarray, place: _Wrist) -> Sheet:
    """The arm of a side, -1 for the right one, whose wrist is at one of `_WRISTS`."""
    rest, std, _ = place
    wrist = np.array(rest) + rng.normal(0, std, 3)
    elbow, wrist = bend_arm(SHOULDER, wrist, np.array([1.0, 0.7, 0.3]) + rng.normal(0, 0.2, 3))
    ahead = (wrist - elbow) / np.linalg.norm(wrist - elbow) + rng.normal(0, 0.25, 3)
    if place is _CHEEK:  # fingers along the cheek
        ahead = np.array([-0.15, -1.0, 0.1]) + rng.normal(0, 0.2, 3)
    ahead /= np.linalg.norm(ahead)
    across = np.cross(ahead, rng.normal(0, 1, 3))
    across /= np.linalg.norm(across)
    pieces = [_tube(_line(SHOULDER, elbow, wrist), np.array([0.62, 0.55, 0.46, 0.46, 0.4, 0.27]), (0.0, 0.85))]
    pieces += [_tube(*bone, (0.9, 1.0)) for bone in _hand(rng, wrist, ahead, across)]
    mesh = merge(pieces)
    return Sheet(mesh.points * (side, 1, 1), mesh.triangles, mesh.uv, texture, np.ones(len(mesh.points)))


def bend_arm(shoulder: np.ndarray, wrist: np.ndarray, outward: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Elbow and wrist of an arm that reaches toward ``wrist``, its elbow pointing ``outward``."""
    reach = wrist - shoulder
    length = np.linalg.norm(reach)
    reach, span = reach / length, np.clip(length, 1.2, 0.98 * (UPPER + FORE))
    along = (UPPER**2 - FORE**2 + span**2) / (2 * span)
    aside = outward - reach * (outward @ reach)
    aside /= np.linalg.norm(aside)
    return shoulder + along * reach + np.sqrt(max(0.0, UPPER**2 - along**2)) * aside, shoulder + span * reach


def _line(shoulder: np.ndarray, elbow: np.ndarray, wrist: np.ndarray) -> np.ndarray:
    """Shoulder, upper arm, and a rounded elbow on the way to the wrist, (6, 3)."""
    return np.stack([shoulder, (shoulder + elbow) / 2, 0.88 * elbow + 0.12 * shoulder, 0.9 * elbow + 0.1 * wrist,
                     (elbow + wrist) / 2, wrist])  # fmt: skip


def _hand(
    rng: np.random.Generator, wrist: np.ndarray, ahead: np.ndarray, across: np.ndarray
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Palm, four fingers and a thumb as lines (n, 3) with radii (n,)."""
    inward = np.cross(ahead, across)
    bones = [(wrist + np.outer([0, 0.35, 0.85], ahead), np.array([0.24, 0.4, 0.38]))]
    curl, spread = rng.uniform(0, 1.4), rng.uniform(0, 0.2)
    for i in range(4):
        root = wrist + 0.8 * ahead + (0.2 * i - 0.3) * across
        way = ahead + spread * (i - 1.5) * across
        knee = root + 0.4 * (np.cos(curl / 2) * way + np.sin(curl / 2) * inward)
        tip = knee + 0.4 * (np.cos(curl) * way + np.sin(curl) * inward)
        bones.append((np.stack([root, knee, tip]), np.array([0.11, 0.1, 0.075])))
    thumb = wrist + 0.3 * ahead - 0.32 * across
    thumb = thumb + np.outer([0, 0.35, 0.65], 0.8 * ahead - 0.5 * across + 0.3 * inward)
    return [*bones, (thumb, np.array([0.13, 0.12, 0.09]))]


def _tube(line: np.ndarray, radii: np.ndarray, rows: tuple[float, float]) -> Mesh:
    """A tube around a line (n, 3), closed at its end; radii (n,); rows: v at both ends."""
    line, radii = np.vstack([line, 2 * line[-1] - line[-2]]), np.r_[radii, 0.0]
    line[-1] = line[-2] + 0.6 * radii[-2] * (line[-1] - line[-2]) / np.linalg.norm(line[-1] - line[-2])
    points = tube(line, radii, SIDES, np.array([0.3, 0.2, 1.0])).reshape(-1, 3)
    v, u = np.meshgrid(np.linspace(*rows, len(line)), np.linspace(0, 1, SIDES + 1), indexing="ij")
    uv = np.column_stack([u.ravel(), v.ravel()])
    return Mesh(points, grid_triangles(len(line), SIDES + 1), uv, np.full(len(points), Part.WORN))
