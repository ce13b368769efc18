"""Kinect Head Pose Database (BIWI): 24 videos of 20 people before a Kinect; a benchmark, never trained on.

``NN/frame_NNNNN_rgb.png`` is a photo of 640x480. Beside it ``frame_NNNNN_pose.txt`` has three rows of a rotation, a
blank line, and the head's place in mm, both as the depth camera sees them: x right, y down, z into the scene.
``NN/rgb.cal`` tells of the colour camera, blank lines between: three rows of its matrix, the distortion, three rows of
a rotation, a shift in mm, width and height. Rotation and shift take what the depth camera sees to the colour camera.

A rotation of 1 is a head that looks along the optical axis, and the head's axes are the house's: it is taken as it is.
(So it must be: the angles that everybody compares with 300W-LP's are atan2(R12, R22), asin(R02) and atan2(-R01, R00) of
it, which are pitch, yaw and roll of the house's rotation.) It is a rotation in the *camera's* axes: a head at the side
of the photo that looks into the camera has a yaw.

The place is the centre of a template that was fitted to the depth image; no publication ties it to a part of the face.
It is taken to lie where opentrack's developer found it by eye, see `BETWEEN_EYES`: only positions and sizes depend on
that. Nor is it documented whether the camera's px count from pixels' corners or middles; corners are assumed.
"""

import re
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from nntrack.data.datasets import DATASETS
from nntrack.data.sample import Sample
from nntrack.geometry.boxes import face_box, square_around
from nntrack.geometry.neutral_face import NEUTRAL_LANDMARKS
from nntrack.geometry.rotations import rotmat_to_quat
from nntrack.readers._format import (
    BEYOND,
    Drop,
    Options,
    Outcome,
    Tally,
    chunks,
    collect,
    contradictions,
    decode,
    project,
    table,
)
from nntrack.readers.archive import Wanted, find
from nntrack.readers.members import Damaged, Member

SIZE = (480, 640)  # px, of every photo
BOXES = Path(DATASETS["biwi"].companion).name  # the user's face boxes, in the folder or beside the zip
COLUMNS = ("person", "frame", "x0", "y0", "x1", "y1")
# From the labelled place to the point between the eyes; head frame, mm.
BETWEEN_EYES = np.array([0.0, -35.0, -20.0])
RADIUS = 100.0  # mm, whose projection is the size
RECORDED_AGAIN = {"15": "03", "18": "05", "21": "02", "22": "07"}  # video: the earlier one of the same person
_CHUNK = 8  # frames per task
_Key = tuple[str, int]  # person and number of the frame
_NEAREST, _FARTHEST = 100.0, 1e4  # mm from the camera: where nobody sits
_NOT_ORTHOGONAL = 1e-2
_FRAME = r"(?:.*/)?(?P<person>\d\d)/frame_(?P<frame>\d+)_"
_PHOTO = Wanted(re.compile(_FRAME + r"rgb\.(?i:png)"), "hpdb/NN/frame_NNNNN_rgb.png")
_POSE = Wanted(re.compile(_FRAME + r"pose\.(?i:txt)"), "hpdb/NN/frame_NNNNN_pose.txt")
_CAMERA = Wanted(re.compile(r"(?:.*/)?(?P<person>\d\d)/rgb\.(?i:cal)"), "hpdb/NN/rgb.cal")


class Camera(NamedTuple):
    """A colour camera. matrix (3, 3) px; distortion (k,) as OpenCV's; rotation (3, 3), shift (3,) mm: to its axes."""

    matrix: np.ndarray
    distortion: np.ndarray
    rotation: np.ndarray
    shift: np.ndarray


class Frame(NamedTuple):
    """A photo, its pose and the camera. box: xyxy, or None where there is no annotation."""

    person: str
    number: int
    photo: Member
    pose: Member
    camera: Camera
    box: tuple[float, ...] | None


def read(archive: Path, options: Options, tally: Tally) -> Iterator[Sample]:
    """Whole photos, grouped by person, with rotation, position, size and camera; a box where `BOXES` has one.

    archive: a folder that holds ``hpdb/NN/...``, unpacked or in zips, or such a zip. Raises ValueError if it is
    another archive or the boxes cannot be read.
    """
    found = find(archive, _PHOTO, _POSE, _CAMERA)
    # by person and number of the frame
    photos, poses = ({(person, int(frame)): file for (person, frame), file in files.items()} for files in found[:2])
    cameras = {person: file for (person,), file in found[2].items()}
    boxes = read_boxes((archive if archive.is_dir() else archive.parent) / BOXES)
    frames = sorted({*photos, *poses})
    if boxes and not boxes.keys() & {*frames}:
        raise ValueError(f"{BOXES} beside {archive} names no frame of it: expected the columns {','.join(COLUMNS)}")
    tasks: list[Frame | Drop] = []
    for person, keys in groupby(frames, lambda key: key[0]):
        kept, thinned = _every(list(keys), options.stride)
        tasks += thinned
        try:
            if person not in cameras:
                raise Damaged(f"{archive}: the video {person} has no rgb.cal")
            camera = parse_camera(_text(cameras[person]), str(cameras[person]))
        except Damaged as error:
            tasks.append(Drop("camera not known", True, str(error), len(kept)))
            continue
        tasks += [_task(key, photos.get(key), poses.get(key), camera, boxes.get(key)) for key in kept]
    tally.total = sum(task.count if isinstance(task, Drop) else 1 for task in tasks)
    return collect(_read_chunk, None, chunks(tasks, _CHUNK), options, tally)


def parse_pose(text: str, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Rotation (3, 3) and place (3,), mm, of a ``_pose.txt``. Raises `Damaged`, naming the file."""
    rotation, place = _numbers(text, name, (9, 3))
    return _check_rotation(rotation.reshape(3, 3), name), place


def parse_camera(text: str, name: str) -> Camera:
    """What an ``rgb.cal`` says. Raises `Damaged`, naming the file."""
    matrix, distortion, rotation, shift, size = _numbers(text, name, (9, None, 9, 3, 2))
    matrix = matrix.reshape(3, 3)
    if min(matrix[0, 0], matrix[1, 1]) <= 0 or len(distortion) not in (0, 4, 5, 8):
        raise Damaged(f"{name} holds no camera: {matrix.tolist()}, distortion {distortion.tolist()}")
    if tuple(size[::-1]) != SIZE:
        raise Damaged(f"{name} is of photos of {size[0]:g}x{size[1]:g} px, not {SIZE[1]}x{SIZE[0]}")
    return Camera(matrix, distortion, _check_rotation(rotation.reshape(3, 3), name), shift)


def read_boxes(path: Path) -> dict[tuple[str, int], tuple[float, ...]]:
    """(person, frame) -> box xyxy px, of a table with `COLUMNS`; empty if there is none. Raises ValueError."""
    if not path.exists():
        return {}
    boxes = {}
    columns, rows = table(Member(str(path), path.name))
    if not set(COLUMNS) <= set(columns):
        raise ValueError(f"{path} has the columns {' '.join(','.join(columns).split())}, not {','.join(COLUMNS)}")
    for line, row in rows:
        try:
            key, box = (f"{int(row['person']):02d}", int(row["frame"])), tuple(float(row[c]) for c in COLUMNS[2:])
        except (ValueError, TypeError) as error:
            raise ValueError(f"{path}, line {line}: expected {','.join(COLUMNS)}") from error
        if not all(abs(value) < BEYOND for value in box) or box[0] >= box[2] or box[1] >= box[3]:
            raise ValueError(f"{path}, line {line}: {box} is not a box x0,y0,x1,y1")
        boxes[key] = box
    return boxes


def pose_to_labels(rotation: np.ndarray, place: np.ndarray, camera: Camera) -> dict[str, np.ndarray]:
    """quat, pos_size and camera of a head that the depth camera sees so; ValueError if it is not before the camera."""
    turned = camera.rotation @ rotation
    eyes = camera.rotation @ place + camera.shift + turned @ BETWEEN_EYES
    if not (eyes[2] >= _NEAREST and np.abs(eyes).max() <= _FARTHEST):
        raise ValueError(f"the head is at {eyes.tolist()} mm from the camera")
    still = np.zeros(3)
    point = cv2.projectPoints(eyes[None], still, still, camera.matrix, camera.distortion)[0].ravel()
    focal = camera.matrix[[0, 1], [0, 1]]
    return {
        "quat": rotmat_to_quat(turned),
        "pos_size": np.append(point, focal[0] * RADIUS / eyes[2]),
        "camera": np.append(focal, camera.matrix[:2, 2]),
    }


def _every(frames: list[_Key], stride: int) -> tuple[list[_Key], list[Drop]]:
    """The frames of one video that are to be read, and an account of the others."""
    kept = frames[::stride]
    left = len(frames) - len(kept)
    return kept, [Drop("neighbour of a kept frame", count=left)] if left else []


def _task(
    key: _Key, photo: Member | None, pose: Member | None, camera: Camera, box: tuple[float, ...] | None
) -> Frame | Drop:
    if photo is None:
        return Drop("pose without photo", True, f"{pose} has no photo beside it")
    if pose is None:
        return Drop("photo without pose", True, f"{photo} has no pose beside it")
    return Frame(*key, photo, pose, camera, box)


def _read_chunk(_: None, tasks: list[Frame | Drop]) -> list[Outcome]:
    return [task if isinstance(task, Drop) else _read_frame(task) for task in tasks]


def _read_frame(frame: Frame) -> Outcome:
    try:
        labels = pose_to_labels(*parse_pose(_text(frame.pose), str(frame.pose)), frame.camera)
        image = decode(frame.photo.read(), str(frame.photo))
    except ValueError as error:
        return Drop("damaged", True, str(error) if isinstance(error, Damaged) else f"{frame.pose}: {error}")
    if image.shape != SIZE:
        message = f"{frame.photo} is {image.shape[1]}x{image.shape[0]} px, not {SIZE[1]}x{SIZE[0]}"
        return Drop("damaged", True, message)
    if frame.box is not None:
        labels["bbox"] = np.array(frame.box)
    if fault := contradictions({name: value[None] for name, value in labels.items()}, [image])[0]:
        return Drop("labels contradict each other", True, f"{frame.pose}: {fault}")
    # where nobody has annotated a box the window is about a neutral face in the same pose
    neutral = project(NEUTRAL_LANDMARKS, labels["quat"], labels["pos_size"])
    labels["roi"] = square_around(labels.get("bbox", face_box(neutral, labels["quat"], labels["pos_size"])))
    labels["face"] = np.array(1.0)
    name = f"{frame.person}/frame_{frame.number:05d}"
    return Sample(image, name, RECORDED_AGAIN.get(frame.person, frame.person), labels, sequence=frame.person)


def _text(file: Member) -> str:
    return file.read().decode("ascii", "replace")


def _numbers(text: str, name: str, counts: tuple[int | None, ...]) -> list[np.ndarray]:
    """The numbers of a file's paragraphs, so many in each (None: any number of them)."""
    paragraphs = [part.split() for part in re.split(r"\n\s*\n", text.replace("\r", "").strip())]
    try:
        found = [np.array([float(word) for word in words]) for words in paragraphs]
    except ValueError as error:
        raise Damaged(f"{name} holds what is no number: {error}") from error
    if len(found) != len(counts) or any(n not in (None, len(row)) for n, row in zip(counts, found, strict=True)):
        raise Damaged(f"{name} has {[len(row) for row in found]} numbers in its paragraphs, expected {list(counts)}")
    if not all((np.abs(row) < BEYOND).all() for row in found):
        raise Damaged(f"{name} holds a number that is not finite, or beyond reason")
    return found


def _check_rotation(matrix: np.ndarray, name: str) -> np.ndarray:
    if np.abs(matrix @ matrix.T - np.eye(3)).max() > _NOT_ORTHOGONAL or np.linalg.det(matrix) < 0:
        raise Damaged(f"{name} holds no rotation: {matrix.tolist()}")
    return matrix
