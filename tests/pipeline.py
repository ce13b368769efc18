"""Checkouts in which the whole pipeline runs on a tiny configuration, for tests of what only DVC and git can show."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from ruamel.yaml import YAML

from nntrack import config
from tests.conftest import ROOT
from tests.shrink import shrink

ARCHIVES = config.read_yaml(ROOT / "dvc.yaml")["stages"]["convert"]["foreach"]
MARK = "data/real/dvc.yaml:mark"
NAME = ("-c", "user.name=test", "-c", "user.email=test@localhost")  # without which git makes no commits


class Checkout:
    """A git repository of the project at ``path``, and commands run in it as a user would."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def run(self, *command: str, code: int | None = 0, **environment: str) -> str:
        """What a command prints, errors included. Fails if it does not exit with ``code`` (None: any will do)."""
        done = subprocess.run(
            command, cwd=self.path, env=self.environment | environment, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, timeout=600,
        )  # fmt: skip
        assert code is None or done.returncode == code, f"{command} exited with {done.returncode}:\n{done.stdout}"
        return done.stdout

    def dvc(self, *arguments: str, code: int | None = 0) -> str:
        return self.run(*self.dvc_command, *arguments, code=code)

    @property
    def dvc_command(self) -> tuple[str, ...]:
        return (sys.executable, "-m", "dvc")

    @property
    def environment(self) -> dict[str, str]:
        """The stages' ``python`` is this one, and the modules are the checkout's."""
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        # users do not say how many threads there are, and bytes must not depend on it
        inherited = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
        return inherited | {"PATH": path, "PYTHONPATH": str(self.path), "COLUMNS": "200", "PYTHONUNBUFFERED": "1"}

    def commit(self, message: str) -> None:
        self.run("git", "add", "-A")
        self.run("git", *NAME, "commit", "-q", "-m", message)

    def copy(self, path: Path) -> "Checkout":
        """A copy of the folder, with all outputs and DVC's cache."""
        shutil.copytree(self.path, path, symlinks=True)
        return Checkout(path)

    def clone(self, path: Path) -> "Checkout":
        """A clone, as another person gets it: without DVC's cache."""
        self.run("git", "clone", "-q", ".", str(path))
        return Checkout(path)

    def set(self, **values: object) -> None:
        """Overwrite keys of params.yaml."""
        path, yaml = self.path / "params.yaml", YAML()
        params = yaml.load(path)
        params.update(values)
        yaml.dump(params, path)


def tiny(path: Path) -> Checkout:
    """A repository of this checkout's files, changed ones included, with a configuration that runs in a minute."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "-co", "--exclude-standard"], cwd=ROOT, stdout=subprocess.PIPE, check=True, text=True
    )
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).exists():
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, path / name)
    shrink(path / "params.yaml")
    found = Checkout(path)
    found.run("git", "init", "-q")
    found.commit("tiny")
    return found


def own_archives(made: Checkout, path: Path) -> Checkout:
    """A copy of ``made`` with its rendered archives as a user's own, everything run and committed."""
    found = made.copy(path)
    for name in ARCHIVES.values():
        shutil.move(path / "data" / "synthetic" / name, path / "data" / "real" / name)
    found.run("git", "checkout", "-q", "--", "data/synthetic")
    found.set(source="real")
    found.dvc("repro")
    found.commit("own archives")
    return found
