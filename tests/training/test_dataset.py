import numpy as np
import pytest
import torch

from nntrack.data.sample import FIELDS, MASKS
from nntrack.training import dataset
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


def parts(stored, **shares):
    return [Part(stored[name], np.arange(len(stored[name])), share) for name, share in shares.items()]


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


def test_a_batch_holds_no_label_that_nobody_asked_for(stored):
    index = torch.tensor([3, 0])
    every = Mixture(parts(stored, a=1)).batch(index)
    found = Mixture(parts(stored, a=1), needs={"bbox", "landmarks_depth"}).batch(index)
    assert set(found) == {"image", "index", "roi", "bbox", "has_bbox", "has_landmarks_depth"}
    for name, values in found.items():
        assert torch.equal(values, every[name])


@pytest.mark.parametrize("chunk", [4, 1000])
def test_pictures_that_lie_on_the_device_are_those_of_the_files(stored, chunk, monkeypatch):
    index = torch.tensor([25, 2, 0, 20, 2])
    rows = [Part(stored["a"], np.arange(1, 20)), *parts(stored, b=1, empty=1)]
    expected = Mixture(rows).batch(index % 25)["image"]
    monkeypatch.setattr(dataset, "_CHUNK", chunk)
    for fits in (True, False):
        monkeypatch.setattr(dataset, "room", lambda device, fits=fits: 25 * 48 * 48 - (not fits))
        mixture = Mixture(rows)
        assert (mixture._resident is not None) == fits
        assert torch.equal(mixture.batch(index % 25)["image"], expected)


def test_draws_follow_shares_and_generator(stored):
    mixture = Mixture(parts(stored, a=1, b=3))
    drawn = mixture.draw(4000, torch.Generator().manual_seed(1))
    assert torch.equal(drawn, mixture.draw(4000, torch.Generator().manual_seed(1)))
    assert not torch.equal(drawn, mixture.draw(4000, torch.Generator().manual_seed(2)))
    assert set(drawn.tolist()) == set(range(26))
    assert abs((drawn >= 20).double().mean().item() - 0.75) < 0.03


def test_in_order_yields_each_sample_once(stored):
    mixture = Mixture(parts(stored, a=1, b=1))
    index = torch.cat([batch["index"] for batch in mixture.in_order(8)])
    assert torch.equal(index, torch.arange(len(mixture)))


def test_what_cannot_be_mixed_is_said(stored):
    with pytest.raises(ValueError, match=r"no sample to draw from in .*empty\.h5"):
        Mixture(parts(stored, empty=1, a=0))
    with pytest.raises(ValueError, match=r"differ in size: \[\(48, 48\), \(64, 64\)\]"):
        Mixture(parts(stored, a=1, large=1))
