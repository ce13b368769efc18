import subprocess
import sys

import h5py
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nntrack import config
from nntrack.data.hdf5 import Stored
from nntrack.face_model import model
from nntrack.geometry.boxes import face_box, square_around
from nntrack.geometry.neutral_face import NEUTRAL_LANDMARKS
from nntrack.networks import losses
from nntrack.readers import conversion, opentrack_h5
from nntrack.readers._format import Options
from nntrack.training import tasks
from tests import archives, faces
from tests.conftest import ROOT
from tests.reading import read, unposed


class TestLabels:
    @pytest.mark.parametrize("turned", [False, True], ids=["N,68,3", "N,3,68"])
    @pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64])
    def test_they_fit_together(self, turned, kind, tmp_path, rng):
        given = {name: value.astype(kind) for name, value in archives.posed_faces(rng, 10).items()}
        given["pt3d_68"][..., 2] += 5  # an offset that means nothing
        if turned:
            given["pt3d_68"] = given["pt3d_68"].swapaxes(1, 2)
        samples, tally = read(opentrack_h5, archives.opentrack_h5(rng, tmp_path / "x.h5", 10, **given))
        assert len(samples) == 10 and not tally.dropped
        for sample in samples:
            labels = sample.labels
            np.testing.assert_allclose(
                unposed(labels), NEUTRAL_LANDMARKS, atol=1e-5 if kind is not np.float16 else 6e-3
            )
            assert np.linalg.norm(labels["quat"]) == pytest.approx(1)
            box = face_box(labels["landmarks"], labels["quat"], labels["pos_size"])
            np.testing.assert_allclose(box, labels["bbox"], atol=1e-6)
            np.testing.assert_allclose(labels["roi"], [32, 32, 160, 160], atol=1e-6)
            assert sample.image.shape == (192, 192)

    def test_groups_are_the_sequences(self, tmp_path, rng):
        samples, _ = read(opentrack_h5, archives.opentrack_h5(rng, tmp_path / "x.h5", 5))
        assert [s.group for s in samples] == ["x/000000"] * 2 + ["x/000001"] * 3
        samples, _ = read(opentrack_h5, archives.opentrack_h5(rng, tmp_path / "y.h5", 3, leave=["sequence_starts"]))
        assert [s.group for s in samples] == [s.name for s in samples] == ["y/000000", "y/000001", "y/000002"]

    def test_without_landmarks_the_box_is_the_files(self, tmp_path, rng):
        boxes = np.tile([40.0, 50, 160, 150], (4, 1))
        samples, _ = read(opentrack_h5, archives.opentrack_h5(rng, tmp_path / "x.h5", 4, leave=["pt3d_68"], rois=boxes))
        for sample in samples:  # of the side of 120 px two thirds of the crop were made
            assert "landmarks" not in sample.labels
            np.testing.assert_allclose(sample.labels["bbox"][2] - sample.labels["bbox"][0], 128)
            np.testing.assert_allclose(sample.labels["roi"], square_around(sample.labels["bbox"]))
        samples, _ = read(opentrack_h5, archives.opentrack_h5(rng, tmp_path / "y.h5", 4, leave=["pt3d_68", "rois"]))
        assert all({"quat", "pos_size", "roi", "face"} == set(s.labels) for s in samples)


class TestPictures:
    @pytest.mark.parametrize("form", ["grey", "one channel", "colour", "PNG"])
    def test_every_storage_gives_the_same(self, form, tmp_path, rng):
        images = rng.integers(0, 256, (6, 200, 200), dtype=np.uint8)
        given = {
            "grey": images,
            "one channel": images[..., None],
            "colour": np.repeat(images[..., None], 3, axis=-1),
            "PNG": None,
        }[form]
        labels = archives.posed_faces(np.random.default_rng(1), 6)
        path = archives.opentrack_h5(rng, tmp_path / "x.h5", 6, lossy=False, images=given, **labels)
        if form == "PNG":
            import cv2

            with h5py.File(path, "r+") as file:
                for i, image in enumerate(images):
                    file["images"][i] = cv2.imencode(".png", image)[1].ravel()
        expected = archives.opentrack_h5(rng, tmp_path / "y.h5", 6, images=images, **labels)
        for one, other in zip(read(opentrack_h5, path)[0], read(opentrack_h5, expected)[0], strict=True):
            np.testing.assert_array_equal(one.image, other.image)

    def test_what_is_red_is_dark(self, tmp_path, rng):
        red = np.zeros((2, 200, 200, 3), np.uint8)
        red[..., 0] = 200
        samples, _ = read(opentrack_h5, archives.opentrack_h5(rng, tmp_path / "x.h5", 2, images=red))
        assert np.unique(samples[0].image).tolist() == [60]


def spoilt(**changes):
    """A function that puts values into arrays of a file."""

    def spoil(file):
        for name, (where, value) in changes.items():
            file[name][where] = value

    return spoil


class TestDamage:
    @pytest.mark.parametrize(
        ("spoil", "message"),
        [
            (spoilt(quats=(2, np.nan)), "not finite"),
            (spoilt(quats=(2, 0)), "has no pose"),
            (spoilt(coords=((2, 2), -1)), "has no pose"),
            (spoilt(coords=((2, 0), 1e30)), "beyond reason"),
            (spoilt(coords=((2, 0), 1e4)), "contradict"),
            (spoilt(pt3d_68=(2, np.inf)), "not finite"),
            (spoilt(pt3d_68=(2, 0)), "contradict"),
            (spoilt(images=(2, np.frombuffer(b"no image", np.uint8))), "cannot be decoded"),
            (spoilt(images=(2, np.zeros(0, np.uint8))), "image is empty"),
            (spoilt(images=(2, np.frombuffer(archives.png(np.random.default_rng(0))[:-50], np.uint8))), "cut short"),
            (
                spoilt(images=(2, np.frombuffer(archives.png(np.random.default_rng(0), 9, 9), np.uint8))),
                "not in the image",
            ),
        ],
    )
    def test_one_bad_sample_is_dropped_counted_and_named(self, spoil, message, tmp_path, rng):
        path = archives.opentrack_h5(rng, tmp_path / "x.h5", 6)
        with h5py.File(path, "r+") as file:
            spoil(file)
        samples, tally = read(opentrack_h5, path)
        assert [s.name[-1] for s in samples] == ["0", "1", "3", "4", "5"] and tally.bad == 1 and tally.seen == 6
        assert "x.h5: sample 2" in tally.messages[0] and message in tally.messages[0]

    def test_depth_toward_the_viewer_is_noticed(self, tmp_path, rng):
        points = archives.posed_faces(np.random.default_rng(1), 6)["pt3d_68"] * [1, 1, -1]
        path = archives.opentrack_h5(rng, tmp_path / "x.h5", 6, pt3d_68=points, leave=["rois"])
        assert read(opentrack_h5, path)[1].bad == 6

    @pytest.mark.parametrize(
        ("others", "message"),
        [
            ({"leave": ["quats"]}, "it lacks quats"),
            ({"leave": ["coords"]}, r"it lacks coords \(needed: images, quats, coords; it has: "),
            ({"quats": np.ones((4, 3))}, r"quats is float64 \(4, 3\), expected numbers \(4, 4\)"),
            ({"quats": np.ones((3, 4))}, r"quats is float64 \(3, 4\), expected numbers \(4, 4\)"),
            ({"quats": np.full((4, 4), b"x")}, r"quats is .S1 \(4, 4\), expected numbers"),
            ({"pt3d_68": np.ones((4, 68, 2))}, "pt3d_68 is float64"),
            ({"images": np.ones((4, 20, 20))}, r"images is float64 \(4, 20, 20\); expected encoded"),
            ({"images": np.ones((4, 20), np.uint8)}, "expected encoded images"),
            ({"images": np.uint8(3)}, "expected"),
            ({"images": np.array([b"a.jpg"] * 4)}, "names of files are not followed"),
            ({"sequence_starts": np.array([0, 3])}, "sequence_starts does not rise from 0 to .* 4"),
            ({"sequence_starts": np.array([0, 3, 2, 4])}, "sequence_starts does not rise"),
            ({"sequence_starts": np.array([0.0, 4])}, "sequence_starts does not rise"),
        ],
    )
    def test_what_is_no_such_file_is_one_error(self, others, message, tmp_path, rng):
        path = archives.opentrack_h5(rng, tmp_path / "x.h5", 4, **others)
        with pytest.raises(ValueError, match=message) as caught:
            read(opentrack_h5, path)
        assert "x.h5" in str(caught.value) and "\n" not in str(caught.value)

    def test_nothing_is_read_from_elsewhere(self, tmp_path, rng):
        other = archives.opentrack_h5(rng, tmp_path / "other.h5", 4)
        (tmp_path / "secret").write_bytes(bytes(4 * 4 * 8))
        for number, put in enumerate(
            (
                lambda file: file.__setitem__("quats", h5py.ExternalLink(str(other), "quats")),
                lambda file: file.create_dataset("quats", (4, 4), "f8", external=[(str(tmp_path / "secret"), 0, 128)]),
                lambda file: file.create_group("quats"),
            )
        ):
            path = archives.opentrack_h5(rng, tmp_path / f"x{number}.h5", 4, leave=["quats"])
            with h5py.File(path, "r+") as file:
                put(file)
            with pytest.raises(ValueError, match="quats is not an array in the file itself"):
                read(opentrack_h5, path)

    def test_a_claim_of_more_samples_than_bytes_is_refused(self, tmp_path):
        with h5py.File(tmp_path / "x.h5", "w") as file:
            file.create_dataset("images", (1 << 40, 8, 8), np.uint8, chunks=(1, 8, 8))
        with pytest.raises(ValueError, match="claims 1099511627776 samples"):
            read(opentrack_h5, tmp_path / "x.h5")

    @settings(max_examples=40)
    @given(st.data())
    def test_whatever_the_arrays_hold_gives_sound_samples_or_names_the_bad(self, tmp_path_factory, data):
        path = archives.opentrack_h5(np.random.default_rng(0), tmp_path_factory.mktemp("any") / "x.h5", 2)
        with h5py.File(path, "r+") as file:
            name = data.draw(st.sampled_from(["images", "quats", "coords", "rois", "pt3d_68"]))
            value = bytearray(file[name][1].tobytes())
            for _ in range(data.draw(st.integers(1, 8))):
                value[data.draw(st.integers(0, len(value) - 1))] ^= data.draw(st.integers(1, 255))
            kind = np.uint8 if name == "images" else file[name].dtype
            file[name][1] = np.frombuffer(value, kind).reshape(file[name].shape[1:] or -1)
        samples, tally = read(opentrack_h5, path)
        assert len(samples) + tally.bad == tally.total == 2 and samples[0].name == "x/000000"
        assert all("x.h5: sample 1" in message for message in tally.messages)


class TestTraining:
    def test_converted_samples_can_be_learnt_from(self, tmp_path, rng):
        """One batch with every loss: pose, box, landmarks and their depth are there."""
        # the name by which training finds it
        done = stage(archives.opentrack_h5(rng, tmp_path / "wflw.h5", 24), tmp_path / "w300lp.h5")
        assert done.returncode == 0 and "kept 24" in done.stdout
        stored = Stored(tmp_path / "w300lp.h5")
        assert stored.attributes["reader"] == "opentrack_h5" and "terms of the datasets" in stored.attributes["licence"]
        assert all(stored.masks[name].all() for name in ("quat", "pos_size", "bbox", "landmarks", "landmarks_depth"))
        model.save(tmp_path / "face.npz", faces.face_model())
        params = config.read_yaml(ROOT / "params.yaml")
        params["pose"] |= {"sampling": {"w300lp": 1.0}, "width": 0.25, "no_face": 0.0}
        pose = config.parse(params, "params.yaml").pose
        task = tasks.pose_task(tmp_path, {}, tmp_path / "face.npz", pose, 1e-3, 1)
        generator = torch.Generator().manual_seed(0)
        batch = task.train.batch(task.train.sample(8, generator))
        shown = task.finish(task.prepare(batch, generator))
        counted = {
            name
            for name, (_, counts) in losses.evaluate(losses.POSE, task.net(shown["image"]), shown).items()
            if counts.any()
        }
        assert counted == {name for name, row in losses.POSE.items() if not row.no_face}

    def test_the_same_file_gives_the_same_bytes(self, tmp_path, rng):
        path = archives.opentrack_h5(rng, tmp_path / "x.h5", 80)
        for workers in (1, 3):
            conversion.convert(
                "opentrack_h5", path, tmp_path / f"{workers}.h5", Options(workers=workers),
                source="real", max_bad_share=0, progress=False,
            )  # fmt: skip
        assert (tmp_path / "1.h5").read_bytes() == (tmp_path / "3.h5").read_bytes()


def stage(path, out):
    command = [sys.executable, "-m", "stages.convert", "opentrack_h5", str(path), str(out)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
