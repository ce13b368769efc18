"""300W-LP: 3837 photos, each with up to 17 pictures of the same face turned further; the four subsets, not mirrored.

Landmarks come from ``landmarks/<subset>/NAME_K_pts.mat`` (projections of the three-dimensional points). Where that file
is absent the photo itself (K = 0) has those of its own .mat, whose outline is the visible one; the turned pictures have
none, because their .mat repeats the photo's. With the Basel model beside the archive every sample has landmarks, and
their depth.
"""

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from nntrack.data.sample import Sample
from nntrack.face_model import basel
from nntrack.geometry.boxes import face_box
from nntrack.geometry.landmarks import EYE_CORNERS
from nntrack.geometry.neutral_face import NEUTRAL_LANDMARKS
from nntrack.geometry.rotations import quat_apply
from nntrack.readers import _3ddfa
from nntrack.readers._format import (
    Drop,
    Options,
    Outcome,
    Tally,
    chunks,
    collect,
    cut,
    decode,
    is_in_picture,
    load_mat,
    project,
)
from nntrack.readers.archive import read_member

# Landmarks this far (rms, head radii) from those of the neutral head in the same pose belong to another pose or face:
# fitted photos stay below 0.2.
MAX_MISFIT = 0.5
_WEIGHTS = {"Shape_Para": basel.WEIGHTS[:1], "Exp_Para": basel.WEIGHTS[1:]}
_SUBSET = r"(?:.*/)?300W_LP/{}(?P<subset>AFW|HELEN|IBUG|LFPW)/(?P<name>[^/.][^/]*_\d+)"
_MEMBER = re.compile(_SUBSET.format("") + r"\.(?P<kind>jpg|mat)")
_LANDMARKS = re.compile(_SUBSET.format("landmarks/") + r"_pts\.mat")


class _Context(NamedTuple):
    archive: Path
    options: Options
    model: basel.Basel | None


class _Loaded(NamedTuple):
    pair: _3ddfa.Pair
    image: np.ndarray
    pose: np.ndarray  # (7,)
    points: np.ndarray | None  # (68, 2) 1-based px
    face: np.ndarray | None  # (68, 3) of the Basel model, head frame and radii


def read(archive: Path, options: Options, tally: Tally) -> Iterator[Sample]:
    """Training crops, grouped by photo. Raises ValueError if it is another archive or the Basel model is damaged."""
    context = _Context(archive, options, basel.load_beside(archive))
    if context.model is not None:
        tally.also_used.append(basel.LICENCE)
    pairs = _3ddfa.find_pairs(archive, _MEMBER, _LANDMARKS, "300W_LP/<AFW, HELEN, IBUG or LFPW>/NAME_K.jpg or .mat")
    pairs.sort(key=_order)
    tally.total = len(pairs)
    return collect(_read_chunk, context, chunks(pairs, _3ddfa.CHUNK), options, tally)


def _order(pair: _3ddfa.Pair | Drop) -> tuple[str, str, int]:
    """Pictures of a photo by number; what has lost its other half comes last."""
    if isinstance(pair, Drop):
        return "~", pair.message, 0
    subset, name = pair.key
    photo, number = name.rsplit("_", 1)
    return subset, photo, int(number)


def _read_chunk(context: _Context, pairs: list[Any]) -> list[Outcome]:
    load = partial(_load, model=context.model)
    return _3ddfa.read_chunk(context.archive, pairs, load, partial(_label, options=context.options))


def _load(stream: BinaryIO, pair: _3ddfa.Pair, model: basel.Basel | None) -> Any:
    mat, face, points = f"{stream.name}: {pair.mat.name}", None, None
    data = read_member(stream, pair.mat)
    original = pair.key[1].endswith("_0")
    shapes: dict[str, tuple[int, ...]] = {"Pose_Para": (7,), **(_WEIGHTS if model else {})}
    if original and not pair.extra and not model:
        shapes["pt2d"] = (2, 68)
    arrays = load_mat(data, mat, shapes)
    if arrays["Pose_Para"][6] <= 0:
        return Drop("scale not positive")
    if model:
        face = model.landmarks(arrays["Shape_Para"], arrays["Exp_Para"])
    if pair.extra:
        member = read_member(stream, pair.extra)
        points = load_mat(member, f"{stream.name}: {pair.extra.name}", {"pts_3d": (68, 2)})["pts_3d"]
    elif "pt2d" in arrays:
        points = arrays["pt2d"].T
    photo = f"{stream.name}: {pair.photo.name}"
    return _Loaded(pair, decode(read_member(stream, pair.photo), photo), arrays["Pose_Para"], points, face)


def _label(loaded: list[_Loaded], options: Options) -> list[Outcome]:
    height, width = np.array([row.image.shape for row in loaded], np.float64).T
    poses = np.stack([row.pose for row in loaded])
    labels = _3ddfa.pose_to_labels(poses, width, height)
    neutral = project(NEUTRAL_LANDMARKS, labels["quat"], labels["pos_size"])
    landmarks = neutral.copy()
    for i, row in enumerate(loaded):
        if row.face is not None:
            landmarks[i] = _model_landmarks(row, labels["quat"][i], height[i])
        if row.points is not None:
            landmarks[i, :, :2] = _3ddfa.points_from_matlab(row.points)
    misfit = np.sqrt(((landmarks - neutral)[..., :2] ** 2).sum(axis=-1).mean(axis=-1)) / labels["pos_size"][:, 2]
    labels |= {"landmarks": landmarks, "face": np.ones(len(loaded))}
    labels["bbox"] = face_box(landmarks, labels["quat"], labels["pos_size"])
    images = [row.image for row in loaded]
    for i, image in enumerate(images):  # nothing else contradicts a pose without landmarks
        misfit[i] = misfit[i] if is_in_picture(labels["bbox"][i], image.shape) else np.inf
    crops, labels = cut(images, labels, labels["bbox"], options.size, options.margin)
    return [_outcome(row, crops[i], {k: v[i] for k, v in labels.items()}, misfit[i]) for i, row in enumerate(loaded)]


def _outcome(row: _Loaded, crop: np.ndarray, labels: dict[str, np.ndarray], misfit: float) -> Outcome:
    if misfit > MAX_MISFIT:
        return Drop("landmarks contradict the pose", True, f"{row.pair.mat.name}: landmarks contradict the pose")
    if row.points is None and row.face is None:  # what stood in for them has served to place the crop
        del labels["landmarks"], labels["bbox"]
    elif row.face is None:
        labels["landmarks"] = labels["landmarks"][:, :2]
    subset, name = row.pair.key
    return Sample(crop, row.pair.photo.name, name.rsplit("_", 1)[0], labels, subset=subset)


def _model_landmarks(row: _Loaded, quat: np.ndarray, height: float) -> np.ndarray:
    """Where the fitting puts the model's landmarks (68, 3): px, z into the screen, 0 at the eye corners' mean."""
    posed = quat_apply(quat, row.face) * (basel.MICROMETRES * row.pose[6])
    posed[:, 2] -= posed[EYE_CORNERS, 2].mean()
    posed[:, :2] += _3ddfa.points_from_matlab(np.array([row.pose[3], height + 1 - row.pose[4]]))
    return posed
