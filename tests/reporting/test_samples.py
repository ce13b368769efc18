import cv2
import h5py
import numpy as np
import pytest

from nntrack.commands import show
from nntrack.geometry.neutral_face import NEUTRAL_LANDMARKS
from nntrack.geometry.rotations import quat_apply, rotvec_to_quat
from nntrack.reporting import samples
from tests import faces


@pytest.fixture
def file(tmp_path, rng):
    faces.write(tmp_path / "some.h5", faces.samples(rng, 12))
    return tmp_path / "some.h5"


def publish(path, rng, count=6, damaged=()):
    """A file as opentrack's training code writes it: grey pictures in which a sample's number is the grey level."""
    quats = rotvec_to_quat(rng.normal(0, 0.3, (count, 3)))
    points = quat_apply(quats[:, None], NEUTRAL_LANDMARKS) * 60 + [150, 130, 0]
    with h5py.File(path, "w") as file:
        images = file.create_dataset("images", (count,), h5py.vlen_dtype(np.uint8))
        for i in range(count):
            buffer = cv2.imencode(".png", np.full((300, 320), 20 * i, np.uint8))[1]
            images[i] = buffer[: len(buffer) // 2] if i in damaged else buffer
        images.attrs.update({"category": "img", "storage": "varsize_image_buffer", "lossy": False})
        file["quats"], file["pt3d_68"] = quats, points
        file["coords"] = np.tile([150.0, 130, 60], (count, 1))
        file["rois"] = np.concatenate([points.min(axis=1)[:, :2], points.max(axis=1)[:, :2]], axis=1)
        file["sequence_starts"] = [0, *range(2, count + 1)]  # by chance as many as there are samples
    return path


def test_samples_are_chosen_by_number_and_range():
    assert samples.choose("3,7", 10) == [3, 7]
    assert samples.choose("2:5", 10) == [2, 3, 4]
    assert samples.choose("8:, 0, :2", 10) == [8, 9, 0, 0, 1]


@pytest.mark.parametrize(
    ("text", "count", "message"),
    [
        ("10", 10, "there is no sample 10: its 10 are numbered 0 to 9"),
        ("5:12", 10, "there is no sample 10"),
        ("0", 0, "it holds none"),
        ("-1", 10, "'-1' names no sample"),
        ("a", 10, "expected numbers and ranges"),
        ("", 10, "names no sample"),
        ("0:500", 1000, "choose at most 400"),
        ("5:5", 10, "names no sample"),
    ],
)
def test_what_names_no_sample_says_why(text, count, message):
    with pytest.raises(ValueError, match=message):
        samples.choose(text, count)


def test_our_samples_come_back_as_they_are(tmp_path, rng):
    stored = faces.write(tmp_path / "some.h5", faces.samples(rng, 5))
    dataset = samples.open_dataset(tmp_path / "some.h5")
    assert dataset.count == 5 and dataset.title == "synthetic photos"
    assert [(number, sample.name) for number, sample in dataset.samples([4, 1])] == [(4, "face 4"), (1, "face 1")]
    assert np.array_equal(dataset.samples([2])[0][1].image, stored.image[2])


def test_published_samples_are_read_by_their_reader(tmp_path, rng):
    dataset = samples.open_dataset(publish(tmp_path / "p.h5", rng, damaged=[3]))
    assert dataset.count == 6
    found = dataset.samples([5, 3, 0, 5])
    assert [number for number, _ in found] == [5, 0, 5]
    assert [int(np.median(sample.image)) for _, sample in found] == [100, 0, 100]
    assert found[0][1].name == "p/000005"
    assert {"quat", "pos_size", "landmarks", "bbox", "roi"} <= set(found[0][1].labels)
    with pytest.raises(ValueError, match=r"no sample can be shown: .*/p\.h5: sample 3"):
        dataset.samples([3])


def test_a_published_file_that_lacks_labels_is_named(tmp_path, rng):
    with h5py.File(publish(tmp_path / "p.h5", rng), "a") as file:
        del file["quats"]
    with pytest.raises(ValueError, match=f"^{tmp_path}/p.h5 .*lacks quats"):
        samples.open_dataset(tmp_path / "p.h5").samples([0])


def test_the_command_writes_what_is_named(file, tmp_path, capsys):
    show.main(file, "3,7", 20, tmp_path / "two.png")
    assert "2 of 12 samples" in capsys.readouterr().out
    show.main(file, None, 12, tmp_path / "all.jpg")
    two, every = (cv2.imread(str(tmp_path / name)) for name in ("two.png", "all.jpg"))
    assert every.shape[0] > 2 * two.shape[0]


def test_an_empty_dataset_gives_a_sheet(tmp_path):
    faces.write(tmp_path / "none.h5", ())
    show.main(tmp_path / "none.h5", None, 20, tmp_path / "a.png")
    assert (tmp_path / "a.png").exists()


def test_what_cannot_be_shown_is_said(file, tmp_path):
    (tmp_path / "text.h5").write_text("no samples")
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    h5py.File(tmp_path / "other.h5", "w").close()
    for name, index, out, message in (
        ("some.h5", "12", "a.png", "there is no sample 12"),
        ("some.h5", None, "a.bmp", "no image is written as '.bmp'"),
        ("some.h5", None, "file/a.png", "file/a.png cannot be written: "),
        ("text.h5", None, "a.png", "text.h5 is not an HDF5 file"),
        ("folder", None, "a.png", "is not an HDF5 file"),
        ("other.h5", None, "a.png", "other.h5 has schema None"),
        ("absent.h5", None, "a.png", "absent.h5 does not exist"),
    ):
        with pytest.raises((ValueError, OSError), match=message):
            show.main(tmp_path / name, index, 20, tmp_path / out)
    assert not (tmp_path / "a.png").exists()
