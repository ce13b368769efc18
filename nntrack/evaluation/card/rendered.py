"""Rendered people, whose pose is known, in photos that differ in one thing only (`synthesis.controlled`).

Every function measures one person, chosen by a number, and returns the columns of that person.
"""

from collections.abc import Iterator

import numpy as np

from nntrack.deploy.tracker import HeadPose
from nntrack.deploy.world_pose import angles as client_angles
from nntrack.evaluation import errors
from nntrack.evaluation.card import faces
from nntrack.evaluation.card.client import Client, Columns, offsets, quats_of, rotation_spread
from nntrack.evaluation.card.lines import ELEVATIONS, WIDTHS
from nntrack.evaluation.perturbations import add_noise, part_around
from nntrack.geometry.boxes import box_iou
from nntrack.geometry.rotations import quat_conjugate, quat_multiply
from nntrack.synthesis import controlled
from nntrack.synthesis.controlled import ACTIONS, LENS, LIGHTS, SIZE, WORN, Photo, Pose
from nntrack.synthesis.renderer import Person

SWEEPS = {"pitch": tuple(range(-30, 31, 10)), "yaw": tuple(range(-60, 61, 15))}  # degrees
TURN = tuple(range(-45, 46, 15))  # degrees of yaw
FOUND = 0.25  # IoU of the localizer's box with the face: what the client takes for the same face
_FACE_WIDTH = 1.5  # head radii, of the face's box
_NOISE, _DRAWS = 16, 12  # grey levels; frames

Seed = list[int]


def face(client: Client, seed: Seed) -> Columns:
    """Somebody at a desk, as in the archives: all that is measured of single faces."""
    rng = np.random.default_rng(seed)
    photo = controlled.photograph(seed, controlled.sample_anybody(rng), controlled.sample_pose(rng))
    empty = controlled.empty_scene(seed, behind=bool(rng.random() < 0.5))
    one = faces.Face(photo.image, photo.box, photo.quat, photo.pos_size, empty)
    return faces.measure(client, one, rng)


def gain(client: Client, seed: Seed) -> Columns:
    """Somebody who nods, and then turns, step by step: a line through the answers."""
    rng = np.random.default_rng(seed)
    person, pose = controlled.sample_anybody(rng), controlled.sample_pose(rng, (0.0, 0.0, 0.0))
    columns: Columns = {}
    for number, (axis, steps) in enumerate(SWEEPS.items()):
        true = np.array(steps, np.float64)
        turned = [pose._replace(angles=np.where(np.arange(3) == number, step, 0.0)) for step in true]
        photos = [controlled.photograph(seed, person, one) for one in turned]
        quats = quats_of([client.settle(photo.image, photo.box) for photo in photos])
        if not np.isfinite(quats).all():
            continue
        found = errors.aflw_degrees(quats)[:, number]
        slope, _ = line = np.polyfit(true, found, 1)
        columns |= {
            f"gain_{axis}_slope": float(slope),
            f"gain_{axis}_offset": float(np.mean(found - true)),
            f"gain_{axis}_residual": float(np.std(found - np.polyval(line, true))),
        }
        columns |= {f"curve_gain_{axis}_{step}": float(value) for step, value in zip(steps, found, strict=True)}
    return columns


def turn(client: Client, seed: Seed) -> Columns:
    """Somebody who turns before cameras at several heights: pitch and roll, as the client reports them, of the head."""
    rng = np.random.default_rng(seed)
    person, pose = controlled.sample_anybody(rng), controlled.sample_pose(rng, (0.0, 0.0, 0.0))
    columns: Columns = {}
    for elevation in ELEVATIONS:
        tilted = quat_conjugate(pose._replace(angles=np.zeros(3), elevation=elevation).quat)
        found = []
        for yaw in TURN:
            view = pose._replace(angles=np.array([0.0, yaw, 0.0]), elevation=elevation)
            photo = controlled.photograph(seed, person, view)
            seen = client.settle(photo.image, photo.box)
            found.append((np.nan,) * 3 if seen is None else client_angles(quat_multiply(tilted, seen.quat)))
        _, pitch, roll = np.array(found).T
        columns |= {
            f"turn_pitch_{elevation}": float(np.ptp(pitch)),
            f"turn_roll_{elevation}": float(np.ptp(roll)),
        }
        columns |= {f"curve_turn_{elevation}_{yaw}": float(p) for yaw, p in zip(TURN, pitch, strict=True)}
    return columns


def expressions(client: Client, seed: Seed) -> Columns:
    """Somebody at rest, then with one expression after another."""
    rng = np.random.default_rng(seed)
    person, pose = controlled.sample_anybody(rng), controlled.sample_pose(rng)
    rest = _answer(client, controlled.photograph(seed, person, pose))
    if rest is None:
        return {}
    moved: dict[str, list[np.ndarray]] = {}
    for action in ACTIONS:
        other = _answer(client, controlled.photograph(seed, person, pose, controlled.expression(action)))
        if other is not None:
            moved.setdefault(action.partition("_")[0], []).append(offsets(rest.quat, other.quat[None])[0])
    columns = {f"face_{name}": float(np.mean(np.linalg.norm(m, axis=1))) for name, m in moved.items()}
    pitch, yaw = ({name: float(np.mean(np.abs(m), axis=0)[axis]) for name, m in moved.items()} for axis in (0, 1))
    columns |= {f"face_{name}_pitch": pitch[name] for name in ("blink", "brows", "jaw") if name in pitch}
    return columns | ({"face_gaze_yaw": yaw["gaze"]} if "gaze" in yaw else {})


def worn(client: Client, seed: Seed) -> Columns:
    """Somebody without, then with glasses, a beard ...; the localizer and the pose net."""
    rng = np.random.default_rng(seed)
    person, pose = controlled.sample_bare(rng), controlled.sample_pose(rng)
    photo = controlled.photograph(seed, person, pose)
    bare = _answer(client, photo)
    columns, found = {}, _is_found(client, photo)
    if bare is not None:
        columns["bare_noise"] = _jitter(client, photo, bare, rng)
    for name, put_on in WORN.items():
        other = controlled.photograph(seed, put_on(rng, person), pose)
        columns[f"{name}_lost"] = 100.0 * (found - _is_found(client, other))
        answer = _answer(client, other)
        if bare is None or answer is None:
            continue
        pitch, yaw, _ = np.abs(offsets(bare.quat, answer.quat[None])[0])
        columns |= {
            f"{name}_yaw": float(yaw),
            f"{name}_pitch": float(pitch),
            f"{name}_size": 100 * abs(float(answer.pos_size[2] / bare.pos_size[2]) - 1),
            f"{name}_noise": _jitter(client, other, answer, rng),
        }
    return columns


def light(client: Client, seed: Seed) -> Columns:
    """Somebody in even light, then lit from either side and from behind."""
    rng = np.random.default_rng(seed)
    person, pose = controlled.sample_bare(rng), controlled.sample_pose(rng)
    photo = controlled.photograph(seed, person, pose)
    even = _answer(client, photo)
    if even is None:
        return {}
    one = faces.Face(photo.image, photo.box, photo.quat, photo.pos_size)
    found = {
        name: faces.light_columns(client, name, controlled.photograph(seed, person, pose, light=lamps).image, one, even)
        for name, lamps in LIGHTS.items()
    }
    columns = found.pop("back")
    sides = [value for value in found.values() if value]
    for quantity in ("change", "error") if sides else ():
        values = [v for side in sides for name, v in side.items() if name.endswith(quantity)]
        columns[f"light_side_{quantity}"] = float(np.mean(values))
    return columns


def distance(client: Client, seed: Seed) -> Columns:
    """Faces from small to large, one far from the middle, one cut off by the edge, and frames without a face."""
    rng = np.random.default_rng(seed)
    person, pose = controlled.sample_anybody(rng), controlled.sample_pose(rng)
    height, width = SIZE
    columns: Columns = {}
    for percent in WIDTHS:
        radius = percent / 100 * width / _FACE_WIDTH
        room = np.maximum(np.array([width, height]) / 2 - 1.1 * radius, 0)
        middle = LENS.middle + rng.uniform(-0.5, 0.5, 2) * room
        columns |= localized(client, f"{percent:02d}", _at(seed, person, pose, radius, middle))
    radius = 0.25 * width / _FACE_WIDTH
    side = rng.choice([-1, 1])
    for name, away in (("aside", width / 2 - 1.1 * radius), ("cut", width / 2 - 0.25 * radius)):
        middle = LENS.middle + [side * away, rng.uniform(-0.3, 0.3) * height / 2]
        columns |= localized(client, name, _at(seed, person, pose, radius, middle))
    empty = [controlled.empty_scene([*seed, i], behind=i % 2 == 1) for i in range(4)]
    columns["false_alarms"] = 100 * float(np.mean([client.localize(frame) is not None for frame in empty]))
    return columns


def localized(client: Client, name: str, photo: Photo | faces.Face) -> Columns:
    """Whether the localizer finds a face, and how well its box fits the part of the face that is in the image."""
    height, width = photo.image.shape[:2]
    true = np.clip(photo.box, 0, [width, height] * 2)
    box = client.localize(photo.image)
    overlap = 0.0 if box is None else float(box_iou(np.clip(box, 0, [width, height] * 2), true))
    return {f"found_{name}": 100.0 * (overlap >= FOUND), f"iou_{name}": overlap}


def _at(seed: Seed, person: Person, pose: Pose, radius: float, middle: np.ndarray) -> Photo:
    return controlled.photograph(seed, person, pose._replace(radius=radius, middle=middle), perspective=False)


def _answer(client: Client, photo: Photo) -> HeadPose | None:
    return client.settle(photo.image, photo.box)


def _is_found(client: Client, photo: Photo) -> bool:
    return localized(client, "", photo)["found_"] > 0


def _jitter(client: Client, photo: Photo, pose: HeadPose, rng: np.random.Generator) -> float:
    """How far the rotation moves under camera noise, degrees."""
    quats = quats_of([client.look(frame, pose.bbox) for frame in _noisy(photo.image, pose.bbox, rng)])
    return rotation_spread(quats)


def _noisy(image: np.ndarray, window: np.ndarray, rng: np.random.Generator) -> Iterator[np.ndarray]:
    part = part_around(window, image.shape, 16)
    for _ in range(_DRAWS):
        frame = image.copy()
        frame[part] = add_noise(image[part], _NOISE * rng.standard_normal(image[part].shape, np.float32))
        yield frame
