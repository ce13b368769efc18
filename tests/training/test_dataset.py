import numpy as np
import pytest
import torch

from nntrack.data.sample import FIELDS, MASKS
from nntrack.training.dataset import Mixture, Part
from tests import faces


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    folder = tmp_path_factory.mktemp("stored")
    rng = np.random.default_rng(0)
    return {
        "a": faces.write(folder / "a.h5", faces.samples(rng, 20, size=48)),
        "b": faces.write(folder / "b.h5", faces.samples(rng, 6, size=48, depth=False)),
        "empty": faces.write(folder / "empty.h5", []),
        "large": faces.write(folder / "large.h5", faces.samples(rng, 2, size=64)),
    }


def parts(stored, **weights):
    return [Part(stored[name], np.arange(len(stored[name])), weight) for name, weight in weights.items()]


def test_a_batch_holds_what_was_stored(stored):
    rows = np.array([3, 5, 8, 13])
    mixture = Mixture([Part(stored["a"], rows), *parts(stored, b=1, empty=1)])
    index = torch.tensor([9, 2, 0, 4, 2])
    batch = mixture.batch(index)
    origins = [("b", 5), ("a", 8), ("a", 3), ("b", 0), ("a", 8)]
    assert batch["image"].dtype == torch.uint8
    assert batch["image"].shape == (5, 1, 48, 48)
    assert set(batch) == {"image", "index", *FIELDS, *(f"has_{name}" for name in MASKS)}
    for place, (name, row) in enumerate(origins):
        np.testing.assert_array_equal(batch["image"][place, 0], stored[name].image[row])
        np.testing.assert_array_equal(batch["quat"][place], stored[name].labels["quat"][row])
        assert bool(batch["has_landmarks_depth"][place]) == (name == "a")
    assert mixture.names(index) == [f"{name}:face {row}" for name, row in origins]


def test_a_batch_holds_only_the_labels_asked_for(stored):
    index = torch.tensor([3, 0])
    every = Mixture(parts(stored, a=1)).batch(index)
    found = Mixture(parts(stored, a=1), labels={"bbox", "landmarks_depth"}).batch(index)
    assert set(found) == {"image", "index", "roi", "bbox", "has_bbox", "has_landmarks_depth"}
    for name, values in found.items():
        assert torch.equal(values, every[name])


def test_samples_follow_weights_and_generator(stored):
    mixture = Mixture(parts(stored, a=1, b=3))
    sampled = mixture.sample(4000, torch.Generator().manual_seed(1))
    assert torch.equal(sampled, mixture.sample(4000, torch.Generator().manual_seed(1)))
    assert not torch.equal(sampled, mixture.sample(4000, torch.Generator().manual_seed(2)))
    assert set(sampled.tolist()) == set(range(26))
    assert abs((sampled >= 20).double().mean().item() - 0.75) < 0.03


def test_in_order_yields_each_sample_once(stored):
    mixture = Mixture(parts(stored, a=1, b=1))
    index = torch.cat([batch["index"] for batch in mixture.in_order(8)])
    assert torch.equal(index, torch.arange(len(mixture)))


def test_what_cannot_be_mixed_is_an_error(stored):
    with pytest.raises(ValueError, match=r"there are no samples in .*empty\.h5"):
        Mixture(parts(stored, empty=1, a=0))
    with pytest.raises(ValueError, match=r"differ in size: \[\(48, 48\), \(64, 64\)\]"):
        Mixture(parts(stored, a=1, large=1))
