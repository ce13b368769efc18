"""The format that AFLW2000-3D and 300W-LP share: photos with a .mat each, poses as 3DDFA's fitting wrote them.

Files come from MATLAB: coordinates of pixels are 1-based (1 is the middle of the first pixel), the origin of ty is the
bottom of the image. What is said about positions and sizes was measured against real samples.
"""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from nntrack.geometry.landmarks import EYE_CORNERS
from nntrack.geometry.rotations import aflw_angles_to_quat, quat_apply, quat_to_aflw_angles
from nntrack.readers._format import Drop, Outcome
from nntrack.readers.archive import Wanted, find
from nntrack.readers.members import Damaged, Member

CHUNK = 16  # pairs per task
# From the face model's origin, inside the head, to the point between the eyes; head frame, head radii.
BETWEEN_EYES = np.array([0.0, -0.26, -0.9])
# The model's unit is a micrometre. `scale` is px per micrometre in images of this width; the head radius is 100 mm.
_MODEL_WIDTH, _RADIUS = 448.0, 1e5
_HALF_PIXEL = 0.5

_Length = float | np.ndarray


class Pair(NamedTuple):
    """A photo and its .mat. key: what tells it from others, its name last. extra: a second .mat, or None."""

    key: tuple[str, ...]
    photo: Member
    mat: Member
    extra: Member | None = None


def pose_to_labels(para: np.ndarray, width: _Length, height: _Length) -> dict[str, np.ndarray]:
    """``Pose_Para`` (..., 7) = pitch, yaw, roll (rad), tx, ty, tz, scale, of images ``width`` x ``height`` px (...).

    Returns quat (..., 4) and pos_size (..., 3), px. The centre is (tx, height - ty), moved from the model's origin to
    the point between the eyes; the radius is the projection of 100 mm.
    """
    quat = aflw_angles_to_quat(para[..., 0], para[..., 1], para[..., 2])
    radius = para[..., 6] * _RADIUS * width / _MODEL_WIDTH
    moved = quat_apply(quat, BETWEEN_EYES)[..., :2] * radius[..., None]
    x, y = para[..., 3] + moved[..., 0], height - para[..., 4] + moved[..., 1]
    return {"quat": quat, "pos_size": np.stack([x, y, radius], axis=-1)}


def labels_to_pose(quat: np.ndarray, pos_size: np.ndarray, width: _Length, height: _Length) -> np.ndarray:
    """The inverse of `pose_to_labels`: ``Pose_Para`` (..., 7) with tz = 0."""
    pitch, yaw, roll = quat_to_aflw_angles(quat)
    moved = quat_apply(quat, BETWEEN_EYES)[..., :2] * pos_size[..., 2:]
    tx, ty = pos_size[..., 0] - moved[..., 0], height - (pos_size[..., 1] - moved[..., 1])
    scale = pos_size[..., 2] * _MODEL_WIDTH / (_RADIUS * width)
    return np.stack([pitch, yaw, roll, tx, ty, np.zeros_like(tx), scale], axis=-1)


def points_from_matlab(points: np.ndarray) -> np.ndarray:
    """Points (..., 2 or 3) in 1-based pixels, z toward the viewer, to the image frame: corner-based, z into the screen.

    z becomes 0 at the mean of the four eye corners; (..., 68, 3) or (..., n, 2).
    """
    moved = points.astype(np.float64)
    moved[..., :2] -= _HALF_PIXEL
    if points.shape[-1] == 3:
        moved[..., 2] = points[..., EYE_CORNERS, 2].mean(axis=-1, keepdims=True) - points[..., 2]
    return moved


def points_to_matlab(points: np.ndarray) -> np.ndarray:
    """The inverse of `points_from_matlab`, up to the offset of z."""
    moved = points.astype(np.float64)
    moved[..., :2] += _HALF_PIXEL
    moved[..., 2:] *= -1
    return moved


def read_chunk(
    pairs: Sequence[Pair | Drop], load: Callable[[Pair], Any], label: Callable[[list[Any]], Iterable[Outcome]]
) -> list[Outcome]:
    """Outcomes of some pairs, in order: ``load`` reads one or says why not, ``label`` makes samples of all others.

    Labels are computed for a whole chunk, because NumPy spends more on a call than on one sample.
    """
    loaded = [pair if isinstance(pair, Drop) else _load(load, pair) for pair in pairs]
    good = [entry for entry in loaded if not isinstance(entry, Drop)]
    labelled = iter(label(good) if good else ())
    return [entry if isinstance(entry, Drop) else next(labelled) for entry in loaded]


def _load(load: Callable[[Pair], Any], pair: Pair) -> Any:
    try:
        return load(pair)
    except Damaged as error:
        return Drop("damaged", True, str(error))


def find_pairs(archive: Path, photo: Wanted, mat: Wanted, extra: Wanted | None = None) -> list[Pair | Drop]:
    """The photos of an archive with their .mat, and a `Drop` for each that lacks its other half, sorted by name.

    The groups of all patterns are the same: they tell the pairs apart. Raises as `archive.find`.
    """
    photos, mats, *extras = find(archive, photo, mat, *((extra,) if extra else ()))
    pairs: list[Pair | Drop] = []
    for key in sorted({*photos, *mats}):
        if key not in mats:
            pairs.append(Drop("photo without .mat", True, f"{photos[key]} has no .mat beside it"))
        elif key not in photos:
            pairs.append(Drop(".mat without photo", True, f"{mats[key]} has no photo beside it"))
        else:
            pairs.append(Pair(key, photos[key], mats[key], extras[0].get(key) if extras else None))
    return pairs
