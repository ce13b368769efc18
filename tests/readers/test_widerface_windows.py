import shutil

import numpy as np
import pytest

from nntrack.contract import LOCALIZER_SIZE
from nntrack.readers import widerface
from nntrack.readers._format import Options
from tests import archives
from tests.reading import read


def test_windows_of_each_photo(tmp_path, rng):
    samples, tally = read(widerface, archives.widerface(rng, tmp_path))
    with_face = [s for s in samples if s.labels["face"] == 1]
    groups = [[s.labels["face"].item() for s in samples if s.group == one.group] for one in with_face]
    assert sorted(groups) == [[1], *[[1, *[0] * widerface.WITHOUT]] * 3]  # one face leaves no room beside it
    assert sum(map(len, groups)) == len({s.name for s in samples}) == len(samples)
    assert sorted(s.subset for s in with_face) == ["train", "train", "train", "val"]
    assert tally.dropped == {
        "not exactly one face": 3,
        "face flagged invalid, or its box empty": 2,
        "photo not in the archive": 1,
        "no room for a window beside the face": widerface.WITHOUT,
    }
    for sample in with_face:
        x0, y0, x1, y1 = sample.labels["bbox"]
        assert 0 <= x0 < x1 <= 288 and 0 <= y0 < y1 <= 224 and sample.image.shape == LOCALIZER_SIZE
        assert 0.05 <= (x1 - x0) / 288 <= 1


def test_windows_hold_the_face_or_nothing_of_it(rng):
    for _ in range(300):
        corner = rng.uniform(0, 500, 2)
        box = np.concatenate([corner, corner + rng.uniform(20, 150, 2)])
        window = widerface._window_with(box, 800, 700, rng)
        if isinstance(window, np.ndarray):
            size = window[2:] - window[:2]
            inside = np.minimum(box[2:], window[2:]) - np.maximum(box[:2], window[:2])
            # all of the face but the overhang, or a window filled by it
            assert (inside >= np.minimum((1 - widerface.OVERHANG) * (box[2:] - box[:2]), 0.6 * size) - 1e-9).all()
            assert (box[2] - box[0]) / size[0] <= widerface.FACE_FRACTION[1] + 1e-9
            assert (window >= 0).all() and (window <= [800, 700, 800, 700]).all()
            assert (window[2] - window[0]) / (window[3] - window[1]) == pytest.approx(4 / 3)
        beside = widerface._window_without(box, 800, 700, rng)
        if isinstance(beside, np.ndarray):
            overlap = np.minimum(box[2:], beside[2:]) - np.maximum(box[:2], beside[:2])
            assert overlap.min() <= 0
            assert (beside >= -1e-9).all() and (beside <= np.array([800, 700, 800, 700]) + 1e-9).all()


def test_another_seed_gives_other_windows(tmp_path, rng):
    folder = archives.widerface(rng, tmp_path)
    boxes = [read(widerface, folder, Options(workers=1, seed=s))[0][0].labels["bbox"] for s in (1, 1, 2)]
    assert (boxes[0] == boxes[1]).all() and (boxes[0] != boxes[2]).any()


@pytest.mark.parametrize("rest", ["many\n1 2 3 4\n", "1\n", "2\n1 2 3 4 0 0 0 0 0 0\n", "1\n1 2\n"])
def test_a_broken_list_is_named(rest):
    with pytest.raises(ValueError, match=r"list.txt, line 1: expected"):
        widerface.parse_list(f"a.jpg\n{rest}", "list.txt")


@pytest.mark.parametrize("name", ["WIDER_val.zip", "wider_face_split.zip"])
def test_a_missing_part_is_named(name, tmp_path, rng):
    folder = archives.widerface(rng, tmp_path)
    (folder / name).unlink()
    with pytest.raises(ValueError, match=r"nothing in it is called wider_face_|holds none, WIDER_val"):
        read(widerface, folder)


@pytest.mark.parametrize("subset", ["train", "val"])
def test_a_part_whose_photos_are_missing_is_an_error(subset, tmp_path, rng):
    folder = archives.widerface(rng, tmp_path)
    other = {"train": "val", "val": "train"}[subset]
    shutil.copy(folder / f"WIDER_{other}.zip", folder / f"WIDER_{subset}.zip")  # the wrong one under its name
    with pytest.raises(ValueError, match=rf"lacks a part: .*wider_face_{subset}_bbx_gt.txt .* it holds none"):
        read(widerface, folder)


@pytest.mark.parametrize(
    "text",
    [
        "\ufeffa/b.jpg\n1\n1 2 3 4 0 0 0 0 0 0\n",
        "a\\b.jpg\r\n1\r\n1 2 3 4 0 0 0 0 0 0 \r\n",
        "c/d.jpg\n0\na/b.jpg\n1\n1 2 3 4 0 0 0 0 0 0\n",
    ],
)
def test_lists_as_they_are_about(text):
    assert widerface.parse_list(text, "l")["a/b.jpg"] == [[1, 2, 3, 4, 0, 0, 0, 0, 0, 0]]


def test_a_face_outside_its_photo_is_noticed(tmp_path, rng):
    outside = ("0--P/x.jpg", 1, ["620 10 60 60 0 0 0 0 0 0"])
    lists = archives.WIDER_LISTS | {"val": [*archives.WIDER_LISTS["val"], outside]}
    _, tally = read(widerface, archives.widerface(rng, tmp_path, lists))
    assert 0 < tally.bad == tally.dropped["face outside the image"] and "x.jpg: its face" in tally.messages[0]
