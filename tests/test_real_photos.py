from itertools import islice

import numpy as np
import pytest

from benchmarks import real_photos
from nntrack.data.hdf5 import Stored
from nntrack.deploy.runtime import PoseModel
from nntrack.evaluation import errors
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
    found = [real_photos.labelled(photo, 1.2) for photo in real_photos.photos(archive)]
    net = PoseModel(onnx_files.pose(tmp_path / "still.onnx"))
    angles = errors.aflw_degrees(np.stack([face.quat for face in found]))
    figures = real_photos.against_labels(net, found)
    assert float(figures["average"]) == pytest.approx(np.abs(angles).mean(), abs=0.006)
    assert float(figures["mirror"]) == pytest.approx(0, abs=0.006)


def test_a_net_differs_from_itself_by_the_windows_alone(shared):
    """Its mean over the windows is what it is compared with."""
    net = PoseModel(shared / "opentrack/head-pose-0.4-small-int8.onnx")
    sure = real_photos.compared(net, islice(real_photos.unlabelled(shared / "real/wider_faces"), 20))
    assert len(sure) > 10
    figures = real_photos.against_reference(net, sure)
    assert float(figures["geodesic"]) < 3
    assert float(figures["pitch slope"]) == pytest.approx(1, abs=0.1)


def test_there_is_a_table_per_set_of_faces_with_a_row_per_network(shared, capsys):
    real_photos.main(shared / "real", [shared / "opentrack"], limit=8)
    tables = [table.splitlines() for table in capsys.readouterr().out.strip().split("\n\n")]
    titles, tables = tables[::2], [[line.strip("| ").split("|") for line in table] for table in tables[1::2]]
    assert [title[0].partition(",")[0] for title in titles] == ["AFLW2000-3D", "300W-LP", "WIDER FACE"]
    assert [len(table) for table in tables] == [3, 3, 4]
    # a released net is good on all of them, or they were read wrongly
    aflw2k, w300lp, faces = (float(table[2][1]) for table in tables)
    assert aflw2k < 4 and w300lp < 4 and faces > 0.9 and float(tables[2][3][3]) > 0.9
