"""Renders video clips as the Kaggle release of YouTube Faces has them: a csv, and zips of one .npz per video.

Heads turn and faces change smoothly. Some landmarks are wrong on purpose, as those of an automatic fit are.
"""

import csv
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
from scipy.interpolate import CubicSpline
from scipy.spatial.transform import Rotation

from nntrack.geometry.boxes import landmark_box
from nntrack.geometry.perspective import FACE_MIDDLE
from nntrack.geometry.rotations import quat_apply
from nntrack.synthesis import renderer
from nntrack.synthesis.archives.formats import Members, ZipWriter, npz
from nntrack.synthesis.heads.load import Sources, sample_head

SIZE = (200, 220)  # px, height and width
_STREAM = 3  # of random numbers
_BAD = 0.03  # fraction of the frames
_CLIPS_PER_PERSON = 2
_ZIPS = 4
_STEM = "youtube_faces_with_keypoints_full"
_COLUMNS = ("videoID", "personName", "imageHeight", "imageWidth", "videoDuration", "averageFaceSize")


def render(seed: int, number: int, *, frames: int, heads: Sources) -> tuple[Members, np.ndarray]:
    """One clip: its .npz and its row of the csv, and the image of a frame.

    Args:
        seed: of the whole archive.
        number: of the clip, from 0.
        frames: how many.
        heads: where people's heads come from, see `heads.load`.
    """
    # the same person in every clip of theirs
    person_rng = np.random.default_rng([seed, _STREAM, 0, number // _CLIPS_PER_PERSON])
    person = renderer.sample_person(person_rng, sample_head(person_rng, heads))
    rng = np.random.default_rng([seed, _STREAM, 1, number])
    state = rng.bit_generator.state
    expressions = _smooth_between(person.head.sample_expression(rng), person.head.sample_expression(rng), frames)
    renderings = []
    for expression, (quat, middle, radius) in zip(expressions, _motion(rng, frames), strict=True):
        still = np.random.default_rng(0)
        still.bit_generator.state = state  # the same light and background in every frame
        centre = middle - quat_apply(quat, FACE_MIDDLE)[:2] * radius
        renderings.append(renderer.render(still, person, expression, SIZE, quat, centre, radius))
    colour = np.stack([_rgb(r.image) for r in renderings], axis=-1)  # (H, W, 3, N)
    points = np.stack([_with_errors(r.landmarks, rng) for r in renderings])  # (N, 68, 3)
    boxes = landmark_box(points)
    arrays = {
        "colorImages": colour,
        "landmarks2D": np.moveaxis(points[..., :2], 0, -1),
        "landmarks3D": np.moveaxis(points + [0, 0, rng.uniform(-20, 20)], 0, -1),
        "boundingBox": np.moveaxis(boxes[:, [[0, 1], [2, 1], [0, 3], [2, 3]]], 0, -1),
    }
    name = f"Synthetic_Person_{number // _CLIPS_PER_PERSON:04d}_{number % _CLIPS_PER_PERSON}"
    size = "" if number % 7 == 3 else f"{(boxes[:, 2:] - boxes[:, :2]).mean():.3f}"  # sometimes unknown
    row = [name, name.rpartition("_")[0], *map(str, SIZE), f"{frames}.0", size]
    stem = f"{_STEM}_{number % _ZIPS + 1}"
    return [(f"{stem}/{name}.npz", npz(arrays)), ("row", ",".join(row).encode())], renderings[frames // 2].image


def write(folder: Path, samples: Iterable[Members]) -> None:
    """The folder: four zips and the table, which has a stray column of row numbers as the original does."""
    rows = []
    folder.mkdir(parents=True)
    with ExitStack() as stack:
        archives = [stack.enter_context(ZipWriter(folder / f"{_STEM}_{i + 1}.zip")) for i in range(_ZIPS)]
        for number, ((path, data), (_, row)) in enumerate(samples):
            archives[number % _ZIPS].add(path, data)
            rows.append(row.decode().split(","))
    with open(folder / f"{_STEM}.csv", "w", encoding="utf-8", newline="") as stream:
        table = csv.writer(stream, lineterminator="\n")
        table.writerow(["Unnamed: 0", *_COLUMNS, "numVideosForPerson"])
        persons = [row[1] for row in rows]
        table.writerows([[i, *row, persons.count(row[1])] for i, row in enumerate(rows)])


def _motion(rng: np.random.Generator, frames: int) -> Iterator[tuple[np.ndarray, np.ndarray, float]]:
    """Rotation, place of the face's middle (px) and head radius (px), frame by frame, all smooth."""
    knots = np.linspace(0, 1, 4)
    times = np.linspace(0, 1, frames)
    yaw = rng.normal(0, 28) + rng.normal(0, 18, 4)
    angles = np.stack([rng.normal(0, 10) + rng.normal(0, 8, 4), yaw, rng.normal(0, 7) + rng.normal(0, 5, 4)], axis=-1)
    angles = np.clip(CubicSpline(knots, angles)(times), [-45, -80, -40], [45, 80, 40])
    middles = np.array(SIZE[::-1]) / 2 + CubicSpline(knots, rng.normal(0, 6, (4, 2)))(times)
    radius = SIZE[0] * rng.uniform(0.2, 0.3)
    for turn, middle in zip(angles, middles, strict=True):
        yield Rotation.from_euler("XYZ", turn, degrees=True).as_quat(), middle, radius


def _smooth_between(start: np.ndarray, end: np.ndarray, frames: int) -> list[np.ndarray]:
    weights = 0.5 - 0.5 * np.cos(np.linspace(0, np.pi, frames))
    return [(1 - w) * start + w * end for w in weights]


def _with_errors(points: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Landmarks (68, 3) as an automatic fit finds them: nearly right, but sometimes far off."""
    size = np.ptp(points[:, 1])
    found = points + rng.normal(0, 0.004, (68, 3)) * size
    if rng.random() >= _BAD:
        return found
    if rng.random() < 0.5:  # the fit is too narrow and lies elsewhere
        return found * [0.5, 1.0, 0.5] + rng.normal(0, 0.6, 3) * size
    return found + rng.normal(0, 0.25, (68, 3)) * size  # or has no shape


def _rgb(image: np.ndarray) -> np.ndarray:
    return np.repeat(image[..., None], 3, axis=-1) if image.ndim == 2 else image[..., ::-1]
