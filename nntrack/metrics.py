"""What is measured: a table of metrics, each an error per sample and the way it is summed up.

A new metric is a function and a row; it appears in ``metrics/*.json`` by itself. Functions take two mappings, predicted
and true, of arrays batch first by field name in the image frame (px), and give one error per sample (N,).
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
from scipy.special import gammainc

from nntrack.landmarks import landmark_box
from nntrack.rotations import geodesic_distance, quat_conjugate, quat_multiply, quat_to_aflw_angles, quat_to_rotvec

Values = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Metric:
    """One figure.

    error: (predicted, true) to (N,). summary: (n,) to a number. needs: the fields that must be known of a sample, on
    both sides (a few on one, see below), for it to count. where: (true) to (N,) bool, which samples count at all; None
    means every one.
    digits: after the point, when written.
    """

    name: str
    unit: str
    error: Callable[[Values, Values], np.ndarray]
    needs: tuple[str, ...]
    summary: Callable[[np.ndarray], float] = np.mean
    where: Callable[[Values], np.ndarray] | None = None
    digits: int = 3


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


def nme_bbox(predicted: Values, true: Values) -> np.ndarray:
    """Mean distance of the 68 landmarks in the image, in % of sqrt(w h) of the true landmarks' tight box (N,)."""
    distance = np.linalg.norm(predicted["landmarks"][..., :2] - true["landmarks"][..., :2], axis=-1).mean(axis=-1)
    box = landmark_box(true["landmarks"])
    return 100 * distance / np.sqrt(np.prod(box[:, 2:] - box[:, :2], axis=-1))


def rotation_offset(predicted: Values, true: Values) -> np.ndarray:
    """Rotation vectors (N, 3) in radians that, applied on the right of the predicted rotation, give the true one."""
    quats = (np.asarray(v["quat"], np.float64) for v in (predicted, true))
    return quat_to_rotvec(quat_multiply(quat_conjugate(next(quats)), next(quats)))


def pos_size_offset(predicted: Values, true: Values) -> np.ndarray:
    """True minus predicted position and size (N, 3) px."""
    return np.asarray(true["pos_size"], np.float64) - predicted["pos_size"]


def deviations_off(offset: np.ndarray, tril: np.ndarray) -> np.ndarray:
    """How many standard deviations (N, 3) each component of offset (N, 3) is from 0, by itself.

    tril: lower factors (N, 3, 3) of the predicted covariance, whose diagonal is the sum of squares along a row.
    """
    return np.abs(offset) / np.linalg.norm(np.asarray(tril, np.float64), axis=-1)


def mahalanobis(offset: np.ndarray, tril: np.ndarray) -> np.ndarray:
    """The length (N,) of offset (N, 3) in units of the predicted covariance with lower factors (N, 3, 3)."""
    return np.linalg.norm(np.linalg.solve(np.asarray(tril, np.float64), offset[..., None])[..., 0], axis=-1)


def expected_share(sigmas: float, dimensions: int) -> float:
    """The share of Gaussian errors within so many standard deviations, if these are told right (chi-square law)."""
    return float(gammainc(dimensions / 2, sigmas**2 / 2))


def face_hit(predicted: Values, true: Values) -> np.ndarray:
    """1 where face or no face was told right, else 0 (N,)."""
    return (predicted["face"] == true["face"]).astype(np.float64)


def box_iou(predicted: Values, true: Values) -> np.ndarray:
    """Intersection over union (N,) of boxes xyxy, whether or not the face was reported."""
    a, b = predicted["bbox"].astype(np.float64), true["bbox"].astype(np.float64)
    inside = np.clip(np.minimum(a[:, 2:], b[:, 2:]) - np.maximum(a[:, :2], b[:, :2]), 0, None).prod(axis=-1)
    areas = [np.clip(box[:, 2:] - box[:, :2], 0, None).prod(axis=-1) for box in (a, b)]
    return inside / np.maximum(areas[0] + areas[1] - inside, 1e-12)


def squared_corner_error(predicted: Values, true: Values) -> np.ndarray:
    """Mean squared error (N,) of x0, y0, x1, y1, in the tracker's unit: frame edges at -1 and 1, so 0.02 is 1 %."""
    size = np.concatenate([true["frame_size"], true["frame_size"]], axis=-1)
    return np.mean((2 * (predicted["bbox"] - true["bbox"]) / size) ** 2, axis=-1)


def root_mean(errors: np.ndarray) -> float:
    """The root of the mean, for errors that are squares."""
    return float(np.sqrt(np.mean(errors)))


def _yaw_between(low: float, high: float) -> Callable[[Values], np.ndarray]:
    def chosen(true: Values) -> np.ndarray:
        yaw = np.abs(aflw_degrees(true["quat"])[:, 1])
        return (yaw >= low) & (yaw < high)

    return chosen


def _ones(predicted: Values, true: Values) -> np.ndarray:
    return np.ones(len(next(iter(true.values()))))


def _table(*rows: Metric) -> dict[str, Metric]:
    return {row.name: row for row in rows}


def _calibration() -> Iterator[Metric]:
    for sigmas in SIGMAS:
        for name, (tril, component) in CALIBRATED.items():
            share = partial(_within, sigmas, tril, component)
            yield Metric(f"{name}_{sigmas}s", "share", share, (_FORETOLD[tril][0], tril))


def _within(sigmas: float, tril: str, component: int | None, predicted: Values, true: Values) -> np.ndarray:
    offset = _FORETOLD[tril][1](predicted, true)
    if component is None:
        away = mahalanobis(offset, predicted[tril])
    else:
        away = deviations_off(offset, predicted[tril])[:, component]
    return (away <= sigmas).astype(np.float64)


YAW_BINS = ((0, 30), (30, 60), (60, 100))  # degrees; the protocol of AFLW2000-3D ends at 99

POSE = _table(
    Metric("yaw", "degrees", lambda p, t: angle_errors(p, t)[:, 1], ("quat",)),
    Metric("pitch", "degrees", lambda p, t: angle_errors(p, t)[:, 0], ("quat",)),
    Metric("roll", "degrees", lambda p, t: angle_errors(p, t)[:, 2], ("quat",)),
    Metric("average", "degrees", lambda p, t: angle_errors(p, t).mean(axis=-1), ("quat",)),
    Metric("geodesic_mean", "degrees", geodesic_error, ("quat",)),
    Metric("geodesic_median", "degrees", geodesic_error, ("quat",), np.median),
    *(
        Metric(f"geodesic_yaw_{low}_{high}", "degrees", geodesic_error, ("quat",), where=_yaw_between(low, high))
        for low, high in YAW_BINS
    ),
    Metric("nme", "%", nme_bbox, ("landmarks",)),
    Metric("n", "samples", _ones, ("quat",), np.sum, digits=0),
)

# The factor that foretells an error: whose error, and how it is taken.
_FORETOLD = {"rotaxis_scales_tril": ("quat", rotation_offset), "pos_size_scales_tril": ("pos_size", pos_size_offset)}
# The errors that are foretold: by which factor, and which component of it; None is all three at once. Rotations are
# about the head's own axes: left-right, down, forward.
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
SIGMAS = (1, 2)
CALIBRATION = _table(*_calibration())  # shares of the errors within so many predicted standard deviations

LOCALIZER = _table(
    Metric("accuracy", "share", face_hit, ("face",), digits=4),
    Metric("iou", "share", box_iou, ("bbox",), digits=4),
    Metric("corner_rmse", "-1..1 over the frame", squared_corner_error, ("bbox", "frame_size"), root_mean, digits=4),
    Metric("n", "samples", _ones, ("face",), np.sum, digits=0),
    Metric("n_faces", "samples", _ones, ("bbox",), np.sum, digits=0),
)


def measure(table: Mapping[str, Metric], predicted: Values, true: Values, masks: Values | None = None) -> dict:
    """Every metric of ``table`` that the two sides allow, rounded, in the table's order.

    masks: for a true field, which samples (N,) have it; a field not named there is known of all. A metric is left out
    where a field is missing altogether or no sample counts. Raises ValueError if the two sides differ in length.
    """
    lengths = [{name: len(value) for name, value in side.items()} for side in (predicted, true)]
    if len({length for side in lengths for length in side.values()}) > 1:
        raise ValueError(f"predicted and true values differ in their number of samples: {lengths[0]}, {lengths[1]}")
    found = {}
    for row in table.values():
        if set(row.needs) - _ONLY_PREDICTED - set(true) or set(row.needs) - _ONLY_TRUE - set(predicted):
            continue
        chosen = _chosen(row, true, masks or {})
        if chosen.any():
            sides = ({name: value[chosen] for name, value in side.items()} for side in (predicted, true))
            value = round(float(row.summary(row.error(*sides))), row.digits)
            found[row.name] = value if row.digits else int(value)
    return found


_ONLY_TRUE = {"frame_size"}  # (N, 2) width and height in px: known, never predicted
_ONLY_PREDICTED = {"rotaxis_scales_tril", "pos_size_scales_tril"}  # how sure a net is: (N, 3, 3) radians, px


def _chosen(row: Metric, true: Values, masks: Values) -> np.ndarray:
    chosen = np.ones(len(next(iter(true.values()))), bool)
    for name in row.needs:
        chosen &= masks.get(name, True)
    return chosen & row.where(true) if row.where else chosen
