"""WIDER FACE for the localizer: from each photo with exactly one face a window with it and some beside it without.

Windows are 4:3, like the tracker's frames, and stored at the localizer's size. All share a group, the photo.
A face takes 6 to 85 % of its window's width, as before a webcam, and may be cut off by the window's edge: ``bbox`` is
the part inside.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from nntrack.contract import LOCALIZER_SIZE
from nntrack.data.images import warp
from nntrack.data.sample import Sample
from nntrack.geometry import affine
from nntrack.readers._format import Drop, Options, Outcome, Tally, chunks, collect, decode
from nntrack.readers.archive import Wanted, find
from nntrack.readers.members import Damaged, Member

SUBSETS = ("train", "val")
FACE_FRACTION = (0.06, 0.85)  # width of the face / width of its window: from far away to close to the camera
CUT_OFF = 0.3  # fraction of windows with a face whose edges may cut it off ...
OVERHANG = 0.3  # ... by at most this fraction of its width and height
WITHOUT = 3  # windows without a face per photo: the background differs more than faces do
ASPECT = 4 / 3
MIN_WINDOW = 96.0  # px, width: a third of the localizer's, less would be mostly blur
CLEARANCE = 0.15  # of the face's size, between the face and the window without it
_CHUNK = 8
_ROW = re.compile(r"(-?\d+\s+){9}-?\d+")  # of a list: a face
# Each zip counts as a folder of its name, so that one that was packed without its top folder is understood, too.
_PHOTO = Wanted(
    re.compile(r"(?:.*/)?(?i:WIDER_)?((?i:train|val))/(?:.*/)?(\d+--[^/]+/[^/]+)\.(?i:jpe?g|png)"),
    "WIDER_<train or val>/images/<event>/*.jpg",
)
_LIST = Wanted(re.compile(r"(?:.*/)?wider_face_(train|val)_bbx_gt\.(?i:txt)"), "wider_face_<train or val>_bbx_gt.txt")
_FRAME = np.array([0.0, 0.0, LOCALIZER_SIZE[1], LOCALIZER_SIZE[0]])


class Photo(NamedTuple):
    """A photo with one face. box: xyxy, px."""

    name: str
    subset: str
    box: tuple[float, float, float, float]
    member: Member


def read(archive: Path, options: Options, tally: Tally) -> Iterator[Sample]:
    """Windows of each photo, the one with the face first. Raises ValueError, naming what is wrong or missing."""
    photos, lists = find(archive, _PHOTO, _LIST)
    members = {f"{subset.lower()}/{stem}": member for (subset, stem), member in photos.items()}
    texts = {subset.lower(): member for (subset,), member in lists.items()}
    tasks = [task for subset in SUBSETS for task in _list_photos(archive, subset, texts, members)]
    tally.total = sum(1 + WITHOUT if isinstance(task, Photo) else task.count for task in tasks)
    return collect(_read_photos, options.seed, chunks(tasks, _CHUNK), options, tally)


def parse_list(text: str, origin: str) -> dict[str, list[list[int]]]:
    """The rows (x1, y1, w, h, blur, expression, illumination, invalid, occlusion, pose) of each photo's faces.

    A photo without a face comes with one row of zeros, be its count 0 or 1, or with a count of 0 alone. Raises
    ValueError, naming the line.
    """
    lines = [line.strip() for line in text.removeprefix("\ufeff").splitlines()]
    photos: dict[str, list[list[int]]] = {}
    at = 0
    while at < len(lines):
        if not lines[at]:
            at += 1
            continue
        try:
            name, count = lines[at].replace("\\", "/"), int(lines[at + 1])
            if not count and not _ROW.fullmatch("".join(lines[at + 2 : at + 3])):
                photos[name] = []
                at += 2
                continue
            rows = [[int(n) for n in line.split()] for line in lines[at + 2 : at + 2 + max(1, count)]]
        except (ValueError, IndexError) as error:
            raise ValueError(f"{origin}, line {at + 1}: expected a photo, a count, and a row per face") from error
        if len(rows) != max(1, count) or any(len(row) != 10 for row in rows):
            raise ValueError(f"{origin}, line {at + 1}: expected {max(1, count)} rows of 10 numbers after {name}")
        photos[name] = [row for row in rows if any(row)]
        at += 2 + max(1, count)
    return photos


def _list_photos(
    archive: Path, subset: str, lists: Mapping[str, Member], members: Mapping[str, Member]
) -> list[Photo | Drop]:
    """What is to be read of a subset; raises ValueError if its list or all of its photos are missing."""
    if subset not in lists:
        raise ValueError(f"{archive} lacks a part: nothing in it is called wider_face_{subset}_bbx_gt.txt")
    text = lists[subset].read().decode("utf-8", "replace")
    tasks: list[Photo | Drop] = []
    for name, rows in sorted(parse_list(text, str(lists[subset])).items()):
        if len(rows) != 1:
            tasks.append(Drop("not exactly one face"))
            continue
        x, y, width, height, *_, invalid, _, _ = rows[0]
        member = members.get(f"{subset}/{name.rpartition('.')[0]}")
        if invalid or width <= 0 or height <= 0:
            tasks.append(Drop("face flagged invalid, or its box empty"))
        elif member is None:
            tasks.append(Drop("photo not in the archive"))
        else:
            tasks.append(Photo(f"{subset}/{name}", subset, (x, y, x + width, y + height), member))
    if not any(isinstance(task, Photo) for task in tasks):
        raise ValueError(
            f"{archive} lacks a part: of the photos in wider_face_{subset}_bbx_gt.txt with one face it holds none,"
            f" WIDER_{subset}/images/<event>/*.jpg"
        )
    return tasks


def _read_photos(seed: int, photos: list[Photo | Drop]) -> list[Outcome]:
    return [outcome for photo in photos for outcome in (_windows(seed, photo) if isinstance(photo, Photo) else [photo])]


def _windows(seed: int, photo: Photo) -> list[Outcome]:
    try:
        image = decode(photo.member.read(), str(photo.member))
    except Damaged as error:
        return [Drop("damaged", True, str(error), 1 + WITHOUT)]
    height, width = image.shape
    whole = np.array(photo.box, np.float64)
    box = np.clip(whole, 0, [width, height, width, height])
    sides = box[2:] - box[:2]
    if (sides < np.maximum(1, (whole[2:] - whole[:2]) / 2)).any():
        message = f"{photo.member}: its face {photo.box} lies outside the image of {width}x{height} px"
        return [Drop("face outside the image", True, message, 1 + WITHOUT)]
    # each photo draws on its own, whatever came before it
    key = int.from_bytes(hashlib.sha256(photo.name.encode()).digest()[:8])
    rng = np.random.default_rng([seed, key])
    with_face = _window_with(box, width, height, rng)
    if isinstance(with_face, Drop):
        return [with_face]
    outcomes: list[Outcome] = [_cut(photo, image, with_face, box)]
    for number in range(WITHOUT):
        window = _window_without(box, width, height, rng)
        outcomes.append(window if isinstance(window, Drop) else _cut(photo, image, window, None, number))
    return outcomes


def _window_with(box: np.ndarray, width: int, height: int, rng: np.random.Generator) -> np.ndarray | Drop:
    """A window xyxy inside the photo with the face at a random size and place; a large face may be cut off."""
    face_width = box[2] - box[0]
    least = max(face_width / FACE_FRACTION[1], MIN_WINDOW)
    most = min(face_width / FACE_FRACTION[0], width, height * ASPECT)
    if least > face_width / FACE_FRACTION[0]:
        return Drop("face too small", count=1 + WITHOUT)
    if least > most:
        return Drop("no room for a window around the face", count=1 + WITHOUT)
    size = np.exp(rng.uniform(np.log(least), np.log(most))) * np.array([1, 1 / ASPECT])
    beyond = (OVERHANG if rng.random() < CUT_OFF else 0.0) * (box[2:] - box[:2])
    # along an axis where the face does not fit it fills the window
    low, high = np.sort([box[2:] - size, box[:2]], axis=0) + [-beyond, beyond]
    corner = np.clip(rng.uniform(low, high), 0, np.array([width, height]) - size)
    return np.concatenate([corner, corner + size])


def _window_without(box: np.ndarray, width: int, height: int, rng: np.random.Generator) -> np.ndarray | Drop:
    """A window xyxy inside the photo, clear of the face, in a random one of the strips beside, above and below it."""
    gap = CLEARANCE * (box[2:] - box[:2])
    (x0, y0), (x1, y1) = box[:2] - gap, box[2:] + gap
    strips = np.array([[0, 0, x0, height], [x1, 0, width, height], [0, 0, width, y0], [0, y1, width, height]])
    widest = np.minimum(strips[:, 2] - strips[:, 0], (strips[:, 3] - strips[:, 1]) * ASPECT)
    fit = widest >= MIN_WINDOW
    if not fit.any():
        return Drop("no room for a window beside the face")
    choice = rng.choice(np.flatnonzero(fit))
    strip = strips[choice]
    size = rng.uniform(max(MIN_WINDOW, widest[choice] / 3), widest[choice]) * np.array([1, 1 / ASPECT])
    corner = rng.uniform(strip[:2], strip[2:] - size)
    return np.concatenate([corner, corner + size])


def _cut(photo: Photo, image: np.ndarray, window: np.ndarray, box: np.ndarray | None, number: int = 0) -> Sample:
    matrix = affine.box_to_box(window, _FRAME)
    labels = {"roi": _FRAME, "face": np.array(box is not None, np.float64)}
    if box is not None:
        labels["bbox"] = np.clip(affine.move_box(matrix, box), _FRAME[[0, 1, 0, 1]], _FRAME[[2, 3, 2, 3]])
    window_image = warp(image, matrix, LOCALIZER_SIZE)
    kind = "face" if box is not None else f"none{number}"
    return Sample(window_image, f"{photo.name}#{kind}", photo.name, labels, subset=photo.subset)
