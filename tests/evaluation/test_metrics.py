import numpy as np
import pandas as pd
import pytest
from scipy.spatial.transform import Rotation

from nntrack.evaluation import errors, metrics
from nntrack.evaluation.bootstrap import Resamples
from nntrack.evaluation.evaluate import METRICS
from tests.evaluation.test_errors import framed, posed

NETS = [("pose", errors.POSE, posed), ("localizer", errors.LOCALIZER, framed)]


def columns(table, make, rng, n=40, perfect=False):
    true = make(rng, n)
    predicted = true if perfect else make(rng, n)
    return errors.measure(table, predicted, true, {"landmarks_depth": np.ones(n, bool)})


def alone(n, count=50):
    return Resamples([f"{i:05}" for i in range(n)], np.random.default_rng(0), count)


def values(table, found, count=50):
    return {name: figure.value for name, figure in metrics.measure(table, found, alone(40, count)).items()}


@pytest.mark.parametrize(("net", "table", "make"), NETS)
def test_a_perfect_net_has_perfect_figures(net, table, make, rng):
    found = values(METRICS[net], columns(table, make, rng, perfect=True))
    assert list(found) == list(METRICS[net])
    for name, value in found.items():
        best = name in ("accuracy", "iou", *metrics.CALIBRATION) or "_auc_" in name
        assert value == pytest.approx(float(best), abs=1e-3), name


@pytest.mark.parametrize(("net", "table", "make"), NETS)
def test_every_figure_uses_only_what_it_declares_in_any_order(net, table, make, rng):
    found, order = columns(table, make, rng), rng.permutation(40)
    whole = values(METRICS[net], found)
    for name, row in METRICS[net].items():
        assert set(row.columns) <= set(table) and "|" not in row.title, name
        shuffled = found.loc[order, list(row.columns)]
        assert values({name: row}, shuffled) == pytest.approx({name: whole[name]}, abs=10.0**-row.digits)


@pytest.mark.parametrize(("net", "table", "make"), NETS)
def test_every_figure_lies_in_its_interval_or_has_none(net, table, make, rng):
    for name, row in metrics.measure(METRICS[net], columns(table, make, rng), alone(40, 400)).items():
        assert (row.low is None) == (row.high is None), name
        assert row.low is None or row.low <= row.value <= row.high, name


@pytest.mark.parametrize("net", METRICS)
def test_headlines_are_distinct_and_short(net):
    names = [row.headline for row in METRICS[net].values() if row.headline]
    expected = {
        "pose": ["yaw", "pitch", "roll", "average", "geodesic", "nme"],
        "localizer": ["accuracy", "iou"],
    }
    assert names == expected[net]


def test_figures_agree_with_plain_numpy(rng):
    found = columns(errors.POSE, posed, rng)
    figures, yaw = values(metrics.POSE, found), np.abs(found["true_yaw"])
    for name in ("yaw", "pitch", "roll"):
        assert figures[name] == pytest.approx(found[f"{name}_error"].mean(), abs=6e-4)
    for name, (limit, _) in metrics.LIMITS.items():
        error = found[name]
        assert figures[name] == pytest.approx(error.mean(), abs=6e-4)
        assert figures[f"{name}_median"] == pytest.approx(np.median(error), abs=6e-4)
        assert figures[f"{name}_p95"] == pytest.approx(np.percentile(error, 95), abs=6e-4)
        bins = [error[yaw < 30], error[(yaw >= 30) & (yaw < 60)], error[yaw >= 60]]
        for (low, high), part in zip(metrics.YAW_BINS, bins, strict=True):
            assert figures[f"{name}_yaw_{low}_{high}"] == pytest.approx(part.mean(), abs=6e-4)
        assert figures[f"{name}_balanced"] == pytest.approx(np.mean([part.mean() for part in bins]), abs=6e-4)
        assert figures[f"{name}_fail_{limit}"] == pytest.approx(np.mean(error > limit), abs=6e-4)


def test_the_area_is_that_under_the_curve(rng):
    error = rng.gamma(2, 4, 40)
    found = values(metrics.POSE, pd.DataFrame({"geodesic": error, "true_yaw": 0.0}))
    grid = np.linspace(0, 20, 20001)
    curve = (error[:, None] <= grid).mean(axis=0)
    assert found["geodesic_auc_20"] == pytest.approx(np.trapezoid(curve, grid) / 20, abs=2e-3)


def test_every_sample_is_in_one_yaw_bin():
    yaw = np.array([0, -29.9, 30, -59.9, 60, -75, 90, -99, 180.0])
    bins = np.stack([metrics.in_yaw_bin(pd.DataFrame({"true_yaw": yaw}), low) for low, _ in metrics.YAW_BINS])
    assert np.array_equal(bins.argmax(axis=0), [0, 0, 1, 1, 2, 2, 2, 2, 2]) and np.all(bins.sum(axis=0) == 1)


def test_a_figure_counts_the_samples_it_is_of(rng):
    found = columns(errors.LOCALIZER, framed, rng)
    found["iou"] = np.where(found["face"] == 1, found["iou"], np.nan)
    figures = metrics.measure(metrics.LOCALIZER, found, alone(40))
    assert figures["accuracy"].n == 40 and figures["iou"].n == 20
    assert figures["iou"].value == pytest.approx(np.nanmean(found["iou"]), abs=6e-5)
    assert figures["corner_rmse"].value == pytest.approx(np.sqrt(np.mean(found["corner"] ** 2)), abs=6e-5)


def test_an_empty_bin_has_no_figure():
    near = pd.DataFrame({"true_yaw": np.full(40, 10.0), "geodesic": 5.0})
    figures = metrics.measure(metrics.POSE, near, alone(40))
    assert {"geodesic_yaw_30_60", "geodesic_yaw_60_90", "geodesic_balanced"}.isdisjoint(figures)
    assert figures["geodesic_yaw_0_30"] == (5.0, None, None, 40) and "nme2d" not in figures


def gaussian_labels(predicted, rng, side="right"):
    """Labels whose errors are drawn from the predicted covariances; rotations are offset on the given side."""
    n = len(predicted["quat"])
    sampled = {key: (predicted[key] @ rng.standard_normal((n, 3, 1)))[..., 0] for key in predicted if "tril" in key}
    head, turn = Rotation.from_quat(predicted["quat"]), Rotation.from_rotvec(sampled["rotaxis_scales_tril"])
    quat = (head * turn if side == "right" else turn * head).as_quat()
    return {"quat": quat, "pos_size": predicted["pos_size"] + sampled["pos_size_scales_tril"]}


def fractions(predicted, true):
    found = errors.measure(errors.POSE, predicted, true)
    figures = metrics.measure(metrics.CALIBRATION, found, alone(len(true["quat"]), count=1))
    return {name: figure.value for name, figure in figures.items()}


def test_expected_fractions_are_those_of_textbooks():
    found = [metrics.expected_fraction(sigmas, dimensions) for dimensions in (1, 3) for sigmas in (1, 2)]
    assert np.allclose(found, [0.6827, 0.9545, 0.1987, 0.7385], atol=1e-4)


def test_errors_of_a_calibrated_net_have_the_expected_fractions(rng):
    predicted = posed(rng, 5000)
    found = fractions(predicted, gaussian_labels(predicted, rng))
    assert len(found) == len(errors.CALIBRATED) * len(metrics.SIGMAS) == 16
    for name, (_, component) in errors.CALIBRATED.items():
        for sigmas in metrics.SIGMAS:
            expected = metrics.expected_fraction(sigmas, 3 if component is None else 1)
            assert abs(found[f"{name}_{sigmas}s"] - expected) < 4 * np.sqrt(expected * (1 - expected) / 5000), name


def test_an_overconfident_net_has_too_few_errors_within(rng):
    predicted = posed(rng, 5000)
    true = gaussian_labels({k: 2 * v if "tril" in k else v for k, v in predicted.items()}, rng)
    found = fractions(predicted, true)
    assert abs(found["pitch_2s"] - metrics.expected_fraction(1, 1)) < 0.03
    assert abs(found["rotation_2s"] - metrics.expected_fraction(1, 3)) < 0.03


def test_rotation_offsets_are_on_the_right(rng):
    predicted = posed(rng, 5000)
    predicted["rotaxis_scales_tril"] = np.tile(np.diag([0.3, 0.003, 0.003]), (5000, 1, 1))
    found = fractions(predicted, gaussian_labels(predicted, rng, "left"))
    assert found["rotation_2s"] < 0.1 < 0.7 < found["pos_size_2s"]


def test_the_root_of_the_mean_variance_is_what_errors_are_like(rng):
    predicted = posed(rng, 5000)
    for key in ("rotaxis_scales_tril", "pos_size_scales_tril"):
        predicted[key] = 0.3 * predicted[key]
    found = errors.measure(errors.POSE, predicted, gaussian_labels(predicted, rng))
    root = np.sqrt(np.mean(found["geodesic"] ** 2) / 3)
    assert np.sqrt(np.mean(found["sigma_rotation"] ** 2)) == pytest.approx(root, rel=0.05)


@pytest.mark.parametrize(("net", "table", "make"), NETS)
def test_a_new_error_makes_a_new_figure_by_itself(net, table, make):
    new = errors.Column("far", "m", lambda p, t: np.ones(3), (), metric="far", title="how far", headline="far")
    (row,) = metrics._mean_metrics({"other": errors.Column("other", "m", lambda p, t: np.ones(3), ()), "far": new})
    assert (row.name, row.title, row.unit, row.columns, row.headline) == ("far", "how far", "m", ("far",), "far")
    named = {column.metric for column in table.values() if column.metric}
    assert named and named <= set(METRICS[net])
