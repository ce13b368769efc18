"""AFLW2000-3D: 2000 photos with pose and 68 three-dimensional landmarks; the benchmark, never trained on.

Samples are whole frames (the crops of the evaluation protocols are cut later). A sample goes if the raw pitch, yaw or
roll of its ``Pose_Para`` exceeds 99 degrees, as everybody's protocol has it: 1969 of the 2000 stay.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from nntrack.data.sample import Sample
from nntrack.geometry.boxes import face_box, square_around
from nntrack.readers import _3ddfa
from nntrack.readers._format import Drop, Options, Outcome, Tally, chunks, collect, contradictions, decode
from nntrack.readers._matlab import load_mat
from nntrack.readers.archive import Wanted
from nntrack.readers.members import Damaged

SIDE = 450  # px, of every photo
MAX_ANGLE = 99.0  # degrees
_SHAPES = {"Pose_Para": (7,), "pt3d_68": (3, 68)}
# AFLW2000/Code/ holds .mat files that are no samples
_FILE = r"(?:.*/)?(?P<name>image\d+)\.(?i:{})"
_PHOTO = Wanted(re.compile(_FILE.format("jpe?g|png")), "AFLW2000/imageNNNNN.jpg")
_MAT = Wanted(re.compile(_FILE.format("mat")), "AFLW2000/imageNNNNN.mat")


def read(archive: Path, options: Options, tally: Tally) -> Iterator[Sample]:
    """Samples with every label, landmarks in three dimensions. Raises ValueError if it is another archive."""
    pairs = _3ddfa.find_pairs(archive, _PHOTO, _MAT)
    tally.total = len(pairs)
    return collect(_read_chunk, None, chunks(pairs, _3ddfa.CHUNK), options, tally)


def _read_chunk(_: None, pairs: list[Any]) -> list[Outcome]:
    return _3ddfa.read_chunk(pairs, _load, _label)


def _load(pair: _3ddfa.Pair) -> Any:
    arrays = load_mat(pair.mat.read(), str(pair.mat), _SHAPES)
    if np.abs(arrays["Pose_Para"][:3]).max() > np.radians(MAX_ANGLE):
        return Drop(f"angle beyond {MAX_ANGLE:.0f} degrees")
    if arrays["Pose_Para"][6] <= 0:
        return Drop("scale not positive")
    image = decode(pair.photo.read(), str(pair.photo))
    if image.shape != (SIDE, SIDE):
        raise Damaged(f"{pair.photo} is {image.shape[1]}x{image.shape[0]} px, not {SIDE}x{SIDE}")
    return pair, image, arrays["Pose_Para"], arrays["pt3d_68"]


def _label(loaded: list[Any]) -> Iterator[Outcome]:
    pairs, images, poses, points = zip(*loaded, strict=True)
    labels = _3ddfa.pose_to_labels(np.stack(poses), SIDE, SIDE)
    labels["landmarks"] = _3ddfa.points_from_matlab(np.stack(points).swapaxes(-1, -2))
    labels["bbox"] = face_box(labels["landmarks"], labels["quat"], labels["pos_size"])
    labels["roi"] = square_around(labels["bbox"])
    labels["face"] = np.ones(len(pairs))
    for i, (pair, fault) in enumerate(zip(pairs, contradictions(labels, images), strict=True)):
        if fault:
            yield Drop("labels contradict each other", True, f"{pair.mat}: {fault}")
        else:
            values = {name: value[i] for name, value in labels.items()}
            yield Sample(images[i], pair.photo.name, pair.key[-1], values)
