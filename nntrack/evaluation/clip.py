"""How the tracker follows a head through a video in which its pose is known in every frame.

Unlike errors of single photos this measures what a user of the tracker meets: jitter, lag of the filter, faces that are
lost, and a window that goes astray while nobody is there.
"""

import csv
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from nntrack.deploy.tracker import HeadPose
from nntrack.geometry.rotations import quat_conjugate, quat_multiply, quat_to_rotvec

VIDEO, POSES = "clip.avi", "poses.csv"  # in the folder of a clip
_POSE = ("qx", "qy", "qz", "qw", "x", "y", "size")  # columns of its table
ON_THE_FACE = 1.0  # head radii between the predicted and the true point between the eyes: more is another place


class Truth(NamedTuple):
    """What is known of n frames. face: (n,) bool. quat: (n, 4) xyzw in the camera's axes. pos_size: (n, 3) px.

    Where there is no face the poses are NaN. fps: frames per second.
    """

    face: np.ndarray
    quat: np.ndarray
    pos_size: np.ndarray
    fps: float


def read(folder: str | os.PathLike[str]) -> tuple[Iterable[np.ndarray], Truth]:
    """The frames (H, W, 3) BGR uint8 of a clip, read one by one, and their poses.

    Raises FileNotFoundError or ValueError, naming the file, if there is no clip or it does not fit its poses.
    """
    folder = Path(folder)
    video, poses = folder / VIDEO, folder / POSES
    for path in (video, poses):
        if not path.is_file():
            raise FileNotFoundError(f"{path} does not exist: `dvc repro synthesize` renders the clip")
    with poses.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    try:
        face = np.array([row["face"] == "1" for row in rows], bool)
        values = np.array([[float(row[name] or "nan") for name in _POSE] for row in rows]).reshape(-1, len(_POSE))
    except (KeyError, ValueError) as error:
        raise ValueError(f"{poses} is no table of poses ({error}): it needs {', '.join(('face', *_POSE))}") from error
    capture = cv2.VideoCapture(str(video))
    count = int(capture.get(cv2.CAP_PROP_FRAME_COUNT)) if capture.isOpened() else 0
    if not count or count != len(rows):
        raise ValueError(f"{video} has {count} frames, {poses} has {len(rows)} rows: render both again")
    return _frames(capture), Truth(face, values[:, :4], values[:, 4:], capture.get(cv2.CAP_PROP_FPS))


def evaluate_clip(
    tracker: Callable[[np.ndarray], HeadPose | None], frames: Iterable[np.ndarray], truth: Truth
) -> dict[str, float | int | None]:
    """The figures of a tracker on a clip; None where there is nothing to measure.

    tracked: fraction of the frames with a face in which a pose is found, on the face. imagined: fraction of those
    without a face in which a pose is reported. rotation: mean angle between reported and true rotation, degrees.
    position: mean distance in the image, size: mean relative error of the size, both in %. jitter: of the error of the
    rotation, root mean square of its second difference / sqrt(6), degrees: the standard deviation of white noise that
    has it. found_again: longest time from a face's appearance until it is tracked, s. lost: how often a face that was
    tracked is lost. widest: the window, frame widths. frames: how many.

    Args:
        tracker: frame to pose; it is called once for every frame, in their order.
        frames: (H, W, 3) or (H, W) uint8.
        truth: of as many frames.
    """
    found = [tracker(frame) for frame in frames]
    if len(found) != len(truth.face):
        raise ValueError(f"{len(truth.face)} poses are known of {len(found)} frames")
    tracked = np.array([pose is not None and _on_face(pose, truth, i) for i, pose in enumerate(found)], bool)
    reported = np.array([pose is not None for pose in found], bool)
    offsets = np.full((len(found), 3), np.nan)  # rotation vectors of the error, about the head's own axes, degrees
    places, sizes = np.full(len(found), np.nan), np.full(len(found), np.nan)
    for i in map(int, np.flatnonzero(tracked)):
        pose = found[i]
        if pose is None:
            continue
        offset = quat_to_rotvec(quat_multiply(quat_conjugate(truth.quat[i]), np.asarray(pose.rotation, np.float64)))
        offsets[i] = np.degrees(offset)
        places[i] = 100 * _distance(pose, truth, i)
        sizes[i] = 100 * abs(float(pose.pos_size[2]) / truth.pos_size[i, 2] - 1)
    angles = np.linalg.norm(offsets, axis=1)
    second = offsets[2:] - 2 * offsets[1:-1] + offsets[:-2]
    known = np.isfinite(second).all(axis=1)
    appeared = np.flatnonzero(truth.face & ~np.concatenate([[False], truth.face[:-1]]))
    jitter = float(np.sqrt(np.mean(np.sum(second[known] ** 2, axis=1)) / 6)) if known.any() else None
    return {
        "tracked": _mean(tracked[truth.face]),
        "imagined": _mean(reported[~truth.face]),
        "rotation": _mean(angles[tracked]),
        "position": _mean(places[tracked]),
        "size": _mean(sizes[tracked]),
        "jitter": None if jitter is None else round(jitter, 3),
        "found_again": round(max((_until(tracked[i:]) for i in appeared), default=0) / truth.fps, 3),
        "lost": int(np.sum(tracked[:-1] & ~tracked[1:] & truth.face[1:])),
        "widest": round(max((pose.window for pose in found if pose), default=0.0), 3),
        "frames": len(found),
    }


def _frames(capture: cv2.VideoCapture) -> Iterable[np.ndarray]:
    read, frame = capture.read()
    while read:
        yield frame
        read, frame = capture.read()


def _distance(pose: HeadPose, truth: Truth, number: int) -> float:
    """Between the predicted and the true point between the eyes, in true head radii."""
    place = np.asarray(pose.pos_size[:2], np.float64) - truth.pos_size[number, :2]
    return float(np.linalg.norm(place) / truth.pos_size[number, 2])


def _on_face(pose: HeadPose, truth: Truth, number: int) -> bool:
    return bool(truth.face[number]) and _distance(pose, truth, number) <= ON_THE_FACE


def _until(tracked: np.ndarray) -> int:
    """The number of frames before the first that is tracked; all of them if none is."""
    return int(np.argmax(tracked)) if tracked.any() else len(tracked)


def _mean(values: np.ndarray) -> float | None:
    return round(float(np.mean(values)), 3) if len(values) else None
