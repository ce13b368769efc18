import numpy as np
import pytest

from benchmarks import real_photos
from nntrack.data.hdf5 import Stored
from nntrack.deploy.runtime import PoseModel
from nntrack.geometry.rotations import quat_to_rotmat
from nntrack.readers import conversion
from nntrack.readers._format import Options
from nntrack.synthesis.archives import aflw2000
from nntrack.synthesis.archives.formats import ZipWriter
from tests import onnx_files


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    path = tmp_path_factory.mktemp("archives") / "AFLW2000-3D.zip"
    with ZipWriter(path) as writer:
        for number in range(3):
            for name, data in aflw2000.render(5, number, heads={"anny": 1.0})[0]:
                writer.add(name, data)
    return path


def test_photos_are_read_as_the_reader_reads_them(archive, tmp_path):
    conversion.convert("aflw2k", archive, tmp_path / "a.h5", Options(), source="synthetic", max_bad_share=0)
    stored = Stored(tmp_path / "a.h5")
    images, quats, points = zip(*real_photos.photos(archive), strict=True)
    assert np.array_equal(np.stack(images), stored.image[:])
    assert np.allclose(quat_to_rotmat(np.stack(quats)), quat_to_rotmat(stored.labels["quat"]), atol=1e-5)
    assert np.allclose(np.stack(points), stored.labels["landmarks"][..., :2], atol=1e-3)


def test_a_net_that_knows_nothing_errs_by_the_labels(archive, tmp_path):
    found = list(real_photos.photos(archive))
    model = PoseModel(onnx_files.pose(tmp_path / "still.onnx"))
    angles = np.abs(real_photos.errors.aflw_degrees(np.stack([quat for _, quat, _ in found])))
    assert float(real_photos.pose_error(model, found, 1.2)) == pytest.approx(angles.mean(), abs=0.006)


def test_the_table_has_a_row_per_model(shared, capsys):
    real_photos.main(shared / "real", [shared / "opentrack"], limit=8)
    title, rule, row = (line.strip("| ").split(" | ") for line in capsys.readouterr().out.splitlines())
    assert len(title) == len(rule) == len(row) == 4
    # a released net is good on all of them, or they were read wrongly
    assert float(row[1]) < 4 and float(row[2]) < 4 and float(row[3].split(" / ")[0]) > 0.9
