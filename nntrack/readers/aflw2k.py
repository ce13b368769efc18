"""AFLW2000-3D: 2000 photos with pose and 68 three-dimensional landmarks; the benchmark, never trained on.

Samples are whole frames (the crops of the evaluation protocols are cut later). A sample goes if the raw pitch, yaw or
roll of its ``Pose_Para`` exceeds 99 degrees, as everybody's protocol has it: 1969 of the 2000 stay.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from nntrack.data.sample import Sample
from nntrack.geometry.boxes import face_box, square_around
from nntrack.readers import _3ddfa
from nntrack.readers._format import Drop, Options, Outcome, Tally, chunks, collect, decode, load_mat
from nntrack.readers.archive import Damaged, read_member

SIDE = 450  # px, of every photo
MAX_ANGLE = 99.0  # degrees
_SHAPES = {"Pose_Para": (7,), "pt3d_68": (3, 68)}
# AFLW2000/Code/ holds .mat files that are no samples
_MEMBER = re.compile(r"(?:.*/)?(?P<subset>AFLW2000)/(?P<name>[^/.][^/]*)\.(?P<kind>jpg|mat)")


def read(archive: Path, options: Options, tally: Tally) -> Iterator[Sample]:
    """Samples with every label, landmarks in three dimensions. Raises ValueError if it is another archive."""
    pairs = _3ddfa.find_pairs(archive, _MEMBER, None, "AFLW2000/imageNNNNN.jpg or .mat")
    tally.total = len(pairs)
    return collect(_read_chunk, archive, chunks(pairs, _3ddfa.CHUNK), options, tally)


def _read_chunk(archive: Path, pairs: list[Any]) -> list[Outcome]:
    return _3ddfa.read_chunk(archive, pairs, _load, _label)


def _load(stream: BinaryIO, pair: _3ddfa.Pair) -> Any:
    arrays = load_mat(read_member(stream, pair.mat), f"{stream.name}: {pair.mat.name}", _SHAPES)
    if np.abs(arrays["Pose_Para"][:3]).max() > np.radians(MAX_ANGLE):
        return Drop(f"angle beyond {MAX_ANGLE:.0f} degrees")
    if arrays["Pose_Para"][6] <= 0:
        return Drop("scale not positive")
    photo = f"{stream.name}: {pair.photo.name}"
    image = decode(read_member(stream, pair.photo), photo)
    if image.shape != (SIDE, SIDE):
        raise Damaged(f"{photo} is {image.shape[1]}x{image.shape[0]} px, not {SIDE}x{SIDE}")
    return pair, image, arrays["Pose_Para"], arrays["pt3d_68"]


def _label(loaded: list[Any]) -> Iterator[Sample]:
    pairs, images, poses, points = zip(*loaded, strict=True)
    labels = _3ddfa.pose_to_labels(np.stack(poses), SIDE, SIDE)
    labels["landmarks"] = _3ddfa.points_from_matlab(np.stack(points).swapaxes(-1, -2))
    labels["bbox"] = face_box(labels["landmarks"], labels["quat"], labels["pos_size"])
    labels["roi"] = square_around(labels["bbox"])
    labels["face"] = np.ones(len(pairs))
    for i, pair in enumerate(pairs):
        yield Sample(images[i], pair.photo.name, pair.key[1], {name: value[i] for name, value in labels.items()})
