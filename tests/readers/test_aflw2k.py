import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from nntrack.geometry.neutral_face import NEUTRAL_LANDMARKS
from nntrack.readers import aflw2k
from nntrack.readers._format import decode
from nntrack.readers._matlab import load_mat
from nntrack.readers.members import Damaged
from tests import archives
from tests.reading import read, unposed


def test_labels_agree_with_the_file(tmp_path, rng):
    archive = archives.aflw2k(rng, 5)
    samples, _ = read(aflw2k, archive.write(tmp_path / "a.zip"))
    for sample in samples:
        content = archive.contents[sample.name.replace(".jpg", ".mat")]
        para = load_mat(content, "m", {"Pose_Para": (7,), "pt3d_68": (3, 68)})
        pitch, yaw, roll, *_ = para["Pose_Para"]
        expected = Rotation.from_euler("XYZ", [-pitch, yaw, roll])
        assert (Rotation.from_quat(sample.labels["quat"]).inv() * expected).magnitude() < 1e-5
        np.testing.assert_allclose(sample.labels["landmarks"][:, :2], para["pt3d_68"][:2].T - 0.5)
        np.testing.assert_allclose(unposed(sample.labels), NEUTRAL_LANDMARKS, atol=1e-5)
        assert sample.image.shape == (450, 450)


@pytest.mark.parametrize("degrees", [99.5, -300.0])
def test_the_raw_angle_decides(degrees, tmp_path, rng):
    archive = archives.aflw2k(rng, 2)
    para = archives.pose(rng)
    para[0, 1] = np.radians(degrees)
    archive.contents["AFLW2000/image00002.mat"] = archives.mat(Pose_Para=para, pt3d_68=np.ones((3, 68)))
    samples, tally = read(aflw2k, archive.write(tmp_path / "a.zip"))
    assert len(samples) == 1 and tally.dropped == {"angle beyond 99 degrees": 1} and tally.bad == 0


def test_a_negative_scale_is_dropped(tmp_path, rng):
    archive = archives.aflw2k(rng, 2)
    para = archives.pose(rng)
    para[0, 6] *= -1
    archive.contents["AFLW2000/image00002.mat"] = archives.mat(Pose_Para=para, pt3d_68=np.ones((3, 68)))
    _, tally = read(aflw2k, archive.write(tmp_path / "a.zip"))
    assert tally.dropped == {"scale not positive": 1}


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("image00002.jpg", b"no picture", "cannot be decoded"),
        ("image00002.jpg", b"", "image is empty"),
        ("image00002.mat", b"no matlab file", "cannot be read"),
        ("image00002.mat", archives.mat(pt3d_68=np.ones((3, 68))), "lacks Pose_Para"),
        ("image00002.mat", archives.mat(Pose_Para=np.ones((1, 7))), "lacks pt3d_68"),
        ("image00002.mat", archives.mat(Pose_Para=np.full((1, 7), np.nan), pt3d_68=np.ones((3, 68))), "not finite"),
        ("image00002.mat", archives.mat(Pose_Para=np.ones((1, 6)), pt3d_68=np.ones((3, 68))), "expected"),
        ("image00002.mat", None, "no .mat beside"),
        ("image00002.jpg", None, "no photo beside"),
    ],
)
def test_one_bad_member_is_dropped_counted_and_named(name, data, message, tmp_path, rng):
    archive = archives.aflw2k(rng, 3)
    if data is None:
        del archive.contents[f"AFLW2000/{name}"]
    else:
        archive.contents[f"AFLW2000/{name}"] = data
    samples, tally = read(aflw2k, archive.write(tmp_path / "a.zip"))
    assert len(samples) == 2 and tally.bad == 1
    assert "a.zip" in tally.messages[0] and "image00002" in tally.messages[0] and message in tally.messages[0]


def test_a_photo_cut_short_is_noticed(rng):
    data = archives.jpeg(rng)
    with pytest.raises(Damaged, match="p is cut short"):
        decode(data[: len(data) // 2], "p")


def test_damage_inside_the_zip_is_noticed(tmp_path, rng):
    path = archives.aflw2k(rng, 3).write(tmp_path / "a.zip")
    data = bytearray(path.read_bytes())
    at = data.index(b"image00003.jpg") + 5000
    data[at] ^= 0xFF
    path.write_bytes(data)
    _, tally = read(aflw2k, path)
    assert tally.bad == 1 and "image00003.jpg" in tally.messages[0]


def test_landmarks_of_another_pose_are_noticed(tmp_path, rng):
    archive = archives.aflw2k(rng, 2)
    para, other = archives.pose(rng), archives.pose(rng)
    points = archives.project(other)[:, [1, 0, 2]].T  # x and y changed places
    archive.contents["AFLW2000/image00002.mat"] = archives.mat(Pose_Para=para, pt3d_68=points)
    _, tally = read(aflw2k, archive.write(tmp_path / "a.zip"))
    assert tally.bad == 1 and "image00002.mat: landmarks contradict the pose" in tally.messages[0]
