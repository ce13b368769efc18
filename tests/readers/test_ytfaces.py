import cv2
import numpy as np
import pytest

from nntrack.geometry.neutral_face import NEUTRAL_LANDMARKS
from nntrack.readers import ytfaces
from nntrack.readers._format import Options
from tests import archives
from tests.reading import read, unposed


def test_pose_landmarks_and_pictures(tmp_path, rng):
    videos = {"Bo_0": archives.video(rng), "Cy_0": archives.video(rng)}
    persons = {"Bo_0": "Bo", "Cy_0": "Cy", "Gone_1": "Gone"}
    folder = archives.ytfaces(tmp_path / "Y", videos, persons, unpacked=["Cy_0"], word="large")
    samples, tally = read(ytfaces, folder, Options(workers=1, stride=3))
    assert [s.name for s in samples] == [f"{v}/{i}" for v in videos for i in (0, 3, 6)]
    assert {(s.sequence, s.group) for s in samples} == {("Bo_0", "Bo"), ("Cy_0", "Cy")}
    assert tally.dropped == {"neighbour of a kept frame": 10, "video not in the archive": 8}
    for sample in samples:
        np.testing.assert_allclose(unposed(sample.labels), NEUTRAL_LANDMARKS, atol=1e-6)


def test_the_order_in_memory_does_not_matter(tmp_path, rng):
    videos = {"Bo_0": archives.video(rng)}
    found = [
        read(ytfaces, archives.ytfaces(tmp_path / order, videos, {"Bo_0": "Bo"}, order=order))[0] for order in "CF"
    ]
    assert all((a.image == b.image).all() for a, b in zip(*found, strict=True))


def test_pictures_are_those_of_their_frames(tmp_path, rng):
    arrays = archives.video(rng, frames=4)
    arrays["colorImages"][:] = np.uint8([10, 60, 110, 160])  # each frame its own grey
    folder = archives.ytfaces(tmp_path, {"Bo_0": arrays}, {"Bo_0": "Bo"})
    samples, _ = read(ytfaces, folder, Options(workers=1, stride=2))
    assert [np.unique(s.image).tolist() for s in samples] == [[10], [110]]


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda p: p.__setitem__((..., 3), np.random.default_rng(0).uniform(0, 100, (68, 3))), "no face"),
        (lambda p: p.__setitem__((slice(None), 0, 3), p[:, 0, 3] + 60), "jump"),
        (lambda p: p.__setitem__((slice(None), 0), p[:, 0] + 200), "outside"),
        (lambda p: p.__itruediv__(160), "not in the image"),  # as fractions of the image's side
        (lambda p: p.__setitem__((0, 0, 3), np.nan), "not finite"),
    ],
)
def test_bad_fits_are_counted_by_reason(spoil, reason, tmp_path, rng):
    arrays = archives.video(rng)
    spoil(arrays["landmarks3D"])
    samples, tally = read(ytfaces, archives.ytfaces(tmp_path, {"Bo_0": arrays}, {"Bo_0": "Bo"}))
    assert [name for name in tally.dropped if reason in name]
    assert len(samples) + tally.dropped.total() == 8
    if reason in ("outside", "not in the image"):
        assert not samples
    else:
        assert [s.name for s in samples] == [f"Bo_0/{i}" for i in range(8) if i != 3]


@pytest.mark.parametrize("missing", ["colorImages", "landmarks3D"])
def test_an_array_that_is_missing_is_named(missing, tmp_path, rng):
    arrays = archives.video(rng)
    del arrays[missing]
    videos = {"Bo_0": arrays, "Cy_0": archives.video(rng), "Di_0": b"no npz"}
    folder = archives.ytfaces(tmp_path, videos, dict.fromkeys(videos, "Bo"))
    samples, tally = read(ytfaces, folder)
    assert len(samples) == 8 and tally.bad == 16
    assert f"Bo_0.npz lacks {missing}" in tally.messages[0] and "Di_0.npz" in tally.messages[1]


def test_videos_are_read_whole_in_grey_and_damaged_ones_are_left_out(tmp_path, rng):
    made = {name: archives.video(rng, 6) for name in "abcde"}
    folder = archives.ytfaces(tmp_path / "YTFaces", made, dict.fromkeys(made, "x"))
    found = dict(ytfaces.read_videos(folder, 3))
    assert list(found) == ["a", "c", "e"]
    for name, frames in found.items():
        colours = np.moveaxis(made[name]["colorImages"], -1, 0)
        grey = np.stack([cv2.cvtColor(np.ascontiguousarray(frame), cv2.COLOR_RGB2GRAY) for frame in colours])
        assert np.array_equal(frames, grey)
    del made["a"]["colorImages"]
    folder = archives.ytfaces(tmp_path / "damaged", made, dict.fromkeys(made, "x"))
    assert list(dict(ytfaces.read_videos(folder, 9))) == list("bcde")
