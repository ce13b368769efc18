import numpy as np
import pytest

from nntrack.data.sample import FIELDS, MASKS, STRINGS, Sample, move_labels
from nntrack.geometry import affine


def labels(rng):
    quat = rng.normal(size=4)
    return {
        "face": np.float64(1),
        "roi": np.array([1.0, 2, 30, 40]),
        "bbox": np.array([3.0, 4, 20, 30]),
        "quat": quat / np.linalg.norm(quat),
        "pos_size": np.array([10.0, 12, 9]),
        "landmarks": rng.normal(size=(68, 3)),
        "camera": np.array([50.0, 50, 9, 7]),
    }


def make(**values):
    return Sample(np.zeros((4, 5), np.uint8), "a/b.jpg", "b", values)


def test_every_field_is_documented_and_masked():
    for name, field in FIELDS.items():
        assert field.name == name and field.unit and field.meaning
    assert set(MASKS) == {*FIELDS, "landmarks_depth"}
    assert {"name", "group"} <= set(STRINGS)


@pytest.mark.parametrize("name", FIELDS)
def test_labels_are_checked(name, rng):
    value = labels(rng)[name]
    assert make(**{name: value}).has(name)
    with pytest.raises(ValueError, match=f"b.jpg: {name} has shape"):
        make(**{name: np.zeros((7, 7))})
    with pytest.raises(ValueError, match=f"b.jpg: {name} .* not finite"):
        make(**{name: np.full(FIELDS[name].shape, np.nan)})


def test_an_unknown_label_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match=r"'pose'; known: face, roi"):
        make(pose=np.zeros(4))


def test_depth_has_a_mask_of_its_own(rng):
    points = labels(rng)["landmarks"]
    assert make(landmarks=points).has("landmarks_depth")
    flat = make(landmarks=points[:, :2])
    assert flat.has("landmarks") and not flat.has("landmarks_depth")
    assert not make().has("landmarks_depth")


def test_labels_move_together_and_back(rng):
    given = labels(rng)
    there = affine.similarity(np.array(0.5), np.array(1.5), np.array([3.0, -2.0]))
    # boxes grow under a turn by design; everything else comes back
    moved = move_labels(affine.inverse(there), move_labels(there, {**given, "other": "kept"}))
    assert moved["other"] == "kept"
    for name in set(given) - {"roi", "bbox"}:
        np.testing.assert_allclose(moved[name], given[name], atol=1e-12)


def test_a_batch_moves_like_its_samples(rng):
    batch = [labels(rng) for _ in range(3)]
    maps = affine.similarity(np.array([0.0, 0.4, -2]), np.array([1, 2, 0.5]), rng.normal(size=(3, 2)))
    together = move_labels(maps, {name: np.stack([row[name] for row in batch]) for name in FIELDS})
    for i, row in enumerate(batch):
        for name, value in move_labels(maps[i], row).items():
            np.testing.assert_allclose(together[name][i], value)
