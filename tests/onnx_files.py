"""ONNX files with constant outputs, or simple functions of the input: stand-ins for networks."""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from nntrack import contract

POSE = {
    "pos_size": [[0.1, -0.2, 0.8]],
    "quat": [[0.0, 0.0, 0.0, 1.0]],
    "box": [[-0.5, -0.6, 0.7, 0.8]],
    "rotaxis_scales_tril": [[[0.1, 0, 0], [0.01, 0.2, 0], [0.02, 0.03, 0.3]]],
    "pos_size_scales_tril": [[[0.1, 0, 0], [0.01, 0.2, 0], [0.02, 0.03, 0.3]]],
}
LOCALIZER = {"logit_box": [[2.0, -0.5, -0.25, 0.5, 0.75]]}


def write(path: Path, outputs: dict, size: tuple, *, version: int = 4, name: str = "x", batch=1, metadata=None) -> Path:
    """A file with these constant outputs; arrays keep their dtype, lists become float32."""
    values = {key: v if isinstance(v, np.ndarray) else np.array(v, np.float32) for key, v in outputs.items()}
    nodes, infos = [], []
    for key, value in values.items():
        nodes.append(helper.make_node("Constant", [], [key], value=numpy_helper.from_array(value)))
        infos.append(helper.make_tensor_value_info(key, helper.np_dtype_to_tensor_dtype(value.dtype), value.shape))
    x = helper.make_tensor_value_info(name, TensorProto.FLOAT, [batch, 1, *size])
    graph = helper.make_graph(nodes, "constant", [x], infos)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", contract.OPSET)], ir_version=7)
    model.model_version = version
    helper.set_model_props(model, metadata or {})
    onnx.save(model, path)
    return path


def pose(path: Path, metadata: dict | None = None, **changes) -> Path:
    """A pose net; ``changes`` replace outputs, None takes one away."""
    outputs = {key: value for key, value in (POSE | changes).items() if value is not None}
    return write(path, outputs, (contract.POSE_SIZE, contract.POSE_SIZE), metadata=metadata)


def localizer(path: Path, metadata: dict | None = None, **changes) -> Path:
    """A localizer that sees a face in the same place of every frame."""
    return write(path, LOCALIZER | changes, contract.LOCALIZER_SIZE, metadata=metadata)


def by_mean(path: Path, slope: float, **changes) -> Path:
    """A pose net that turns the head about its left-right axis, moves it to the right and enlarges it with the mean m
    of its input: quat (s, 0, 0, sqrt(1 - s^2)) with s = slope m, pos_size (m, 0, 1 + m). ``changes`` as of `pose`."""
    model = onnx.load(pose(path, **changes))
    graph = model.graph
    kept = [node for node in graph.node if node.output[0] not in ("quat", "pos_size")]
    del graph.node[:]
    numbers = {"slope": [[slope]], "zero": [[0.0]], "one": [[1.0]], "flat": np.array([1, 1], np.int64)}
    for name, value in numbers.items():
        graph.initializer.append(numpy_helper.from_array(np.asarray(value, getattr(value, "dtype", np.float32)), name))
    make = helper.make_node
    graph.node.extend(
        [
            *kept,
            make("ReduceMean", ["x"], ["mean"], axes=[1, 2, 3], keepdims=0),
            make("Reshape", ["mean", "flat"], ["m"]),
            make("Mul", ["m", "slope"], ["s"]),
            make("Mul", ["s", "s"], ["square"]),
            make("Sub", ["one", "square"], ["rest"]),
            make("Sqrt", ["rest"], ["c"]),
            make("Concat", ["s", "zero", "zero", "c"], ["quat"], axis=1),
            make("Add", ["one", "m"], ["size"]),
            make("Concat", ["m", "zero", "size"], ["pos_size"], axis=1),
        ]
    )
    onnx.save(model, path)
    return path
