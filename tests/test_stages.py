"""Every stage ends an error that a user can mend with one line, and tells more with ``--verbose``."""

import inspect
import os
import shutil
import subprocess
import sys
from importlib import import_module

import pytest

from nntrack import cli
from nntrack.command_line import HELP, run
from tests.conftest import ROOT
from tests.test_house import STAGES

NAMES = [f"stages.{path.stem}" for path in STAGES] + [
    f"nntrack.commands.{name.replace('-', '_')}" for name in cli.COMMANDS
]
WITHOUT_PARAMS = ("nntrack.commands.show", "nntrack.commands.update_readme")
TRACEBACK = "Traceback (most recent call last)"


def start(monkeypatch, name, *arguments):
    """Run a stage's ``main`` as its command line does; returns the exit code."""
    monkeypatch.setattr(sys, "argv", [name, *map(str, arguments)])
    with pytest.raises(SystemExit) as end:
        run(import_module(name).main)
    return end.value.code or 0


def absent(name, folder):
    """Arguments of which no file is there."""
    required = [p for p in inspect.signature(import_module(name).main).parameters.values()]
    required = [p.name for p in required if p.default is inspect.Parameter.empty]
    return [
        {"dataset": "aflw2k"}.get(one, folder / one) if name == "stages.convert" else folder / one for one in required
    ]


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A folder with the parameters and nothing to read."""
    for file in ("params.yaml", "dvc.yaml"):
        shutil.copy(ROOT / file, tmp_path / file)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def said(capsys, verbose=False):
    """The one line of an error; with ``verbose`` a traceback stands before it."""
    out, err = capsys.readouterr()
    lines = err.splitlines()
    assert out == ""
    assert lines[-1].startswith("error: ")
    assert lines[0] == TRACEBACK + ":" if verbose else len(lines) == 1
    return lines[-1]


def test_numpy_computes_on_one_thread_in_a_stage():
    program = """
from nntrack.command_line import run
def main():
    import numpy, scipy.linalg
    from threadpoolctl import threadpool_info
    print({pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"})
run(main)
"""
    assert subprocess.check_output([sys.executable, "-c", program], cwd=ROOT, text=True) == "{1}\n"


@pytest.mark.parametrize("name", NAMES)
def test_a_wrong_argument_is_one_line(name, monkeypatch, capsys):
    assert start(monkeypatch, name, "--nonsense") == 2
    assert "--nonsense" in said(capsys)
    assert start(monkeypatch, name, "--verbose", "--nonsense") == 2
    said(capsys, verbose=True)
    if absent(name, ROOT):
        assert start(monkeypatch, name) == 2
        assert "Missing argument" in said(capsys)


@pytest.mark.parametrize("name", NAMES)
def test_a_missing_file_is_one_line(name, project, monkeypatch, capsys):
    arguments = absent(name, project)
    if name in ("stages.synthesize", "stages.page"):  # read nothing else
        (project / "params.yaml").unlink()
    before = sorted(project.rglob("*"))
    assert start(monkeypatch, name, *arguments) == 1
    told = said(capsys)
    assert start(monkeypatch, name, *arguments, "--verbose") == 1
    assert said(capsys, verbose=True) == told
    assert sorted(project.rglob("*")) == before


DAMAGE = {
    "not text": b"\xff\xfe\x00",
    "not YAML": b"seed: [1,\nlr: {",
    "not a table": b"- 1\n- 2\n",
    "unknown key": (ROOT / "params.yaml").read_bytes() + b"colour: blue\n",
}


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("name", [name for name in NAMES if name not in WITHOUT_PARAMS])
def test_parameters_that_cannot_be_read_are_one_line(name, damage, project, monkeypatch, capsys):
    (project / "params.yaml").write_bytes(DAMAGE[damage])
    arguments = absent(name, project)
    assert start(monkeypatch, name, *arguments) == 1
    assert "params.yaml" in said(capsys)
    assert start(monkeypatch, name, "--verbose", *arguments) == 1
    said(capsys, verbose=True)


@pytest.mark.parametrize("name", NAMES)
def test_help_names_the_option(name, monkeypatch, capsys):
    assert start(monkeypatch, name, "--help") == 0
    assert HELP in capsys.readouterr().out


@pytest.mark.parametrize("path", STAGES, ids=lambda path: path.stem)
def test_a_stage_is_started_in_the_one_way(path):
    assert path.read_text().endswith('\n\nif __name__ == "__main__":\n    run(main)\n')


def ending(monkeypatch, error):
    def main():
        raise error

    monkeypatch.setattr(sys, "argv", ["stage"])
    run(main)


def test_an_interrupted_stage_says_nothing(monkeypatch, capsys):
    with pytest.raises(SystemExit) as end:
        ending(monkeypatch, KeyboardInterrupt())
    assert end.value.code == 130
    assert capsys.readouterr() == ("", "")


def as_program(body):
    """A process in which ``body`` is the first line of a stage."""
    code = f"from nntrack.command_line import run\ndef main():\n    {body}\nrun(main)"
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True)


def test_a_stage_that_is_interrupted_while_it_imports_says_nothing():
    done = as_program("import os, signal; os.kill(os.getpid(), signal.SIGINT); import torch")
    assert (done.returncode, done.stdout, done.stderr) == (130, b"", b"")


def test_a_defect_shows_where_it_arose():
    done = as_program("1 / 0")
    assert done.returncode == 1 and b"Traceback" in done.stderr and b"ZeroDivisionError" in done.stderr


@pytest.mark.parametrize("error", [KeyError("x"), RuntimeError("x"), EOFError("x")])
def test_a_defect_is_not_hidden(error, monkeypatch):
    with pytest.raises((type(error), RuntimeError)):
        ending(monkeypatch, error)


def test_an_error_of_many_lines_is_one(monkeypatch, capsys):
    with pytest.raises(SystemExit):
        ending(monkeypatch, ValueError("one\ntwo"))
    assert said(capsys) == "error: one two"


@pytest.mark.parametrize("words", [["show", "none.h5", "--verbose"], ["--verbose", "show", "none.h5"], ["nonsense"]])
def test_the_console_script_does_so_too(words, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["nntrack", *words])
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert end.value.code == (2 if words == ["nonsense"] else 1)
    assert words[-1] in said(capsys, verbose="--verbose" in words) or "none.h5" in words


def test_as_a_process(project):
    def tell(*more):
        command = [sys.executable, "-m", "nntrack.cli", "show", "none.h5", *more]
        return subprocess.run(command, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True)

    short, long = tell(), tell("--verbose")
    assert (short.returncode, long.returncode) == (1, 1)
    assert short.stderr.startswith("error: none.h5 does not exist") and short.stderr.count("\n") == 1
    assert long.stderr.startswith(TRACEBACK) and long.stderr.endswith(short.stderr)
