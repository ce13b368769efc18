import h5py
import numpy as np
import pytest

from nntrack.data import hdf5
from nntrack.data.sample import FIELDS, MASKS, Sample


def samples(rng, count, shape=(20, 30)):
    for i in range(count):
        labels = {"landmarks": rng.normal(size=(68, 2 + i % 2)), "quat": np.array([0, 0, 0, 1.0])}
        image = rng.integers(0, 256, shape, dtype=np.uint8)
        yield Sample(image, f"näme {i}", "group", labels if i % 3 else {}, sequence="s", subset="")


@pytest.mark.parametrize(("count", "shape"), [(0, (1, 1)), (1, (2, 2)), (9, (20, 30)), (120, (192, 192))])
def test_what_is_written_is_read(count, shape, tmp_path, rng):
    given = list(samples(rng, count, shape))
    path = tmp_path / "sub" / "x.h5"
    assert hdf5.write(path, given, {"reader": "r", "kept": count}) == count
    found = hdf5.Stored(path)
    assert len(found) == count and found.attributes["reader"] == "r" and found.attributes["kept"] == count
    for i, sample in enumerate(given):
        same = found.sample(i)
        assert (same.name, same.group, same.sequence, same.subset) == (sample.name, "group", "s", "")
        np.testing.assert_array_equal(same.image, sample.image)
        assert same.labels.keys() == sample.labels.keys()
        for name, value in sample.labels.items():
            np.testing.assert_array_equal(same.labels[name], np.float32(value))


def test_any_hdf5_reader_can_read_it(tmp_path, rng):
    given = list(samples(rng, 9))
    hdf5.write(tmp_path / "x.h5", given, {})
    with h5py.File(tmp_path / "x.h5") as file:
        np.testing.assert_array_equal(file["image"], [sample.image for sample in given])
        assert set(file) == {"image", *FIELDS, *(f"has_{m}" for m in MASKS), "name", "group", "sequence", "subset"}
        assert file["has_quat"].dtype == bool and file["landmarks"].shape == (9, 68, 3)


@pytest.mark.parametrize("guess", [4096, 8])
def test_another_place_for_the_pictures_gives_the_same_bytes(guess, tmp_path, rng, monkeypatch):
    given = list(samples(rng, 9))
    hdf5.write(tmp_path / "1.h5", given, {"a": 1, "b": "x"})
    monkeypatch.setattr(hdf5, "_IMAGES_AT", guess)
    hdf5.write(tmp_path / "2.h5", given, {"b": "x", "a": 1})
    assert (tmp_path / "1.h5").read_bytes() == (tmp_path / "2.h5").read_bytes()


def test_a_file_appears_only_when_it_is_complete(tmp_path, rng):
    path = tmp_path / "x.h5"
    path.write_bytes(b"before")

    def broken():
        yield from samples(rng, 3)
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        hdf5.write(path, broken(), {})
    assert path.read_bytes() == b"before" and list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.zeros((3, 3), np.float32), "float32"),
        (np.zeros((3, 3, 3), np.uint8), r"\(3, 3, 3\)"),
        (np.zeros((3, 4), np.uint8), r"those before \(20, 30\)"),
    ],
)
def test_pictures_must_be_alike(image, message, tmp_path, rng):
    with pytest.raises(ValueError, match=message):
        hdf5.write(tmp_path / "x.h5", [*samples(rng, 1), Sample(image, "n", "g")], {})


@pytest.mark.parametrize("name", ["two\nlines", "nul\0"])
def test_strings_that_cannot_be_stored_are_refused(name, tmp_path):
    with pytest.raises(ValueError, match="line break or a NUL"):
        hdf5.write(tmp_path / "x.h5", [Sample(np.zeros((2, 2), np.uint8), name, "g")], {})


def test_files_that_are_none_of_ours_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="dvc pull"):
        hdf5.Stored(tmp_path / "x.h5")
    (tmp_path / "x.h5").write_bytes(b"nonsense")
    with pytest.raises(ValueError, match=r"x.h5 is not a dataset"):
        hdf5.Stored(tmp_path / "x.h5")
    with h5py.File(tmp_path / "y.h5", "w") as file:
        file.attrs["schema"] = 99
    with pytest.raises(ValueError, match=r"y.h5 has schema 99"):
        hdf5.Stored(tmp_path / "y.h5")
