"""The error of a net on every sample: two tables of columns, from which all metrics and plots are computed.

A column is a function of two mappings, predicted and true, of arrays batch first by field name in the image frame (px);
it returns a number per sample. An error that cannot be computed, because the sample lacks the label, is NaN.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

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

    values: (predicted, true) to (N,). labels: those that a sample must have; if no sample has them there is no column.
    outputs: of the net, which must all be there. digits: after the point, to which the number is rounded before use.
    metric: the name of its mean in `metrics`, which has one digit less; empty if the mean is no metric.
    title: of that metric in tables. headline: its name in the short summary, if it is part of that.
    """

    name: str
    unit: str
    values: Callable[[Values, Values], np.ndarray]
    labels: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    digits: int = 4
    metric: str = ""
    title: str = ""
    headline: str = ""


def aflw_degrees(quat: np.ndarray) -> np.ndarray:
    """Unit quaternions (N, 4) to pitch, yaw, roll (N, 3) in degrees as AFLW2000-3D states them.

    Two triples give each rotation: (p, y, r) and (p + 180, 180 - y, r + 180). The one with less pitch and roll is
    returned, as in the labels, whose yaw exceeds 90 while pitch and roll stay small.
    """
    angles = np.degrees(np.stack(quat_to_aflw_angles(np.asarray(quat, np.float64)), axis=-1))
    other = wrap_degrees(np.array([180.0, 180.0, 180.0]) + angles * [1, -1, 1])
    tilt, other_tilt = (np.abs(a[..., 0]) + np.abs(a[..., 2]) for a in (angles, other))
    return np.where((tilt <= other_tilt)[..., None], angles, other)


def wrap_degrees(angles: np.ndarray) -> np.ndarray:
    """Angles in [-180, 180), by whole turns."""
    return (angles + 180) % 360 - 180


def angle_errors(predicted: Values, true: Values) -> np.ndarray:
    """|pitch|, |yaw|, |roll| errors (N, 3) in degrees, wrapped by 360 only: facing backwards is an error of 180."""
    return np.abs(wrap_degrees(aflw_degrees(predicted["quat"]) - aflw_degrees(true["quat"])))


def geodesic_error(predicted: Values, true: Values) -> np.ndarray:
    """The angle (N,) in degrees between two rotations, 0..180: the rotation metric to trust."""
    quats = (np.asarray(v["quat"], np.float64) for v in (predicted, true))
    return np.degrees(geodesic_distance(*quats))


def nme_bbox(predicted: Values, true: Values, axes: int = 2) -> np.ndarray:
    """Mean distance (N,) of the 68 landmarks, in % of sqrt(w h) of the true landmarks' tight box in the image.

    axes: 2 for the image plane, 3 with depth, which either side counts from the mean of its own four eye corners: weak
    perspective leaves the depth of the whole face undefined.
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
    """Error (N,) of the projected 100 mm, as a fraction of the true length."""
    return np.abs(pos_size_offset(predicted, true)[:, 2]) / true["pos_size"][:, 2]


def standardized(offset: np.ndarray, tril: np.ndarray) -> np.ndarray:
    """The absolute value (N, 3) of each component of ``offset`` (N, 3) in predicted standard deviations.

    tril: lower factors (N, 3, 3) of the predicted covariance, whose diagonal is the sum of squares along a row.
    """
    return np.abs(offset) / np.linalg.norm(np.asarray(tril, np.float64), axis=-1)


def mahalanobis(offset: np.ndarray, tril: np.ndarray) -> np.ndarray:
    """The length (N,) of ``offset`` (N, 3) in units of the predicted covariance with lower factors (N, 3, 3)."""
    return np.linalg.norm(np.linalg.solve(np.asarray(tril, np.float64), offset[..., None])[..., 0], axis=-1)


def root_mean_variance(tril: np.ndarray, axes: int = 3) -> np.ndarray:
    """The root (N,) of the mean variance of the first ``axes`` components, from lower factors (N, 3, 3)."""
    return np.sqrt(np.sum(np.asarray(tril, np.float64)[:, :axes] ** 2, axis=(1, 2)) / axes)


def box_iou(predicted: Values, true: Values) -> np.ndarray:
    """Intersection over union (N,) of boxes xyxy, whether or not a face was reported."""
    return boxes.box_iou(predicted["bbox"].astype(np.float64), true["bbox"].astype(np.float64))


def corner_error(predicted: Values, true: Values) -> np.ndarray:
    """Root mean square error (N,) of x0, y0, x1, y1, in the tracker's unit: frame edges at -1 and 1, so 0.02 is 1 %."""
    size = np.concatenate([true["frame_size"], true["frame_size"]], axis=-1)
    return np.sqrt(np.mean((2 * (predicted["bbox"] - true["bbox"]) / size) ** 2, axis=-1))


NME = "NME {}D by sqrt(w h) of the landmarks' box"
# The errors whose covariance the net predicts: by which factor, and which component of it; None is all three at once.
# Rotations are about the head's own axes: left-right, down, forward.
CALIBRATED: dict[str, tuple[str, int | None]] = {
    "pitch": ("rotaxis_scales_tril", 0),
    "yaw": ("rotaxis_scales_tril", 1),
    "roll": ("rotaxis_scales_tril", 2),
    "rotation": ("rotaxis_scales_tril", None),
    "x": ("pos_size_scales_tril", 0),
    "y": ("pos_size_scales_tril", 1),
    "size": ("pos_size_scales_tril", 2),
    "pos_size": ("pos_size_scales_tril", None),
}
_OFFSETS = {"rotaxis_scales_tril": ("quat", rotation_offset), "pos_size_scales_tril": ("pos_size", pos_size_offset)}
_ANGLES = {"yaw": 1, "pitch": 0, "roll": 2}  # in the order of tables, with their place in `aflw_degrees`


def _component(function: Callable[[Values, Values], np.ndarray], i: int) -> Callable[[Values, Values], np.ndarray]:
    return lambda predicted, true: function(predicted, true)[:, i]


def _averaged(
    name: str,
    unit: str,
    values: Callable[[Values, Values], np.ndarray],
    fields: tuple[str, ...],
    title: str,
    **options: Any,
) -> Column:
    """A column of the first of ``fields``, output and label, whose mean is a metric of the same name."""
    return Column(name, unit, values, fields, fields[:1], metric=name, title=title, **options)


def _angle_columns() -> Iterator[Column]:
    for name, i in _ANGLES.items():
        yield Column(f"true_{name}", "degrees", _component(lambda p, t: aflw_degrees(t["quat"]), i), ("quat",))
    for name, i in _ANGLES.items():
        yield Column(name, "degrees", _component(lambda p, t: aflw_degrees(p["quat"]), i), outputs=("quat",))
    for name, i in _ANGLES.items():
        row = _averaged(name, "degrees", _component(angle_errors, i), ("quat",), f"{name} error", headline=name)
        yield replace(row, name=f"{name}_error")


def _standardized_column(name: str, tril: str, component: int | None) -> Column:
    """The error ``name`` in predicted standard deviations; see `CALIBRATED`."""
    field, offset = _OFFSETS[tril]

    def values(predicted: Values, true: Values) -> np.ndarray:
        if component is None:
            return mahalanobis(offset(predicted, true), predicted[tril])
        return standardized(offset(predicted, true), predicted[tril])[:, component]

    return Column(f"{name}_sigmas", "predicted standard deviations", values, (field,), (field, tril))


def _mean_angle_error(predicted: Values, true: Values) -> np.ndarray:
    return angle_errors(predicted, true).mean(axis=-1)


def _nme_depth(predicted: Values, true: Values) -> np.ndarray:
    return nme_bbox(predicted, true, axes=3)


def _sigma_rotation(predicted: Values, true: Values) -> np.ndarray:
    return np.degrees(root_mean_variance(predicted["rotaxis_scales_tril"]))


def _sigma_position(predicted: Values, true: Values) -> np.ndarray:
    return root_mean_variance(predicted["pos_size_scales_tril"], 2) / true["pos_size"][:, 2]


def _table(*rows: Column) -> dict[str, Column]:
    return {row.name: row for row in rows}


POSE = _table(
    *_angle_columns(),
    _averaged("average", "degrees", _mean_angle_error, ("quat",), "mean of the three", headline="average"),
    _averaged("geodesic", "degrees", geodesic_error, ("quat",), "geodesic error, mean", headline="geodesic"),
    _averaged("nme2d", "%", nme_bbox, ("landmarks",), f"{NME.format(2)}, mean", headline="nme"),
    _averaged("nme3d", "%", lambda p, t: nme_bbox(p, t, 3), ("landmarks", "landmarks_depth"), f"{NME.format(3)}, mean"),
    _averaged("position", "head radii", position_error, ("pos_size",), "position error", digits=5),
    _averaged("size", "head radii", size_error, ("pos_size",), "size error", digits=5),
    _averaged("iou", "fraction", box_iou, ("bbox",), "IoU of the next frame's box", digits=5),
    Column("sigma_rotation", "degrees", _sigma_rotation, outputs=("rotaxis_scales_tril",)),
    Column("sigma_position", "head radii", _sigma_position, ("pos_size",), ("pos_size_scales_tril",), digits=5),
    *(_standardized_column(name, *factor) for name, factor in CALIBRATED.items()),
)

LOCALIZER = _table(
    Column("face", "0 or 1", lambda p, t: t["face"], labels=("face",), digits=0),
    Column("reported", "0 or 1", lambda p, t: p["face"], outputs=("face",), digits=0),
    Column("score", "probability", lambda p, t: p["score"], outputs=("score",), digits=5),
    _averaged("iou", "fraction", box_iou, ("bbox",), "IoU of the box, where there is a face", digits=5, headline="iou"),
    Column("corner", "-1..1 over the frame", corner_error, ("bbox", "frame_size"), ("bbox",), digits=5),
)


def measure(table: Mapping[str, Column], predicted: Values, true: Values, masks: Values | None = None) -> pd.DataFrame:
    """The errors of N samples: a row each, float64, rounded, with the columns of ``table`` that can be computed.

    A column is left out if the net lacks an output that it needs, or if no sample has its labels.

    Args:
        table: `POSE` or `LOCALIZER`.
        predicted: outputs of the net by field, (N, ...) each.
        true: labels by field, (N, ...) each.
        masks: by label, which samples (N,) have it; all samples have a label that is not in it.

    Raises ValueError if the two sides differ in length.
    """
    lengths = {len(value) for side in (predicted, true) for value in side.values()}
    if len(lengths) > 1:
        raise ValueError(f"predicted and true values differ in their number of samples: {sorted(lengths)}")
    count, masks = max(lengths, default=0), masks or {}
    found = {}
    for row in table.values():
        if set(row.outputs) - set(predicted) or set(row.labels) - set(true) - set(masks):
            continue
        known = np.logical_and.reduce([np.ones(count, bool), *(masks[n] for n in row.labels if n in masks)])
        if known.any():
            sides = ({name: value[known] for name, value in side.items()} for side in (predicted, true))
            found[row.name] = np.full(count, np.nan)
            found[row.name][known] = [float(as_text(value, row.digits)) for value in row.values(*sides)]
    return pd.DataFrame(found, index=range(count))


def as_text(value: float, digits: int) -> str:
    """The number with so many digits, without the sign of a negative zero; "" for NaN."""
    return "" if np.isnan(value) else f"{value:z.{digits}f}"
