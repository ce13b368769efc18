import os
import pickle

import numpy as np
import pytest

from nntrack.geometry.landmarks import EYE_CORNERS
from nntrack.geometry.neutral_face import NEUTRAL_LANDMARKS
from nntrack.geometry.rotations import quat_apply
from nntrack.readers import conversion, w300lp
from tests import archives
from tests.reading import read, unposed


def test_landmarks_are_those_of_each_picture(tmp_path, rng):
    samples, _ = read(w300lp, archives.w300lp(rng).write(tmp_path / "w.zip"))
    assert [s.group for s in samples] == ["AFW_1_2"] * 2 + ["IBUG_image_092 _01"] * 2
    assert [s.subset for s in samples] == ["AFW"] * 2 + ["IBUG"] * 2
    for sample in samples:
        posed = quat_apply(sample.labels["quat"], NEUTRAL_LANDMARKS) * sample.labels["pos_size"][2]
        points = posed[:, :2] + sample.labels["pos_size"][:2]
        assert sample.labels["landmarks"].shape == (68, 2)
        np.testing.assert_allclose(sample.labels["landmarks"], points, atol=1e-3)
        assert sample.image.shape == (192, 192)
        # the roi is in the middle, two thirds of the crop
        np.testing.assert_allclose(sample.labels["roi"], [32, 32, 160, 160], atol=1e-6)


def test_without_the_landmark_files_only_the_photo_has_landmarks(tmp_path, rng):
    samples, tally = read(w300lp, archives.w300lp(rng, views=3, landmarks=False).write(tmp_path / "w.zip"))
    assert ["landmarks" in s.labels for s in samples] == [True, False, False] * 2
    assert ["bbox" in s.labels for s in samples] == [True, False, False] * 2
    assert all({"quat", "pos_size", "roi"} <= set(s.labels) for s in samples) and not tally.dropped


@pytest.mark.parametrize("files", [True, False])
def test_the_basel_model_gives_depth(files, tmp_path, rng):
    archive = archives.w300lp(rng, views=3, landmarks=files)
    (tmp_path / "bfm_noneck_v3.pkl").write_bytes(pickle.dumps(archives.basel_model()))
    samples, tally = read(w300lp, archive.write(tmp_path / "w.zip"))
    assert tally.also_used == ["Basel face model: academic"]
    for sample in samples:
        assert sample.labels["landmarks"].shape == (68, 3)
        assert sample.labels["landmarks"][EYE_CORNERS, 2].mean() == pytest.approx(0, abs=1e-9)
        # the model's px are of a picture 448 wide, the radius of one 450 wide; its weights move all z alike
        np.testing.assert_allclose(unposed(sample.labels), NEUTRAL_LANDMARKS, atol=0.03)


@pytest.mark.parametrize("data", [b"no pickle", pickle.dumps({"u": 1}), pickle.dumps(os.getcwd)])
def test_another_pickle_is_refused(data, tmp_path, rng):
    (tmp_path / "bfm_noneck_v3.pkl").write_bytes(data)
    with pytest.raises(ValueError, match=r"bfm_noneck_v3.pkl is not the Basel model"):
        read(w300lp, archives.w300lp(rng).write(tmp_path / "w.zip"))


def test_landmarks_of_another_pose_are_noticed(tmp_path, rng):
    archive = archives.w300lp(rng)
    name = "300W_LP/landmarks/AFW/AFW_1_2_1_pts.mat"
    archive.contents[name] = archives.mat(pts_3d=np.ones((68, 2)) * 9, pts_2d=np.ones((68, 2)))
    _, tally = read(w300lp, archive.write(tmp_path / "w.zip"))
    assert tally.dropped == {"labels contradict each other": 1} and "landmarks contradict the pose" in tally.messages[0]


def test_most_without_landmarks_are_a_warning(tmp_path, rng):
    _, tally = read(w300lp, archives.w300lp(rng, views=3, landmarks=False).write(tmp_path / "w.zip"))
    text = conversion.summary("w300lp", tally)
    assert "labels: face 6, roi 6, bbox 2, quat 6, pos_size 6, landmarks 2\n" in text
    assert "warning: only 2 of 6 samples have landmarks, which 300W-LP is known for" in text
    _, tally = read(w300lp, archives.w300lp(rng, views=3).write(tmp_path / "w.zip"))
    assert "warning" not in conversion.summary("w300lp", tally)


def test_landmarks_beside_the_main_folder_are_found(tmp_path, rng):
    archive = archives.w300lp(rng)
    archive.contents = {n.replace("300W_LP/landmarks", "landmarks"): data for n, data in archive.contents.items()}
    samples, _ = read(w300lp, archive.write(tmp_path / "w.zip"))
    assert all("landmarks" in sample.labels for sample in samples)
