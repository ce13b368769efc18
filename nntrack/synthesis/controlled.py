"""Photos of one person that differ in one thing only: the pose, an action of the face, what is worn, or the light.

With equal seeds everything else is the same: the camera, the background, the exposure and the grain of the sensor.
Rotations are in the frame of the camera, which looks at the middle of its image.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
from scipy.interpolate import CubicSpline
from scipy.spatial.transform import Rotation

from nntrack.geometry.perspective import FACE_MIDDLE
from nntrack.geometry.rotations import aflw_angles_to_quat, quat_apply
from nntrack.synthesis import renderer
from nntrack.synthesis.appearance import accessories, face_texture, hair, hands
from nntrack.synthesis.archives.widerface import hairline_box, render_scene
from nntrack.synthesis.camera import webcam
from nntrack.synthesis.heads.parametric import ParametricHead, parametric
from nntrack.synthesis.lighting import Light
from nntrack.synthesis.renderer import Person
from nntrack.synthesis.textures import material

SIZE = (480, 640)  # px, height and width
LENS = webcam(SIZE)
FPS = 30
DISTANCE = (550.0, 750.0)  # mm, least and most of people at a desk
_UNIT = 100.0  # mm, whose projection is the size
_GRAIN = 1.5  # grey levels, standard deviation of what differs between two frames of a video
_KNOTS = 12  # frames between the poses through which a calm head moves
_CALM_STD = (1.2, 1.5, 0.8, 0.004, 0.003, 0.004)  # pitch, yaw, roll in degrees; aside, down; logarithm of the distance
_FRONT = np.array([[0.15, -0.45, -0.88]])

# Weights of the facial actions, named as ARKit names them. Two of a look turn the eyes by 30 degrees.
ACTIONS: dict[str, dict[str, float]] = {
    "blink": {"eyeBlinkLeft": 1.0, "eyeBlinkRight": 1.0},
    "gaze_left": {"eyeLookOutLeft": 2.0, "eyeLookInRight": 2.0},
    "gaze_right": {"eyeLookInLeft": 2.0, "eyeLookOutRight": 2.0},
    "jaw": {"jawOpen": 0.7},
    "smile": {"mouthSmileLeft": 1.0, "mouthSmileRight": 1.0, "cheekSquintLeft": 0.5, "cheekSquintRight": 0.5},
    "brows": {"browInnerUp": 0.9, "browOuterUpLeft": 1.0, "browOuterUpRight": 1.0},
}

EVEN = Light(0.7, _FRONT / np.linalg.norm(_FRONT), np.array([0.45]), False)
LIGHTS: dict[str, Light] = {
    "right": Light(0.08, np.array([[-0.95, -0.25, -0.2]]), np.array([0.9]), True),
    "left": Light(0.08, np.array([[0.95, -0.25, -0.2]]), np.array([0.9]), True),
    "back": Light(0.12, np.array([[0.35, -0.45, 0.82]]), np.array([1.0]), True),
}


class Photo(NamedTuple):
    """A frame of a webcam. image (480, 640) uint8. quat (4,) xyzw in the camera's axes; pos_size (3,) px.

    box: (4,) xyxy px, the face up to the hairline.
    """

    image: np.ndarray
    quat: np.ndarray
    pos_size: np.ndarray
    box: np.ndarray


class Pose(NamedTuple):
    """Where a head is. angles (3,): pitch, yaw, roll as AFLW defines them, degrees. radius: px of 100 mm.

    middle (2,): px of the face's middle. elevation: degrees by which the camera looks down on a head of these angles.
    """

    angles: np.ndarray
    radius: float
    middle: np.ndarray = LENS.middle
    elevation: float = 0.0

    @property
    def quat(self) -> np.ndarray:
        """The rotation (4,) xyzw in the camera's axes."""
        seen = Rotation.from_euler("x", self.elevation, degrees=True)
        head = Rotation.from_quat(aflw_angles_to_quat(*np.radians(np.asarray(self.angles, np.float64))))
        return (seen * head).as_quat()


def sample_bare(rng: np.random.Generator) -> Person:
    """A person without glasses, beard, hat or long hair, whose arms hang."""
    head = parametric()
    rest = head.sample_identity(rng)
    texture = face_texture.sample_face_texture(rng, head.surface_points, bearded=False)
    rest = renderer.grow_hair(rng, head, rest, texture.scalp)
    return Person(head, rest, texture, tuple(hands.hanging_arms(rng, texture)), None)


def sample_anybody(rng: np.random.Generator) -> Person:
    """A person as in the archives."""
    return renderer.sample_person(rng, parametric())


def expression(action: str | None = None) -> np.ndarray:
    """The face (e,) at rest, or with one of `ACTIONS`."""
    head = parametric()
    weights: Mapping[str, float] = ACTIONS[action] if action else {}
    return np.array([weights.get(name, 0.0) for name in head.action_names])


def sample_pose(rng: np.random.Generator, spread: tuple[float, float, float] = (10.0, 20.0, 7.0)) -> Pose:
    """A head at a desk, turned by angles of these standard deviations (pitch, yaw, roll; degrees)."""
    angles = np.clip(rng.normal(0, spread), -2.2 * np.array(spread), 2.2 * np.array(spread))
    return Pose(angles, LENS.focal * _UNIT / rng.uniform(*DISTANCE))


def photograph(
    seed: object,
    person: Person,
    pose: Pose,
    face: np.ndarray | None = None,
    light: Light = EVEN,
    *,
    perspective: bool = True,
) -> Photo:
    """A photo of a person.

    Args:
        seed: of the camera, the background and the grain, as `numpy.random.default_rng` takes it.
        person: who.
        pose: of the head.
        face: (e,), the expression; None for a face at rest.
        light: the lamps.
        perspective: whether the camera is `LENS`, which sees faces that fill its image from very near; else it is
            anywhere.
    """
    rng = np.random.default_rng(seed)  # type: ignore[arg-type]
    centre = np.asarray(pose.middle, np.float64) - quat_apply(pose.quat, FACE_MIDDLE)[:2] * pose.radius
    rendering = renderer.render(
        rng, person, expression() if face is None else face, SIZE, pose.quat, centre, pose.radius,
        light=light, lens=LENS if perspective else None, occluded=0.0,
    )  # fmt: skip
    return Photo(rendering.image, rendering.quat, rendering.pos_size, hairline_box(rendering))


def empty_scene(seed: object, behind: bool) -> np.ndarray:
    """A frame (480, 640) uint8 without a face. behind: whether somebody is seen from behind."""
    rng = np.random.default_rng(seed)  # type: ignore[arg-type]
    if not behind:
        return render_scene(rng)
    angles = np.array([rng.normal(0, 8), 180 + rng.uniform(-40, 40), rng.normal(0, 6)])
    pose = sample_pose(rng)._replace(angles=angles)
    return photograph([rng.integers(1 << 30)], sample_anybody(rng), pose).image


def calm_poses(rng: np.random.Generator, frames: int) -> list[Pose]:
    """The poses, frame by frame, of somebody who looks at a screen and hardly moves."""
    start = sample_pose(rng, (6.0, 12.0, 4.0))
    knots = np.arange(0, frames + _KNOTS, _KNOTS)
    path = CubicSpline(knots, rng.normal(0, _CALM_STD, (len(knots), len(_CALM_STD))))(np.arange(frames))
    return [
        Pose(start.angles + step[:3], start.radius * np.exp(step[5]), start.middle + LENS.focal * step[3:5])
        for step in path
    ]


def with_grain(rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
    """One frame of a video of a still image (H, W) uint8."""
    return np.clip(np.round(image + rng.normal(0, _GRAIN, image.shape)), 0, 255).astype(np.uint8)


def covered(rng: np.random.Generator, image: np.ndarray, box: np.ndarray) -> np.ndarray:
    """The image (H, W) uint8 with something held in front of the face, whose box (4,) xyxy px it hides."""
    margin = 0.25 * (box[2:] - box[:2])
    low = np.clip(np.floor(box[:2] - margin), 0, image.shape[::-1]).astype(int)
    high = np.clip(np.ceil(box[2:] + margin), 0, image.shape[::-1]).astype(int)
    size = (int(high[1] - low[1]), int(high[0] - low[0]))
    out = image.copy()
    if min(size) > 1:
        thing = rng.uniform(0.1, 0.9) * material(rng, size, rng.uniform(10, 60))
        out[low[1] : high[1], low[0] : high[0]] = np.round(255 * np.clip(thing, 0, 1))
    return out


def _glasses(rng: np.random.Generator, person: Person, dark: bool) -> Person:
    frame, lenses = accessories.sample_glasses(rng, person.rest[person.head.landmarks], dark)
    return person._replace(glasses=frame, sheets=(*lenses, *person.sheets))


def _clear_glasses(rng: np.random.Generator, person: Person) -> Person:
    return _glasses(rng, person, dark=False)


def _dark_glasses(rng: np.random.Generator, person: Person) -> Person:
    return _glasses(rng, person, dark=True)


def _hair(rng: np.random.Generator, person: Person) -> Person:
    skull, centre = person.head.skull(person.rest)
    sheet = hair.sample_hair(rng, skull, person.texture.hair, rng.uniform(0.04, 0.2))
    return person._replace(sheets=(accessories.place(sheet, centre), *person.sheets))


def _hat(rng: np.random.Generator, person: Person) -> Person:
    skull, centre = person.head.skull(person.rest)
    sheet = accessories.sample_hat(rng, skull, rng.uniform(0.04, 0.2))
    return person._replace(sheets=(accessories.place(sheet, centre), *person.sheets))


def _beard(rng: np.random.Generator, person: Person) -> Person:
    return person._replace(texture=face_texture.with_beard(rng, person.texture))


def _hand(rng: np.random.Generator, person: Person) -> Person:
    return person._replace(sheets=(*person.sheets, hands.hand_at_cheek(rng, person.texture)))


# What a bare person may wear, by name: the same person with it
WORN: dict[str, Callable[[np.random.Generator, Person], Person]] = {
    "glasses": _clear_glasses,
    "dark_glasses": _dark_glasses,
    "hair": _hair,
    "beard": _beard,
    "hat": _hat,
    "hand": _hand,
}


def head() -> ParametricHead:
    """The head model of everybody here; loading it once before worker processes start saves each of them that."""
    return parametric()
