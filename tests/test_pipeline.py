"""The pipeline as a whole, on a tiny configuration: the same bytes twice, whatever happens on the way."""

import os
import re
import subprocess
import sys
import time
from collections import Counter
from contextlib import suppress
from threading import Timer

import psutil
import pytest

from nntrack import config
from tests.conftest import ROOT
from tests.pipeline import Checkout, tiny

pytestmark = pytest.mark.slow

DELAYS = (0.1, 0.8, 3.0)  # seconds
LOCKS = ("dvc.lock", "data/synthetic/dvc.lock")
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


def test_a_second_run_does_nothing(made, tmp_path):
    other = made.copy(tmp_path / "one")
    assert "Data and pipelines are up to date" in other.dvc("repro")


def test_comments_and_layout_of_the_parameters_rerun_nothing(made, tmp_path):
    other = made.copy(tmp_path / "one")
    path = other.path / "params.yaml"
    path.write_text("# a remark\n" + path.read_text().replace("seed: 42", "seed:   42   # a number"))
    assert "Data and pipelines are up to date" in other.dvc("repro")


def test_two_fresh_clones_make_the_same_bytes_with_fewer_cores_too(made, tmp_path):
    other = tiny(tmp_path / "another place")
    other.run("taskset", "--cpu-list", str(min(os.sched_getaffinity(0))), *other.dvc_command, "repro")
    assert locks(other) == locks(made)


# one process, as the imports of DVC take longer than many a stage
UNTIL_DONE = "from dvc.cli import main\nwhile main(['repro', '--keep-going']): pass"


def disturbed(checkout: Checkout) -> Counter[str]:
    """Run the pipeline over and over until all of it is made; how often each stage was killed, no warning given.

    A stage is killed the first delay after it began, the next time later, until it ends before. DVC itself is left to
    say so: it may be killed as well, but not while it writes its own ``.dvc/tmp/rwlock``.
    """
    killed: Counter[str] = Counter()
    timer, stage = Timer(0, str), ""
    how = {"cwd": checkout.path, "env": checkout.environment, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    with subprocess.Popen([sys.executable, "-c", UNTIL_DONE], text=True, **how) as process:
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


def test_a_pipeline_killed_in_every_stage_ends_in_the_same_bytes(made, tmp_path):
    other = tiny(tmp_path / "disturbed")
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
