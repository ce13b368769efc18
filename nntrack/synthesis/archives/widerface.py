"""Renders photos as WIDER FACE has them: faces in scenes, boxes in a text file with the original's oddities."""

from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from nntrack.geometry.boxes import landmark_box
from nntrack.geometry.perspective import FACE_MIDDLE
from nntrack.geometry.rotations import aflw_angles_to_quat, quat_apply
from nntrack.synthesis import renderer
from nntrack.synthesis.archives.formats import Members, ZipWriter, jpeg
from nntrack.synthesis.camera import photograph
from nntrack.synthesis.heads.load import Sources, sample_head
from nntrack.synthesis.scene.background import render_background
from nntrack.synthesis.scene.props import add_props
from nntrack.synthesis.textures import material

SIZE = (480, 640)  # px, height and width
EVENTS = ("0--Parade", "1--Handshaking", "13--Interview", "29--Students_Schoolkids", "52--Photographers")
SUBSETS = ("train", "val")
_STREAM = 4  # of random numbers
_VAL_EVERY = 5  # photos
_SEVERAL, _NONE, _INVALID = 0.06, 0.02, 0.02  # fractions of photos with more faces, none, one flagged as invalid
_AWAY = 0.25  # fraction of photos with somebody seen from behind
_HAIRLINE = np.array([[-0.35, -0.74, 0.12], [0.0, -0.84, 0.08], [0.35, -0.74, 0.12]])  # head frame, head radii
_NOTHING = "0 0 0 0 0 0 0 0 0 0 "
_HEAD_HALF_WIDTH = 1.1  # head radii that a face keeps from the photo's edge


def render(seed: int, number: int, *, heads: Sources) -> tuple[Members, np.ndarray]:
    """One photo: its JPEG and its lines of the annotation, and its image.

    Args:
        seed: of the whole archive.
        number: of the photo, from 0.
        heads: where people's heads come from, see `heads.load`.
    """
    rng = np.random.default_rng([seed, _STREAM, number])
    subset = "val" if number % _VAL_EVERY == _VAL_EVERY - 1 else "train"
    event = EVENTS[number % len(EVENTS)]
    name = f"{event}/{event.replace('--', '_')}_Synthetic_{number}.jpg"
    kind = rng.random()
    count = 0 if kind < _NONE else int(rng.integers(2, 4)) if kind < _NONE + _SEVERAL else 1
    flags = "0 0 0 1 0 0" if kind > 1 - _INVALID else "0 0 0 0 0 0"
    away = int(rng.random() < _AWAY)
    image = render_scene(rng)
    boxes = []
    places = rng.permutation(count + away)
    for place in places[count:]:
        image, _ = _add_head(rng, heads, image, place, count + away, away=True)
    for place in places[:count]:
        image, box = _add_head(rng, heads, image, place, count + away)
        boxes.append(box)
    image = _foreground(rng, image, np.array(boxes))
    rows = [f"{x0} {y0} {x1 - x0} {y1 - y0} {flags} " for x0, y0, x1, y1 in boxes]
    # an image without a face: count 0 in train, 1 in val, a line of zeros in both
    lines = [name, str(count or int(subset == "val")), *(rows or [_NOTHING])]
    photo = jpeg(image, int(rng.integers(70, 95)))
    text = "".join(f"{line}\n" for line in lines).encode()
    return [(f"WIDER_{subset}/images/{name}", photo), (subset, text)], image


def write(folder: Path, samples: Iterable[Members]) -> None:
    """The folder: two zips of photos and one with the two lists."""
    folder.mkdir(parents=True)
    texts = dict.fromkeys(SUBSETS, b"")
    with ExitStack() as stack:
        archives = {subset: stack.enter_context(ZipWriter(folder / f"WIDER_{subset}.zip")) for subset in SUBSETS}
        for (path, photo), (subset, text) in samples:
            archives[subset].add(path, photo)
            texts[subset] += text
    with ZipWriter(folder / "wider_face_split.zip") as split:
        for subset, text in texts.items():
            split.add(f"wider_face_split/wider_face_{subset}_bbx_gt.txt", text)


def render_scene(rng: np.random.Generator) -> np.ndarray:
    """A photo (height, width) uint8 without a face."""
    image = render_background(rng, SIZE)
    if rng.random() < 0.3:
        image *= material(rng, SIZE, np.exp(rng.uniform(np.log(10), np.log(200))))
    return photograph(rng, add_props(rng, image, int(rng.integers(0, 14))), 0.4)


def _foreground(rng: np.random.Generator, image: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """The photo with props in front of clothes and background, but not of the boxes ``faces`` (k, 4) px, xyxy."""
    count = int(rng.integers(0, 6))
    front = add_props(rng, image.astype(np.float32) / 255, count, faces.reshape(-1, 4))
    return np.round(np.clip(front, 0, 1) * 255).astype(np.uint8)


def _add_head(
    rng: np.random.Generator, heads: Sources, image: np.ndarray, place: int, count: int, away: bool = False
) -> tuple[np.ndarray, list[int]]:
    """The photo with one more head, and the face's box, xyxy, whole pixels.

    Args:
        rng: random numbers.
        heads: where people's heads come from, see `heads.load`.
        image: (height, width) uint8, the photo.
        place: which of ``count`` columns of equal width the head is in, from the left.
        count: of the columns.
        away: whether it is turned so far that no face is seen.
    """
    height, width = SIZE
    column = width / count
    radius = min(np.exp(rng.uniform(np.log(20), np.log(200))), column / 2 / _HEAD_HALF_WIDTH)
    pitch, roll = np.clip(rng.normal(0, [13, 11]), -45, 45)
    yaw = rng.choice([-1, 1]) * rng.uniform(125, 180) if away else np.clip(rng.normal(0, 32), -85, 85)
    quat = aflw_angles_to_quat(*np.radians([pitch, yaw, roll]))
    margin = radius * _HEAD_HALF_WIDTH
    middle = np.array([rng.uniform(place * column + margin, (place + 1) * column - margin), 0])
    middle[1] = rng.uniform(min(margin, height / 2), max(height - margin, height / 2))
    centre = middle - quat_apply(quat, FACE_MIDDLE)[:2] * radius
    person = renderer.sample_person(rng, sample_head(rng, heads))
    expression = person.head.sample_expression(rng)
    rendering = renderer.render(rng, person, expression, SIZE, quat, centre, radius, background=image)
    return rendering.image, annotated_box(rng, rendering)


def annotated_box(rng: np.random.Generator, rendering: renderer.Rendering) -> list[int]:
    """The face's box xyxy as WIDER FACE's annotators mark it: up to the hairline, by hand.

    The median box of real photos with one face is 1.5 times as high as wide. `geometry.boxes.face_box`, whose forehead
    is lower, would give 1.3.
    """
    box = hairline_box(rendering)
    size = np.tile(box[2:] - box[:2], 2)
    return np.round(box + np.clip(rng.normal(0, 0.03, 4), -0.06, 0.06) * size).astype(int).tolist()


def hairline_box(rendering: renderer.Rendering) -> np.ndarray:
    """The face's box xyxy px, up to the hairline."""
    hairline = quat_apply(rendering.quat, _HAIRLINE) * rendering.pos_size[2] + (*rendering.pos_size[:2], 0)
    return landmark_box(np.vstack([rendering.landmarks, hairline]))
