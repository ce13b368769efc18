"""Whether what people do with ONNX files works on ours: conversion to float16, quantization, other runtimes."""

import warnings

import cv2
import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from nntrack.deploy import export
from nntrack.networks.pose_net import ROTATIONS
from tests.deploy.test_export import FACTS, localizer_net, pose_net

NETS = [*ROTATIONS, "localizer"]


@pytest.fixture(scope="module", params=NETS)
def path(request, tmp_path_factory):
    """An exported net."""
    path = tmp_path_factory.mktemp("onnx") / "net.onnx"
    if request.param == "localizer":
        export.export_localizer(localizer_net(), path, FACTS)
    else:
        export.export_pose(pose_net("diracnet", request.param), path, FACTS)
    return path


def run(model, x):
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, {"x": x}), strict=True))


def assert_same(path, compute, tolerance=1e-4):
    """``compute`` of x returns all outputs by name; errors are relative to the larger of 1 and the largest value."""
    shape = [d.dim_value for d in onnx.load(path).graph.input[0].type.tensor_type.shape.dim]
    for seed in range(3):
        x = np.random.default_rng(seed).uniform(-0.5, 0.5, shape).astype(np.float32)
        expected, found = run(path, x), compute(x)
        assert list(found) == list(expected)
        for name, value in expected.items():
            other = np.reshape(found[name], value.shape)
            if name == "quat" and np.sum(value * other) < 0:
                other = -other
            assert np.abs(other - value).max() <= tolerance * max(1, np.abs(value).max()), name


def test_graphs_hold_nothing_that_could_be_left_out(path):
    model = onnx.load(path)
    kinds = {node.op_type for node in model.graph.node}
    assert kinds.isdisjoint({"Cast", "Constant", "ConstantOfShape", "Dropout", "Expand", "Identity", "Shape", "Tile"})
    computed = {name for node in model.graph.node for name in node.output} | {"x"}
    assert all(computed & set(node.input) for node in model.graph.node)
    assert all(node.input[-1] for node in model.graph.node)
    assert [(o.domain, o.version) for o in model.opset_import] == [("", 13)]


def test_every_shape_is_known_by_strict_inference(path):
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    inferred = onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True).graph
    values = [*inferred.value_info, *inferred.output]
    known = {v.name for v in values if all(d.HasField("dim_value") for d in v.type.tensor_type.shape.dim)}
    assert {name for node in inferred.node for name in node.output} <= known


@pytest.mark.parametrize("converter", ["onnxconverter_common.float16", "onnxruntime.transformers.float16"])
def test_conversion_to_float16(path, converter):
    convert = pytest.importorskip(converter).convert_float_to_float16
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "the float32 number")  # is too small for float16
        half = convert(onnx.load(path), keep_io_types=True).SerializeToString()
    assert_same(path, lambda x: run(half, x), tolerance=1e-2)


def test_quantization(path, tmp_path):
    quantization = pytest.importorskip("onnxruntime.quantization")
    prepared, small = tmp_path / "prepared.onnx", tmp_path / "int8.onnx"
    quantization.quant_pre_process(path, prepared)
    assert_same(path, lambda x: run(prepared, x))
    quantization.quantize_dynamic(prepared, small)
    assert_same(path, lambda x: run(small, x), tolerance=0.5)
    assert small.stat().st_size < 0.7 * path.stat().st_size


def test_opencv(path):
    net = cv2.dnn.readNetFromONNX(str(path))
    names = [output.name for output in onnx.load(path).graph.output]

    def compute(x):
        net.setInput(x, "x")
        return dict(zip(names, net.forward(names), strict=True))

    assert_same(path, compute)


def test_onnx2torch(path):
    onnx2torch = pytest.importorskip("onnx2torch")
    net, names = onnx2torch.convert(onnx.load(path)), [output.name for output in onnx.load(path).graph.output]

    def compute(x):
        with torch.no_grad():
            found = net(torch.from_numpy(x))
        return dict(zip(names, [found] if len(names) == 1 else found, strict=True))

    assert_same(path, compute)


def test_openvino(path):
    openvino = pytest.importorskip("openvino")
    net = openvino.Core().compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    assert_same(path, lambda x: {output.any_name: value for output, value in net(x).items()})
