"""HDF5 files that the training code of opentrack's author writes and publishes: images with poses, to be trained on.

``images``: a buffer with a JPEG or PNG per sample (``varsize_image_buffer``), or one array of images, grey or RGB.
``quats``: xyzw, in the house's frames. ``coords``: x, y between the eyes and the projection of 100 mm. ``rois``: a face
box xyxy. ``pt3d_68``: landmarks in the house's order and axes, (N, 68, 3) or (N, 3, 68): which of the two axes has 68
entries tells. ``sequence_starts``: first rows of the photos or persons, and behind the last one the number of rows. Px
are taken as counted from pixels' corners. ``shapeparams`` weigh a face model that is not ours, and are left out. Where
there are landmarks the house's box is made of them, as for other training sets.

What is damaged is counted and named. HDF5's library trusts a file's inner directory: one that was forged on purpose can
hang it or end the process.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import h5py
import numpy as np

from nntrack.data.hdf5_files import check_filters, is_hdf5, opened
from nntrack.data.sample import Sample
from nntrack.geometry.boxes import face_box
from nntrack.geometry.landmarks import COUNT, EYE_CORNERS
from nntrack.geometry.neutral_face import NEUTRAL_LANDMARKS
from nntrack.geometry.rotations import normalize
from nntrack.readers._format import (
    LARGEST,
    Drop,
    Options,
    Outcome,
    Tally,
    chunks,
    collect,
    contradictions,
    cut,
    decode,
    project,
)
from nntrack.readers.members import Damaged

IMAGES, STARTS, LANDMARKS = "images", "sequence_starts", "pt3d_68"
NEEDED = {"quats": (4,), "coords": (3,)}
OPTIONAL = {"rois": (4,), LANDMARKS: (COUNT, 3)}
_CHUNK = 32  # samples per task
_UNIT = 0.05  # a quaternion's length may be off by: some are stored in 16 bits
_BEYOND = 1e6  # px


class _Context(NamedTuple):
    """What is where. groups (n,): row to sequence."""

    archive: Path
    options: Options
    fields: tuple[str, ...]
    encoded: bool
    groups: np.ndarray


def read(archive: Path, options: Options, tally: Tally, rows: Sequence[int] | None = None) -> Iterator[Sample]:
    """Training crops, grouped by photo or person where the file tells them apart; of all rows, or of ``rows`` alone.

    Raises ValueError, naming the file, if it is another one or not complete.
    """
    context = _look(archive, options)
    parts = chunks(range(len(context.groups)), _CHUNK) if rows is None else [[row] for row in rows]
    tally.total = len(context.groups) if rows is None else len(rows)
    return collect(_read_chunk, context, parts, options, tally)


def _look(archive: Path, options: Options) -> _Context:
    if not is_hdf5(archive):
        raise ValueError(f"{archive} is not an HDF5 file")
    try:
        with opened(archive, "a complete HDF5 file") as file:
            check_filters(file, archive)
            return _check(file, archive, options)
    except (Damaged, OSError):
        raise
    except Exception as error:  # h5py raises nearly anything on a damaged file
        known = str(error).startswith(str(archive))
        raise ValueError(str(error) if known else f"{archive} is not a complete HDF5 file: {error}") from error


def _check(file: h5py.File, archive: Path, options: Options) -> _Context:
    images = _open(file, archive, IMAGES)
    count = len(images) if images.ndim else 0
    if count > archive.stat().st_size:
        raise Damaged(f"{archive}: {IMAGES} claims {count} samples, more than the file has bytes")
    fields = [*NEEDED, *(name for name in OPTIONAL if name in file)]
    for name in fields:
        shape = (count, *(NEEDED | OPTIONAL)[name])
        found = _open(file, archive, name)
        turned = name == LANDMARKS and found.shape == (count, 3, COUNT)
        if found.dtype.kind not in "fiu" or not (found.shape == shape or turned):
            raise Damaged(f"{archive}: {name} is {found.dtype} {found.shape}, expected numbers {shape}")
    return _Context(archive, options, tuple(fields), _is_encoded(images, archive), _groups(file, archive, count))


def _open(file: h5py.File, archive: Path, name: str) -> h5py.Dataset:
    if name not in file:
        needed = ", ".join([IMAGES, *NEEDED])
        raise Damaged(f"{archive} is not such a dataset: it lacks {name} (needed: {needed}; it has: {', '.join(file)})")
    found = file[name] if isinstance(file.get(name, getlink=True), h5py.HardLink) else None
    if not isinstance(found, h5py.Dataset) or found.external or found.is_virtual:
        raise Damaged(f"{archive}: {name} is not an array in the file itself")
    return found


def _is_encoded(images: h5py.Dataset, archive: Path) -> bool:
    """Whether each image is a buffer, not a slice of one array. Raises Damaged if it is neither.

    The type tells, so the attribute ``storage`` is not asked.
    """
    if images.ndim == 1 and h5py.check_vlen_dtype(images.dtype) == np.uint8:
        return True
    plain = images.ndim == 3 or (images.ndim == 4 and images.shape[3] in (1, 3))
    if plain and images.dtype == np.uint8 and 0 < np.prod(images.shape[1:3], dtype=float) <= LARGEST:
        return False
    raise Damaged(
        f"{archive}: {IMAGES} is {images.dtype} {images.shape}; expected encoded images, each a buffer of"
        " bytes, or an array of bytes (N, height, width) or (N, height, width, 3); names of files are not followed"
    )


def _groups(file: h5py.File, archive: Path, count: int) -> np.ndarray:
    """The sequence of each row; each row is its own where the file does not tell."""
    if STARTS not in file:
        return np.arange(count)
    starts = _open(file, archive, STARTS)
    readable = starts.ndim == 1 and starts.dtype.kind in "iu" and 1 < len(starts) <= count + 1
    values = starts[:].astype(np.int64) if readable else np.array([0])
    lengths = np.diff(values)
    if not readable or values[0] != 0 or values[-1] != count or lengths.min() <= 0:
        raise Damaged(f"{archive}: {STARTS} does not rise from 0 to the number of samples, {count}")
    return np.repeat(np.arange(len(lengths)), lengths)


def _read_chunk(context: _Context, rows: Sequence[int]) -> list[Outcome]:
    try:
        with opened(context.archive) as file:
            labels = {name: file[name][rows[0] : rows[-1] + 1].astype(np.float64) for name in context.fields}
            return [
                _read_row(context, row, file[IMAGES], {name: value[i] for name, value in labels.items()})
                for i, row in enumerate(rows)
            ]
    except OSError:
        raise
    except Exception as error:  # as above
        message = f"{context.archive}: samples {rows[0]} to {rows[-1]} cannot be read: {error}"
        return [Drop("damaged", True, message, len(rows))]


def _read_row(context: _Context, row: int, images: h5py.Dataset, values: dict[str, np.ndarray]) -> Outcome:
    name = f"{context.archive}: sample {row}"
    try:
        labels = _to_labels(values, name)
        image = decode(images[row].tobytes(), name) if context.encoded else _grey(images[row])
    except Damaged as error:
        return Drop("damaged", True, str(error))
    batch = {key: np.asarray(value)[None] for key, value in labels.items()}
    if fault := contradictions(batch, [image])[0]:
        return Drop("labels contradict each other", True, f"{name}: {fault}")
    neutral = project(NEUTRAL_LANDMARKS, labels["quat"], labels["pos_size"])
    box = labels.get("bbox", face_box(neutral, labels["quat"], labels["pos_size"]))
    crops, batch = cut([image], batch, box[None], context.options.size, context.options.margin)
    labels, stem = {key: value[0] for key, value in batch.items()}, context.archive.stem
    return Sample(crops[0], f"{stem}/{row:06d}", f"{stem}/{context.groups[row]:06d}", labels)


def _to_labels(values: dict[str, np.ndarray], name: str) -> dict[str, np.ndarray]:
    """A sample's values in the house's names, checked; raises `Damaged`."""
    if not all((np.abs(value) < _BEYOND).all() for value in values.values()):
        raise Damaged(f"{name} holds a number that is not finite, or beyond reason")
    if abs(np.linalg.norm(values["quats"]) - 1) > _UNIT or values["coords"][2] <= 0:
        raise Damaged(f"{name} has no pose: quats {values['quats'].tolist()}, coords {values['coords'].tolist()}")
    labels = {"quat": normalize(values["quats"]), "pos_size": values["coords"], "face": np.float64(1)}
    if LANDMARKS in values:
        points = values[LANDMARKS] if values[LANDMARKS].shape[1] == 3 else values[LANDMARKS].T
        points = points - [0, 0, points[EYE_CORNERS, 2].mean()]
        labels |= {"landmarks": points, "bbox": face_box(points, labels["quat"], labels["pos_size"])}
    elif "rois" in values:
        labels["bbox"] = values["rois"]
    return labels


def _grey(image: np.ndarray) -> np.ndarray:
    colour = image.shape[2:] == (3,)
    return cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) if colour else image.reshape(image.shape[:2])
