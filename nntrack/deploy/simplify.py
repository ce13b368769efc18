"""Simplifies exported graphs: no no-ops, no constants that can be folded, no shapes computed at run time."""

import copy
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import onnx
import onnxruntime

_HAND_ON = ("Identity", "Dropout")  # kinds of nodes that do nothing at all when a network runs,
_SHAPING = ("Cast", "Expand", "Flatten", "Reshape", "Squeeze", "Tile", "Unsqueeze")  # or change nothing but the type


def simplify(model: onnx.ModelProto) -> onnx.ModelProto:
    """A simpler graph of the same function, in the same opset, which importers other than onnxruntime can read, too.

    onnxruntime's basic optimizations, which are the same on all processors, fold constants (all shapes are known) and
    remove identities and casts to the same type.
    """
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.log_severity_level = 3
    with tempfile.TemporaryDirectory() as folder:
        options.optimized_model_filepath = str(Path(folder) / "model.onnx")
        onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        simplified = onnx.load(options.optimized_model_filepath)
    del simplified.opset_import[:]  # onnxruntime lists every domain that it knows
    simplified.opset_import.extend(model.opset_import)
    for node in simplified.graph.node:
        while node.input and not node.input[-1]:  # an optional input that is left out: onnx2torch looks for it
            del node.input[-1]
    _remove(simplified.graph, idle_nodes(simplified))
    _separate_outputs(simplified.graph)
    return simplified


def idle_nodes(model: onnx.ModelProto) -> list[onnx.NodeProto]:
    """The nodes that hand on what they get, as far as shapes are known."""
    graph = onnx.shape_inference.infer_shapes(model).graph
    types = {value.name: value.type for value in (*graph.input, *graph.value_info, *graph.output)}
    types |= {t.name: onnx.helper.make_tensor_type_proto(t.data_type, t.dims) for t in graph.initializer}
    return [node for node in model.graph.node if _is_idle(node, types)]


def _is_idle(node: onnx.NodeProto, types: Mapping[str, onnx.TypeProto]) -> bool:
    if node.op_type in _SHAPING:
        before, after = types.get(node.input[0]), types.get(node.output[0])
        return before is not None and before == after and _is_fixed(before)
    if node.op_type == "Transpose":
        order = next((list(a.ints) for a in node.attribute if a.name == "perm"), [1, 0])
        return order == sorted(order)
    return node.op_type in _HAND_ON or (node.op_type == "Concat" and len(node.input) == 1)


def _is_fixed(kind: onnx.TypeProto) -> bool:
    """Whether the shape is known: two unknown ones would be equal."""
    tensor = kind.tensor_type
    return tensor.HasField("shape") and all(n.HasField("dim_value") for n in tensor.shape.dim)


def _remove(graph: onnx.GraphProto, idle: Sequence[onnx.NodeProto]) -> None:
    """Take out nodes, and let those that use their output use their input; not if that is an output of the graph."""
    outputs = {value.name for value in graph.output}
    instead: dict[str, str] = {}
    for node in idle:
        if not outputs & set(node.output):
            instead[node.output[0]] = instead.get(node.input[0], node.input[0])
            graph.node.remove(node)
    for node in graph.node:
        node.input[:] = [instead.get(name, name) for name in node.input]


def _separate_outputs(graph: onnx.GraphProto) -> None:
    """Copy each node whose output is one of the graph's and also an input of other nodes, which then use the copy's.

    Otherwise a conversion to float16 with float32 outputs (onnxconverter-common) feeds float32 to those other nodes.
    """
    outputs = {value.name for value in graph.output}
    used = {name for node in graph.node for name in node.input}
    nodes = []
    for node in graph.node:
        nodes.append(node)
        if outputs & used & set(node.output):
            inner = copy.deepcopy(node)
            inner.name += "_inner"
            inner.output[:] = [f"{name}_inner" for name in node.output]
            nodes.append(inner)
        node.input[:] = [f"{name}_inner" if name in outputs else name for name in node.input]
    graph.ClearField("node")
    graph.node.extend(nodes)
