import math

import pytest
import torch

from nntrack.geometry.rotations import normalize, quat_multiply, rotvec_to_quat
from nntrack.networks import losses

TABLES = [
    pytest.param(table, name, id=name)
    for table in (losses.POSE, losses.POSE_METRICS, losses.LOCALIZER)
    for name in table
]
MASKS = ("face", "bbox", "quat", "pos_size", "landmarks", "landmarks_depth")


def batch_of(count=6):
    generator = torch.Generator().manual_seed(0)
    low = torch.rand(count, 2, generator=generator) - 1
    return {
        "index": torch.arange(count),
        "face": (torch.arange(count) % 2).float(),
        "bbox": torch.cat([low, low + 0.4 + torch.rand(count, 2, generator=generator)], dim=1),
        "quat": normalize(torch.randn(count, 4, generator=generator)),
        "pos_size": torch.rand(count, 3, generator=generator),
        "landmarks": torch.randn(count, 68, 3, generator=generator),
        **{f"has_{name}": torch.ones(count, dtype=torch.bool) for name in MASKS},
    }


def gaussian_heat(box, height=14, width=18):
    cells = losses.cell_centres(height, width)
    spread = (box[:, None, 2:] - box[:, None, :2]) / 4
    centre = (box[:, None, 2:] + box[:, None, :2]) / 2
    return (-0.5 * ((cells - centre) / spread).square().sum(2)).softmax(1).view(-1, height, width)


def perfect(batch):
    """A prediction without a fault, and sure of it."""
    count = len(batch["index"])
    return {
        "quat": batch["quat"].clone(),
        "pos_size": batch["pos_size"].clone(),
        "box": batch["bbox"].clone(),
        "landmarks": batch["landmarks"].clone(),
        "shape_params": torch.zeros(count, 40),
        "expression_params": torch.zeros(count, 10),
        "rotaxis_scales_tril": 0.1 * torch.eye(3).repeat(count, 1, 1),
        "pos_size_scales_tril": 0.1 * torch.eye(3).repeat(count, 1, 1),
        "logit": 40 * (batch["face"] - 0.5),
        "heatmap": gaussian_heat(batch["bbox"]),
    }


def spoilt(prediction):
    generator = torch.Generator().manual_seed(1)

    def noise(value):
        return 0.1 * torch.randn(value.shape, generator=generator)

    turned = quat_multiply(prediction["quat"], rotvec_to_quat(0.4 * torch.ones(len(prediction["quat"]), 3)))
    return {
        **{name: value + noise(value) for name, value in prediction.items() if "tril" not in name},
        "quat": turned,
        "rotaxis_scales_tril": prediction["rotaxis_scales_tril"],
        "pos_size_scales_tril": prediction["pos_size_scales_tril"],
        "logit": prediction["logit"] / 40,
        "heatmap": prediction["heatmap"].flip(2),
    }


@pytest.mark.parametrize(("table", "name"), TABLES)
def test_a_perfect_prediction_costs_nothing_and_a_fault_does(table, name):
    batch = batch_of()
    row = table[name]
    if row.no_face:
        batch |= {"face": torch.zeros(6), "bbox": torch.tensor(losses.NO_FACE_BOX).repeat(6, 1)}
    right, wrong = perfect(batch), spoilt(perfect(batch))
    if name == "nll_no_face":  # to be sure is the fault
        right |= {"rotaxis_scales_tril": losses.NO_FACE_ROTATION * torch.eye(3).repeat(6, 1, 1)}
    best, worse = (row.function(p, batch) for p in (right, wrong))
    assert best.shape == worse.shape == (6,)
    assert (worse > best).all()
    assert worse.mean() > best.mean() + 1e-3
    if not name.startswith("nll"):  # a density has no zero
        assert best.abs().max() < 1e-4


@pytest.mark.parametrize(("table", "name"), TABLES)
def test_missing_labels_send_nothing(table, name):
    """Labels of samples without them may be anything: loss and gradient are those of the others."""
    batch, prediction = batch_of(), spoilt(perfect(batch_of()))
    if not table[name].labels:
        return
    present = torch.tensor([True, False, True, True, False, True])
    broken = {key: value.clone() for key, value in batch.items()}
    for field in table[name].labels:
        broken[f"has_{field}"] &= present
    for field in ("quat", "pos_size", "bbox", "landmarks"):
        broken[field][~present] = 0

    def gradients(target, chosen):
        leaves = {key: value[chosen].clone().requires_grad_() for key, value in prediction.items()}
        loss, _ = losses.total({name: 1.0}, table, leaves, {key: value[chosen] for key, value in target.items()})
        loss.backward()
        return loss, {key: leaf.grad for key, leaf in leaves.items() if leaf.grad is not None}

    everything = torch.ones(6, dtype=torch.bool)
    loss, found = gradients(broken, everything)
    wanted_loss, wanted = gradients(batch, present)
    torch.testing.assert_close(loss, wanted_loss)
    for key, value in found.items():
        assert torch.isfinite(value).all()
        assert not value[~present].any()
        torch.testing.assert_close(value[present], wanted[key])


@pytest.mark.parametrize(("table", "name"), TABLES)
def test_a_batch_without_any_label_is_no_loss(table, name):
    batch = batch_of() | {f"has_{field}": torch.zeros(6, dtype=torch.bool) for field in MASKS}
    loss, _ = losses.total({name: 1.0}, table, spoilt(perfect(batch)), batch)
    assert torch.isfinite(loss)
    assert not table[name].labels or loss == 0


def test_total_weighs_and_ramps():
    batch = batch_of()
    prediction = spoilt(perfect(batch))
    weights = {"rotation": 2.0, "nll_rotation": 0.5}
    for ramp in (0.0, 0.25, 1.0):
        loss, means = losses.total(weights, losses.POSE, prediction, batch, ramp)
        torch.testing.assert_close(loss, 2 * means["rotation"] + 0.5 * ramp * means["nll_rotation"])


def test_likelihoods_teach_the_factors_alone():
    batch = batch_of()
    leaves = {name: value.requires_grad_() for name, value in spoilt(perfect(batch)).items()}
    loss, _ = losses.total({"nll_rotation": 1.0, "nll_pos_size": 1.0}, losses.POSE, leaves, batch)
    loss.backward()
    with_gradient = {name for name, leaf in leaves.items() if leaf.grad is not None}
    assert with_gradient == {"rotaxis_scales_tril", "pos_size_scales_tril"}


@pytest.mark.parametrize("angle", [0.05, 0.3])
def test_the_likelihood_is_best_where_the_factor_fits_the_errors(angle):
    count = 2000
    generator = torch.Generator().manual_seed(0)
    offset = angle * torch.randn(count, 3, generator=generator)
    truth = {"quat": rotvec_to_quat(offset)}
    scales = [0.5 * angle, angle, 2 * angle]
    costs = []
    for scale in scales:
        prediction = {
            "quat": rotvec_to_quat(torch.zeros(count, 3)),
            "rotaxis_scales_tril": scale * torch.eye(3).expand(count, 3, 3),
        }
        costs.append(losses.nll_rotation(prediction, truth).mean().item())
    assert min(costs) == costs[1]
    # the textbook's value for a Gaussian, and a little for the outliers
    assert costs[1] == pytest.approx(1.5 * (1 + math.log(2 * math.pi)) + 3 * math.log(angle), abs=0.15)


def test_without_a_face_the_expected_likelihood_is_best_at_the_deviation_of_a_guess():
    stated = torch.tensor([0.3, 0.5, 0.7, 1.0, 1.5])
    eye = torch.eye(3).expand(5, 3, 3)
    prediction = {"rotaxis_scales_tril": stated[:, None, None] * eye, "pos_size_scales_tril": eye}
    costs = losses.nll_no_face(prediction, {})
    assert stated[costs.argmin()] == losses.NO_FACE_ROTATION
    offsets = losses.NO_FACE_ROTATION * torch.randn(20_000, 3, generator=torch.Generator().manual_seed(0))
    density = torch.distributions.MultivariateNormal(torch.zeros(3), scale_tril=prediction["rotaxis_scales_tril"][0])
    other = torch.distributions.MultivariateNormal(torch.zeros(3), scale_tril=prediction["rotaxis_scales_tril"][3])
    difference = other.log_prob(offsets).mean() - density.log_prob(offsets).mean()
    torch.testing.assert_close(costs[0] - costs[3], difference, rtol=0.02, atol=0)


def test_a_face_counts_in_no_loss_for_images_without():
    batch = batch_of() | {"face": torch.ones(6)}
    for name, row in losses.POSE.items():
        if row.no_face:
            assert losses.total({name: 1.0}, losses.POSE, perfect(batch), batch)[0] == 0


def test_an_outlier_costs_a_bounded_amount():
    prediction = {"pos_size": torch.zeros(1, 3), "pos_size_scales_tril": 1e-3 * torch.eye(3)[None]}
    cost = losses.nll_pos_size(prediction, {"pos_size": torch.full((1, 3), 50.0)})
    assert cost.item() == pytest.approx(-math.log(losses.OUTLIERS / losses.POS_SIZE_VOLUME))


def test_the_offset_is_applied_on_the_right():
    quat = normalize(torch.tensor([[0.3, -0.2, 0.5, 0.8]]))
    turned = quat_multiply(quat, rotvec_to_quat(torch.tensor([[0.3, 0.0, 0.0]])))
    along, across = (torch.diag_embed(torch.tensor([s])) for s in ([0.3, 0.01, 0.01], [0.01, 0.3, 0.01]))
    costs = [
        losses.nll_rotation({"quat": quat, "rotaxis_scales_tril": factor}, {"quat": turned}).item()
        for factor in (along, across)
    ]
    assert costs[0] < costs[1]


def test_unknown_names_list_the_known():
    with pytest.raises(ValueError, match=r"'angle'; known: rotation, position"):
        losses.check({"angle": 1.0}, losses.POSE)
    with pytest.raises(ValueError, match="no loss has a weight"):
        losses.check({"rotation": 0.0}, losses.POSE)
    with pytest.raises(ValueError, match="no loss is called 'geodesic_degrees'"):  # a metric has no weight
        losses.check({"rotation": 1.0, "geodesic_degrees": 1.0}, losses.POSE)
