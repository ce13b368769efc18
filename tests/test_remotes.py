"""Converted datasets go to a remote and come back to somebody who has no archive, whatever the remote is."""

import getpass
import importlib.util
import re
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from nntrack import config
from tests.pipeline import ARCHIVES, MARK, NAME, Checkout, own_archives

pytestmark = pytest.mark.slow

FILES = sorted(f"data/hdf5/{name}.h5" for name in ARCHIVES)
BUCKET = "nntrack"


@contextmanager
def folder_remote(place: Path) -> Iterator[dict[str, str]]:
    yield {"url": str(place / "a shared folder")}


@contextmanager
def ssh_remote(place: Path) -> Iterator[dict[str, str]]:
    """A server of our own on loopback, for the user who runs the tests, with keys made on the spot."""
    server = shutil.which("sshd") or "/usr/sbin/sshd"
    if not Path(server).exists() or importlib.util.find_spec("dvc_ssh") is None:
        pytest.skip("needs openssh-server and `pip install nntrack[ssh]`")
    place.chmod(0o700)
    for key in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", place / key], check=True)
    shutil.copy(place / "user.pub", place / "authorized")
    port = _free_port()
    (place / "config").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {place}/host\nAuthorizedKeysFile {place}/authorized\n"
        f"PidFile none\nStrictModes no\nPermitRootLogin prohibit-password\nUsePAM no\nSubsystem sftp internal-sftp\n"
    )
    Path("/run/sshd").mkdir(exist_ok=True)  # where it shuts its unprivileged half in
    process = subprocess.Popen([server, "-D", "-e", "-f", place / "config"], stderr=subprocess.DEVNULL)
    try:
        _wait_for(port)
        yield {
            "url": f"ssh://127.0.0.1:{port}{place}/store",
            "user": getpass.getuser(),
            "keyfile": str(place / "user"),
        }
    finally:
        process.terminate()
        process.wait()


@contextmanager
def s3_remote(place: Path) -> Iterator[dict[str, str]]:
    """An S3 API on loopback whose buckets are in memory."""
    if importlib.util.find_spec("dvc_s3") is None or importlib.util.find_spec("moto") is None:
        pytest.skip("needs moto and `pip install nntrack[s3]`")
    import boto3
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    access = {"access_key_id": "test", "secret_access_key": "test", "region": "us-east-1"}
    url = f"http://{host}:{port}"
    boto3.client(
        "s3", endpoint_url=url, aws_access_key_id="test", aws_secret_access_key="test", region_name="us-east-1"
    ).create_bucket(Bucket=BUCKET)
    try:
        yield {"url": f"s3://{BUCKET}/store", "endpointurl": url, **access}
    finally:
        server.stop()


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def _wait_for(port: int) -> None:
    for _ in range(100):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    pytest.fail(f"no server on port {port}")


def connect(checkout: Checkout, settings: dict[str, str]) -> None:
    """Make it the default remote, as docs/usage.md says; what only this machine may know goes to the local config."""
    checkout.dvc("remote", "add", "-f", "-d", "--local", "team", settings["url"])
    for key, value in {"verify": "true", **settings}.items():
        if key != "url":
            checkout.dvc("remote", "modify", "--local", "team", key, value)


def connect_too(other: Checkout, owner: Checkout) -> None:
    """As the owner is connected, without as many starts of DVC."""
    shutil.copy(owner.path / ".dvc" / "config.local", other.path / ".dvc")


def converted(checkout: Checkout) -> list[str]:
    return sorted(p.relative_to(checkout.path).as_posix() for p in checkout.path.glob("data/hdf5/*.h5"))


@pytest.fixture
def owner(once, made, tmp_path) -> Checkout:
    return Checkout(once("owner", partial(own_archives, made))).copy(tmp_path / "owner")


@pytest.mark.parametrize("remote", [folder_remote, ssh_remote, s3_remote])
def test_who_has_no_archive_pulls_the_converted_files_alone(remote, owner, tmp_path):
    place = tmp_path / "remote"
    place.mkdir()
    with remote(place) as settings:
        connect(owner, settings)
        assert f"{len(FILES)} files pushed" in owner.dvc("push", "convert")
        assert "Everything is up to date" in owner.dvc("push", "convert")
        other = owner.clone(tmp_path / "other")
        connect_too(other, owner)
        other.dvc("pull", "convert")
    assert converted(other) == FILES
    assert not list(other.path.glob("data/real/*.zip"))
    assert not (other.path / "models" / "pose").exists()
    for name in FILES:
        assert (other.path / name).read_bytes() == (owner.path / name).read_bytes()


@pytest.fixture
def shared_folder(owner, tmp_path) -> tuple[Checkout, Path]:
    """The owner, and the folder that the converted files and the networks were pushed to."""
    place = tmp_path / "remote"
    connect(owner, {"url": str(place)})
    owner.dvc("push", "convert", "split", "export")
    return owner, place


def stages_of(printed: str) -> list[str]:
    return re.findall("Running stage '(.+)'", printed)


def test_who_has_no_archive_trains_with_another_rate_and_sees_the_difference(shared_folder, tmp_path):
    owner, _ = shared_folder
    other = owner.clone(tmp_path / "other")
    connect_too(other, owner)
    other.dvc("pull", "convert")
    assert stages_of(other.dvc("repro", "--allow-missing")) == [MARK]
    other.set(evaluate=config.read_yaml(other.path / "params.yaml")["evaluate"] | {"bbox_scale": 1.25})
    assert stages_of(other.dvc("repro", "--allow-missing", "--pull", "evaluate")) == [MARK, "evaluate"]
    other.run("git", "checkout", "-q", ".")
    printed = other.dvc("exp", "run", "-S", "lr=0.001", "evaluate")
    assert "train_pose" in stages_of(printed) and not re.search("Running stage 'convert", printed)
    assert "average" in other.dvc("metrics", "diff")
    assert "0.003" in other.dvc("params", "diff") and "0.001" in other.dvc("params", "diff")


def test_networks_are_got_from_a_published_repository(owner, tmp_path):
    owner.dvc("remote", "add", "-d", "published", str(tmp_path / "remote"))
    owner.commit("where the networks are")
    owner.run("git", *NAME, "tag", "-a", "head-localizer@v1.0.0", "-m", "first")
    (tmp_path / "reader").mkdir()
    reader = Checkout(tmp_path / "reader")
    url = str(owner.clone(tmp_path / "published").path)
    assert "models/onnx/head-pose.onnx" in reader.dvc("get", url, "models/onnx/head-pose.onnx", code=255)
    owner.dvc("push", "export")
    reader.dvc("get", url, "models/onnx/head-pose.onnx")
    reader.dvc("artifacts", "get", url, "head-localizer")
    for net in ("pose", "localizer"):
        made = owner.path / f"models/onnx/head-{net}.onnx"
        assert (reader.path / made.name).read_bytes() == made.read_bytes()


def test_what_was_damaged_on_the_remote_is_named_and_stays_out(shared_folder, tmp_path):
    owner, place = shared_folder
    largest = max((p for p in place.rglob("*") if p.is_file()), key=lambda p: p.stat().st_size)
    content = bytearray(largest.read_bytes())
    content[len(content) // 2] ^= 1
    largest.chmod(0o644)
    largest.write_bytes(content)
    damaged = [name for name in FILES if (owner.path / name).stat().st_size == len(content)]
    other = owner.clone(tmp_path / "other")
    connect_too(other, owner)
    printed = other.dvc("pull", "convert", code=1)
    assert len(damaged) == 1 and damaged[0] in printed
    assert converted(other) == [name for name in FILES if name not in damaged]


@pytest.mark.parametrize("command", ["push", "pull"])
def test_a_transfer_that_was_killed_is_taken_up_again(command, owner, tmp_path):
    place, other = tmp_path / "remote", owner.clone(tmp_path / "other")
    connect(owner, {"url": str(place)})
    connect_too(other, owner)
    if command == "pull":
        owner.dvc("push", "convert")
    who, filled = (owner, place) if command == "push" else (other, other.path / ".dvc" / "cache")
    process = subprocess.Popen(
        [*who.dvc_command, command, "convert"], cwd=who.path, env=who.environment, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    while process.poll() is None and not any(p.is_file() for p in filled.rglob("*")):
        time.sleep(0.001)
    process.send_signal(signal.SIGKILL)
    process.wait()
    owner.dvc("push", "convert")
    other.dvc("pull", "convert")
    for name in FILES:
        assert (other.path / name).read_bytes() == (owner.path / name).read_bytes()
