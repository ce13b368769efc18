"""Simplifies exported graphs: no no-ops, no constants that can be folded, no shapes computed at run time."""

import copy
import tempfile
from pathlib import Path

import onnx
import onnxruntime


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
    _separate_outputs(simplified.graph)
    return simplified


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
