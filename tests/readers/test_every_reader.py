import dataclasses
import zipfile

import numpy as np
import pytest
from scipy.io import loadmat
from scipy.spatial.transform import Rotation

from nntrack.data.datasets import DATASETS
from nntrack.geometry.boxes import face_box, square_around
from nntrack.geometry.landmarks import EYE_CORNERS
from nntrack.geometry.rotations import geodesic_distance
from nntrack.readers import _rigid, aflw2k, conversion, w300lp, widerface, ytfaces
from nntrack.readers._format import Options
from tests import archives
from tests.reading import ONE, read, unposed


@pytest.mark.parametrize("dataset", sorted(DATASETS))
class TestEveryReader:
    def test_samples_are_whole(self, dataset, tmp_path):
        reader = conversion.find_reader(dataset)
        samples, tally = read(reader, archives.make(dataset, tmp_path))
        assert samples and not tally.bad
        assert tally.seen == tally.total
        assert len({sample.name for sample in samples}) == len(samples)
        assert len({sample.image.shape for sample in samples}) == 1
        for sample in samples:
            assert sample.image.dtype == np.uint8 and sample.group
            assert {"roi", "face"} <= set(sample.labels)
            if "quat" in sample.labels:
                roi = square_around(sample.labels["bbox"])
                np.testing.assert_allclose(sample.labels["roi"], roi, atol=1e-6)
                assert np.linalg.norm(sample.labels["quat"]) == pytest.approx(1)

    def test_the_number_of_workers_changes_nothing(self, dataset, tmp_path):
        reader, archive = conversion.find_reader(dataset), archives.make(dataset, tmp_path)
        alone, tally = read(reader, archive)
        together, same = read(reader, archive, Options(workers=3))
        assert tally == same
        for a, b in zip(alone, together, strict=True):
            assert (a.name, a.group, a.subset, a.sequence) == (b.name, b.group, b.subset, b.sequence)
            np.testing.assert_array_equal(a.image, b.image)
            assert a.labels.keys() == b.labels.keys()
            for name in a.labels:
                np.testing.assert_array_equal(a.labels[name], b.labels[name])

    @pytest.mark.parametrize("limit", [1, 2, 5])
    def test_a_limit_gives_the_first_samples(self, dataset, limit, tmp_path):
        reader, archive = conversion.find_reader(dataset), archives.make(dataset, tmp_path)
        everything, _ = read(reader, archive)
        some, _ = read(reader, archive, dataclasses.replace(ONE, limit=limit))
        assert [s.name for s in some] == [s.name for s in everything[:limit]]

    def test_another_archive_is_refused_by_name(self, dataset, tmp_path):
        other = archives.Archive()
        other.contents["holiday/beach.jpg"] = b"x"
        path = other.write(tmp_path / "other" / "WIDER_train.zip")
        path = path if dataset in ("aflw2k", "w300lp") else path.parent
        with pytest.raises((ValueError, FileNotFoundError), match="other"):
            read(conversion.find_reader(dataset), path)

    def test_a_cut_file_is_refused_by_name(self, dataset, tmp_path):
        archive = archives.make(dataset, tmp_path)
        path = archive if archive.is_file() else sorted(archive.glob("*.zip"))[0]
        path.write_bytes(path.read_bytes()[:-200])
        with pytest.raises(ValueError, match=rf"{path.name} is not a complete (zip|HDF5)"):
            read(conversion.find_reader(dataset), archive)


@pytest.fixture(scope="module")
def mean(shared):
    """The mean of the real labels' landmarks, head radii."""
    rows = [line.split(",") for line in (shared / "mean_landmarks68.csv").read_text().splitlines()]
    return np.array([[float(n) for n in row[1:]] for row in rows if row[0].isdigit()])


class TestOnRealSamples:
    def test_aflw2k(self, shared, mean):
        samples, tally = read(aflw2k, shared / "real" / "AFLW2000-3D.zip")
        assert len(samples) == 8 and not tally.dropped
        for sample in samples:
            assert np.sqrt(((unposed(sample.labels) - mean) ** 2).sum(axis=-1).mean()) < 0.12
            centre = sample.labels["landmarks"][EYE_CORNERS, :2].mean(axis=0)
            assert np.linalg.norm(centre - sample.labels["pos_size"][:2]) < 0.05 * sample.labels["pos_size"][2]

    def test_rotations_agree_with_the_files(self, shared):
        samples, _ = read(aflw2k, shared / "real" / "AFLW2000-3D.zip")
        with zipfile.ZipFile(shared / "real" / "AFLW2000-3D.zip") as file:
            for sample in samples:
                with file.open(sample.name.replace(".jpg", ".mat")) as stream:
                    pitch, yaw, roll = loadmat(stream)["Pose_Para"][0, :3]
                expected = Rotation.from_euler("XYZ", [-pitch, yaw, roll])
                assert (Rotation.from_quat(sample.labels["quat"]).inv() * expected).magnitude() < 1e-5

    def test_a_rigid_fit_finds_the_labelled_pose(self, shared):
        samples, _ = read(aflw2k, shared / "real" / "AFLW2000-3D.zip")
        head = _rigid.fit(np.stack([sample.labels["landmarks"] for sample in samples]))
        error = np.degrees(geodesic_distance(head.quat, np.stack([sample.labels["quat"] for sample in samples])))
        assert error.max() < 6 and head.misfit.max() < ytfaces.MAX_MISFIT / 2

    def test_w300lp(self, shared):
        samples, tally = read(w300lp, shared / "real" / "300W-LP.zip")
        assert [("landmarks" in s.labels) for s in samples] == [True, False] * 2 and not tally.dropped
        assert {s.group for s in samples} == {"AFW_134212_1", "HELEN_232194_1"}
        for sample in samples[::2]:
            box = face_box(sample.labels["landmarks"], sample.labels["quat"], sample.labels["pos_size"])
            np.testing.assert_allclose(box, sample.labels["bbox"], atol=1e-6)

    def test_widerface(self, shared):
        samples, tally = read(widerface, shared / "real" / "wider_faces", dataclasses.replace(ONE, limit=20))
        assert len(samples) == 20 and not tally.bad
