"""The pipeline as a whole, on a tiny configuration: the same bytes twice, whatever happens on the way."""

import os
import re
import subprocess
import sys
import time
from collections import Counter
from contextlib import suppress
from functools import partial
from threading import Timer

import psutil
import pytest

from nntrack import config
from tests.conftest import ROOT
from tests.pipeline import MARK, NAME, Checkout, own_archives, tiny

pytestmark = pytest.mark.slow

DELAYS = (0.1, 0.8, 3.0)  # seconds
LOCKS = ("dvc.lock", "data/synthetic/dvc.lock")
EXPERIMENTS = (sys.executable, "-m", "nntrack.cli", "experiments")
STAGES = (
    "data/synthetic/dvc.yaml:synthesize",
    *(
        f"{name}@{item}" if "foreach" in stage else name
        for name, stage in config.read_yaml(ROOT / "dvc.yaml")["stages"].items()
        for item in stage.get("foreach", [""])
    ),
)


def locks(checkout: Checkout) -> list[str]:
    return [(checkout.path / name).read_text() for name in LOCKS]


def test_a_second_run_does_nothing_and_own_archives_are_not_asked_for(made, tmp_path):
    other = made.copy(tmp_path / "one")
    path = other.path / "params.yaml"
    path.write_text("# a remark\n" + path.read_text().replace("seed: 42", "seed:   42   # a number"))
    assert "Data and pipelines are up to date" in other.dvc("repro", "--all-pipelines")
    other.dvc("commit")
    assert "Experiment has been saved" in other.dvc("exp", "save")
    other.dvc("status", "--quiet")


def last(printed: str) -> str:
    """What a failed `dvc repro` says, without the line that tells which stage it was."""
    return [line for line in printed.splitlines() if line and "failed to run: " not in line][-1]


def test_a_wrong_source_and_missing_archives_are_one_line(made, tmp_path):
    other = made.copy(tmp_path / "one")
    for source, line in {
        "foo": r"ERROR: .*Parameters 'source\.foo' are missing from 'data/sources\.yaml'\.",
        "real": r"error: 5 archives are missing: put AFLW2000-3D\.zip, .* into data/real .*",
    }.items():
        other.set(source=source)
        printed = other.dvc("repro", code=255)
        assert re.fullmatch(line, last(printed))
        assert "convert" not in printed.replace("`convert`", "")
    other.set(source="synthetic")
    other.dvc("status", "--quiet")


def test_own_archives_are_looked_at_every_time_and_again_with_rendered_ones_never(once, made, tmp_path):
    owner = Checkout(once("owner", partial(own_archives, made))).copy(tmp_path / "owner")
    assert "marked" in owner.dvc("repro", "--single-item", MARK)
    assert owner.run("git", "status", "--short") == ""
    (owner.path / "data/real/AFLW2000-3D.zip").write_bytes((owner.path / "data/real/300W-LP.zip").read_bytes())
    owner.dvc("repro", "--single-item", MARK)
    assert "AFLW2000-3D.zip.mark" in owner.run("git", "status", "--short")
    owner.run("git", "checkout", "-q", ".")
    owner.set(source="synthetic")
    owner.dvc("repro", "--single-item", MARK)
    owner.dvc("status", "--quiet", MARK)
    assert ".mark" not in owner.run("git", "status", "--short")


def files(checkout: Checkout) -> dict[str, bytes]:
    """What was made by the pipeline and what was committed of it, by path."""
    kept = ("models", "metrics", "reports")
    paths = [path for name in kept for path in (checkout.path / name).rglob("*") if path.is_file()]
    paths += [checkout.path / name for name in (*LOCKS, "params.yaml")]
    return {path.relative_to(checkout.path).as_posix(): path.read_bytes() for path in paths}


def test_a_first_run_can_be_laid_aside_and_comes_back(made, tmp_path):
    """The commit has the hashes of another machine, and nobody has what was made there."""
    other = made.copy(tmp_path / "one")
    before = files(other)
    for name in LOCKS:
        lock = other.path / name
        lock.write_text(re.sub("md5: ([0-9a-f]{32})", lambda found: f"md5: {found[1][::-1]}", lock.read_text()))
    other.commit("elsewhere")
    for name in LOCKS:
        (other.path / name).write_bytes(before[name])
    other.run("git", *NAME, "stash")
    assert "models/onnx/head-pose.onnx" in other.dvc("checkout", code=255)
    other.run("git", *NAME, "stash", "pop")
    other.dvc("checkout")
    assert files(other) == before


def test_the_way_back_from_an_experiment_restores_the_baseline(made, tmp_path):
    other = made.copy(tmp_path / "one")
    other.commit("baseline")
    before = files(other)
    other.dvc("exp", "run", "-S", "lr=0.001", "-S", "evaluate.bbox_scale=1.3", "evaluate")
    after = files(other)
    assert {name for name in before if before[name] != after[name]} >= {
        "models/onnx/head-pose.onnx", "dvc.lock", "params.yaml", "metrics/aflw2k.json"
    }  # fmt: skip
    assert "metrics/aflw2k.json" in other.dvc("metrics", "diff")
    other.run("git", "checkout", "-q", ".")
    other.dvc("checkout")
    assert files(other) == before
    other.dvc("status", "--quiet")
    table = other.run(*EXPERIMENTS, COLUMNS="120")
    assert max(map(len, table.splitlines())) <= 120
    assert {"lr", "bbox_scale", "geodesic", "iou"} <= set(re.findall(r"[\w.]+", table))


# one process, as the imports of DVC take longer than many a stage
UNTIL_DONE = "from dvc.cli import main\nwhile main(['repro', '--keep-going']): pass"


def disturbed(checkout: Checkout) -> Counter[str]:
    """Run the pipeline on one core over and over until all is made; how often each stage was killed without warning.

    A stage is killed the first delay after it began, the next time later, until it ends before. DVC itself is left to
    say so: it may be killed as well, but not while it writes its own ``.dvc/tmp/rwlock``.
    """
    killed: Counter[str] = Counter()
    timer, stage = Timer(0, str), ""
    how = {"cwd": checkout.path, "env": checkout.environment, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    one_core = ["taskset", "--cpu-list", str(min(os.sched_getaffinity(0)))]
    with subprocess.Popen([*one_core, sys.executable, "-c", UNTIL_DONE], text=True, **how) as process:
        for line in process.stdout:
            if found := re.match("Running stage '(.+)'", line):
                timer.cancel()
                timer, stage = Timer(0, str), found[1]
            elif line.startswith("> python") and not timer.ident and killed[stage] < len(DELAYS):
                timer = Timer(DELAYS[killed[stage]], kill_children, [process.pid])
                timer.start()
            elif "failed to run: " in line:
                if not re.search("exited with (-9|137)$", line):
                    process.kill()
                    pytest.fail(f"{stage}: {line}")
                killed[stage] += 1
        timer.cancel()
    assert process.returncode == 0
    return killed


def kill_children(pid: int) -> None:
    for child in psutil.Process(pid).children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            child.kill()


def test_two_fresh_clones_make_the_same_bytes_on_fewer_cores_and_killed_in_every_stage(made, tmp_path):
    other = tiny(tmp_path / "another place")
    killed = disturbed(other)
    assert set(killed) == set(STAGES)
    assert locks(other) == locks(made)


@pytest.mark.parametrize("shell", ["/bin/sh", "/bin/bash"])  # some leave their place to the command, some live on
def test_a_training_ends_with_a_dvc_that_was_killed(shell, made, tmp_path):
    """Or the next one would train the same beside it, into the same files."""
    other = made.copy(tmp_path / "one")
    other.set(localizer=config.read_yaml(other.path / "params.yaml")["localizer"] | {"steps": 1 << 20})
    how = {"cwd": other.path, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    command = [*other.dvc_command, "repro", "--single-item", "train_localizer"]
    with subprocess.Popen(command, env=other.environment | {"SHELL": shell}, **how) as dvc:
        family = psutil.Process(dvc.pid)
        while not ((started := family.children(recursive=True)) and (other.path / "models/localizer/live").exists()):
            assert dvc.poll() is None
            time.sleep(0.05)
        dvc.kill()
    assert not psutil.wait_procs(started, timeout=30)[1]
