"""300W-LP: 3837 photos, each with up to 17 images of the same face turned further; the four subsets, not mirrored.

Landmarks come from ``landmarks/<subset>/NAME_K_pts.mat`` (projections of the three-dimensional points). Where that file
is absent the photo itself (K = 0) has those of its own .mat, whose outline is the visible one; the turned images have
none, because their .mat repeats the photo's. With the Basel model beside the archive every sample has landmarks, and
their depth.
"""

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

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
    contradictions,
    cut,
    decode,
    project,
)
from nntrack.readers._matlab import load_mat
from nntrack.readers.archive import Wanted

_WEIGHTS = {"Shape_Para": basel.WEIGHTS[:1], "Exp_Para": basel.WEIGHTS[1:]}
_SUBSET = r"(?:.*/)?{}(?P<subset>AFW|HELEN|IBUG|LFPW)/(?P<name>[^/]+_\d+){}"  # the folders *_Flip are mirrored
_PHOTO = Wanted(re.compile(_SUBSET.format("", r"\.(?i:jpe?g|png)")), "300W_LP/<AFW, HELEN, IBUG or LFPW>/NAME_K.jpg")
_MAT = Wanted(re.compile(_SUBSET.format("", r"\.(?i:mat)")), "300W_LP/<AFW, HELEN, IBUG or LFPW>/NAME_K.mat")
_LANDMARKS = Wanted(re.compile(_SUBSET.format("landmarks/", r"_pts\.(?i:mat)")), "landmarks/*_pts.mat", required=False)


class _Context(NamedTuple):
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
    context = _Context(options, basel.load_beside(archive))
    if context.model is not None:
        tally.also_used.append(basel.LICENCE)
    pairs = _3ddfa.find_pairs(archive, _PHOTO, _MAT, _LANDMARKS)
    pairs.sort(key=_order)
    tally.total = len(pairs)
    return collect(_read_chunk, context, chunks(pairs, _3ddfa.CHUNK), options, tally)


def _order(pair: _3ddfa.Pair | Drop) -> tuple[str, str, int]:
    """Images of a photo by number; what has lost its other half comes last."""
    if isinstance(pair, Drop):
        return "~", pair.message, 0
    subset, name = pair.key
    photo, number = name.rsplit("_", 1)
    return subset, photo, int(number)


def _read_chunk(context: _Context, pairs: list[Any]) -> list[Outcome]:
    load = partial(_load, model=context.model)
    return _3ddfa.read_chunk(pairs, load, partial(_label, options=context.options))


def _load(pair: _3ddfa.Pair, model: basel.Basel | None) -> Any:
    face = points = None
    original = pair.key[-1].endswith("_0")
    shapes: dict[str, tuple[int, ...]] = {"Pose_Para": (7,), **(_WEIGHTS if model else {})}
    if original and not pair.extra and not model:
        shapes["pt2d"] = (2, 68)
    arrays = load_mat(pair.mat.read(), str(pair.mat), shapes)
    if arrays["Pose_Para"][6] <= 0:
        return Drop("scale not positive")
    if model:
        face = model.landmarks(arrays["Shape_Para"], arrays["Exp_Para"])
    if pair.extra:
        points = load_mat(pair.extra.read(), str(pair.extra), {"pts_3d": (68, 2)})["pts_3d"]
    elif "pt2d" in arrays:
        points = arrays["pt2d"].T
    return _Loaded(pair, decode(pair.photo.read(), str(pair.photo)), arrays["Pose_Para"], points, face)


def _label(loaded: list[_Loaded], options: Options) -> list[Outcome]:
    height, width = np.array([row.image.shape for row in loaded], np.float64).T
    poses = np.stack([row.pose for row in loaded])
    labels = _3ddfa.pose_to_labels(poses, width, height)
    # a neutral face stands in for landmarks that are not known, to place the crop
    landmarks = project(NEUTRAL_LANDMARKS, labels["quat"], labels["pos_size"])
    for i, row in enumerate(loaded):
        if row.face is not None:
            landmarks[i] = _model_landmarks(row, labels["quat"][i], height[i])
        if row.points is not None:
            landmarks[i, :, :2] = _3ddfa.points_from_matlab(row.points)
    labels |= {"landmarks": landmarks, "face": np.ones(len(loaded))}
    labels["bbox"] = face_box(landmarks, labels["quat"], labels["pos_size"])
    images = [row.image for row in loaded]
    faults = contradictions(labels, images)
    crops, labels = cut(images, labels, labels["bbox"], options.size, options.margin)
    return [_outcome(row, crops[i], {k: v[i] for k, v in labels.items()}, faults[i]) for i, row in enumerate(loaded)]


def _outcome(row: _Loaded, crop: np.ndarray, labels: dict[str, np.ndarray], fault: str) -> Outcome:
    if fault:
        return Drop("labels contradict each other", True, f"{row.pair.extra or row.pair.mat}: {fault}")
    if row.points is None and row.face is None:
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
