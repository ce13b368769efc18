import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from nntrack.evaluation import errors


def quats(rng, n=200):
    return Rotation.random(n, random_state=rng).as_quat()


def label_quat(pitch, yaw, roll):
    return Rotation.from_euler("XYZ", [-pitch, yaw, roll], degrees=True).as_quat()[None]


def boxes(rng, n):
    corner = rng.uniform(0, 100, (n, 2))
    return np.concatenate([corner, corner + rng.uniform(10, 100, (n, 2))], axis=1)


def posed(rng, n=40):
    tril = np.tril(rng.uniform(0.05, 0.3, (n, 3, 3)))
    return {
        "quat": quats(rng, n),
        "landmarks": rng.uniform(0, 100, (n, 68, 3)),
        "pos_size": rng.uniform(50, 100, (n, 3)),
        "bbox": boxes(rng, n),
        "rotaxis_scales_tril": tril,
        "pos_size_scales_tril": 9 * tril,
    }


def framed(rng, n=40):
    face = (np.arange(n) % 2).astype(np.float32)
    return {"face": face, "score": face, "bbox": boxes(rng, n), "frame_size": np.tile([288.0, 224.0], (n, 1))}


KNOWN = {"landmarks_depth": np.ones(40, bool)}
TABLES = [(errors.POSE, posed), (errors.LOCALIZER, framed)]
NOT_ERRORS = {"yaw", "pitch", "roll", "true_yaw", "true_pitch", "true_roll", "sigma_rotation", "sigma_position"}
NOT_ERRORS |= {"face", "reported", "score", "iou"}


@pytest.mark.parametrize(("table", "make"), TABLES)
def test_a_perfect_net_has_no_error(table, make, rng):
    true = make(rng)
    found = errors.measure(table, true, true, KNOWN)
    assert list(found) == list(table)
    for name, values in found.items():
        if name not in NOT_ERRORS:
            assert np.allclose(values, 0, atol=1e-4), name
    assert np.all(found["iou"] == 1)


@pytest.mark.parametrize(("table", "make"), TABLES)
def test_every_column_is_per_sample_and_independent_of_their_order(table, make, rng):
    true, predicted = make(rng), make(rng)
    order = rng.permutation(40)
    for row in table.values():
        values = row.values(predicted, true)
        assert values.shape == (40,) and np.all(np.isfinite(values))
        assert row.name in NOT_ERRORS or np.all(values >= 0)
        shuffled = row.values(*({k: v[order] for k, v in side.items()} for side in (predicted, true)))
        assert np.allclose(shuffled, values[order])


@pytest.mark.parametrize(("table", "make"), TABLES)
def test_a_column_uses_only_what_it_declares(table, make, rng):
    true, predicted = make(rng), make(rng)
    for row in table.values():
        sides = ({k: predicted[k] for k in row.outputs}, {k: true[k] for k in row.labels if k in true})
        assert np.array_equal(row.values(*sides), row.values(predicted, true)), row.name


@pytest.mark.parametrize(("table", "make"), TABLES)
def test_values_are_rounded_as_in_the_csv(table, make, rng):
    found = errors.measure(table, make(rng), make(rng), KNOWN)
    for name, values in found.items():
        again = [float(errors.as_text(value, table[name].digits)) for value in values]
        assert np.array_equal(again, values), name


def test_numbers_are_written_plainly():
    assert errors.as_text(-0.00001, 4) == "0.0000" and errors.as_text(1.0, 0) == "1" and errors.as_text(np.nan, 2) == ""


def test_the_geodesic_error_is_scipys(rng):
    a, b = quats(rng), quats(rng)
    expected = np.degrees((Rotation.from_quat(a).inv() * Rotation.from_quat(b)).magnitude())
    assert np.allclose(errors.geodesic_error({"quat": a}, {"quat": b}), expected, atol=1e-6)
    assert np.allclose(errors.geodesic_error({"quat": -a}, {"quat": b}), expected, atol=1e-6)


def test_angles_of_a_label_come_back(rng):
    angles = rng.uniform(-80, 80, (300, 3))
    angles[:, 1] = rng.uniform(-99, 99, 300)  # yaw passes 90 in some labels
    quat = np.concatenate([label_quat(*a) for a in angles])
    assert np.allclose(errors.aflw_degrees(quat), angles, atol=1e-6)


@pytest.mark.parametrize(
    ("axis", "turn"),
    [(0, -20.0), (0, 0.5), (0, 80.0), (1, -20.0), (1, 0.5), (1, 85.0), (1, 179.0), (2, 0.5), (2, 80.0)],
)
def test_one_angle_is_off_by_as_much(axis, turn):
    start = np.array([5.0, 0.0, -4.0]) if axis == 1 else np.array([5.0, 10.0, -4.0])
    other = start.copy()
    other[axis] += turn
    found = errors.angle_errors({"quat": label_quat(*other)}, {"quat": label_quat(*start)})[0]
    assert np.allclose(found, np.abs(other - start), atol=1e-6)


def test_half_a_turn_is_not_forgiven():
    front, back = {"quat": label_quat(0, 0, 0)}, {"quat": label_quat(0, 180, 0)}
    assert np.isclose(errors.angle_errors(back, front)[0, 1], 180)
    assert np.isclose(errors.geodesic_error(back, front)[0], 180)


def test_turns_are_wrapped():
    assert errors.wrap_degrees(np.array([-180.0, 180, 190, 359, -725])).tolist() == [-180, -180, -170, -1, -5]


def test_columns_agree_with_each_other(rng):
    found = errors.measure(errors.POSE, posed(rng), posed(rng), KNOWN)
    three = [found[f"{name}_error"] for name in ("yaw", "pitch", "roll")]
    assert np.allclose(found["average"], np.mean(three, axis=0), atol=1e-4)
    for name, error in zip(("yaw", "pitch", "roll"), three, strict=True):
        assert np.allclose(error, np.abs(errors.wrap_degrees(found[name] - found[f"true_{name}"])), atol=3e-4)


@pytest.mark.parametrize("axes", [2, 3])
def test_nme_agrees_with_a_plain_loop(rng, axes):
    a, b = posed(rng, 5), posed(rng, 5)
    for i, found in enumerate(errors.nme_bbox(a, b, axes)):
        predicted, points = (side["landmarks"][i].copy() for side in (a, b))
        for side in (predicted, points):
            side[:, 2] -= sum(side[k, 2] for k in (36, 39, 42, 45)) / 4
        width, height = (points[:, k].max() - points[:, k].min() for k in (0, 1))
        total = sum(sum((predicted[k, d] - points[k, d]) ** 2 for d in range(axes)) ** 0.5 for k in range(68)) / 68
        assert np.isclose(found, 100 * total / (width * height) ** 0.5)


def test_depth_is_no_part_of_the_2d_error_and_its_origin_of_neither(rng):
    true = posed(rng, 3)
    deeper = {"landmarks": true["landmarks"] * [1, 1, 2]}
    assert np.all(errors.nme_bbox(deeper, true) == 0) and np.all(errors.nme_bbox(deeper, true, 3) > 1)
    assert np.allclose(errors.nme_bbox({"landmarks": true["landmarks"] + [0, 0, 50]}, true, 3), 0)


def test_positions_and_sizes_are_in_head_radii():
    true = {"pos_size": np.array([[100.0, 80, 40]])}
    off = {"pos_size": np.array([[130.0, 40, 30]])}
    assert errors.position_error(off, true) == 50 / 40 and errors.size_error(off, true) == 0.25


@pytest.mark.parametrize(
    ("box", "iou"),
    [((0, 0, 10, 10), 1), ((5, 0, 15, 10), 1 / 3), ((20, 0, 30, 10), 0), ((2, 2, 7, 7), 0.25), ((8, 8, 2, 2), 0)],
)
def test_iou_of_known_boxes(box, iou):
    one, other = ({"bbox": np.array([b], np.float32)} for b in (box, (0, 0, 10, 10)))
    assert np.isclose(errors.box_iou(one, other)[0], iou)
    assert np.isclose(errors.box_iou(other, one)[0], iou)


def test_corners_are_measured_in_half_frames():
    true = {"bbox": np.array([[0.0, 0, 100, 100]]), "frame_size": np.array([[288.0, 224.0]])}
    assert errors.corner_error({"bbox": true["bbox"] + [28.8, 22.4, 28.8, 22.4]}, true) == pytest.approx([0.2])


def test_predicted_standard_deviations_are_those_of_the_covariance(rng):
    tril = posed(rng, 30)["rotaxis_scales_tril"]
    covariance = tril @ tril.transpose(0, 2, 1)
    variances = np.diagonal(covariance, axis1=1, axis2=2)
    assert np.allclose(errors.root_mean_variance(tril) ** 2, variances.mean(axis=1))
    assert np.allclose(errors.root_mean_variance(tril, 2) ** 2, variances[:, :2].mean(axis=1))
    offset = rng.standard_normal((30, 3))
    assert np.allclose(errors.standardized(offset, tril), np.abs(offset) / np.sqrt(variances))
    expected = [np.sqrt(o @ np.linalg.inv(c) @ o) for o, c in zip(offset, covariance, strict=True)]
    assert np.allclose(errors.mahalanobis(offset, tril), expected)


def test_a_sample_without_the_label_has_no_number(rng):
    true, predicted = framed(rng), framed(rng)
    known = {"bbox": true["face"] == 1}
    found = errors.measure(errors.LOCALIZER, predicted, true, known)
    assert np.array_equal(np.isnan(found["iou"]), ~known["bbox"]) and not np.isnan(found["face"]).any()
    true["bbox"][~known["bbox"]] = np.nan
    again = errors.measure(errors.LOCALIZER, predicted, true, known)
    assert again.equals(found)


def test_columns_without_labels_or_outputs_are_left_out(rng):
    true = posed(rng)
    found = errors.measure(errors.POSE, {"quat": true["quat"]}, true, KNOWN)
    assert set(found) == {*list(errors.POSE)[:11]}  # angles, their errors, average and geodesic
    found = errors.measure(errors.POSE, true, true, {"landmarks_depth": np.zeros(40, bool)})
    assert set(errors.POSE) - set(found) == {"nme3d"}
    predicted = {name: value for name, value in true.items() if name != "rotaxis_scales_tril"}
    found = errors.measure(errors.POSE, predicted, true, KNOWN)
    gone = {"sigma_rotation", *(f"{name}_sigmas" for name in ("pitch", "yaw", "roll", "rotation"))}
    assert set(errors.POSE) - set(found) == gone


def test_two_lengths_are_an_error(rng):
    with pytest.raises(ValueError, match=r"differ in their number of samples: \[3, 4\]"):
        errors.measure(errors.POSE, posed(rng, 3), posed(rng, 4))
