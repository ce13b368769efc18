"""Whether the client can use a network by the names, shapes and types of its inputs and outputs, point by point."""

from collections.abc import Mapping
from typing import NamedTuple

import onnxruntime

from nntrack import contract

FLOAT = "tensor(float)"  # as onnxruntime calls float32


class Tensor(NamedTuple):
    """An input or output. shape: a free dimension is a str or None."""

    name: str
    shape: tuple[int | str | None, ...]
    dtype: str


class Interface(NamedTuple):
    """What onnxruntime tells of a file. version: ``ModelProto.model_version``."""

    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    version: int


def of(session: onnxruntime.InferenceSession) -> Interface:
    """The interface of the file that a session has opened."""
    inputs, outputs = (
        tuple(Tensor(value.name, tuple(value.shape), value.type) for value in values)
        for values in (session.get_inputs(), session.get_outputs())
    )
    return Interface(inputs, outputs, int(session.get_modelmeta().version))


def points(kind: str, found: Interface) -> dict[str, str | None]:
    """What is wrong with an interface by point, None where nothing is; ``kind`` is "pose" or "localizer"."""
    pose = kind == "pose"
    outputs: Mapping[str, tuple[int, ...]] = contract.POSE_OUTPUTS if pose else contract.LOCALIZER_OUTPUTS
    return {
        "one input 'x'": _input_name(found),
        "input shape": _input_shape(found, pose),
        "types": _types(found),
        "output names": _output_names(found, contract.POSE_REQUIRED if pose else tuple(outputs)),
        "output shapes": _output_shapes(found, outputs),
    } | ({"model_version": _version(found)} if pose else {})


def _input_name(found: Interface) -> str | None:
    if [value.name for value in found.inputs] == [contract.INPUT_NAME]:
        return None
    names = ", ".join(repr(value.name) for value in found.inputs)
    return f"expected exactly one input called '{contract.INPUT_NAME}', got {names or 'none'}"


def _input_shape(found: Interface, pose: bool) -> str | None:
    shape = found.inputs[0].shape if found.inputs else ()
    if not (len(shape) == 4 and shape[:2] == (1, 1) and all(isinstance(n, int) for n in shape)):
        return f"the input has shape {shape}, expected (1, 1, height, width), all fixed"
    if pose and shape[2] != shape[3]:
        return f"the input is {shape[2:]}, expected a square"
    if not pose and shape[2:] != contract.LOCALIZER_SIZE:
        return f"the input is {shape[2:]}, expected {contract.LOCALIZER_SIZE}"
    return None


def _types(found: Interface) -> str | None:
    wrong = [f"{value.name} is {value.dtype}" for value in (*found.inputs, *found.outputs) if value.dtype != FLOAT]
    return f"every input and output must be {FLOAT}, but {'; '.join(wrong)}" if wrong else None


def _output_names(found: Interface, required: tuple[str, ...]) -> str | None:
    names = [value.name for value in found.outputs]
    missing = [name for name in required if name not in names]
    if not missing:
        return None
    return f"no output is called {', '.join(missing)} (upper and lower case count); it has {', '.join(names)}"


def _output_shapes(found: Interface, outputs: Mapping[str, tuple[int, ...]]) -> str | None:
    for value in found.outputs:
        if value.shape != outputs.get(value.name, value.shape):
            return f"output {value.name} has shape {value.shape}, expected {outputs[value.name]}"
    return None


def _version(found: Interface) -> str | None:
    if contract.OLDEST_MODEL_VERSION <= found.version <= contract.MODEL_VERSION:
        return None
    return (
        f"model_version is {found.version}, expected {contract.OLDEST_MODEL_VERSION}..{contract.MODEL_VERSION}: "
        "the client takes any other for its first format, with quaternions in another frame"
    )
