import json
import re
from itertools import cycle

import onnx
import pytest
import torch
from torch import nn

from nntrack import contract
from nntrack.deploy import export, runtime
from nntrack.networks import backbones
from nntrack.networks.localizer import LocalizerConfig, LocalizerNet
from nntrack.networks.pose_net import ROTATIONS, PoseConfig, PoseNet

FACTS = export.provenance(
    {
        "w300lp": {
            "source": "real",
            "kept": 7,
            "licence": "research only",
            "archive": "300W-LP.zip",
            "fingerprint": "abc",
            "dropped": '{"no landmarks": 2}',
        },
        "ytfaces": {"source": "real", "kept": 0, "licence": "CC0"},
    },
    "0123456789abcdef",
)


def randomized(net: nn.Module) -> nn.Module:
    """Statistics and weights as after training: a fresh BatchNorm is the identity and would hide an error."""
    generator = torch.Generator().manual_seed(0)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            for tensor, low, high in ((module.running_mean, -0.2, 0.2), (module.running_var, 0.5, 2)):
                tensor.uniform_(low, high, generator=generator)
            module.weight.data.uniform_(0.5, 2, generator=generator)
            module.bias.data.uniform_(-0.2, 0.2, generator=generator)
        if isinstance(module, nn.Linear):
            module.weight.data.normal_(0, 0.2, generator=generator)
    return net.eval()


def pose_net(backbone="mobilenet_v1", rotation="rot6d", width=0.125):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = PoseNet(PoseConfig(backbone, width, rotation, 4, 2))
        net.face_mean.normal_(0, 0.5)
        net.face_shape_basis.normal_(0, 0.1)
        net.face_expression_basis.normal_(0, 0.1)
        return randomized(net)


def localizer_net():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return randomized(LocalizerNet(LocalizerConfig(1.0)))


class Broken(nn.Module):
    """A net whose outputs ``spoil`` changes."""

    def __init__(self, net, spoil):
        super().__init__()
        self.net, self.spoil = net, spoil

    def forward(self, x):
        found = self.net(x)
        self.spoil(found)
        return found


@pytest.mark.parametrize(("backbone", "rotation"), list(zip(backbones.BACKBONES, cycle(ROTATIONS), strict=False)))
def test_every_backbone_and_rotation_exports(backbone, rotation, tmp_path):
    figures = export.export_pose(pose_net(backbone, rotation), tmp_path / "a.onnx", FACTS)
    assert figures["difference"] <= export.TOLERANCE
    assert figures["bytes"] == (tmp_path / "a.onnx").stat().st_size
    model = runtime.PoseModel(tmp_path / "a.onnx")
    assert model.outputs == export.POSE_OUTPUTS and model.has_uncertainty and model.has_landmarks


def test_the_localizer_exports(tmp_path):
    figures = export.export_localizer(localizer_net(), tmp_path / "a.onnx", FACTS)
    assert figures["difference"] <= export.TOLERANCE
    assert runtime.LocalizerModel(tmp_path / "a.onnx").outputs == contract.LOCALIZER_OUTPUTS


def test_opentracks_runtimes_can_read_the_file(tmp_path):
    figures = export.export_pose(pose_net(), tmp_path / "a.onnx", FACTS)
    model = onnx.load(tmp_path / "a.onnx", load_external_data=False)
    assert model.ir_version == figures["ir"] <= contract.MAX_IR_VERSION
    assert [(o.domain, o.version) for o in model.opset_import] == [("", contract.OPSET)]
    assert model.model_version == contract.MODEL_VERSION
    assert all(tensor.data_location == onnx.TensorProto.DEFAULT for tensor in model.graph.initializer)
    assert [p.name for p in tmp_path.iterdir()] == ["a.onnx"]
    assert "BatchNormalization" not in {node.op_type for node in model.graph.node}


def test_the_same_weights_give_the_same_bytes(tmp_path):
    for name, facts in (("a", FACTS), ("b", dict(reversed(FACTS.items())))):
        export.export_pose(pose_net(), tmp_path / f"{name}.onnx", facts)
    assert (tmp_path / "a.onnx").read_bytes() == (tmp_path / "b.onnx").read_bytes()


def test_the_net_is_left_as_it_was(tmp_path):
    net = pose_net("diracnet")
    before = {name: value.clone() for name, value in net.state_dict().items()}
    export.export_pose(net, tmp_path / "a.onnx", FACTS)
    after = net.state_dict()
    assert list(before) == list(after) and all(torch.equal(before[name], after[name]) for name in before)


def test_metadata_has_provenance_and_nothing_of_the_machine(tmp_path):
    export.export_pose(pose_net(), tmp_path / "a.onnx", FACTS)
    metadata = runtime.PoseModel(tmp_path / "a.onnx").metadata
    assert (
        metadata["source"] == "real"
        and metadata["params"] == "0123456789abcdef"
        and "into the screen" in metadata["frame"]
    )
    assert json.loads(metadata["datasets"]) == {
        "w300lp": {
            "archive": "300W-LP.zip",
            "dropped": {"no landmarks": 2},
            "fingerprint": "abc",
            "kept": 7,
            "licence": "research only",
            "source": "real",
        }
    }
    assert "w300lp: research only" in metadata["terms"]
    assert set(json.loads(metadata["tensors"])) == {"x", *export.POSE_OUTPUTS}
    content = (tmp_path / "a.onnx").read_bytes()
    assert b".py" not in content and str(tmp_path).encode() not in content
    model = onnx.load(tmp_path / "a.onnx")
    assert not any(node.doc_string or node.metadata_props for node in model.graph.node)


def test_rendered_images_have_no_licence():
    rendered = {"source": "synthetic", "kept": 7, "licence": "none"}
    facts = export.provenance({"w300lp": rendered}, "x")
    assert facts["source"] == "synthetic"
    assert "no dataset's licence" in export.terms(facts)
    facts = export.provenance(
        {"w300lp": rendered, "ytfaces": {**rendered, "source": "real", "licence": "research only"}}, "x"
    )
    assert facts["source"] == "real and synthetic" and "ytfaces: research only" in export.terms(facts)


def scale(name, factor):
    def spoil(found):
        found[name] = found[name] * factor

    return spoil


def upper(found):
    found["rotaxis_scales_tril"] = found["rotaxis_scales_tril"].transpose(1, 2)


def inverted(found):
    found["box"] = found["box"].flip(1)


def infinite(found):
    found["landmarks"] = found["landmarks"] / 0


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (scale("quat", 1.01), "quaternion has length 1.01"),
        (upper, "above its diagonal"),
        (inverted, "expected x0 < x1"),
        (scale("pos_size", -1), "size is -"),
        (infinite, "landmarks holds a number that is not finite"),
    ],
)
def test_a_net_that_breaks_the_contract_is_not_kept(tmp_path, spoil, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        export.export_pose(Broken(pose_net(), spoil), tmp_path / "a.onnx", FACTS)
    assert list(tmp_path.iterdir()) == []


def test_a_file_with_other_outputs_is_not_kept(tmp_path):
    class Drifting(nn.Module):
        """Another net when it is not traced."""

        def __init__(self):
            super().__init__()
            self.net = pose_net()

        def forward(self, x):
            found = self.net(x)
            if not torch.jit.is_tracing():
                found["box"] = found["box"] + 0.001
            return found

    with pytest.raises(ValueError, match=r"box differs by 0.001 between onnxruntime and torch, at most"):
        export.export_pose(Drifting(), tmp_path / "a.onnx", FACTS)
    assert list(tmp_path.iterdir()) == []


def test_a_localizer_with_an_inverted_box_is_not_kept(tmp_path):
    with pytest.raises(ValueError, match="localizer: a box is"):
        export.export_localizer(Broken(localizer_net(), inverted), tmp_path / "a.onnx", FACTS)
