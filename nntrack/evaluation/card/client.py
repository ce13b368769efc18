"""Opentrack's loop around a pair of networks, as the card uses it, and differences of the poses that come out.

The dead-zone filter is off: it would hide what a network does. Frames are (H, W) or (H, W, 3) uint8, windows and boxes
(4,) xyxy px of the frame.
"""

import os
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from nntrack.contract import LIVE_LOOP
from nntrack.deploy import preprocess
from nntrack.deploy.tracker import HeadPose, Tracker
from nntrack.deploy.window import look, to_window
from nntrack.evaluation import errors
from nntrack.geometry.rotations import geodesic_distance, mean_quat, quat_conjugate, quat_multiply, quat_to_rotvec

SETTLING = 5  # frames in which the window finds its place

Columns = dict[str, float]


class Answer(NamedTuple):
    """What the pose net says of one window, as `HeadPose` has it: quat (4,), pos_size (3,) px, rotation_tril (3, 3)."""

    quat: np.ndarray
    pos_size: np.ndarray
    rotation_tril: np.ndarray | None


Seen = HeadPose | Answer


class Client:
    """The tracker with a pair of networks. Raises as `Tracker`."""

    def __init__(self, localizer: str | os.PathLike[str], pose_net: str | os.PathLike[str]) -> None:
        self.tracker = Tracker(localizer, pose_net, smooth=False)

    def look(self, frame: np.ndarray, window: np.ndarray) -> Answer | None:
        """The head that the pose net sees in a window of a frame; None if not one pixel is left of the window."""
        cropped, corner = preprocess.crop_frame(frame)
        levels, net = preprocess.pyramid(cropped), self.tracker.pose_net
        seen = look(net, levels, to_window(window, corner, levels))
        if seen is None:
            return None
        found = net.to_image(seen.raw, seen.square)
        place = found["pos_size"][0] * (len(levels[0]) / len(levels[seen.level])) + np.array([*corner, 0], np.float32)
        return Answer(found["quat"][0], place, found["rotaxis_scales_tril"][0] if net.has_uncertainty else None)

    def settle(self, frame: np.ndarray, box: np.ndarray) -> HeadPose | None:
        """The head in a frame that stays the same, after the window, at first ``box``, has found its place."""
        return list(self.loop([frame] * SETTLING, box))[-1]

    def loop(self, frames: Iterable[np.ndarray], box: np.ndarray | None = None) -> Iterator[HeadPose | None]:
        """The head in frame after frame. box: the first window; None to let the localizer look for it."""
        self.tracker.reset()
        if box is not None:
            self.tracker.follow(box)
        return map(self.tracker, frames)

    def localize(self, frame: np.ndarray) -> np.ndarray | None:
        """The box in which the localizer finds a face, as in the first frame; None if it finds none."""
        cropped, corner = preprocess.crop_frame(frame)
        levels = preprocess.pyramid(cropped)
        found = self.tracker.localizer.predict([levels[-1]])
        box = found["bbox"][0].astype(np.float64)
        if not found["face"][0] or (box[2:] - box[:2] < LIVE_LOOP.smallest_face).all():
            return None
        return box * (len(levels[0]) / len(levels[-1])) + np.tile(corner, 2)


def offsets(quat: np.ndarray, quats: np.ndarray) -> np.ndarray:
    """Rotations from ``quat`` (4,) to each of (n, 4), as rotation vectors (n, 3) about the head's own axes, degrees.

    For a frontal face these are pitch, yaw and roll; unlike Euler angles they mean the same in profile.
    """
    return np.degrees(quat_to_rotvec(quat_multiply(quat_conjugate(quat), np.asarray(quats, np.float64))))


def angle(a: np.ndarray, b: np.ndarray) -> float:
    """The angle between two rotations (4,), degrees."""
    return float(np.degrees(geodesic_distance(np.asarray(a, np.float64), np.asarray(b, np.float64))))


def quats_of(poses: Sequence[Seen | None]) -> np.ndarray:
    """Rotations (n, 4) as the net sees them; NaN where there is no pose."""
    return np.stack([np.full(4, np.nan) if pose is None else np.asarray(pose.quat, np.float64) for pose in poses])


def places_of(poses: Sequence[Seen | None]) -> np.ndarray:
    """x, y, size (n, 3) px; NaN where there is no pose."""
    return np.stack([np.full(3, np.nan) if pose is None else np.asarray(pose.pos_size, np.float64) for pose in poses])


def rotation_spread(quats: np.ndarray) -> float:
    """Root mean square of the angles between rotations (n, 4) and their mean, degrees; NaN if one is not known."""
    if not np.isfinite(quats).all():
        return np.nan
    mean = mean_quat(quats)
    return rms(np.degrees(geodesic_distance(quats, np.broadcast_to(mean, quats.shape))))


def spreads(poses: Sequence[Seen | None]) -> dict[str, float]:
    """How far poses of one head differ: rotation in degrees, position and size in % of 100 mm. Empty if one is None."""
    if any(pose is None for pose in poses):
        return {}
    places = places_of(poses)
    size = places[:, 2].mean()
    away = np.linalg.norm(places[:, :2] - places[:, :2].mean(axis=0), axis=1)
    return {
        "rotation": rotation_spread(quats_of(poses)),
        "position": 100 * rms(away) / size,
        "size": 100 * float(places[:, 2].std()) / size,
    }


def largest_angle(quats: np.ndarray) -> float:
    """The largest angle between two of the rotations (n, 4), degrees."""
    cosines = np.abs(quats @ quats.T).clip(max=1)
    return float(np.degrees(2 * np.arccos(cosines.min())))


def sigma(pose: Seen | None) -> float:
    """The root of the mean variance that the net states of the rotation, degrees; NaN if it states none."""
    if pose is None or pose.rotation_tril is None:
        return np.nan
    return float(np.degrees(errors.root_mean_variance(pose.rotation_tril[None])[0]))


def rms(values: np.ndarray) -> float:
    """Root mean square."""
    return float(np.sqrt(np.mean(np.square(values))))
