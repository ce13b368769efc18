"""The lines of the report card: what each says, in which unit, and which values of it are good.

A new line is a row here; one of the modules that measure gives its column. A column has a value per face, person or
second of video, NaN where it cannot be measured; the line's figure is their mean, unless the row names another
summary, with a bootstrap interval over faces, persons or seconds.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from nntrack.evaluation.bootstrap import MIN_GROUPS, Resamples, interval
from nntrack.evaluation.metrics import SIGMAS, Figure, expected_fraction
from nntrack.evaluation.perturbations import CROPS, RANDOM

Columns = Mapping[str, np.ndarray]
RESAMPLES = 300  # of figures that are no means
WIDTHS = (5, 10, 15, 20, 30, 40, 50, 60, 70, 80)  # % of the frame's width
ELEVATIONS = (-10, 0, 10, 20)  # degrees
ACTIONS = ("blink", "gaze", "jaw", "smile", "brows")  # of the face
WORN = ("glasses", "dark_glasses", "hair", "beard", "hat", "hand")
AXES, PLACES = ("pitch", "yaw", "roll"), ("x", "y", "size")

# Groups of lines in the order of the table: title, and what is done
GROUPS = {
    "noise": ("Noise", "the same face with new camera noise each time (grey levels of 255), or decoded from a JPEG"),
    "live": ("Live jitter", "a head that hardly moves, in the tracker's loop: the deviation of as much white noise"),
    "crop": (
        "Crop",
        "the window scaled, or moved by whole pixels; then the loop from a window 0.7 or 1.5 times as large",
    ),
    "gain": ("Gain", "heads that nod or turn step by step: a line through the answers against the truth"),
    "turn": ("Turn", "a head that turns by 45 degrees to either side before a camera that looks down on it"),
    "mirror": ("Mirror", "every face and its mirror image"),
    "face": ("Face moves, head does not", "one pose, the face at rest and with an expression"),
    "worn": ("Glasses, hair, beard, hat, hand", "one pose, with and without"),
    "light": ("Light", "one pose in even and in bad light"),
    "distance": ("Distance and edge", "the localizer, on faces of so many % of the frame's width"),
    "gone": ("Gone and back", "the face leaves, is covered, comes back"),
    "honesty": ("Honesty", "the standard deviations (sigma) that the pose net states"),
}


Better = Literal["lower", "higher", "near"]


@dataclass(frozen=True)
class Line:
    """A line of the card.

    group: of `GROUPS`. better: lower or higher values, or those near ``ideal``. columns: that `summary` needs; the
    column of the line's name if there are none, of which the mean is taken.
    """

    group: str
    title: str
    unit: str
    better: Better = "lower"
    ideal: float = 0.0
    columns: tuple[str, ...] = ()
    summary: Callable[..., float] | None = None
    digits: int = 2

    def distance(self, value: float) -> float:
        """How far a value is from the best one; 0 or more, in the line's unit."""
        if self.better == "near":
            return abs(value - self.ideal)
        return max(0.0, value if self.better == "lower" else self.ideal - value)


def ratio_of_means(above: np.ndarray, below: np.ndarray) -> float:
    """The mean of the first column / that of the second."""
    return float(np.mean(above) / np.mean(below))


def spearman(a: np.ndarray, b: np.ndarray) -> float:
    """Spearman's rank correlation of two columns. Equal values are ranked by their order; predictions never are."""
    one, other = (np.argsort(np.argsort(column, kind="stable"), kind="stable").astype(np.float64) for column in (a, b))
    return float(np.corrcoef(one, other)[0, 1])


def auroc(positive: np.ndarray, negative: np.ndarray) -> float:
    """The probability that a value of the first column is larger than one of the second."""
    return float(np.mean(positive[:, None] > negative))


def _noise() -> dict[str, Line]:
    return {
        f"{name}_{quantity}": Line("noise", f"{title}: {what}", unit)
        for name, title in RANDOM.items()
        for quantity, what, unit in (("rotation", "rotation", "deg"), ("position", "x, y", "%"), ("size", "size", "%"))
    }


def _gain() -> dict[str, Line]:
    lines = {}
    for axis in ("pitch", "yaw"):
        lines[f"gain_{axis}_slope"] = Line("gain", f"{axis}: slope", "", "near", 1.0)
        lines[f"gain_{axis}_offset"] = Line("gain", f"{axis}: offset", "deg", "near")
        lines[f"gain_{axis}_residual"] = Line("gain", f"{axis}: residual", "deg")
    return lines


def _worn() -> dict[str, Line]:
    lines = {}
    for name in WORN:
        title = name.replace("_", " ")
        for quantity, unit in (("yaw", "deg"), ("pitch", "deg"), ("size", "%")):
            lines[f"{name}_{quantity}"] = Line("worn", f"{title}: change of {quantity}", unit)
        lines[f"{name}_noise"] = Line(
            "worn", f"{title}: noise, with / without", "ratio",
            columns=(f"{name}_noise", "bare_noise"), summary=ratio_of_means,
        )  # fmt: skip
        lines[f"{name}_lost"] = Line("worn", f"{title}: faces that the localizer loses", "%", digits=1)
    return lines


def _distance() -> dict[str, Line]:
    places = {f"{width:02d}": f"{width} %" for width in WIDTHS} | {"aside": "far from the middle", "cut": "cut off"}
    lines = {}
    for name, title in places.items():
        lines[f"found_{name}"] = Line("distance", f"{title}: found", "%", "higher", 100.0, digits=1)
        lines[f"iou_{name}"] = Line("distance", f"{title}: IoU of the box", "", "higher", 1.0)
    return lines | {"false_alarms": Line("distance", "frames without a face: taken for one", "%", digits=1)}


def _honesty() -> dict[str, Line]:
    return {
        f"within_{sigmas}s_{axis}": Line(
            "honesty", f"{axis}: errors within {sigmas} sigma", "", "near", round(expected_fraction(sigmas, 1), 3)
        )
        for sigmas in SIGMAS
        for axis in (*AXES, *PLACES)
    }


LINES: dict[str, Line] = {
    **_noise(),
    **{f"live_{axis}": Line("live", axis, "deg") for axis in ("yaw", "pitch", "roll")},
    **{f"live_{axis}": Line("live", axis, "%") for axis in PLACES},
    "live_lost": Line("live", "frames without a pose", "%", digits=1),
    **{f"crop_pitch_{name}": Line("crop", f"{title}: pitch, peak to peak", "deg") for name, title in CROPS.items()},
    **{f"crop_turn_{name}": Line("crop", f"{title}: rotation, peak to peak", "deg") for name, title in CROPS.items()},
    "crop_moved": Line("crop", "moved by up to 4 px: rotation", "deg"),
    "crop_settled": Line("crop", "frames until the loop settles within 1 deg", "frames"),
    **_gain(),
    **{
        f"turn_{axis}_{angle}": Line("turn", f"from {angle} deg above: {axis}, peak to peak", "deg")
        for angle in ELEVATIONS
        for axis in ("pitch", "roll")
    },
    "mirror": Line("mirror", "rotation", "deg"),
    **{f"face_{name}": Line("face", f"{name}: rotation", "deg") for name in ACTIONS},
    **{f"face_{name}_pitch": Line("face", f"{name}: pitch", "deg") for name in ("blink", "brows", "jaw")},
    "face_gaze_yaw": Line("face", "gaze: yaw", "deg"),
    **_worn(),
    **{
        f"light_{name}_{quantity}": Line("light", f"{title}: {what}", "deg")
        for name, title in (("side", "from one side"), ("back", "from behind"), ("dark", "an eighth of the light"))
        for quantity, what in (("error", "increase of the error"), ("change", "change of the rotation"))
    },
    "light_rule_change": Line("light", "across the client's brightness rule: change of the rotation", "deg"),
    **_distance(),
    "left_widest": Line("gone", "left: widest window, frame widths", ""),
    "left_poses": Line("gone", "left: frames with a pose", "%", digits=1),
    "left_again": Line("gone", "left: frames until it is found again", "frames"),
    "covered_widest": Line("gone", "covered: widest window, frame widths", ""),
    "covered_poses": Line("gone", "covered: frames with a pose", "%", digits=1),
    "covered_again": Line("gone", "covered: frames until it is found again", "frames"),
    "blank_widest": Line("gone", "black, white, grey and noise: widest window, frame widths", ""),
    **_honesty(),
    "sigma_rank": Line(
        "honesty", "rank correlation of sigma with the error", "", "higher", 1.0, ("sigma", "error"), spearman
    ),
    "sigma_auroc": Line(
        "honesty", "sigma tells what is no face: area under the ROC curve", "", "higher", 1.0,
        ("sigma_empty", "sigma"), auroc,
    ),
}  # fmt: skip


def figures(columns: Columns, groups: np.ndarray, seed: int) -> dict[str, Figure]:
    """The figures of all lines that have their columns, in the order of `LINES`.

    Args:
        columns: (n,) values by name.
        groups: (n,) names of what is resampled together.
        seed: of the resamples.
    """
    found = {}
    for name, line in LINES.items():
        needed = line.columns or (name,)
        if not all(column in columns for column in needed):
            continue
        values = np.stack([columns[column] for column in needed])  # (k, n)
        known = np.isfinite(values).all(axis=0)
        if known.any():
            found[name] = _figure(line, values[:, known], groups[known], seed)
    return found


def _figure(line: Line, values: np.ndarray, groups: np.ndarray, seed: int) -> Figure:
    rng = np.random.default_rng(seed)
    if line.summary is None:
        resampled = Resamples(groups, rng).means(values)[0]
    else:
        names, index = np.unique(groups, return_inverse=True)
        members = [np.flatnonzero(index == i) for i in range(len(names))]
        draws = rng.integers(len(names), size=(RESAMPLES if len(names) >= MIN_GROUPS else 0, len(names)))
        chosen = [np.arange(values.shape[1]), *(np.concatenate([members[i] for i in draw]) for draw in draws)]
        resampled = np.array([line.summary(*values[:, one]) for one in chosen])
    low, high = (None if end is None else round(end, line.digits + 1) for end in interval(resampled) or (None, None))
    return Figure(round(float(resampled[0]), line.digits + 1), low, high, values.shape[1])
