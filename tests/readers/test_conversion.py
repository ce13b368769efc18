import json
import subprocess
import sys

import numpy as np
import pytest

from nntrack import config
from nntrack.data import hdf5, splits
from nntrack.data.datasets import DATASETS
from nntrack.data.hdf5 import Stored
from nntrack.readers import conversion
from nntrack.readers._format import Options
from nntrack.readers.marks import fingerprint
from tests import archives
from tests.conftest import ROOT


def convert(dataset, archive, out, options=Options(), **others):  # noqa: B008 (frozen)
    given = {"source": "synthetic", "max_bad_share": 0.5, "progress": False, **others}
    return conversion.convert(dataset, archive, out, options, **given)


def test_there_is_a_reader_for_every_dataset():
    datasets = config.load(ROOT / "params.yaml").convert.datasets
    assert set(datasets) < set(sorted(DATASETS))
    assert set(datasets) == set(config.read_yaml(ROOT / "dvc.yaml")["stages"]["convert"]["foreach"])


def test_an_unknown_dataset_is_refused_with_the_known_ones(tmp_path):
    with pytest.raises(
        ValueError, match="no reader for 'pointing'; known: aflw2k, biwi, opentrack_h5, w300lp, widerface"
    ):
        convert("pointing", tmp_path, tmp_path / "x.h5")


@pytest.mark.parametrize("dataset", sorted(DATASETS))
def test_bytes_depend_on_the_archive_alone(dataset, tmp_path):
    archive = archives.make(dataset, tmp_path)
    for workers in (1, 3):
        convert(dataset, archive, tmp_path / f"{workers}.h5", Options(workers=workers))
    assert (tmp_path / "1.h5").read_bytes() == (tmp_path / "3.h5").read_bytes()


def test_the_file_says_where_it_comes_from(tmp_path, rng):
    archive = archives.aflw2k(rng, 4)
    archive.contents["AFLW2000/image00003.jpg"] = b"damaged"
    path = archive.write(tmp_path / "AFLW2000-3D.zip")
    tally = convert("aflw2k", path, tmp_path / "x.h5", source="real")
    found = Stored(tmp_path / "x.h5").attributes
    assert found["reader"] == "aflw2k" and found["archive"] == "AFLW2000-3D.zip" and found["source"] == "real"
    assert found["fingerprint"] == fingerprint(path)["sha256"] and "non-commercial" in found["licence"]
    assert found["kept"] == 3 and found["bad"] == 1 and json.loads(found["dropped"]) == {"damaged": 1}
    text = conversion.summary("aflw2k", tally)
    assert "kept 3, dropped 1" in text and "image00003.jpg" in text


def test_too_much_damage_fails_and_leaves_nothing(tmp_path, rng):
    archive = archives.aflw2k(rng, 4)
    for name in ("image00002", "image00003", "image00004"):
        archive.contents[f"AFLW2000/{name}.jpg"] = b"damaged"
    path, out = archive.write(tmp_path / "a.zip"), tmp_path / "out" / "x.h5"
    with pytest.raises(ValueError, match=r"3 of 4 samples are damaged.*max_bad_share.*image00002"):
        convert("aflw2k", path, out)
    assert not list(out.parent.iterdir())
    assert convert("aflw2k", path, out, max_bad_share=0.75).kept == 1


def test_what_a_rule_sorts_out_is_no_damage(tmp_path, rng):
    archive = archives.aflw2k(rng, 2)
    para = archives.pose(rng)
    para[0, 2] = 3
    archive.contents["AFLW2000/image00002.mat"] = archives.mat(Pose_Para=para, pt3d_68=np.ones((3, 68)))
    tally = convert("aflw2k", archive.write(tmp_path / "a.zip"), tmp_path / "x.h5", max_bad_share=0.0)
    assert tally.kept == 1 and tally.dropped.total() == 1


def test_an_archive_without_a_usable_sample_fails(tmp_path, rng):
    archive = archives.aflw2k(rng, 1)
    archive.contents["AFLW2000/image00002.jpg"] = b"damaged"
    with pytest.raises(ValueError, match=r"a.zip holds no usable sample"):
        convert("aflw2k", archive.write(tmp_path / "a.zip"), tmp_path / "x.h5", max_bad_share=1.0)


def test_an_absent_archive_says_what_to_do(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"a.zip is not there: put it there, or `dvc pull .*x.h5`"):
        convert("aflw2k", tmp_path / "a.zip", tmp_path / "x.h5")


def test_a_dataset_that_is_not_used_gives_an_empty_file(tmp_path):
    convert("ytfaces", tmp_path / "YTFaces", tmp_path / "x.h5", use=False)
    found = Stored(tmp_path / "x.h5")
    assert len(found) == 0 and found.labels["quat"].shape == (0, 4) and found.attributes["kept"] == 0


def stage(*arguments):
    command = [sys.executable, "-m", "stages.convert", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


def test_the_stage_limits_and_reports(tmp_path):
    archive = archives.make("aflw2k", tmp_path)
    done = stage("aflw2k", archive, tmp_path / "x.h5", "-n", "5")
    assert done.returncode == 0 and "kept 5" in done.stdout
    assert len(Stored(tmp_path / "x.h5")) == 5


@pytest.mark.parametrize("dataset", ["aflw2k", "nonsense"])
def test_what_a_user_can_mend_is_one_line(dataset, tmp_path):
    done = stage(dataset, tmp_path / "a.zip", tmp_path / "x.h5")
    assert done.returncode == 1 and done.stderr.count("\n") == 1 and done.stderr.startswith("error: ")


def test_the_old_name_of_a_dataset_is_told_with_the_new(tmp_path):
    with pytest.raises(ValueError, match="300wlp is called w300lp now"):
        convert("300wlp", tmp_path / "a.zip", tmp_path / "x.h5")
    hdf5.write(tmp_path / "300wlp.h5", [], {"reader": "300wlp"})
    for read in (Stored, hdf5.read_attributes):
        with pytest.raises(ValueError, match=r"300wlp\.h5 is of the dataset 300wlp, which is called w300lp now"):
            read(tmp_path / "300wlp.h5")
    splits.save(tmp_path / "split.json", {"300wlp": []})
    with pytest.raises(ValueError, match=r"split\.json names the dataset 300wlp, which is called w300lp now"):
        splits.load(tmp_path / "split.json")
    params = config.read_yaml(ROOT / "params.yaml")
    for place in ("synthesize", "convert"):
        old = params | {place: params[place] | {"300wlp": 8}}
        with pytest.raises(ValueError, match=rf"^p\.yaml: {place}\.300wlp: 300wlp is called w300lp now"):
            config.parse(old, "p.yaml")
