"""What readers share: options, the account of what was kept and dropped, images, crops, checks of labels.

A reader is a module with ``read(archive, options, tally) -> Iterator[Sample]``, named as its row of `datasets`.
"""

import csv
import io
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import cv2
import numpy as np
from PIL import JpegImagePlugin, PngImagePlugin

from nntrack.data.images import decode_grey, warp
from nntrack.data.sample import MASKS, Sample, move_labels
from nntrack.geometry import affine
from nntrack.geometry.boxes import face_box, square_around
from nntrack.geometry.neutral_face import NEUTRAL_LANDMARKS
from nntrack.geometry.rotations import quat_apply
from nntrack.readers._parallel import Work, in_order
from nntrack.readers.members import Damaged, Member

_MESSAGES = 20  # of damaged members, kept for people to read
# How images begin: what reads their header, and how they end. OpenCV fills what a cut JPEG lacks with grey, silently.
_FORMATS: dict[bytes, tuple[Any, bytes]] = {
    b"\xff\xd8": (JpegImagePlugin.JpegImageFile, b"\xff\xd9"),
    b"\x89P": (PngImagePlugin.PngImageFile, b"IEND"),
}
LARGEST = 1 << 26  # px of one image
BEYOND = 1e9  # no number that is right is as large, whatever its unit
# Landmarks this far (rms, head radii) from those of the neutral head in the same pose belong to another pose or face,
# or have other axes: fitted photos stay below 0.2.
MAX_MISFIT = 0.5
_FACE = (8.0, 4.0)  # px, and sides of the image: a box's side lies between


@dataclass(frozen=True)
class Options:
    """limit: at most so many samples. size, margin: of stored crops (px; fraction of the square about the face box).

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

    total: how many there were to look at, as far as known at the start. labels: how many of the kept have each label.
    also_used: the terms of what a reader used beside the archive.
    """

    total: int = 0
    kept: int = 0
    bad: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    labels: Counter[str] = field(default_factory=Counter)
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
            tally.labels.update(name for name in MASKS if outcome.has(name))
            yield outcome
            if tally.kept == options.limit:
                return


def chunks(items: Sequence[Any], size: int) -> list[Sequence[Any]]:
    """Runs of ``size`` items."""
    return [items[i : i + size] for i in range(0, len(items), size)]


def decode(data: bytes, name: str) -> np.ndarray:
    """A grey image (H, W), whatever follows it; raises `Damaged`, naming the member, if it cannot be decoded whole."""
    if not data:
        raise Damaged(f"{name}: the image is empty")
    reader, end = _FORMATS.get(data[:2], (None, b""))
    if reader is None:
        raise Damaged(f"{name} cannot be decoded: it is neither JPEG nor PNG")
    stream = io.BytesIO(data)
    try:
        width, height = reader(stream).size
    except Exception as error:  # Pillow raises nearly anything on a damaged header
        raise Damaged(f"{name} cannot be decoded: its header is damaged ({error})") from error
    if width * height > LARGEST:
        raise Damaged(f"{name} claims {width * height} px, and {LARGEST} is the most for an image")
    if data.find(end, stream.tell()) < 0:  # behind the header, which may hold a preview with an end of its own
        raise Damaged(f"{name} is cut short")
    try:
        return decode_grey(data)
    except (ValueError, cv2.error) as error:
        raise Damaged(f"{name}: {error}") from error


def table(member: Member) -> tuple[list[str], list[tuple[int, dict[str, str]]]]:
    """Columns, and (line, row by column), of a CSV table. Raises ValueError, naming it, if it is none."""
    try:
        reader = csv.DictReader(io.StringIO(member.read().decode("utf-8-sig"), newline=""))
        rows = [(reader.line_num, row) for row in reader]
        return list(reader.fieldnames or ()), rows
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{member} is not a table: {error}") from error


def project(points: np.ndarray, quat: np.ndarray, pos_size: np.ndarray) -> np.ndarray:
    """Points (k, 3) in the head frame and head radii to images (..., k, 3) px, without perspective."""
    posed = quat_apply(quat[..., None, :], points) * pos_size[..., None, 2:]
    posed[..., :2] += pos_size[..., None, :2]
    return posed


def is_in_image(box: np.ndarray, shape: tuple[int, ...]) -> bool:
    """Whether a face of this box xyxy can be in an image (height, width) and is mostly in it."""
    sides, size = box[2:] - box[:2], np.array(shape[::-1])
    middle = (box[:2] + box[2:]) / 2
    return bool(
        sides.min() >= _FACE[0] and sides.max() <= _FACE[1] * size.max() and ((middle >= 0) & (middle <= size)).all()
    )


def contradictions(labels: Mapping[str, np.ndarray], images: Sequence[np.ndarray]) -> list[str]:
    """What cannot be right in the labels of n samples, in words; empty where nothing is.

    Landmarks must be near those of a neutral face in the same pose, and the face's box must be in the image.

    Args:
        labels: quat (n, 4) and pos_size (n, 3); landmarks (n, 68, 2 or 3) and bbox (n, 4) if they are known.
        images: n images (H, W) in whose frames the labels are.
    """
    neutral = project(NEUTRAL_LANDMARKS, labels["quat"], labels["pos_size"])
    misfit = (
        _misfit(labels["landmarks"], neutral, labels["pos_size"]) if "landmarks" in labels else np.zeros(len(images))
    )
    boxes = labels.get("bbox", face_box(neutral, labels["quat"], labels["pos_size"]))
    found = []
    for image, box, far in zip(images, boxes, misfit, strict=True):
        if not far <= MAX_MISFIT:
            found.append("landmarks contradict the pose")
        elif not is_in_image(box, image.shape):
            size = f"{image.shape[1]}x{image.shape[0]} px"
            found.append(f"the face's box {np.round(box).tolist()} is not in the image of {size}")
        else:
            found.append("")
    return found


def _misfit(points: np.ndarray, neutral: np.ndarray, pos_size: np.ndarray) -> np.ndarray:
    """Distance (n,) of landmarks (n, 68, 2 or 3) from the neutral ones, rms, head radii.

    Of the pose or of the landmarks, whichever are the shorter: beside a size that is told too large all would be near.
    """
    neutral = neutral[..., : points.shape[-1]]
    square = ((points - neutral) ** 2).sum(axis=-1).mean(axis=-1)
    centre = np.zeros((len(points), 1, points.shape[-1]))
    centre[..., :2] = pos_size[:, None, :2]
    length = ((points - centre) * (neutral - centre)).sum(axis=(1, 2)) / ((neutral - centre) ** 2).sum(axis=(1, 2))
    return np.sqrt(square) / (pos_size[:, 2] * np.clip(length, 1e-3, 1))


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
