"""Every stage and command explains itself, and an error that the user can fix is one line; ``--verbose`` shows more."""

import inspect
import os
import shutil
import subprocess
import sys
from importlib import import_module

import pytest
import typer

from nntrack import __version__, cli
from nntrack.command_line import EPILOG, run
from tests.conftest import ROOT
from tests.test_house import STAGES

NAMES = [f"stages.{path.stem}" for path in STAGES] + [
    f"nntrack.commands.{name.replace('-', '_')}" for name in cli.COMMANDS
]
WITHOUT_PARAMS = tuple(
    f"nntrack.commands.{name}" for name in ("card", "check", "demo", "show", "track", "update_readme")
)
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


# without arguments these take the networks of the package
@pytest.mark.parametrize("name", sorted({*NAMES} - {"nntrack.commands.demo", "nntrack.commands.card"}))
def test_a_missing_file_is_one_line(name, project, monkeypatch, capsys):
    arguments = absent(name, project)
    if name in ("stages.synthesize", "stages.page"):  # read nothing else
        (project / "params.yaml").unlink()
    if name == "stages.mark":  # with rendered archives it reads nothing
        params = (project / "params.yaml").read_text()
        (project / "params.yaml").write_text(params.replace("source: synthetic", "source: real"))
    before = sorted(project.rglob("*"))
    assert start(monkeypatch, name, *arguments) == 1
    line = said(capsys)
    assert start(monkeypatch, name, *arguments, "--verbose") == 1
    assert said(capsys, verbose=True) == line
    assert sorted(project.rglob("*")) == before


@pytest.mark.parametrize("name", [name for name in NAMES if name not in WITHOUT_PARAMS])
def test_wrong_parameters_are_one_line(name, project, monkeypatch, capsys):
    with (project / "params.yaml").open("a") as file:
        file.write("colour: blue\n")
    arguments = absent(name, project)
    assert start(monkeypatch, name, *arguments) == 1
    assert said(capsys) == "error: params.yaml: colour: no such parameter"
    assert start(monkeypatch, name, "--verbose", *arguments) == 1
    said(capsys, verbose=True)


def command(name):
    app = typer.Typer(add_completion=False)
    app.command()(import_module(name).main)
    return typer.main.get_command(app)


@pytest.mark.parametrize("name", NAMES)
def test_help_describes_every_argument_and_has_an_example(name, monkeypatch, capsys):
    assert start(monkeypatch, name, "--help") == 0
    text = capsys.readouterr().out
    assert EPILOG in text and "Example: " in text
    found = command(name)
    assert [parameter.name for parameter in found.params if not parameter.help] == []
    words = found.help.partition("Example: ")[2].split()
    stage = ["python", "-m", name]
    command_of_nntrack = ["nntrack", name.rpartition(".")[2].replace("_", "-")]
    expected = stage if name.startswith("stages.") and name != "stages.evaluate" else command_of_nntrack
    assert words[: len(expected)] == expected
    found.make_context(name, words[len(expected) :])  # raises if the example is wrong


def test_help_loads_nothing_heavy():
    code = f"import sys, nntrack.cli, {', '.join(NAMES)}; print(*sys.modules)"
    loaded = subprocess.check_output([sys.executable, "-c", code], cwd=ROOT, text=True).split()
    assert "typer" in loaded and not {"numpy", "torch", "cv2", "h5py", "pandas", "pydantic"} & {*loaded}


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


def nntrack(monkeypatch, *words):
    """The exit code of the console script."""
    monkeypatch.setattr(sys, "argv", ["nntrack", *words])
    with pytest.raises(SystemExit) as end:
        cli.main()
    return end.value.code or 0


def test_the_program_lists_its_commands_and_its_version(monkeypatch, capsys):
    assert nntrack(monkeypatch) == 0
    alone = capsys.readouterr()
    assert nntrack(monkeypatch, "--help") == 0
    assert capsys.readouterr() == alone and alone.err == "" and all(name in alone.out for name in cli.COMMANDS)
    assert nntrack(monkeypatch, "--version") == 0
    assert capsys.readouterr().out == f"nntrack {__version__}\n"


def test_a_shell_completes_its_commands(tmp_path):
    # typer then takes the shell from the command line: tests may run where none can be detected
    undetected = {"_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
    home = os.environ | {"HOME": str(tmp_path), "PYTHONPATH": str(ROOT)} | undetected
    program = [sys.executable, "-c", "import sys; sys.argv[0] = 'nntrack'; from nntrack.cli import main; main()"]
    subprocess.run([*program, "--install-completion", "bash"], env=home, check=True, capture_output=True)
    assert "_NNTRACK_COMPLETE=complete_bash" in (tmp_path / ".bash_completions/nntrack.sh").read_text()
    asked = home | {"_NNTRACK_COMPLETE": "complete_bash", "COMP_WORDS": "nntrack s", "COMP_CWORD": "1"}
    assert subprocess.check_output(program, env=asked, text=True).split() == ["show"]


@pytest.mark.parametrize("words", [["show", "none.h5", "--verbose"], ["--verbose", "show", "none.h5"], ["nonsense"]])
def test_an_error_of_the_program_is_one_line(words, monkeypatch, capsys):
    assert nntrack(monkeypatch, *words) == (2 if words == ["nonsense"] else 1)
    assert ("nonsense" if words == ["nonsense"] else "none.h5") in said(capsys, verbose="--verbose" in words)


def test_as_a_process(project):
    def outcome(*more):
        command = [sys.executable, "-m", "nntrack.cli", "show", "none.h5", *more]
        return subprocess.run(command, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True)

    short, long = outcome(), outcome("--verbose")
    assert (short.returncode, long.returncode) == (1, 1)
    assert short.stderr.startswith("error: none.h5 does not exist") and short.stderr.count("\n") == 1
    assert long.stderr.startswith(TRACEBACK) and long.stderr.endswith(short.stderr)
