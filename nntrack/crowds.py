"""Drawn photos as WIDER FACE has them: faces in scenes, boxes in a text file with the original's oddities."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from nntrack import render
from nntrack.landmarks import face_box
from nntrack.originals import ZipWriter, jpeg
from nntrack.rotations import aflw_angles_to_quat, quat_apply

SIZE = (480, 640)  # px, height and width
EVENTS = ("0--Parade", "1--Handshaking", "13--Interview", "29--Students_Schoolkids", "52--Photographers")
SUBSETS = ("train", "val")
_STREAM = 4  # of random numbers
_VAL_EVERY = 5  # photos
_SEVERAL, _NONE, _INVALID = 0.06, 0.02, 0.02  # shares of photos with more faces, none, one flagged as invalid
_NOTHING = "0 0 0 0 0 0 0 0 0 0 "
_HEAD_HALF_WIDTH = 1.1  # head radii that a face keeps from the photo's edge

Members = list[tuple[str, bytes]]


def draw(seed: int, number: int) -> tuple[Members, np.ndarray]:
    """One photo: its JPEG and its lines of the annotation, and the picture."""
    rng = np.random.default_rng([seed, _STREAM, number])
    subset = "val" if number % _VAL_EVERY == _VAL_EVERY - 1 else "train"
    event = EVENTS[number % len(EVENTS)]
    name = f"{event}/{event.replace('--', '_')}_Synthetic_{number}.jpg"
    kind = rng.random()
    count = 0 if kind < _NONE else int(rng.integers(2, 4)) if kind < _NONE + _SEVERAL else 1
    flags = "0 0 0 1 0 0" if kind > 1 - _INVALID else "0 0 0 0 0 0"
    image = render.draw_background(rng, SIZE)
    boxes = []
    for place in range(count):
        image, box = _add_head(rng, image, place, count)
        boxes.append(f"{' '.join(map(str, box))} {flags} ")
    # an image without a face: count 0 in train, 1 in val, a line of zeros in both
    lines = [name, str(count or int(subset == "val")), *(boxes or [_NOTHING])]
    photo = jpeg(image, int(rng.integers(70, 95)))
    text = "".join(f"{line}\n" for line in lines).encode()
    return [(f"WIDER_{subset}/images/{name}", photo), (subset, text)], image


def write(folder: Path, parts: Iterator[Members]) -> None:
    """The folder: two zips of photos and one with the two lists."""
    folder.mkdir(parents=True)
    texts = dict.fromkeys(SUBSETS, b"")
    with ExitStack() as stack:
        archives = {subset: stack.enter_context(ZipWriter(folder / f"WIDER_{subset}.zip")) for subset in SUBSETS}
        for (path, photo), (subset, text) in parts:
            archives[subset].add(path, photo)
            texts[subset] += text
    with ZipWriter(folder / "wider_face_split.zip") as split:
        for subset, text in texts.items():
            split.add(f"wider_face_split/wider_face_{subset}_bbx_gt.txt", text)


def _add_head(rng: np.random.Generator, image: np.ndarray, place: int, count: int) -> tuple[np.ndarray, list[int]]:
    """One more head in the photo, in its own share of the width; returns the box x, y, width, height, whole pixels."""
    height, width = SIZE
    share = width / count
    radius = min(np.exp(rng.uniform(np.log(34), np.log(95))), share / 2 / _HEAD_HALF_WIDTH)
    pitch, roll = np.clip(rng.normal(0, [13, 11]), -45, 45)
    yaw = np.clip(rng.normal(0, 32), -85, 85)
    quat = aflw_angles_to_quat(*np.radians([pitch, yaw, roll]))
    margin = radius * _HEAD_HALF_WIDTH
    middle = np.array([rng.uniform(place * share + margin, (place + 1) * share - margin), 0])
    middle[1] = rng.uniform(margin, height - margin)
    centre = middle - quat_apply(quat, render.FACE_MIDDLE)[:2] * radius
    person = render.draw_person(rng)
    picture = render.draw(rng, person, person.express(rng), SIZE, quat, centre, radius, background=image)
    x0, y0, x1, y1 = np.round(face_box(picture.landmarks, picture.quat, picture.pos_size)).astype(int).tolist()
    return picture.image, [x0, y0, x1 - x0, y1 - y0]
