"""WIDER FACE for the localizer: from each photo with exactly one face a window with it and one beside it without.

Windows are 4:3, like the tracker's frames, and stored at the localizer's size. Both share a group, the photo.
"""

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from nntrack.contract import LOCALIZER_SIZE
from nntrack.data.images import warp
from nntrack.data.sample import Sample
from nntrack.geometry import affine
from nntrack.readers._format import Drop, Options, Outcome, Tally, chunks, collect, decode
from nntrack.readers.archive import Damaged, Member, list_zip, read_member

SUBSETS = ("train", "val")
FACE_SHARE = (0.10, 0.33)  # width of the face / width of its window
ASPECT = 4 / 3
MIN_WINDOW = 144.0  # px, width: half the localizer's, less would be mostly blur
CLEARANCE = 0.15  # of the face's size, between the face and the window without it
_CHUNK = 8
_FRAME = np.array([0.0, 0.0, LOCALIZER_SIZE[1], LOCALIZER_SIZE[0]])


class Photo(NamedTuple):
    """A photo with one face. box: xyxy, px."""

    name: str
    subset: str
    box: tuple[float, float, float, float]
    archive: Path
    member: Member


def read(archive: Path, options: Options, tally: Tally) -> Iterator[Sample]:
    """Pairs of windows, the one with the face first. Raises ValueError or FileNotFoundError, naming what is wrong."""
    if not archive.is_dir():
        raise ValueError(f"{archive} is not a folder with WIDER_train.zip, WIDER_val.zip and wider_face_split.zip")
    tasks = [task for subset in SUBSETS for task in _list_photos(archive, subset)]
    if not any(isinstance(task, Photo) for task in tasks):
        raise ValueError(f"{archive} holds none of the photos with one face that its lists name")
    tally.total = sum(2 if isinstance(task, Photo) else task.count for task in tasks)
    return collect(_read_photos, options.seed, chunks(tasks, _CHUNK), options, tally)


def parse_list(text: str, origin: str) -> dict[str, list[list[int]]]:
    """The rows (x1, y1, w, h, blur, expression, illumination, invalid, occlusion, pose) of each photo's faces.

    A photo without a face comes with one row of zeros, be its count 0 or 1. Raises ValueError, naming the line.
    """
    lines = [line.strip() for line in text.splitlines()]
    photos, at = {}, 0
    while at < len(lines):
        if not lines[at]:
            at += 1
            continue
        try:
            name, count = lines[at], int(lines[at + 1])
            rows = [[int(n) for n in line.split()] for line in lines[at + 2 : at + 2 + max(1, count)]]
        except (ValueError, IndexError) as error:
            raise ValueError(f"{origin}, line {at + 1}: expected a photo, a count, and a row per face") from error
        if len(rows) != max(1, count) or any(len(row) != 10 for row in rows):
            raise ValueError(f"{origin}, line {at + 1}: expected {max(1, count)} rows of 10 numbers after {name}")
        photos[name] = [row for row in rows if any(row)]
        at += 2 + max(1, count)
    return photos


def _list_photos(folder: Path, subset: str) -> list[Photo | Drop]:
    archive = folder / f"WIDER_{subset}.zip"
    members = {member.name: member for member in list_zip(_need(archive)) if member.name.endswith(".jpg")}
    members = {re.sub(r"^.*?/images/", "", name): member for name, member in members.items()}
    if not members:
        raise ValueError(f"{archive} is not the right archive: no member is called WIDER_{subset}/images/<event>/*.jpg")
    tasks: list[Photo | Drop] = []
    for name, rows in sorted(_read_list(folder, subset).items()):
        if len(rows) != 1:
            tasks.append(Drop("not exactly one face"))
            continue
        x, y, width, height, *_, invalid, _, _ = rows[0]
        if invalid or width <= 0 or height <= 0:
            tasks.append(Drop("face flagged invalid, or its box empty"))
        elif name not in members:
            tasks.append(Drop("photo not in the archive"))
        else:
            box = (float(x), float(y), float(x + width), float(y + height))
            tasks.append(Photo(f"{subset}/{name}", subset, box, archive, members[name]))
    return tasks


def _read_list(folder: Path, subset: str) -> dict[str, list[list[int]]]:
    archive = _need(folder / "wider_face_split.zip")
    name = f"wider_face_{subset}_bbx_gt.txt"
    for member in list_zip(archive):
        if member.name.rpartition("/")[2] == name:
            with open(archive, "rb") as stream:
                text = read_member(stream, member).decode("utf-8", "replace")
            return parse_list(text, f"{archive}: {member.name}")
    raise ValueError(f"{archive} is not the right archive: no member is called {name}")


def _need(path: Path) -> Path:
    if not path.exists():
        raise FileNotFoundError(f"{path} is missing: the dataset is three zips, and all must be in one folder")
    return path


def _read_photos(seed: int, photos: list[Photo | Drop]) -> list[Outcome]:
    return [outcome for photo in photos for outcome in (_windows(seed, photo) if isinstance(photo, Photo) else [photo])]


def _windows(seed: int, photo: Photo) -> list[Outcome]:
    try:
        with open(photo.archive, "rb") as stream:
            image = decode(read_member(stream, photo.member), f"{photo.archive}: {photo.member.name}")
    except Damaged as error:
        return [Drop("damaged", True, str(error), 2)]
    height, width = image.shape
    box = np.clip(photo.box, 0, [width, height, width, height])
    if (box[2:] - box[:2]).min() < 1:
        message = f"{photo.archive}: {photo.member.name}: its face lies outside the picture"
        return [Drop("face outside the picture", True, message, 2)]
    # each photo draws on its own, whatever came before it
    key = int.from_bytes(hashlib.sha256(photo.name.encode()).digest()[:8])
    rng = np.random.default_rng([seed, key])
    with_face = _window_with(box, width, height, rng)
    if isinstance(with_face, Drop):
        return [with_face]
    without = _window_without(box, width, height, rng)
    if isinstance(without, Drop):
        return [without]
    return [_cut(photo, image, with_face, box), _cut(photo, image, without, None)]


def _window_with(box: np.ndarray, width: int, height: int, rng: np.random.Generator) -> np.ndarray | Drop:
    """A window xyxy inside the photo that holds the whole face, in which the face has a random size and place."""
    face_width, face_height = box[2:] - box[:2]
    least = max(face_width / FACE_SHARE[1], face_height * ASPECT, MIN_WINDOW)
    most = min(face_width / FACE_SHARE[0], width, height * ASPECT)
    if least > face_width / FACE_SHARE[0]:
        return Drop("face too small", count=2)
    if least > most:
        return Drop("no room for a window around the face", count=2)
    size = np.exp(rng.uniform(np.log(least), np.log(most))) * np.array([1, 1 / ASPECT])
    corner = rng.uniform(np.maximum(0, box[2:] - size), np.minimum(box[:2], np.array([width, height]) - size))
    return np.concatenate([corner, corner + size])


def _window_without(box: np.ndarray, width: int, height: int, rng: np.random.Generator) -> np.ndarray | Drop:
    """A window xyxy inside the photo, clear of the face, in a random one of the strips beside, above and below it."""
    gap = CLEARANCE * (box[2:] - box[:2])
    (x0, y0), (x1, y1) = box[:2] - gap, box[2:] + gap
    strips = np.array([[0, 0, x0, height], [x1, 0, width, height], [0, 0, width, y0], [0, y1, width, height]])
    widest = np.minimum(strips[:, 2] - strips[:, 0], (strips[:, 3] - strips[:, 1]) * ASPECT)
    fit = widest >= MIN_WINDOW
    if not fit.any():
        return Drop("no room for a window beside the face", count=2)
    choice = rng.choice(np.flatnonzero(fit))
    strip = strips[choice]
    size = rng.uniform(max(MIN_WINDOW, widest[choice] / 2), widest[choice]) * np.array([1, 1 / ASPECT])
    corner = rng.uniform(strip[:2], strip[2:] - size)
    return np.concatenate([corner, corner + size])


def _cut(photo: Photo, image: np.ndarray, window: np.ndarray, box: np.ndarray | None) -> Sample:
    matrix = affine.box_to_box(window, _FRAME)
    labels = {"roi": _FRAME, "face": np.array(box is not None, np.float64)}
    if box is not None:
        labels["bbox"] = affine.move_box(matrix, box)
    picture = warp(image, matrix, LOCALIZER_SIZE)
    side = "face" if box is not None else "none"
    return Sample(picture, f"{photo.name}#{side}", photo.name, labels, subset=photo.subset)
