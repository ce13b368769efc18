import cv2
import h5py
import numpy as np
import pytest

from nntrack.geometry.neutral_face import NEUTRAL_LANDMARKS
from nntrack.geometry.rotations import quat_apply, rotvec_to_quat
from nntrack.reporting import samples, selection
from tests import faces


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
    assert selection.choose("3,7", 10) == [3, 7]
    assert selection.choose("2:5", 10) == [2, 3, 4]
    assert selection.choose("8:, 0, :2", 10) == [8, 9, 0, 0, 1]
    assert samples.evenly(range(10), 4) == [0, 3, 6, 9]
    assert samples.evenly(range(3), 4) == [0, 1, 2]
    assert samples.evenly([], 4) == []


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
        selection.choose(text, count)


def test_our_samples_come_back_as_they_are(tmp_path, rng):
    stored = faces.write(tmp_path / "some.h5", faces.samples(rng, 5))
    dataset = selection.open_dataset(tmp_path / "some.h5")
    assert dataset.count == 5 and dataset.source == "synthetic photos"
    assert [(number, sample.name) for number, sample in dataset.samples([4, 1])] == [(4, "face 4"), (1, "face 1")]
    assert np.array_equal(dataset.samples([2])[0][1].image, stored.image[2])


def test_published_samples_are_read_by_their_reader(tmp_path, rng):
    pytest.importorskip("nntrack.readers.opentrack_h5")
    dataset = selection.open_dataset(publish(tmp_path / "p.h5", rng, damaged=[3]))
    assert dataset.count == 6
    found = dataset.samples([5, 3, 0, 5])
    assert [number for number, _ in found] == [5, 0, 5]
    assert [int(np.median(sample.image)) for _, sample in found] == [100, 0, 100]
    assert found[0][1].name == "p/000005"
    assert {"quat", "pos_size", "landmarks", "bbox", "roi"} <= set(found[0][1].labels)
    with pytest.raises(ValueError, match=r"no sample can be drawn: .*/p\.h5: sample 3"):
        dataset.samples([3])


def test_a_published_file_that_lacks_labels_is_named(tmp_path, rng):
    pytest.importorskip("nntrack.readers.opentrack_h5")
    with h5py.File(publish(tmp_path / "p.h5", rng), "a") as file:
        del file["quats"]
    with pytest.raises(ValueError, match=f"^{tmp_path}/p.h5 .*lacks quats"):
        selection.open_dataset(tmp_path / "p.h5").samples([0])
