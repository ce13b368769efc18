import numpy as np
import pytest

from nntrack.contract import LOCALIZER_SIZE
from nntrack.readers import widerface
from nntrack.readers._format import Options
from tests import archives
from tests.reading import read


def test_pairs_of_windows(tmp_path, rng):
    samples, tally = read(widerface, archives.widerface(rng, tmp_path))
    assert [s.labels["face"].item() for s in samples] == [1, 0] * 3
    assert [s.group for s in samples[::2]] == [s.group for s in samples[1::2]]
    assert [s.subset for s in samples[::2]] == ["train", "train", "val"]
    assert tally.dropped == {
        "not exactly one face": 3,
        "face flagged invalid, or its box empty": 2,
        "photo not in the archive": 1,
        "no room for a window around the face": 2,
    }
    for sample in samples[::2]:
        x0, y0, x1, y1 = sample.labels["bbox"]
        assert 0 <= x0 < x1 <= 288 and 0 <= y0 < y1 <= 224 and sample.image.shape == LOCALIZER_SIZE
        assert 0.0999 <= (x1 - x0) / 288 <= 0.3301


def test_windows_hold_the_face_or_nothing_of_it(rng):
    for _ in range(300):
        corner = rng.uniform(0, 500, 2)
        box = np.concatenate([corner, corner + rng.uniform(20, 150, 2)])
        window = widerface._window_with(box, 800, 700, rng)
        if isinstance(window, np.ndarray):
            assert (window[:2] <= box[:2]).all() and (box[2:] <= window[2:]).all()
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
