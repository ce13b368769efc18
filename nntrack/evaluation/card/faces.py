"""Single faces: noise, crop, mirror image, darkness, and what the pose net says of its own errors."""

from typing import NamedTuple

import numpy as np

from nntrack.contract import PREPROCESSING
from nntrack.deploy.preprocess import Square, cut_patch, window_level
from nntrack.deploy.tracker import HeadPose
from nntrack.evaluation.card.client import (
    Answer,
    Client,
    Columns,
    angle,
    largest_angle,
    offsets,
    quats_of,
    rotation_spread,
    sigma,
    spreads,
)
from nntrack.evaluation.card.lines import AXES, PLACES
from nntrack.evaluation.metrics import SIGMAS
from nntrack.evaluation.perturbations import RANDOM, SCALES, SHIFTS, mirrored, part_around, perturbed, underexposed
from nntrack.geometry.rotations import mean_quat, mirror_quat

DRAWS = 64  # frames with each kind of noise
_MARGIN = 16  # px about the window: what the sampling reads beyond it
_LOOP = 12  # frames in which the window may settle ...
_STARTS = (0.7, 1.5)  # ... from one so many times too large
_SETTLED = 1.0  # degrees
_BESIDE = 2  # grey levels on either side of the client's rule


class Face(NamedTuple):
    """A face in a grey image (H, W) uint8. box: (4,) xyxy px, where the tracker begins.

    quat (4,) and pos_size (3,) px: what is true; None where nobody knows. empty: an image of the same size without a
    face, if there is one.
    """

    image: np.ndarray
    box: np.ndarray
    quat: np.ndarray | None = None
    pos_size: np.ndarray | None = None
    empty: np.ndarray | None = None


def measure(client: Client, face: Face, rng: np.random.Generator) -> Columns:
    """All columns of one face; those are missing that cannot be measured."""
    pose = client.settle(face.image, face.box)
    if pose is None:
        return {}
    window = pose.bbox
    return (
        _noise(client, face, window, rng)
        | _crop(client, face, window)
        | _mirror(client, face, pose)
        | _dark(client, face, pose, rng)
        | _rule(client, face, pose)
        | _honesty(client, face, pose)
    )


def _noise(client: Client, face: Face, window: np.ndarray, rng: np.random.Generator) -> Columns:
    poses: dict[str, list[Answer | None]] = {name: [] for name in RANDOM}
    for name, frame in perturbed(face.image, part_around(window, face.image.shape, _MARGIN), DRAWS, rng):
        poses[name].append(client.look(frame, window))
    return {f"{name}_{what}": value for name, seen in poses.items() for what, value in spreads(seen).items()}


def _crop(client: Client, face: Face, window: np.ndarray) -> Columns:
    columns = {}
    centre, half = (window[:2] + window[2:]) / 2, (window[2:] - window[:2]) / 2

    def scaled(scale: float) -> np.ndarray:
        return np.concatenate([centre - half * scale, centre + half * scale])

    for name, scales in SCALES.items():
        quats = quats_of([client.look(face.image, scaled(scale)) for scale in scales])
        if not np.isfinite(quats).all():
            return {}
        pitch = offsets(mean_quat(quats), quats)[:, 0]
        columns[f"crop_pitch_{name}"] = float(np.ptp(pitch))
        columns[f"crop_turn_{name}"] = largest_angle(quats)
    columns |= {
        f"curve_crop_{i}": float(value - pitch[np.argmin(np.abs(np.log(scales)))]) for i, value in enumerate(pitch)
    }
    moves = [np.array([shift, 0] * 2) for shift in SHIFTS] + [np.array([0, shift] * 2) for shift in SHIFTS]
    columns["crop_moved"] = rotation_spread(quats_of([client.look(face.image, window + move) for move in moves]))
    columns["crop_settled"] = float(np.mean([_frames_until_settled(client, face, scaled(start)) for start in _STARTS]))
    return columns


def _frames_until_settled(client: Client, face: Face, start: np.ndarray) -> int:
    """Frames before the rotation stays within a degree of where it ends."""
    quats = quats_of(list(client.loop([face.image] * _LOOP, start)))
    away = np.linalg.norm(offsets(quats[-1], quats), axis=1)
    late = np.flatnonzero(~(away <= _SETTLED))
    return int(late[-1]) + 1 if len(late) else 0


def _mirror(client: Client, face: Face, pose: HeadPose) -> Columns:
    other = client.settle(*mirrored(face.image, face.box))
    return {} if other is None else {"mirror": angle(pose.quat, mirror_quat(other.quat))}


def _dark(client: Client, face: Face, pose: HeadPose, rng: np.random.Generator) -> Columns:
    return light_columns(client, "dark", underexposed(face.image, rng), face, pose)


def light_columns(client: Client, name: str, image: np.ndarray, face: Face, pose: HeadPose) -> Columns:
    """Columns of a face in another light. image: in that. pose: the answer in good light."""
    other = client.settle(image, face.box)
    if other is None:
        return {}
    columns = {f"light_{name}_change": angle(pose.quat, other.quat)}
    if face.quat is not None:
        columns[f"light_{name}_error"] = angle(face.quat, other.quat) - angle(face.quat, pose.quat)
    return columns


def _rule(client: Client, face: Face, pose: HeadPose) -> Columns:
    """The image at two brightnesses that hardly differ, but on either side of the client's rule for dark patches."""
    side = round(float(pose.roi[2] - pose.roi[0]))
    x, y = map(float, (pose.roi[:2] + pose.roi[2:]) / 2)
    level = window_level(cut_patch(face.image, Square(x, y, side), client.tracker.pose_net.input_size[0]))
    levels = np.arange(256)
    seen = []
    for wanted in (PREPROCESSING.dark_below - _BESIDE, PREPROCESSING.dark_below + _BESIDE - 1):
        table = np.clip(np.round(levels * (wanted / max(level, 1))), 0, 255).astype(np.uint8)
        seen.append(client.look(table[face.image], pose.bbox))
    one, other = seen
    return {} if one is None or other is None else {"light_rule_change": angle(one.quat, other.quat)}


def _honesty(client: Client, face: Face, pose: HeadPose) -> Columns:
    columns = {"sigma": sigma(pose)}
    if face.empty is not None:
        columns["sigma_empty"] = sigma(client.look(face.empty, pose.bbox))
    if face.quat is None or face.pos_size is None or pose.rotation_std is None or pose.pos_size_std is None:
        return columns
    columns["error"] = angle(pose.quat, face.quat)
    turned = np.abs(offsets(pose.quat, face.quat[None])[0]) / pose.rotation_std
    placed = np.abs(face.pos_size - pose.pos_size) / pose.pos_size_std
    for axis, size in zip((*AXES, *PLACES), (*turned, *placed), strict=True):
        columns |= {f"within_{sigmas}s_{axis}": float(size <= sigmas) for sigmas in SIGMAS}
    return columns
