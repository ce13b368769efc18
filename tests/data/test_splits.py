import numpy as np
import pytest

from nntrack.data import splits
from tests import faces

NAMES = [f"photo {n}" for n in range(200)]


def test_holds_out_whole_groups_in_the_share_asked_for():
    found = splits.hold_out(NAMES * 3, 0.1, seed=1)
    assert found == sorted(set(found))
    assert len(found) == 20
    assert set(found) < set(NAMES)


def test_depends_on_seed_and_names_alone():
    assert splits.hold_out(NAMES[::-1], 0.1, seed=1) == splits.hold_out(NAMES, 0.1, seed=1)
    assert splits.hold_out(NAMES, 0.1, seed=2) != splits.hold_out(NAMES, 0.1, seed=1)
    kept = set(splits.hold_out(NAMES[:190], 0.1, seed=1))
    assert len(kept & set(splits.hold_out(NAMES, 0.1, seed=1))) >= 17


@pytest.mark.parametrize(
    ("count", "share", "expected"), [(0, 0.5, 0), (1, 0.5, 0), (2, 0.01, 1), (3, 0.99, 2), (9, 0, 0)]
)
def test_leaves_something_on_both_sides(count, share, expected):
    assert len(splits.hold_out(NAMES[:count], share, seed=0)) == expected


def test_comes_back_from_disk(tmp_path):
    split = {"w300lp": ["a b", "ü"], "ytfaces": []}
    splits.save(tmp_path / "split.json", split)
    assert splits.load(tmp_path / "split.json") == split
    (tmp_path / "bad.json").write_text("[1]")
    with pytest.raises(ValueError, match=r"bad\.json is not a split"):
        splits.load(tmp_path / "bad.json")
    with pytest.raises(FileNotFoundError, match="dvc repro split"):
        splits.load(tmp_path / "none.json")


def test_rows_are_parted_by_group(tmp_path, rng):
    stored = faces.write(tmp_path / "a.h5", faces.crops(rng, 12, groups=4))
    inside = splits.rows_of(stored, ["photo 1"], inside=True)
    outside = splits.rows_of(stored, ["photo 1"], inside=False)
    assert set(stored.strings["group"][inside]) == {"photo 1"}
    np.testing.assert_array_equal(np.sort(np.concatenate([inside, outside])), np.arange(12))
    assert not len(splits.rows_of(stored, [], inside=False, subset="val"))
