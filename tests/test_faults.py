"""Surroundings that fail or are odd: disks, other processes, names, places. What must hold: one clear line, no harm."""

import hashlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.pipeline import Checkout

pytestmark = pytest.mark.slow

CONVERT = ("data/synthetic/300W-LP.zip", "data/hdf5/w300lp.h5")
TRAIN = ("stages.train_pose", "data/hdf5", "data/split.json", "models/facemodel.npz", "models/pose")
BUSY = r"is busy, it is being blocked by|Unable to acquire lock"  # as DVC says it


@pytest.fixture
def mount():
    """A function that mounts something at a folder, until the test is over."""
    mounted = []

    def run(path: Path, *arguments: object) -> None:
        done = subprocess.run(["mount", *map(str, arguments), path], capture_output=True, text=True)
        if done.returncode:
            pytest.skip(f"needs the right to mount: {done.stderr.strip()}")
        mounted.append(path)

    yield run
    for path in dict.fromkeys(mounted):
        subprocess.run(["umount", path], check=True)


def digests(folder: Path) -> dict[str, str]:
    """Hash of every file below a folder, hidden ones included."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


def lock(checkout: Checkout) -> str:
    return (checkout.path / "dvc.lock").read_text()


def failed(checkout: Checkout, *command: str) -> str:
    """The one line with which a stage ends."""
    out = checkout.run(sys.executable, "-m", *command, code=1)
    assert "Traceback" not in out
    lines = [line for line in re.split(r"[\r\n]+", out) if line.startswith("error: ")]
    assert len(lines) == 1 and out.endswith(f"{lines[0]}\n"), out
    return lines[0]


@pytest.fixture
def small_disk(made, mount, tmp_path):
    """What a conversion and a training need, on a disk of its own that can be filled."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount(disk, "-t", "tmpfs", "-o", "size=64m", "tmpfs")
    for name in ("data", "models"):
        shutil.copytree(made.path / name, disk / name)
    for name in ("params.yaml", "nntrack", "stages"):
        (disk / name).symlink_to(made.path / name)
    return Checkout(disk)


def fill(disk: Path, left: int) -> Path:
    """Leave ``left`` kB free; returns the file that takes the rest."""
    ballast = disk / "ballast"
    status = os.statvfs(disk)
    with open(ballast, "wb") as stream:
        os.posix_fallocate(stream.fileno(), 0, status.f_bavail * status.f_frsize - left * 1024)
    return ballast


# in a picture, in the spooled labels, in what HDF5 writes, when all comes together
@pytest.mark.parametrize("left", [0, 400, 1170, 1200, 1230, 1260, 1300])
def test_a_full_disk_ends_a_conversion(left, small_disk):
    fill(small_disk.path, left)
    before = digests(small_disk.path / "data")
    told = failed(small_disk, "stages.convert", "w300lp", *CONVERT)
    assert told == f"error: [Errno 28] No space left on device: '{CONVERT[1]}'"
    assert digests(small_disk.path / "data") == before


# in the curves, in the weights
@pytest.mark.parametrize("left", [40, 400])
def test_a_full_disk_ends_a_training(left, small_disk, made):
    weights = small_disk.path / "models/pose/model.safetensors"
    whole = digests(weights.parent)
    shutil.rmtree(weights.parent)
    ballast = fill(small_disk.path, left)
    assert "No space left on device" in failed(small_disk, *TRAIN)
    assert not weights.exists()
    assert not list(weights.parent.glob(".*"))
    ballast.unlink()
    small_disk.run(sys.executable, "-m", *TRAIN)
    assert digests(weights.parent) == whole


def test_folders_that_can_only_be_read(made, mount, tmp_path):
    checkout = made.copy(tmp_path / "one")
    before = digests(checkout.path / "data")
    for name in ("hdf5", "synthetic"):
        folder = checkout.path / "data" / name
        mount(folder, "--bind", folder)
        mount(folder, "-o", "remount,ro,bind")
    told = failed(checkout, "stages.convert", "w300lp", *CONVERT)
    assert told == f"error: {CONVERT[1]} cannot be written: {checkout.path / 'data/hdf5'} is read-only"
    assert "Read-only file system" in checkout.dvc("repro", "-f", "-s", "convert@w300lp", code=None)
    checkout.dvc("repro", "-f", "-s", "train_pose")  # which only reads there
    assert digests(checkout.path / "data") == before
    assert lock(checkout) == lock(made)


def test_two_at_once_do_not_disturb_each_other(made, tmp_path):
    one, two = made.copy(tmp_path / "one"), made.copy(tmp_path / "two")
    for checkout in (one, two):
        checkout.set(split={"held_out": 0.5})
    one.dvc("repro", "facemodel")
    how = {"cwd": two.path, "env": two.environment, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    both = [subprocess.Popen([*two.dvc_command, "repro", "facemodel"], text=True, **how) for _ in range(2)]
    for process in both:
        said, _ = process.communicate(timeout=300)
        assert process.returncode == 0 or re.search(BUSY, said), said
        assert "Traceback" not in said
    two.dvc("repro", "facemodel")
    assert lock(two) == lock(one) != lock(made)


def test_any_name_will_do_in_any_locale(made, tmp_path):
    checkout = made.copy(tmp_path / "a place of Zoë (頭)")
    again = ("convert@w300lp", "train_localizer", "export", "report", "page")
    checkout.run(*checkout.dvc_command, "repro", "-f", "-s", *again, LC_ALL="POSIX")
    assert lock(checkout) == lock(made)


def test_without_git(made, tmp_path):
    """As docs/usage.md says."""
    checkout = made.copy(tmp_path / "one")
    shutil.rmtree(checkout.path / ".git")
    command = "dvc config --local core.no_scm true"
    assert f"`{command}`" in (ROOT / "docs/usage.md").read_text()
    checkout.dvc(*command.split()[1:])
    assert "Data and pipelines are up to date" in checkout.dvc("repro")
    checkout.dvc("repro", "-f", "-s", "facemodel", "train_localizer")
    assert lock(checkout) == lock(made)
    assert "metrics" in checkout.dvc("metrics", "show")


def test_from_another_folder(made, tmp_path):
    checkout = made.copy(tmp_path / "one")
    inside = Checkout(checkout.path / "reports")
    environment = {"PYTHONPATH": str(checkout.path)}
    inside.run(*inside.dvc_command, "repro", "-f", "-s", "../dvc.yaml:facemodel", **environment)
    assert lock(checkout) == lock(made)
    paths = [str(checkout.path / name) for name in CONVERT]
    command = [sys.executable, "-m", "stages.convert", "w300lp", *paths]
    elsewhere = Checkout(tmp_path)
    before = digests(tmp_path)
    told = elsewhere.run(*command, code=1, **environment)
    assert told == "error: params.yaml is not there: stages are run in the folder of the project\n"
    shutil.copy(checkout.path / "params.yaml", tmp_path)
    elsewhere.run(*command, **environment)
    # seen from elsewhere the archive is somebody's own, which its file says: only its name can be compared
    assert digests(tmp_path).keys() == before.keys() | {"params.yaml"}


def test_a_lock_of_dvc_that_was_cut_short_is_mended_as_the_docs_say(made, tmp_path):
    checkout = made.copy(tmp_path / "one")
    path = ".dvc/tmp/rwlock"
    (checkout.path / path).write_text('{"a')
    checkout.set(lr=0.002)
    assert path in checkout.dvc("repro", code=255)
    assert f"`rm {path}`" in (ROOT / "docs/usage.md").read_text()
    checkout.run("rm", path)
    checkout.dvc("repro", "-s", "train_pose")
