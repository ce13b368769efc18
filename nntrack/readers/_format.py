"""What readers share: options, the account of what was kept and dropped, .mat files and pictures, crops.

A reader is a module with ``read(archive, options, tally) -> Iterator[Sample]``, named as its row of `datasets`.
"""

import csv
import io
import struct
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from scipy.io import loadmat

from nntrack.data.images import decode_grey, warp
from nntrack.data.sample import Sample, move_labels
from nntrack.geometry import affine
from nntrack.geometry.boxes import square_around
from nntrack.geometry.rotations import quat_apply
from nntrack.readers._parallel import Work, in_order
from nntrack.readers.archive import Damaged

_MESSAGES = 20  # of damaged members, kept for people to read
_TAIL = 4096  # bytes in which the end marker must be found: some writers pad
# OpenCV fills what a cut picture lacks with grey and says nothing: how JPEG and PNG begin, and how they end
_ENDS = {b"\xff\xd8": b"\xff\xd9", b"\x89P": b"IEND"}
_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}  # the segments of a JPEG that tell its size
_BARE = {0x01, *range(0xD0, 0xD9)}  # those without a length
LARGEST = 1 << 26  # px of one picture
BEYOND = 1e9  # no number that is right is as large, whatever its unit
_FACE = (8.0, 4.0)  # px, and sides of the picture: a box's side lies between


@dataclass(frozen=True)
class Options:
    """limit: at most so many samples. size, margin: of stored crops (px; share of the square about the face box).

    stride: every so manyth frame of a video. seed: of random crops. workers: processes; None means one per core.
    """

    limit: int | None = None
    size: int = 192
    margin: float = 1.5
    stride: int = 1
    seed: int = 0
    workers: int | None = None


class Drop(NamedTuple):
    """Why ``count`` samples are left out. damaged: they should have been usable; otherwise a rule sorts them out."""

    reason: str
    damaged: bool = False
    message: str = ""
    count: int = 1  # type: ignore[assignment]  # a tuple's own count is of no use here


@dataclass
class Tally:
    """What became of an archive's samples.

    total: how many there were to look at, as far as known at the start. also_used: the terms of what a reader used
    beside the archive.
    """

    total: int = 0
    kept: int = 0
    bad: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    messages: list[str] = field(default_factory=list)
    also_used: list[str] = field(default_factory=list)

    @property
    def seen(self) -> int:
        """Samples accounted for so far."""
        return self.kept + self.dropped.total()

    def drop(self, drop: Drop) -> None:
        """Count samples that are left out."""
        self.dropped[drop.reason] += drop.count
        if drop.damaged:
            self.bad += drop.count
            if len(self.messages) < _MESSAGES:
                self.messages.append(drop.message or drop.reason)


Outcome = Sample | Drop


def collect(work: Work, context: Any, tasks: Sequence[Any], options: Options, tally: Tally) -> Iterator[Sample]:
    """Run ``work`` on every task and yield the samples in order, counting everything, until the limit is reached."""
    if options.limit is not None and options.limit <= tally.kept:
        return
    for outcomes in in_order(work, context, tasks, options.workers):
        for outcome in outcomes:
            if isinstance(outcome, Drop):
                tally.drop(outcome)
                continue
            tally.kept += 1
            yield outcome
            if tally.kept == options.limit:
                return


def chunks(items: Sequence[Any], size: int) -> list[Sequence[Any]]:
    """Runs of ``size`` items."""
    return [items[i : i + size] for i in range(0, len(items), size)]


def load_mat(data: bytes, name: str, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, np.ndarray]:
    """The arrays named in ``shapes`` of a MATLAB file, as float64 in those shapes (Exp_Para is uint8 in places).

    Raises `Damaged`, naming the member and the key, if one is missing, has other numbers of elements, or is not finite.
    """
    try:
        content = loadmat(io.BytesIO(data), variable_names=list(shapes))
    # SciPy raises nearly anything on a damaged file
    except Exception as error:
        raise Damaged(f"{name} cannot be read: {error}") from error
    arrays = {}
    for key, shape in shapes.items():
        if key not in content:
            raise Damaged(f"{name} lacks {key}")
        found = content[key]
        if not isinstance(found, np.ndarray) or found.dtype.kind not in "fiu" or found.size != np.prod(shape):
            kind = getattr(found, "dtype", type(found))
            raise Damaged(f"{name}: {key} is {kind} {np.shape(found)}, expected {shape}")
        with np.errstate(invalid="ignore"):  # a signalling NaN
            arrays[key] = found.reshape(shape).astype(np.float64)
        if not (np.abs(arrays[key]) < BEYOND).all():
            raise Damaged(f"{name}: {key} holds a number that is not finite, or beyond reason")
    return arrays


def decode(data: bytes, name: str) -> np.ndarray:
    """A grey picture (H, W); raises `Damaged`, naming the member, if it cannot be decoded or is cut short."""
    if _ENDS.get(data[:2], b"") not in data[-_TAIL:]:
        raise Damaged(f"{name} is cut short")
    if data and data[:2] not in _ENDS:
        raise Damaged(f"{name} cannot be decoded: it is neither JPEG nor PNG")
    if (pixels := _pixels(data)) > LARGEST:
        raise Damaged(f"{name} claims {pixels} px, and {LARGEST} is the most for a picture")
    try:
        return decode_grey(data)
    except (ValueError, cv2.error) as error:  # the latter for a size that is beyond reason
        raise Damaged(f"{name}: {error}") from error


def _pixels(data: bytes) -> int:
    """How many px a JPEG or PNG claims to have, 0 if it does not tell; walks the segments as libjpeg does."""
    if data[:2] == b"\x89P":
        width, height = struct.unpack(">2I", data[16:24].ljust(8, b"\0"))
        return width * height
    at = 2
    while 0 <= (at := data.find(b"\xff", at)) < len(data) - 9:
        if data[at + 1] in _FRAMES:
            height, width = struct.unpack_from(">2H", data, at + 5)
            return height * width
        bare = data[at + 1] in _BARE or data[at + 1] in (0x00, 0xFF)
        at += 1 if bare else 2 + struct.unpack_from(">H", data, at + 2)[0]
    return 0


@contextmanager
def table(path: Path) -> Iterator["csv.DictReader[str]"]:
    """A CSV table, opened. Raises ValueError, naming it, where it is read and is none."""
    try:
        with open(path, encoding="utf-8-sig", newline="") as stream:
            yield csv.DictReader(stream)
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{path} is not a table: {error}") from error


def project(points: np.ndarray, quat: np.ndarray, pos_size: np.ndarray) -> np.ndarray:
    """Points (k, 3) in the head frame and head radii to pictures (..., k, 3) px, without perspective."""
    posed = quat_apply(quat[..., None, :], points) * pos_size[..., None, 2:]
    posed[..., :2] += pos_size[..., None, :2]
    return posed


def is_in_picture(box: np.ndarray, shape: tuple[int, ...]) -> bool:
    """Whether a face of this box xyxy can be in a picture (height, width) and is mostly in it."""
    sides, size = box[2:] - box[:2], np.array(shape[::-1])
    middle = (box[:2] + box[2:]) / 2
    return bool(
        sides.min() >= _FACE[0] and sides.max() <= _FACE[1] * size.max() and ((middle >= 0) & (middle <= size)).all()
    )


def cut(
    images: Iterable[np.ndarray], labels: Mapping[str, np.ndarray], face: np.ndarray, size: int, margin: float
) -> tuple[list[np.ndarray], dict[str, np.ndarray]]:
    """Training crops (size, size) and their labels, the new ``roi`` among them.

    face: boxes xyxy (n, 4) in the images' frames. The roi is the square about the face, the crop ``margin`` times it.
    """
    target = np.broadcast_to(np.array([0.0, 0.0, size, size]), face.shape)
    matrices = affine.box_to_box(square_around(face, margin), target)  # (n, 2, 3)
    crops = [warp(image, matrix, (size, size)) for image, matrix in zip(images, matrices, strict=True)]
    return crops, move_labels(matrices, {**labels, "roi": square_around(face)})
