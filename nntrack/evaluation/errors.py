"""How far a net is off, sample by sample: two tables of columns, of which every figure and every plot is made.

A column is a function of two mappings, predicted and true, of arrays batch first by field name in the image frame (px),
to a number per sample. What is not known of a sample is not a number there.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from nntrack.geometry import boxes
from nntrack.geometry.boxes import landmark_box
from nntrack.geometry.landmarks import EYE_CORNERS
from nntrack.geometry.rotations import (
    geodesic_distance,
    quat_conjugate,
    quat_multiply,
    quat_to_aflw_angles,
    quat_to_rotvec,
)

Values = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Column:
    """One number per sample.

    values: (predicted, true) to (N,). needs: labels that a sample must have; without one of them altogether there is no
    column. told: what the net must say. digits: after the point, to which the number is rounded before it is used.
    metric: what its mean is called among the figures of `metrics`, to one digit less; empty for one that has none.
    title: of that, in print. headline: its name where only the chief figures are shown, if it is one.
    """

    name: str
    unit: str
    values: Callable[[Values, Values], np.ndarray]
    needs: tuple[str, ...]
    told: tuple[str, ...] = ()
    digits: int = 4
    metric: str = ""
    title: str = ""
    headline: str = ""


def aflw_degrees(quat: np.ndarray) -> np.ndarray:
    """Unit quaternions (N, 4) to pitch, yaw, roll (N, 3) in degrees as AFLW2000-3D states them.

    Two triples give each rotation: (p, y, r) and (p + 180, 180 - y, r + 180). Taken is the one with less pitch and
    roll: the labels' own, whose yaw passes 90 while pitch and roll stay small.
    """
    angles = np.degrees(np.stack(quat_to_aflw_angles(np.asarray(quat, np.float64)), axis=-1))
    other = wrap_degrees(np.array([180.0, 180.0, 180.0]) + angles * [1, -1, 1])
    tilt, other_tilt = (np.abs(a[..., 0]) + np.abs(a[..., 2]) for a in (angles, other))
    return np.where((tilt <= other_tilt)[..., None], angles, other)


def wrap_degrees(angles: np.ndarray) -> np.ndarray:
    """Angles moved by whole turns into [-180, 180)."""
    return (angles + 180) % 360 - 180


def angle_errors(predicted: Values, true: Values) -> np.ndarray:
    """|pitch|, |yaw|, |roll| errors (N, 3) in degrees, wrapped by 360 alone: a head turned half round is 180 off."""
    return np.abs(wrap_degrees(aflw_degrees(predicted["quat"]) - aflw_degrees(true["quat"])))


def geodesic_error(predicted: Values, true: Values) -> np.ndarray:
    """The angle (N,) in degrees between two rotations, 0..180: the rotation metric to trust."""
    quats = (np.asarray(v["quat"], np.float64) for v in (predicted, true))
    return np.degrees(geodesic_distance(*quats))


def nme_bbox(predicted: Values, true: Values, axes: int = 2) -> np.ndarray:
    """Mean distance of the 68 landmarks, in % of sqrt(w h) of the true landmarks' tight box in the image (N,).

    axes: 2 in the image, 3 with depth, each side's counted from the mean of its own four eye corners, since weak
    perspective leaves the depth of the whole face open.
    """
    sides = [_from_eye_corners(np.asarray(side["landmarks"], np.float64))[..., :axes] for side in (predicted, true)]
    distance = np.linalg.norm(sides[0] - sides[1], axis=-1).mean(axis=-1)
    box = landmark_box(np.asarray(true["landmarks"], np.float64))
    return 100 * distance / np.sqrt(np.prod(box[:, 2:] - box[:, :2], axis=-1))


def _from_eye_corners(landmarks: np.ndarray) -> np.ndarray:
    depth = landmarks[..., 2:] - landmarks[..., list(EYE_CORNERS), 2:].mean(axis=-2, keepdims=True)
    return np.concatenate([landmarks[..., :2], depth], axis=-1)


def rotation_offset(predicted: Values, true: Values) -> np.ndarray:
    """Rotation vectors (N, 3) in radians that, applied on the right of the predicted rotation, give the true one."""
    quats = (np.asarray(v["quat"], np.float64) for v in (predicted, true))
    return quat_to_rotvec(quat_multiply(quat_conjugate(next(quats)), next(quats)))


def pos_size_offset(predicted: Values, true: Values) -> np.ndarray:
    """True minus predicted position and size (N, 3) px."""
    return np.asarray(true["pos_size"], np.float64) - predicted["pos_size"]


def position_error(predicted: Values, true: Values) -> np.ndarray:
    """Distance (N,) in the image between the points between the eyes, in head radii: the true projected 100 mm."""
    return np.linalg.norm(pos_size_offset(predicted, true)[:, :2], axis=-1) / true["pos_size"][:, 2]


def size_error(predicted: Values, true: Values) -> np.ndarray:
    """How far the projected 100 mm are off (N,), in head radii: a share of the true size."""
    return np.abs(pos_size_offset(predicted, true)[:, 2]) / true["pos_size"][:, 2]


def deviations_off(offset: np.ndarray, tril: np.ndarray) -> np.ndarray:
    """How many standard deviations (N, 3) each component of offset (N, 3) is from 0, by itself.

    tril: lower factors (N, 3, 3) of the predicted covariance, whose diagonal is the sum of squares along a row.
    """
    return np.abs(offset) / np.linalg.norm(np.asarray(tril, np.float64), axis=-1)


def mahalanobis(offset: np.ndarray, tril: np.ndarray) -> np.ndarray:
    """The length (N,) of offset (N, 3) in units of the predicted covariance with lower factors (N, 3, 3)."""
    return np.linalg.norm(np.linalg.solve(np.asarray(tril, np.float64), offset[..., None])[..., 0], axis=-1)


def root_mean_variance(tril: np.ndarray, axes: int = 3) -> np.ndarray:
    """The root (N,) of the mean variance of the first ``axes`` components, by lower factors (N, 3, 3)."""
    return np.sqrt(np.sum(np.asarray(tril, np.float64)[:, :axes] ** 2, axis=(1, 2)) / axes)


def box_iou(predicted: Values, true: Values) -> np.ndarray:
    """Intersection over union (N,) of boxes xyxy, whether or not a face was reported."""
    return boxes.box_iou(predicted["bbox"].astype(np.float64), true["bbox"].astype(np.float64))


def corner_error(predicted: Values, true: Values) -> np.ndarray:
    """Root mean square error (N,) of x0, y0, x1, y1, in the tracker's unit: frame edges at -1 and 1, so 0.02 is 1 %."""
    size = np.concatenate([true["frame_size"], true["frame_size"]], axis=-1)
    return np.sqrt(np.mean((2 * (predicted["bbox"] - true["bbox"]) / size) ** 2, axis=-1))


# The factor that foretells an error: whose error, and how it is taken.
_FORETOLD = {"rotaxis_scales_tril": ("quat", rotation_offset), "pos_size_scales_tril": ("pos_size", pos_size_offset)}
NME = "NME {}D by sqrt(w h) of the landmarks' box"

# The errors that are foretold: by which factor, and which component of it; None is all three at once. Rotations are
# about the head's own axes: left-right, down, forward.
FORETOLD: dict[str, tuple[str, int | None]] = {
    "pitch": ("rotaxis_scales_tril", 0),
    "yaw": ("rotaxis_scales_tril", 1),
    "roll": ("rotaxis_scales_tril", 2),
    "rotation": ("rotaxis_scales_tril", None),
    "x": ("pos_size_scales_tril", 0),
    "y": ("pos_size_scales_tril", 1),
    "size": ("pos_size_scales_tril", 2),
    "pos_size": ("pos_size_scales_tril", None),
}


def _sigmas(tril: str, component: int | None, predicted: Values, true: Values) -> np.ndarray:
    offset = _FORETOLD[tril][1](predicted, true)
    if component is None:
        return mahalanobis(offset, predicted[tril])
    return deviations_off(offset, predicted[tril])[:, component]


def _true_angle(i: int, predicted: Values, true: Values) -> np.ndarray:
    return aflw_degrees(true["quat"])[:, i]


def _told_angle(i: int, predicted: Values, true: Values) -> np.ndarray:
    return aflw_degrees(predicted["quat"])[:, i]


def _angle_error(i: int, predicted: Values, true: Values) -> np.ndarray:
    return angle_errors(predicted, true)[:, i]


def _mean_angle_error(predicted: Values, true: Values) -> np.ndarray:
    return angle_errors(predicted, true).mean(axis=-1)


def _summed(
    name: str,
    unit: str,
    values: Callable[[Values, Values], np.ndarray],
    fields: tuple[str, ...],
    title: str,
    **how: Any,
) -> Column:
    """A column of `fields` that both sides have, whose mean is a figure of the same name."""
    return Column(name, unit, values, fields, fields[:1], metric=name, title=title, **how)


def _angles() -> Iterator[Column]:
    at = {"yaw": 1, "pitch": 0, "roll": 2}
    for name, i in at.items():
        yield Column(f"true_{name}", "degrees", partial(_true_angle, i), ("quat",))
    for name, i in at.items():
        yield Column(name, "degrees", partial(_told_angle, i), (), ("quat",))
    for name, i in at.items():
        row = _summed(name, "degrees", partial(_angle_error, i), ("quat",), f"{name} error", headline=name)
        yield replace(row, name=f"{name}_error")


def _told_sigmas() -> Iterator[Column]:
    for name, (tril, component) in FORETOLD.items():
        field = _FORETOLD[tril][0]
        yield Column(
            f"{name}_sigmas", "predicted deviations", partial(_sigmas, tril, component), (field,), (field, tril)
        )


def _sigma_rotation(predicted: Values, true: Values) -> np.ndarray:
    return np.degrees(root_mean_variance(predicted["rotaxis_scales_tril"]))


def _sigma_position(predicted: Values, true: Values) -> np.ndarray:
    return root_mean_variance(predicted["pos_size_scales_tril"], 2) / true["pos_size"][:, 2]


def _depth_error(predicted: Values, true: Values) -> np.ndarray:
    return nme_bbox(predicted, true, 3)


def _table(*rows: Column) -> dict[str, Column]:
    return {row.name: row for row in rows}


POSE = _table(
    *_angles(),
    _summed("average", "degrees", _mean_angle_error, ("quat",), "mean of the three", headline="average"),
    _summed("geodesic", "degrees", geodesic_error, ("quat",), "geodesic error, mean", headline="geodesic"),
    _summed("nme2d", "%", nme_bbox, ("landmarks",), f"{NME.format(2)}, mean", headline="nme"),
    _summed("nme3d", "%", _depth_error, ("landmarks", "landmarks_depth"), f"{NME.format(3)}, mean"),
    _summed("position", "head radii", position_error, ("pos_size",), "position error", digits=5),
    _summed("size", "head radii", size_error, ("pos_size",), "size error", digits=5),
    _summed("iou", "share", box_iou, ("bbox",), "IoU of the next frame's box", digits=5),
    Column("sigma_rotation", "degrees", _sigma_rotation, (), ("rotaxis_scales_tril",)),
    Column("sigma_position", "head radii", _sigma_position, ("pos_size",), ("pos_size_scales_tril",), 5),
    *_told_sigmas(),
)

LOCALIZER = _table(
    Column("face", "0 or 1", lambda p, t: t["face"], ("face",), (), 0),
    Column("reported", "0 or 1", lambda p, t: p["face"], (), ("face",), 0),
    Column("score", "share", lambda p, t: p["score"], (), ("score",), 5),
    _summed("iou", "share", box_iou, ("bbox",), "IoU of the box, where there is a face", digits=5, headline="iou"),
    Column("corner", "-1..1 over the frame", corner_error, ("bbox", "frame_size"), ("bbox",), 5),
)


def measure(
    table: Mapping[str, Column], predicted: Values, true: Values, masks: Values | None = None
) -> dict[str, np.ndarray]:
    """Every column (N,) of ``table`` that the two sides allow, float64, rounded, in the table's order.

    masks: for a label, which samples (N,) have it; a label not named there is known of all. A column is left out where
    the net does not say what it takes, or no sample has the labels. Raises ValueError if the sides differ in length.
    """
    lengths = {len(value) for side in (predicted, true) for value in side.values()}
    if len(lengths) > 1:
        raise ValueError(f"predicted and true values differ in their number of samples: {sorted(lengths)}")
    count, masks = max(lengths, default=0), masks or {}
    found = {}
    for row in table.values():
        if set(row.told) - set(predicted) or set(row.needs) - set(true) - set(masks):
            continue
        known = np.logical_and.reduce([np.ones(count, bool), *(masks[n] for n in row.needs if n in masks)])
        if known.any():
            sides = ({name: value[known] for name, value in side.items()} for side in (predicted, true))
            found[row.name] = np.full(count, np.nan)
            found[row.name][known] = [float(as_text(value, row.digits)) for value in row.values(*sides)]
    return found


def as_text(value: float, digits: int) -> str:
    """The number as it is written, without the sign of a negative zero; nothing for what is not a number."""
    return "" if np.isnan(value) else f"{value:z.{digits}f}"
