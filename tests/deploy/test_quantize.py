import numpy as np
import onnx
import pytest

from nntrack.deploy import export, quantize, runtime
from tests import faces
from tests.deploy.test_export import FACTS, localizer_net, pose_net


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("quantize")
    rng = np.random.default_rng(0)
    faces.write(folder / "pose.h5", faces.samples(rng, 8))
    faces.write(folder / "localizer.h5", faces.crops(rng, 8))
    faces.write(folder / "empty.h5", [])
    export.export_pose(pose_net("diracnet", width=0.25), folder / "pose.onnx", FACTS)
    export.export_localizer(localizer_net(), folder / "localizer.onnx", FACTS)
    return folder


@pytest.mark.parametrize("net", ["pose", "localizer"])
def test_an_8_bit_network_is_smaller_and_says_nearly_the_same(net, folder, tmp_path):
    stored = quantize.Stored(folder / f"{net}.h5")
    original, out = folder / f"{net}.onnx", tmp_path / "int8.onnx"
    quantize.quantize(original, out, [quantize.Stored(folder / "empty.h5"), stored])
    assert out.stat().st_size < 0.6 * original.stat().st_size
    one, other = runtime.load(original), runtime.load(out)
    assert other.metadata == one.metadata and other.version == one.version
    assert {node.op_type for node in onnx.load(out).graph.node} >= {"QuantizeLinear", "DequantizeLinear"}
    for inputs in quantize._inputs(one, stored):
        expected, found = one.run(inputs["x"][0, 0]), other.run(inputs["x"][0, 0])
        for name, value in expected.items():
            assert np.abs(found[name] - value).mean() < 0.1 * max(1, np.abs(value).max())
    quantize.quantize(original, tmp_path / "again.onnx", [stored])
    assert (tmp_path / "again.onnx").read_bytes() == out.read_bytes()


def test_without_images_there_is_no_8_bit_network(folder, tmp_path):
    with pytest.raises(ValueError, match=r"empty\.h5: there is no sample"):
        quantize.quantize(folder / "pose.onnx", tmp_path / "x.onnx", [quantize.Stored(folder / "empty.h5")])
    assert not list(tmp_path.iterdir())
