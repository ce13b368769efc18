import errno
import os

import pytest
import torch
from torch import nn

from nntrack.training import checkpoint
from nntrack.training.checkpoint import Checkpoint, digest
from nntrack.training.torch_settings import seeded

KEY, OTHER = "0123456789abcdef", "fedcba9876543210"


def parts(seed):
    """A net, and an optimiser that made a step."""
    net = seeded(lambda: nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3)), seed)
    net = net.to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(net.parameters(), fused=True)
    net(torch.randn(4, 2, 5, 5, generator=torch.Generator().manual_seed(seed))).square().sum().backward()
    optimizer.step()
    return {"net": net, "optimizer": optimizer}


def states(parts):
    return {name: part.state_dict() for name, part in parts.items()}


def same(one, other):
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other) and one.stride() == other.stride() and one.dtype == other.dtype
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    return one == other


def saved(folder, step=7, seed=0):
    made = Checkpoint(folder, KEY)
    made.save(step, parts(seed))
    return made


def test_what_was_saved_comes_back(tmp_path, capsys):
    one, other = parts(0), parts(1)
    assert not same(states(one), states(other))
    Checkpoint(tmp_path, KEY).save(7, one)
    assert Checkpoint(tmp_path, KEY).restore(other) == 7
    assert same(states(one), states(other))
    out = capsys.readouterr().out
    assert out.count("\n") == 1
    assert out.startswith("continuing after step 7, from ")


def test_without_a_checkpoint_nothing_changes(tmp_path, capsys):
    one = parts(0)
    before = {name: value.clone() for name, value in one["net"].state_dict().items()}
    made = Checkpoint(tmp_path / "new", KEY)
    assert made.restore(one) == 0
    assert same(before, one["net"].state_dict())
    assert made.report() == "There is no checkpoint"
    assert capsys.readouterr() == ("", "")


def test_what_others_left_is_removed(tmp_path):
    Checkpoint(tmp_path, OTHER).save(3, parts(0))
    own = saved(tmp_path)
    (tmp_path / "notes").mkdir()
    assert Checkpoint(tmp_path, KEY).restore(parts(1)) == 7
    assert sorted(path.name for path in tmp_path.iterdir()) == [KEY, "notes"]
    assert list(own.path.parent.iterdir()) == [own.path]


def test_a_removed_one_leaves_nothing(tmp_path):
    saved(tmp_path / "net").remove()
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "net" / "notes").mkdir(parents=True)
    saved(tmp_path / "net").remove()
    assert [path.name for path in (tmp_path / "net").iterdir()] == ["notes"]


@pytest.mark.parametrize("damage", ["flip", "cut", "empty", "text"])
def test_a_damaged_one_is_reported_and_not_used(damage, tmp_path, capsys):
    path = saved(tmp_path).path
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes({"flip": bytes(data), "cut": data[: len(data) // 2], "empty": b"", "text": b"hello"}[damage])
    assert Checkpoint(tmp_path, KEY).restore(parts(1)) == 0
    warning = capsys.readouterr().err
    assert warning == f"warning: {path} is damaged; training starts afresh\n"


def test_one_that_cannot_be_read_is_reported(tmp_path, capsys):
    (tmp_path / KEY / checkpoint.NAME).mkdir(parents=True)
    assert Checkpoint(tmp_path, KEY).restore(parts(1)) == 0
    assert "cannot be read (Is a directory); training starts afresh" in capsys.readouterr().err


def test_a_full_disk_is_reported_once_and_the_last_one_stays(tmp_path, capsys, monkeypatch):
    made = saved(tmp_path)

    def full(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        made.save(8, parts(1))
        made.save(9, parts(1))
    warning = capsys.readouterr().err
    assert warning.count("\n") == 1
    assert "(No space left on device); training continues. The last good checkpoint is that of step 7" in warning
    assert list(made.path.parent.iterdir()) == [made.path]
    restored = parts(2)
    assert Checkpoint(tmp_path, KEY).restore(restored) == 7
    assert same(states(restored), states(parts(0)))
    made.save(10, parts(1))
    assert Checkpoint(tmp_path, KEY).restore(restored) == 10


def test_a_folder_that_cannot_be_made_is_reported(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    made = Checkpoint(tmp_path / "file", KEY)
    assert made.restore(parts(0)) == 0
    made.save(1, parts(0))
    assert "could not be written" in capsys.readouterr().err
    assert made.report() == "There is no checkpoint"


def test_what_is_not_finite_is_not_kept(tmp_path):
    made = saved(tmp_path)
    spoilt = parts(0)
    with torch.no_grad():
        spoilt["net"][0].bias[1] = float("nan")
    made.save(8, spoilt)
    assert "of step 7" in made.report()
    assert Checkpoint(tmp_path, KEY).restore(parts(1)) == 7


def test_another_process_may_remove_the_folder(tmp_path):
    one, twin = saved(tmp_path), Checkpoint(tmp_path, KEY)
    twin.restore(parts(1))
    twin.remove()
    one.save(8, parts(0))
    assert twin.restore(parts(1)) == 8


def test_writing_takes_a_small_fraction_of_the_time(tmp_path, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(checkpoint.time, "monotonic", lambda: now[0])
    made = Checkpoint(tmp_path, KEY)
    now[0] = checkpoint.EVERY - 0.1
    assert not made.due()
    now[0] = checkpoint.EVERY
    assert made.due()
    monkeypatch.setattr(os, "fsync", lambda descriptor: now.__setitem__(0, now[0] + 3.0))  # a slow disk
    made.save(1, parts(0))
    now[0] += 3.0 / checkpoint.TIME_FRACTION - 0.1
    assert not made.due()
    now[0] += 0.2
    assert made.due()


def test_the_digest_is_of_values_files_and_code(tmp_path, monkeypatch):
    file = tmp_path / "data"
    file.write_text("a")

    def now(value=1):
        return digest({"value": value}, [file])

    found = [now(), now(2)]
    for text in ("b", "ab"):
        file.write_text(text)
        found.append(now())
    monkeypatch.setattr(checkpoint.np, "__version__", "0")
    found.append(now())
    (tmp_path / "code.py").write_text("")
    monkeypatch.setattr(checkpoint.sys.modules["nntrack.data.hdf5"], "__file__", str(tmp_path / "code.py"))
    found.append(now())
    assert len(set(found)) == len(found)


def test_the_digest_is_not_of_times_and_places(tmp_path):
    (tmp_path / "data").write_bytes(b"ab")
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "data").write_bytes(b"ab")
    os.utime(tmp_path / "cache" / "data", ns=(0, 0))
    assert digest(1, [tmp_path / "data"]) == digest(1, [tmp_path / "cache" / "data"])
