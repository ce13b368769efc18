"""The pipeline as a whole, on a tiny configuration: the same bytes twice, whatever happens on the way."""

import subprocess
import time
from contextlib import suppress
from itertools import pairwise, takewhile

import psutil
import pytest
import yaml

from tests.conftest import ROOT
from tests.pipeline import Checkout, tiny

pytestmark = pytest.mark.slow

DELAYS = (0.1, 0.8, 3.0)  # seconds
LOCKS = ("dvc.lock", "data/synthetic/dvc.lock")
STAGES = (
    "data/synthetic/dvc.yaml:synthesize",
    *(
        f"{name}@{item}" if "foreach" in stage else name
        for name, stage in yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"].items()
        for item in stage.get("foreach", [""])
    ),
)


def locks(checkout: Checkout) -> list[str]:
    return [(checkout.path / name).read_text() for name in LOCKS]


def test_a_second_run_does_nothing(made):
    assert "Data and pipelines are up to date" in made.dvc("repro")


def test_comments_and_layout_of_the_parameters_rerun_nothing(made):
    path = made.path / "params.yaml"
    before = path.read_text()
    path.write_text("# a remark\n" + before.replace("seed: 42", "seed:   42   # a number"))
    assert "Data and pipelines are up to date" in made.dvc("repro")
    path.write_text(before)


def test_two_fresh_clones_make_the_same_bytes(made, tmp_path):
    other = tiny(tmp_path / "another place")
    other.dvc("repro")
    assert locks(other) == locks(made)


def killed_in(checkout: Checkout, stage: str, delay: float) -> bool:
    """Run the pipeline as far as ``stage`` and kill that, no warning given, ``delay`` seconds after it began.

    DVC itself is left to say so: it may be killed as well, but not while it writes its own ``.dvc/tmp/rwlock``.
    False if the stage had nothing left to do.
    """
    process = subprocess.Popen(
        [*checkout.dvc_command, "repro", stage], cwd=checkout.path, env=checkout.environment, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    begun = any(line.startswith("> python") and stage in printed for printed, line in pairwise(process.stdout))
    if begun:
        time.sleep(delay)
        for child in psutil.Process(process.pid).children(recursive=True):
            with suppress(psutil.NoSuchProcess):
                child.kill()
    process.communicate(timeout=300)
    return begun and process.returncode != 0


def test_a_pipeline_killed_in_every_stage_ends_in_the_same_bytes(made, tmp_path):
    other = tiny(tmp_path / "disturbed")
    for stage in STAGES:
        # later each time, until it is done
        killed = list(takewhile(bool, (killed_in(other, stage, delay) for delay in DELAYS)))
        assert killed, f"{stage} was not disturbed"
    other.dvc("repro")
    assert locks(other) == locks(made)
