"""Checks an ONNX file against all that the client asks of it (`contract`), point by point.

The points of the contract are about the file, its interface, and its outputs for inputs made by formula. The points of
the loop are about what becomes of the client's window while there is no face in front of the camera: the client trusts
the pose net then, and nothing but the net keeps the window from growing or shrinking.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnx

from nntrack import contract
from nntrack.deploy import interface, pictures, preprocess
from nntrack.deploy.runtime import LocalizerModel, PoseModel, load, open_session
from nntrack.deploy.simplify import idle_nodes
from nntrack.deploy.window import look, relative_width

WIDEST = 1.5  # frame widths, that a window without a face may have
STEADY = 1.005  # median growth a frame that is none, to two digits: noise moves a window a little
FRAMES = 100  # in which the window is watched: some seconds
STARTS = (0.2, 0.5, 0.9)  # frame widths, of the window when the face goes away
_FACTORS = ("rotaxis_scales_tril", "pos_size_scales_tril")

OPENS, RUNS = "onnxruntime opens it", "onnxruntime runs it"

Outputs = Sequence[Mapping[str, np.ndarray]]  # raw, one per input
Rule = Callable[[Outputs], str | None]


class Finding(NamedTuple):
    """What was found on one point. fault: what is wrong, None if nothing is. figures: what was measured."""

    point: str
    fault: str | None
    figures: str = ""


def check_file(path: str | os.PathLike[str], loop: bool = True) -> list[Finding]:
    """All points for one file, those of the loop only if ``loop``, and if the file can be used at all.

    Raises as `check_contract`.
    """
    found = check_contract(path)
    try:
        model = load(path)
    except ValueError:
        return found
    return found + (check_loop(model) if loop else [])


def check_contract(path: str | os.PathLike[str]) -> list[Finding]:
    """The points of the contract, for the file of either network.

    After a point that the rest depends on nothing more is checked: a file that cannot be opened, or whose interface is
    wrong. Raises FileNotFoundError or IsADirectoryError if there is no such file.
    """
    path = Path(path)
    try:
        session = open_session(path, 1)
    except ValueError as error:
        return [Finding(OPENS, str(error).removeprefix(f"{path} "))]
    kind = PoseModel.kind if "logit_box" not in [o.name for o in session.get_outputs()] else LocalizerModel.kind
    found = [Finding(OPENS, None)]
    found += [Finding(*point) for point in _file_points(onnx.load(path, load_external_data=False)).items()]
    asked = interface.points(kind, interface.of(session))
    found += [Finding(*point) for point in asked.items()]
    if any(asked.values()):
        return found
    model = load(path)
    images = pictures.inputs(model.input_size)
    try:
        outputs, again = ([model.run(image) for image in order] for order in (images, images[::-1]))
    except ValueError as error:
        return [*found, Finding(RUNS, str(error).removeprefix(f"{path} "))]
    rules = RULES[kind]
    return [
        *found,
        Finding("deterministic", _differences(outputs, again[::-1])),
        *(Finding(point, rule(outputs)) for point, rule in rules.items()),
    ]


def check_loop(model: PoseModel | LocalizerModel) -> list[Finding]:
    """The points of the loop: one for each of `pictures.WITHOUT_FACE`."""
    if isinstance(model, LocalizerModel):
        return [_sees_no_face(model, name) for name in pictures.WITHOUT_FACE]
    return [_keeps_window(model, name) for name in pictures.WITHOUT_FACE]


def print_warnings(path: str | os.PathLike[str]) -> None:
    """Print a line for every fault of the loop that a file of ours has. Raises as `load`."""
    for finding in check_loop(load(path)):
        if finding.fault:
            print(f"warning: {path} without a face in front of the camera ({finding.point}): {finding.fault}")


def _file_points(model: onnx.ModelProto) -> dict[str, str | None]:
    outside = [tensor.name for tensor in model.graph.initializer if tensor.external_data]
    opsets = {o.domain or "ai.onnx": o.version for o in model.opset_import}
    opset = opsets.get("ai.onnx", 0)
    idle = [f"{node.op_type} {node.name or node.output[0]}" for node in idle_nodes(model)]
    return {
        "one file": f"{outside[0]} is in another file, which nobody copies along" if outside else None,
        "opset": f"opset {opset}, at most {contract.NEWEST_OPSET} loads everywhere"
        if opset > contract.NEWEST_OPSET
        else None,
        "IR version": f"IR {model.ir_version}, at most {contract.NEWEST_IR_VERSION} loads everywhere"
        if model.ir_version > contract.NEWEST_IR_VERSION
        else None,
        "no idle nodes": f"{len(idle)} of the nodes do nothing: {', '.join(idle[:3])}" if idle else None,
    }


def _differences(outputs: Outputs, again: Outputs) -> str | None:
    for one, other in zip(outputs, again, strict=True):
        for name, value in one.items():
            if not np.array_equal(value, other[name], equal_nan=True):
                return f"{name} differs by {np.abs(value - other[name]).max():.3g} for the same input"
    return None


def _finite(outputs: Outputs) -> str | None:
    bad = [name for name in outputs[0] if not all(np.isfinite(one[name]).all() for one in outputs)]
    return f"{', '.join(bad)} holds a number that is not finite" if bad else None


def _unit(outputs: Outputs) -> str | None:
    lengths = np.array([np.linalg.norm(one["quat"]) for one in outputs])
    worst = float(lengths[np.argmax(np.abs(lengths - 1))])
    if abs(worst - 1) <= contract.UNIT_TOLERANCE:
        return None
    return f"a quaternion has length {worst:.6f}; the client expects 1 and never checks"


def _upright(boxes: Sequence[np.ndarray]) -> str | None:
    for box in boxes:
        if not np.all(box[:2] < box[2:]):
            return f"a box is {box.round(4).tolist()}, expected x0 < x1 and y0 < y1"
    return None


def _triangular(outputs: Outputs) -> str | None:
    for name in _FACTORS:
        for one in outputs:
            above = float(np.abs(np.triu(one[name][0], 1)).max()) if name in one else 0.0
            if above:
                return f"{name} has {above:.3g} above its diagonal; the client ends unless it is exactly 0"
    return None


def _positive(outputs: Outputs) -> str | None:
    for name in _FACTORS:
        for one in outputs:
            if name in one and not np.all(np.diagonal(one[name][0]) > 0):
                return f"{name} has a diagonal that is not positive: {np.diagonal(one[name][0])}"
    return None


def _has_size(outputs: Outputs) -> str | None:
    least = min(float(one["pos_size"][0, 2]) for one in outputs)
    return None if least > 0 else f"the head's size is {least:.3g}, expected more than 0"


# By kind of network, what its outputs must be.
RULES: dict[str, dict[str, Rule]] = {
    "pose": {
        "finite": _finite,
        "unit quaternions": _unit,
        "boxes upright": lambda outputs: _upright([one["box"][0] for one in outputs]),
        "factors triangular": _triangular,
        "deviations positive": _positive,
        "sizes positive": _has_size,
    },
    "localizer": {
        "finite": _finite,
        "boxes upright": lambda outputs: _upright([one["logit_box"][0, 1:] for one in outputs]),
    },
}


def _sees_no_face(model: LocalizerModel, name: str) -> Finding:
    rng = np.random.default_rng(0)
    frames = [pictures.WITHOUT_FACE[name](rng) for _ in range(5)]
    try:
        score = float(model.predict(frames)["score"].max())
    except ValueError as error:
        return Finding(f"{name}: no face", str(error).removeprefix(f"{model.path}: "))
    fault = f"a face is seen with a score of {score:.2f}" if score > contract.LOCALIZER_THRESHOLD else None
    return Finding(f"{name}: no face", fault, f"score {score:.2f}")


def _keeps_window(model: PoseModel, name: str) -> Finding:
    rng = np.random.default_rng(0)
    frames = [preprocess.pyramid(preprocess.crop_frame(pictures.WITHOUT_FACE[name](rng))[0]) for _ in range(FRAMES)]
    faults, widths, growths = [], [], []
    for start in STARTS:
        fault, seen = _watch(model, frames, start)
        growth = float(np.median(np.divide(seen[1:], seen[:-1]))) if len(seen) > 1 else 1.0
        if not fault and growth > STEADY:
            fault = f"the window grows by a factor of {growth:.3f} a frame"
        faults += [f"{fault}, from {start:g} frame widths"] if fault else []
        widths += seen
        growths.append(growth)
    figures = f"{min(widths):.2f} to {max(widths):.2f} frame widths, at most x {max(growths):.3f} a frame"
    return Finding(f"{name}: window stays", faults[0] if faults else None, figures)


def _watch(model: PoseModel, frames: Sequence[list[np.ndarray]], start: float) -> tuple[str | None, list[float]]:
    """What is wrong with a window that begins in the middle, ``start`` frame widths wide; its width in every frame."""
    height, width = frames[0][-1].shape
    side, widths = start * width, [start]
    window = np.array([(width - side) / 2, (height - side) / 2, side, side], np.float32)
    for number, levels in enumerate(frames, 1):
        try:
            seen = look(model, levels, window)
        except ValueError as error:
            return str(error).removeprefix(f"{model.path}: "), widths
        if seen is None:
            return f"the window shrinks to nothing in {number - 1} frames", widths
        window = seen.window
        widths.append(relative_width(window, levels))
        if widths[-1] > WIDEST:
            return f"the window grows beyond {WIDEST:g} frame widths in {number} frames", widths
    return None, widths
