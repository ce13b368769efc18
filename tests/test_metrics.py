import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from nntrack import metrics


def quats(rng, n=200):
    return Rotation.random(n, random_state=rng).as_quat()


def label_quat(pitch, yaw, roll):
    return Rotation.from_euler("XYZ", [-pitch, yaw, roll], degrees=True).as_quat()[None]


def posed(rng, n=40):
    return {"quat": quats(rng, n), "landmarks": rng.uniform(0, 100, (n, 68, 3))}


def told(rng, n=40):
    tril = np.tril(rng.uniform(0.05, 0.3, (n, 3, 3)))
    values = {"quat": quats(rng, n), "pos_size": rng.uniform(50, 100, (n, 3))}
    return values | {"rotaxis_scales_tril": tril, "pos_size_scales_tril": 9 * tril}


def framed(rng, n=40):
    corner = rng.uniform(0, 100, (n, 2))
    box = np.concatenate([corner, corner + rng.uniform(10, 100, (n, 2))], axis=1)
    return {"face": (np.arange(n) % 2).astype(np.float32), "bbox": box, "frame_size": np.tile([288.0, 224.0], (n, 1))}


TABLES = [(metrics.POSE, posed), (metrics.CALIBRATION, told), (metrics.LOCALIZER, framed)]


@pytest.mark.parametrize(("table", "make"), TABLES)
def test_a_perfect_net_has_no_error(table, make, rng):
    true = make(rng)
    found = metrics.measure(table, {k: v for k, v in true.items() if k != "frame_size"}, true)
    assert list(found) == list(table)
    right = {"n": 40, "n_faces": 40, "accuracy": 1, "iou": 1} | dict.fromkeys(metrics.CALIBRATION, 1)
    assert found == pytest.approx({name: right.get(name, 0) for name in table}, abs=1e-4)


@pytest.mark.parametrize(("table", "make"), TABLES)
def test_every_error_is_per_sample_and_knows_no_order(table, make, rng):
    true, predicted = make(rng), make(rng)
    predicted.pop("frame_size", None)
    order = rng.permutation(40)
    for row in table.values():
        errors = row.error(predicted, true)
        assert errors.shape == (40,) and np.all(np.isfinite(errors)) and np.all(errors >= 0)
        shuffled = row.error(*({k: v[order] for k, v in side.items()} for side in (predicted, true)))
        assert np.allclose(shuffled, errors[order])


def test_the_geodesic_error_is_scipys(rng):
    a, b = quats(rng), quats(rng)
    expected = np.degrees((Rotation.from_quat(a).inv() * Rotation.from_quat(b)).magnitude())
    assert np.allclose(metrics.geodesic_error({"quat": a}, {"quat": b}), expected, atol=1e-6)
    assert np.allclose(metrics.geodesic_error({"quat": -a}, {"quat": b}), expected, atol=1e-6)


def test_angles_of_a_label_come_back(rng):
    angles = rng.uniform(-80, 80, (300, 3))
    angles[:, 1] = rng.uniform(-99, 99, 300)  # yaw passes 90 in some labels
    quat = np.concatenate([label_quat(*a) for a in angles])
    assert np.allclose(metrics.aflw_degrees(quat), angles, atol=1e-6)


@pytest.mark.parametrize(
    ("axis", "turn"),
    [(0, -20.0), (0, 0.5), (0, 80.0), (1, -20.0), (1, 0.5), (1, 85.0), (1, 179.0), (2, 0.5), (2, 80.0)],
)
def test_one_angle_is_off_by_as_much(axis, turn):
    start = np.array([5.0, 0.0, -4.0]) if axis == 1 else np.array([5.0, 10.0, -4.0])
    other = start.copy()
    other[axis] += turn
    errors = metrics.angle_errors({"quat": label_quat(*other)}, {"quat": label_quat(*start)})[0]
    assert np.allclose(errors, np.abs(other - start), atol=1e-6)


def test_half_a_turn_is_not_forgiven():
    front, back = {"quat": label_quat(0, 0, 0)}, {"quat": label_quat(0, 180, 0)}
    assert np.isclose(metrics.angle_errors(back, front)[0, 1], 180)
    assert np.isclose(metrics.geodesic_error(back, front)[0], 180)


def test_turns_are_wrapped():
    assert metrics.wrap_degrees(np.array([-180.0, 180, 190, 359, -725])).tolist() == [-180, -180, -170, -1, -5]


def test_nme_agrees_with_a_plain_loop(rng):
    a, b = posed(rng, 5), posed(rng, 5)
    for i, found in enumerate(metrics.nme_bbox(a, b)):
        points = b["landmarks"][i, :, :2]
        width, height = points.max(0) - points.min(0)
        total = sum(np.hypot(*(a["landmarks"][i, k, :2] - points[k])) for k in range(68)) / 68
        assert np.isclose(found, 100 * total / (width * height) ** 0.5)


def test_depth_is_no_part_of_the_2d_error(rng):
    true = posed(rng, 3)
    other = {"landmarks": true["landmarks"] + [0, 0, 50]}
    assert np.all(metrics.nme_bbox(other, true) == 0)


@pytest.mark.parametrize(
    ("box", "iou"),
    [((0, 0, 10, 10), 1), ((5, 0, 15, 10), 1 / 3), ((20, 0, 30, 10), 0), ((2, 2, 7, 7), 0.25), ((8, 8, 2, 2), 0)],
)
def test_iou_of_known_boxes(box, iou):
    one, other = ({"bbox": np.array([b], np.float32)} for b in (box, (0, 0, 10, 10)))
    assert np.isclose(metrics.box_iou(one, other)[0], iou)
    assert np.isclose(metrics.box_iou(other, one)[0], iou)


def test_corners_are_measured_in_shares_of_the_half_frame():
    true = {"bbox": np.array([[0.0, 0, 100, 100]]), "frame_size": np.array([[288.0, 224.0]])}
    moved = {"bbox": true["bbox"] + [28.8, 22.4, 28.8, 22.4]}
    found = metrics.measure(metrics.LOCALIZER, moved, true)
    assert found["corner_rmse"] == pytest.approx(0.2)


def test_a_sample_without_the_label_does_not_count(rng):
    true, predicted = framed(rng), framed(rng)
    predicted.pop("frame_size")
    known = {"bbox": true["face"] == 1}
    found = metrics.measure(metrics.LOCALIZER, predicted, true, known)
    assert found["n"] == 40 and found["n_faces"] == 20
    true["bbox"][~known["bbox"]] = np.nan
    assert metrics.measure(metrics.LOCALIZER, predicted, true, known) == found


def test_yaw_bins_share_out_the_samples(rng):
    angles = np.stack([rng.uniform(-20, 20, 300), rng.uniform(-99, 99, 300), rng.uniform(-20, 20, 300)], axis=1)
    true = {"quat": np.concatenate([label_quat(*a) for a in angles])}
    bins = [row.where(true) for row in metrics.POSE.values() if row.where]
    assert len(bins) == 3 and np.all(sum(b.astype(int) for b in bins) == 1)
    assert np.array_equal(bins[1], (np.abs(angles[:, 1]) >= 30) & (np.abs(angles[:, 1]) < 60))


def test_what_a_net_does_not_say_is_left_out(rng):
    true = posed(rng)
    found = metrics.measure(metrics.POSE, {"quat": true["quat"]}, true)
    assert "nme" not in found and found["n"] == 40
    near = {"quat": np.tile(label_quat(0, 10, 0), (4, 1))}
    assert "geodesic_yaw_60_100" not in metrics.measure(metrics.POSE, near, near)


def gaussian_labels(predicted, rng, side="right"):
    """Labels whose errors are drawn from the predicted covariances; rotations are offset on the given side."""
    n = len(predicted["quat"])
    errors = {key: (predicted[key] @ rng.standard_normal((n, 3, 1)))[..., 0] for key in predicted if "tril" in key}
    head, turn = Rotation.from_quat(predicted["quat"]), Rotation.from_rotvec(errors["rotaxis_scales_tril"])
    quat = (head * turn if side == "right" else turn * head).as_quat()
    return {"quat": quat, "pos_size": predicted["pos_size"] + errors["pos_size_scales_tril"]}


def test_expected_shares_are_those_of_the_books():
    found = [metrics.expected_share(sigmas, dimensions) for dimensions in (1, 3) for sigmas in (1, 2)]
    assert np.allclose(found, [0.6827, 0.9545, 0.1987, 0.7385], atol=1e-4)


def test_errors_as_large_as_foretold_have_the_expected_shares(rng):
    predicted = told(rng, 5000)
    found = metrics.measure(metrics.CALIBRATION, predicted, gaussian_labels(predicted, rng))
    assert len(found) == len(metrics.CALIBRATED) * len(metrics.SIGMAS) == 16
    for name, (_, component) in metrics.CALIBRATED.items():
        for sigmas in metrics.SIGMAS:
            share = metrics.expected_share(sigmas, 3 if component is None else 1)
            assert abs(found[f"{name}_{sigmas}s"] - share) < 4 * np.sqrt(share * (1 - share) / 5000), name


def test_a_net_twice_too_sure_has_too_few_errors_inside(rng):
    predicted = told(rng, 5000)
    true = gaussian_labels({k: 2 * v if "tril" in k else v for k, v in predicted.items()}, rng)
    found = metrics.measure(metrics.CALIBRATION, predicted, true)
    assert abs(found["pitch_2s"] - metrics.expected_share(1, 1)) < 0.03
    assert abs(found["rotation_2s"] - metrics.expected_share(1, 3)) < 0.03


def test_rotations_are_off_on_the_right(rng):
    predicted = told(rng, 5000)
    predicted["rotaxis_scales_tril"] = np.tile(np.diag([0.3, 0.003, 0.003]), (5000, 1, 1))
    found = metrics.measure(metrics.CALIBRATION, predicted, gaussian_labels(predicted, rng, "left"))
    assert found["rotation_2s"] < 0.1 < 0.7 < found["pos_size_2s"]


def test_a_net_that_is_not_asked_how_sure_it_is_has_no_such_rows(rng):
    predicted = told(rng)
    true = {name: predicted.pop(name) for name in ("quat", "pos_size")}
    predicted |= true
    del predicted["rotaxis_scales_tril"]
    assert set(metrics.measure(metrics.CALIBRATION, predicted, true)) == {
        f"{name}_{sigmas}s" for name in ("x", "y", "size", "pos_size") for sigmas in (1, 2)
    }


def test_two_lengths_are_an_error(rng):
    with pytest.raises(ValueError, match="differ in their number of samples"):
        metrics.measure(metrics.POSE, posed(rng, 3), posed(rng, 4))
