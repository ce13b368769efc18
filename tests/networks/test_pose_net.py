import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from nntrack.geometry.rotations import quat_to_rotmat
from nntrack.networks import backbones
from nntrack.networks.localizer import LocalizerConfig, LocalizerNet
from nntrack.networks.pose_net import ROTATIONS, SCALE_FLOOR, PoseConfig, PoseNet
from nntrack.networks.weights import load_localizer, load_pose
from nntrack.networks.weights import save as save_weights
from tests import faces


def pose_net(rotation="rot6d", backbone="mobilenet_v1"):
    torch.manual_seed(1)
    model = faces.face_model(4, 3)
    model.shape_basis[:] = np.random.default_rng(0).normal(size=model.shape_basis.shape)
    model.expression_basis[:] = np.random.default_rng(1).normal(size=model.expression_basis.shape)
    return PoseNet(PoseConfig(backbone, 0.25, rotation, 4, 3), model)


NETS = {
    **{f"pose {rotation}": (lambda rotation=rotation: pose_net(rotation), (129, 129)) for rotation in ROTATIONS},
    "localizer": (lambda: LocalizerNet(LocalizerConfig(1.0)), (224, 288)),
}
SHAPES = {
    "quat": (4,),
    "pos_size": (3,),
    "box": (4,),
    "landmarks": (68, 3),
    "shape_params": (4,),
    "expression_params": (3,),
    "rotaxis_scales_tril": (3, 3),
    "pos_size_scales_tril": (3, 3),
}


def trained_a_little(net, size):
    """Statistics and weights away from the start, so that nothing agrees by being zero."""
    x = torch.randn(4, 1, *size)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(0.02 * torch.randn_like(parameter))
    net(x)
    return net.eval()


@pytest.mark.parametrize("rotation", ROTATIONS)
def test_pose_outputs_keep_the_clients_promises(rotation):
    net = trained_a_little(pose_net(rotation), (129, 129))
    found = net(3 * torch.randn(5, 1, 129, 129))
    assert {name: tuple(value.shape) for name, value in found.items()} == {n: (5, *s) for n, s in SHAPES.items()}
    torch.testing.assert_close(found["quat"].norm(dim=1), torch.ones(5))
    assert (found["pos_size"][:, 2] > 0).all()
    assert (found["box"][:, 2:] > found["box"][:, :2]).all()
    for name in ("rotaxis_scales_tril", "pos_size_scales_tril"):
        assert not torch.triu(found[name], 1).any()
        assert (torch.diagonal(found[name], dim1=1, dim2=2) >= SCALE_FLOOR).all()


def test_landmarks_are_the_face_model_placed():
    net = trained_a_little(pose_net(), (129, 129))
    found = {name: value.detach() for name, value in net(torch.randn(3, 1, 129, 129)).items()}
    model = faces.FaceModel(
        *(getattr(net, f"face_{name}").numpy() for name in ("mean", "shape_basis", "expression_basis"))
    )
    face = model.landmarks(found["shape_params"].numpy(), found["expression_params"].numpy())
    placed = quat_to_rotmat(found["quat"].double()).numpy() @ face.transpose(0, 2, 1)
    placed = placed.transpose(0, 2, 1) * found["pos_size"][:, None, 2:].numpy()
    placed[..., :2] += found["pos_size"][:, None, :2].numpy()
    np.testing.assert_allclose(found["landmarks"], placed, atol=1e-4)


@pytest.mark.parametrize("name", NETS)
def test_a_gradient_reaches_every_parameter(name):
    build, size = NETS[name]
    net = build()
    # far enough from the start that no head's gradient is zero by symmetry
    (sum((value * torch.randn_like(value)).sum() for value in net(torch.randn(3, 1, *size)).values())).backward()
    for label, parameter in net.named_parameters():
        assert parameter.grad is not None and torch.isfinite(parameter.grad).all(), label
        # a softmax does not see what is added to all of its inputs
        assert parameter.grad.abs().sum() > 0 or label == "heat.bias", label


def test_the_localizer_is_small():
    with FlopCounterMode(display=False) as counter:
        LocalizerNet(LocalizerConfig(1.0)).eval()(torch.zeros(1, 1, 224, 288))
    assert counter.get_total_flops() / 2 < 60e6


def test_the_heat_map_is_a_distribution_and_moves_the_box():
    net = LocalizerNet(LocalizerConfig(1.0)).eval()
    found = net(torch.zeros(2, 1, 224, 288))
    assert found["heatmap"].shape == (2, 14, 18)
    torch.testing.assert_close(found["heatmap"].sum(dim=(1, 2)), torch.ones(2))
    raw = torch.zeros(1, 1, 14, 18)
    raw[0, 0, 3, 5] = 100.0
    box = net._heads(torch.zeros(1, 64, 14, 18), raw)["box"]
    centre = (box[0, :2] + box[0, 2:]) / 2
    torch.testing.assert_close(centre, backbones.cell_centres(14, 18)[3 * 18 + 5])


@pytest.mark.parametrize("name", NETS)
def test_comes_back_from_disk(name, tmp_path):
    build, size = NETS[name]
    net = trained_a_little(build(), size)
    save_weights(tmp_path / "net", net)
    load, other = load_pose, load_localizer
    if name == "localizer":
        load, other = other, load
    found = load(tmp_path / "net")
    assert not found.training
    assert found.config == net.config
    x = torch.randn(2, 1, *size)
    for key, value in net(x).items():
        assert torch.equal(found(x)[key], value)
    with pytest.raises(ValueError, match="holds a"):
        other(tmp_path / "net")


def test_unknown_rotation_and_other_face_models_are_refused():
    with pytest.raises(ValueError, match="'euler'; known: quat, rot6d"):
        PoseNet(PoseConfig("mobilenet_v1", 0.25, "euler", 4, 3))
    with pytest.raises(ValueError, match="shape_basis of the face model"):
        PoseNet(PoseConfig("mobilenet_v1", 0.25, "quat", 5, 3), faces.face_model(4, 3))
