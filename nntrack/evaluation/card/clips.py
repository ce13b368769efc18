"""Frame after frame: jitter of a head that hardly moves, and what happens when the face goes and comes back."""

from collections.abc import Iterable, Sequence

import numpy as np

from nntrack.deploy.tracker import HeadPose
from nntrack.evaluation import errors
from nntrack.evaluation.card.client import Client, Columns, places_of, quats_of
from nntrack.evaluation.card.lines import AXES, PLACES
from nntrack.synthesis import controlled
from nntrack.synthesis.controlled import SIZE

CALM = 3.0  # degrees that no angle changes by within two frames of little motion
_LEAST = 8  # second differences, fewer say nothing
_LIVE, _HERE, _GONE, _BACK = 40, 10, 30, 20  # frames
_BLANK = 20  # frames of each kind
_ON_FACE = 1.0  # head radii between the predicted and the true place: more is another place


def live(client: Client, seed: list[int]) -> Columns:
    """Somebody who looks at a screen and hardly moves; the true motion is subtracted."""
    rng = np.random.default_rng(seed)
    person = controlled.sample_anybody(rng)
    photos = [controlled.photograph(seed, person, pose) for pose in controlled.calm_poses(rng, _LIVE)]
    frames = [controlled.with_grain(rng, photo.image) for photo in photos]
    poses = list(client.loop(frames, photos[0].box))
    true = _track(np.stack([p.quat for p in photos]), np.stack([p.pos_size for p in photos]))
    found = _track(quats_of(poses), places_of(poses))
    return jitter(found - true) | {"live_lost": 100 * float(np.mean([pose is None for pose in poses]))}


def video(client: Client, frames: Iterable[np.ndarray], fps: float) -> list[Columns]:
    """The frames of a video of which nothing is known, a second each: its calm frames.

    The last has what becomes of the window, if there is one, when the face is gone.
    """
    last, poses = None, []
    client.tracker.reset()
    for frame in frames:
        poses.append(client.tracker(frame))
        last = frame
    if last is None:
        return []
    track = _track(quats_of(poses), places_of(poses))
    step = max(3, round(fps))
    seconds = [jitter(track[i : i + step]) for i in range(0, len(track), step)]
    if poses[-1] is not None:
        seconds.append({"blank_widest": widest_on_blank(client, last, poses[-1].bbox)})
    return [second for second in seconds if second]


def jitter(track: np.ndarray) -> Columns:
    """Root mean square of the second differences / sqrt(6) of a track, where it is calm; none of a short one.

    That is the standard deviation of white noise that has them.

    Args:
        track: (n, 6), yaw, pitch, roll in degrees, x, y, size in % of the size; NaN where there is no pose.
    """
    second = track[2:] - 2 * track[1:-1] + track[:-2]
    calm = np.isfinite(second).all(axis=1) & (np.abs(track[2:, :3] - track[:-2, :3]).max(axis=1) < CALM)
    if calm.sum() < _LEAST:
        return {}
    values = np.sqrt(np.mean(second[calm] ** 2, axis=0) / 6)
    return dict(zip([f"live_{name}" for name in (AXES[1], AXES[0], AXES[2], *PLACES)], map(float, values), strict=True))


def gone(client: Client, seed: list[int]) -> Columns:
    """Somebody who leaves and comes back elsewhere, and somebody whose face is covered for a while."""
    rng = np.random.default_rng(seed)
    person, pose = controlled.sample_anybody(rng), controlled.sample_pose(rng)
    side, half = rng.choice([-1, 1]), SIZE[1] / 2
    here = controlled.photograph(seed, person, pose)
    leaving = [
        controlled.photograph(seed, person, pose._replace(middle=pose.middle + [side * half * share, 0])).image
        for share in (0.25, 0.5, 0.75, 1.0, 1.25, 1.5)
    ]
    empty = controlled.photograph(seed, person, pose._replace(middle=pose.middle + [side * 6 * half, 0])).image
    back = controlled.photograph(seed, person, pose._replace(middle=pose.middle - [side * half * 0.4, 0]))
    columns = _episode(client, "left", here, [*leaving, *[empty] * _GONE], back, rng)
    covered = controlled.covered(rng, here.image, here.box)
    columns |= _episode(client, "covered", here, [covered] * _GONE, here, rng)
    settled = client.settle(here.image, here.box)
    if settled is not None:
        columns["blank_widest"] = widest_on_blank(client, here.image, settled.bbox)
    return columns


def widest_on_blank(client: Client, frame: np.ndarray, window: np.ndarray) -> float:
    """The widest window, in frame widths, on black, white, grey and noise after a frame with a face in a window."""
    rng = np.random.default_rng(0)
    shape = frame.shape[:2]
    blanks = [[np.full(shape, grey, np.uint8)] * _BLANK for grey in (0, 255, 128)]
    blanks.append([rng.integers(0, 256, shape, np.uint8) for _ in range(_BLANK)])
    return max(_widest(list(client.loop(frames, window))) for frames in blanks)


def _episode(
    client: Client,
    name: str,
    here: controlled.Photo,
    away: Sequence[np.ndarray],
    back: controlled.Photo,
    rng: np.random.Generator,
) -> Columns:
    """A face is there, is away, and is back.

    Args:
        client: the tracker.
        name: of what happens.
        here: the face at first.
        away: images without it.
        back: the face at last.
        rng: of the grain.
    """
    still = [*[here.image] * _HERE, *away, *[back.image] * _BACK]
    poses = list(client.loop([controlled.with_grain(rng, image) for image in still], here.box))
    gone = poses[_HERE + len(away) - _GONE : _HERE + len(away)]
    again = [_is_on_face(pose, back) for pose in poses[-_BACK:]]
    return {
        f"{name}_widest": _widest(poses),
        f"{name}_poses": 100 * float(np.mean([pose is not None for pose in gone])),
        f"{name}_again": float(np.argmax(again)) if any(again) else float(_BACK),
    }


def _widest(poses: Sequence[HeadPose | None]) -> float:
    return max((pose.window for pose in poses if pose is not None), default=0.0)


def _is_on_face(pose: HeadPose | None, photo: controlled.Photo) -> bool:
    if pose is None:
        return False
    away = np.linalg.norm(np.asarray(pose.pos_size[:2], np.float64) - photo.pos_size[:2])
    return bool(away <= _ON_FACE * photo.pos_size[2])


def _track(quats: np.ndarray, places: np.ndarray) -> np.ndarray:
    """yaw, pitch, roll in degrees, x, y in % of the size, 100 times the logarithm of the size, (n, 6)."""
    pitch, yaw, roll = errors.aflw_degrees(quats).T
    size = places[:, 2:]
    place = 100 * places[:, :2] / np.nanmedian(size) if np.isfinite(size).any() else places[:, :2]
    return np.column_stack([yaw, pitch, roll, place, 100 * np.log(size)])
