"""YouTube Faces with facial keypoints (Kaggle): videos with 68 machine-made landmarks in three dimensions, no pose.

The pose is that of a rigid, robust fit of the neutral head to the landmarks. Frames whose landmarks do not make a face,
jump, or lie outside the image are left out, and of the others every ``stride``-th is kept.
"""

import errno
import math
import os
import re
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import IO, NamedTuple

import cv2
import numpy as np

from nntrack.data.sample import Sample
from nntrack.geometry.boxes import face_box
from nntrack.geometry.landmarks import COUNT, EYE_CORNERS
from nntrack.readers import _rigid
from nntrack.readers._format import BEYOND, LARGEST, Drop, Options, Outcome, Tally, collect, cut, is_in_image, table
from nntrack.readers.archive import Wanted, find
from nntrack.readers.members import SWOLLEN, Damaged, Member

# What a plausible fit keeps within, head radii (100 mm). People differ by 0.05 from the neutral head and an open mouth
# moves a third of the landmarks by 0.3, so these bounds cut off what is no face.
MAX_MISFIT = 0.30  # rms, from the neutral head
MAX_CHANGE = 0.20  # rms, from the median shape of the video
MAX_JUMP = 0.35  # rms, from the nearer of the two neighbouring frames
MAX_OUTSIDE = 0.5  # of any landmark outside the image
_STEM = "youtube_faces_with_keypoints_"
_TABLE = Wanted(re.compile(rf"(?:.*/)?({_STEM}(?:full|large))\.(?i:csv)"), f"{_STEM}full.csv or {_STEM}large.csv")
_VIDEO = Wanted(re.compile(r"(?:.*/)?([^/]+)\.(?i:npz)"), "<videoID>.npz")


class Video(NamedTuple):
    """One .npz. frames: as the table has it, 1 where it does not say."""

    name: str
    person: str
    frames: int
    file: Member


def read(archive: Path, options: Options, tally: Tally) -> Iterator[Sample]:
    """Training crops, grouped by person. Raises ValueError if the archive lacks the table or holds no video."""
    tables, videos = find(archive, _TABLE, _VIDEO)
    rows = {name: row for file in tables.values() for name, row in _read_table(file).items()}
    tasks: list[Video | Drop] = []
    for name, (person, frames) in sorted(rows.items()):
        if (name,) in videos:
            tasks.append(Video(name, person, frames, videos[name,]))
        else:
            tasks.append(Drop("video not in the archive", count=frames))
    tasks += [Drop("video not in the table") for (name,) in videos if name not in rows]
    tally.total = sum(task.frames if isinstance(task, Video) else task.count for task in tasks)
    return collect(_read_video, options, tasks, options, tally)


def read_videos(archive: Path, count: int) -> Iterator[tuple[str, np.ndarray]]:
    """The names and grey frames (n, height, width) uint8 of some videos, evenly chosen; damaged ones are left out.

    Raises as `read`.
    """
    _, videos = find(archive, _TABLE, _VIDEO)
    names = sorted(videos)
    chosen = np.unique(np.linspace(0, len(names) - 1, min(count, len(names))).round().astype(int))
    for (name,) in (names[i] for i in chosen):
        try:
            with ExitStack() as stack:
                arrays = _Arrays(stack, videos[name,])
                frames = arrays.grey(list(range(arrays.frames)))
        except Damaged:
            continue
        yield name, frames


def _read_table(file: Member) -> dict[str, tuple[str, int]]:
    """videoID -> person, number of frames. Columns that vary between releases are not relied on."""
    rows = {}
    for line, row in table(file)[1]:
        if not row.get("videoID") or not row.get("personName"):
            raise ValueError(f"{file}, line {line} has no videoID or no personName: {row}")
        rows[row["videoID"]] = row["personName"], _count(row.get("videoDuration"))
    return rows


def _count(text: str | None) -> int:
    try:
        number = float(text or "nan")
    except ValueError:
        number = math.nan
    return int(number) if 1 <= number < BEYOND else 1


def _read_video(options: Options, video: Video | Drop) -> list[Outcome]:
    if isinstance(video, Drop):
        return [video]
    try:
        with ExitStack() as stack:
            arrays = _Arrays(stack, video.file)
            landmarks = arrays.landmarks()
            faults = judge(landmarks, arrays.size)
            frames = range(0, len(landmarks), options.stride)
            good = [i for i in frames if faults[i] is None]
            images = arrays.grey(good)
    except Damaged as error:
        return [Drop("damaged", True, str(error), video.frames)]
    samples = iter(_label(video, options, good, landmarks[good], images) if good else ())
    outcomes = [faults[i] or next(samples) for i in frames]
    thinned = len(landmarks) - len(frames)
    return [*outcomes, Drop("neighbour of a kept frame", count=thinned)] if thinned else outcomes


def judge(landmarks: np.ndarray, size: tuple[int, int]) -> list[Drop | None]:
    """What is wrong with each frame of landmarks (n, 68, 3); None if nothing. size: (height, width), px.

    Of several faults of a frame the first in this order is given: not finite, no face, outside, not in, unlike, jump.
    """
    faults: list[Drop | None] = [Drop("landmarks not finite", True)] * len(landmarks)
    known = np.flatnonzero((np.abs(landmarks) < BEYOND).all(axis=(1, 2)))  # (k,): rows of frames
    if not len(known):
        return faults
    points = landmarks[known]
    head = _rigid.fit(points)
    radius = head.pos_size[:, 2]
    boxes = face_box(points, head.quat, head.pos_size)
    outside = np.maximum(-points[..., :2], points[..., :2] - np.array(size[::-1])).max(axis=(1, 2))
    checks = {
        "landmarks make no face": head.misfit > MAX_MISFIT,
        "landmarks outside the image": outside > MAX_OUTSIDE * radius,
        "face not in the image": ~np.array([is_in_image(box, size) for box in boxes]),
        "shape unlike the rest of the video": _rigid.rms(head.shape, np.median(head.shape, axis=0)) > MAX_CHANGE,
        "landmarks jump": _jumps(points, known) > MAX_JUMP * radius,
    }
    for i, row in enumerate(known):
        faults[row] = next((Drop(reason) for reason, bad in checks.items() if bad[i]), None)
    return faults


def _jumps(points: np.ndarray, frames: np.ndarray) -> np.ndarray:
    """Distance (k,) of landmarks (k, 68, 3) from those of the nearer neighbouring frame, rms px; 0 if there is none."""
    step = _rigid.rms(points[1:], points[:-1])  # (k - 1,)
    step = np.where(np.diff(frames) == 1, step, np.inf)
    nearer = np.minimum(np.append(step, np.inf), np.insert(step, 0, np.inf))
    return np.where(np.isfinite(nearer), nearer, 0)


def _label(
    video: Video, options: Options, frames: list[int], landmarks: np.ndarray, images: np.ndarray
) -> Iterator[Sample]:
    head = _rigid.fit(landmarks)
    points = landmarks.copy()
    points[..., 2] -= points[:, EYE_CORNERS, 2].mean(axis=1, keepdims=True)
    labels = {"quat": head.quat, "pos_size": head.pos_size, "landmarks": points, "face": np.ones(len(frames))}
    labels["bbox"] = face_box(points, head.quat, head.pos_size)
    crops, labels = cut(images, labels, labels["bbox"], options.size, options.margin)
    for i, frame in enumerate(frames):
        values = {name: value[i] for name, value in labels.items()}
        yield Sample(crops[i], f"{video.name}/{frame}", video.person, values, sequence=video.name)


class _Arrays:
    """The arrays of one .npz; images are read row by row or frame by frame, never all at once."""

    def __init__(self, stack: ExitStack, file: Member) -> None:
        self._stack = stack
        self.name = str(file)
        stream = stack.enter_context(file.open())
        room = SWOLLEN * stream.seek(0, os.SEEK_END)
        try:
            self._zip = stack.enter_context(zipfile.ZipFile(stream))
        except Exception as error:  # zipfile raises nearly anything on a forged file
            _raise_if_io(error, self.name)
            raise Damaged(f"{self.name} is not a complete .npz file") from error
        self._images, shape, self._fortran, dtype = self._open("colorImages")
        if len(shape) != 4 or shape[2] != 3 or dtype != np.uint8 or 0 in shape:
            raise Damaged(f"{self.name}: colorImages is {dtype} {shape}, expected uint8 (height, width, 3, frames)")
        if shape[0] * shape[1] > LARGEST or math.prod(shape) > room:
            raise Damaged(f"{self.name}: colorImages claims to be {shape}, more than such a file can hold")
        self._shape = shape
        self.size, self.frames = shape[:2], shape[3]

    def landmarks(self) -> np.ndarray:
        """(n, 68, 3): px of the images, corner-based, z away from the viewer."""
        stream, shape, fortran, dtype = self._open("landmarks3D")
        expected = (COUNT, 3, self._shape[3])
        if shape != expected or dtype.kind != "f":
            raise Damaged(f"{self.name}: landmarks3D is {dtype} {shape}, expected float {expected}")
        values = np.frombuffer(self._take(stream, math.prod(shape) * dtype.itemsize), dtype)
        return np.moveaxis(values.reshape(shape, order="F" if fortran else "C"), 2, 0).astype(np.float64)

    def grey(self, frames: list[int]) -> np.ndarray:
        """The images of some frames, ascending, (n, height, width) uint8."""
        height, width, _, count = self._shape
        images = np.empty((len(frames), height, width), np.uint8)
        if not frames:
            return images
        if self._fortran:  # a frame lies together, its columns one after another
            wanted = {frame: i for i, frame in enumerate(frames)}
            for frame in range(frames[-1] + 1):
                plane = np.frombuffer(self._take(self._images, 3 * width * height), np.uint8)
                if frame in wanted:
                    colours = np.ascontiguousarray(plane.reshape(3, width, height).transpose(2, 1, 0))
                    images[wanted[frame]] = cv2.cvtColor(colours, cv2.COLOR_RGB2GRAY)
            return images
        for y in range(height):  # a row lies together, of all frames
            row = np.frombuffer(self._take(self._images, width * 3 * count), np.uint8).reshape(width, 3, count)
            colours = np.ascontiguousarray(row[:, :, frames].transpose(2, 0, 1))  # (n, width, 3)
            images[:, y] = cv2.cvtColor(colours, cv2.COLOR_RGB2GRAY)
        return images

    def _open(self, key: str) -> tuple[IO[bytes], tuple[int, ...], bool, np.dtype]:
        try:
            stream = self._stack.enter_context(self._zip.open(f"{key}.npy"))
            version = np.lib.format.read_magic(stream)
            read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            return stream, *read(stream)
        except KeyError as error:
            raise Damaged(f"{self.name} lacks {key}") from error
        except Exception as error:  # as above, and NumPy parses the header as Python
            _raise_if_io(error, self.name)
            raise Damaged(f"{self.name}: {key} cannot be read: {error}") from error

    def _take(self, stream: IO[bytes], count: int) -> bytes:
        try:
            data = stream.read(count)
        except Exception as error:  # as above
            _raise_if_io(error, self.name)
            raise Damaged(f"{self.name} is damaged: {error}") from error
        if len(data) != count:
            raise Damaged(f"{self.name} ends early")
        return data


def _raise_if_io(error: Exception, name: str) -> None:
    """Raise an error of the system as what it is: the file need not be damaged for it."""
    if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):
        raise OSError(error.errno, error.strerror, error.filename or name) from error
