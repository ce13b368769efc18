"""Rules for the whole repository: layers, sizes of modules, docstrings, and what stages depend on."""

import ast
import json
import re
import subprocess
import sys
from configparser import ConfigParser
from functools import cache
from pathlib import Path

import pytest

from nntrack import config

ROOT = Path(__file__).parents[1]
MODULES = sorted((ROOT / "nntrack").rglob("*.py"))
STAGES = sorted(p for p in (ROOT / "stages").glob("*.py") if not p.name.startswith("_"))
CODE = [*MODULES, *sorted((ROOT / "stages").glob("*.py"))]


def relative(path):
    return path.relative_to(ROOT).as_posix()


@cache
def imports(path: Path) -> frozenset[Path]:
    """The project's own modules that a file imports, wherever in it the import stands."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        else:
            continue
        modules = [ROOT.joinpath(*name.split(".")).with_suffix(".py") for name in names]
        found |= {m for m in modules if m.exists() and m.is_relative_to(ROOT) and m.parent != ROOT}
    return frozenset(found)


def closure(*paths: Path) -> set[Path]:
    """The files that decide what a script does: itself and all of ours that it imports, directly or not."""
    reached, todo = set(paths), list(paths)
    while todo:
        new = imports(todo.pop()) - reached
        reached |= new
        todo += new
    return reached


def expanded_stages():
    """(name, stage) of every stage in every dvc.yaml, ``foreach`` unrolled."""
    for file in (ROOT / "dvc.yaml", ROOT / "data/synthetic/dvc.yaml", ROOT / "data/real/dvc.yaml"):
        for name, stage in config.read_yaml(file)["stages"].items():
            if "foreach" not in stage:
                yield name, stage
                continue
            for key, item in stage["foreach"].items():
                text = json.dumps(stage["do"]).replace("${key}", key).replace("${item}", item)
                yield f"{name}@{key}", json.loads(text)


# They decide how a stage is started and ended and how files are written, not what is in them; values of parameters are
# tracked by DVC themselves.
PLUMBING = {"nntrack/__init__.py"} | {f"nntrack/{name}.py" for name in ("config", "files", "processes", "command_line")}


def test_imports_go_down_and_torch_stays_where_it_is_needed():
    done = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("package", sorted({path.parent for path in MODULES}), ids=relative)
def test_packages_are_small(package):
    assert len([path for path in package.glob("*.py") if path.name != "__init__.py"]) <= 15


@pytest.mark.parametrize(("name", "stage"), [pytest.param(*pair, id=pair[0]) for pair in expanded_stages()])
def test_a_stage_depends_on_the_code_that_it_runs(name, stage):
    if name == "mark":  # with your own archives it runs every time, and without it writes nothing
        return
    script = ROOT / "stages" / (re.search(r"python -m stages\.(\w+)", str(stage["cmd"]))[1] + ".py")
    needed = closure(script)
    if name.startswith("convert@"):  # the reader is found by its name
        needed |= closure(ROOT / "nntrack" / "readers" / f"{name.removeprefix('convert@')}.py")
    declared = [ROOT / dep for dep in stage["deps"] if dep.startswith(("nntrack/", "stages/"))]
    assert all(path.exists() for path in declared)
    outside = [p for p in needed if not any(p == dep or p.is_relative_to(dep) for dep in declared)]
    assert {relative(path) for path in outside} - PLUMBING == set()


def test_what_is_measured_on_is_never_learnt_from():
    files = {f"data/hdf5/{name}.h5" for name in ("aflw2k", "biwi")}
    for name, stage in expanded_stages():
        if name in ("split", "facemodel", "train_localizer", "train_pose", "export"):
            assert not files & set(map(str, stage["deps"])), name


def test_every_stage_is_in_the_readme():
    readme = (ROOT / "README.md").read_text()
    for name, _ in expanded_stages():
        assert name.split("@")[0] in readme, name


def test_the_test_command_of_the_readme_is_the_one_that_is_run():
    commands = [line.strip() for line in (ROOT / "README.md").read_text().splitlines() if line.startswith("    pip ")]
    assert len(commands) == 2
    assert commands[1] in (ROOT / ".ci/run").read_text().splitlines()


@pytest.mark.parametrize("path", CODE, ids=relative)
def test_input_checks_raise(path):
    assert not [n.lineno for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.Assert)]


@pytest.mark.parametrize("path", CODE, ids=relative)
def test_modules_are_small(path):
    assert len(path.read_text().splitlines()) <= (60 if path in STAGES else 300)


@pytest.mark.parametrize("path", MODULES, ids=relative)
def test_public_names_are_documented(path):
    tree = ast.parse(path.read_text())
    assert ast.get_docstring(tree)
    public = [n for n in tree.body if isinstance(n, ast.FunctionDef | ast.ClassDef) and not n.name.startswith("_")]
    assert [n.name for n in public if not ast.get_docstring(n)] == []


def test_dvc_reports_to_nobody_and_stages_nothing_in_git():
    settings = ConfigParser()
    settings.read(ROOT / ".dvc/config")
    core = settings["core"]
    assert [core.getboolean(name, True) for name in ("analytics", "check_update")] == [False, False]
    assert not core.getboolean("autostage", False)  # or `git checkout .` would not undo a run


def test_the_pipeline_fits_on_a_few_screens():
    files = [ROOT / "dvc.yaml", *ROOT.glob("data/*/dvc.yaml")]
    assert len(files) == 3 and sum(len(path.read_text().splitlines()) for path in files) <= 270


def test_tracked_files_hold_no_path_of_a_machine():
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    if tracked.returncode:
        pytest.skip("needs the git checkout")
    pattern = re.compile(rb"(?<![\w.:/])/(?:home|root|tmp|work|Users)/")
    others = ("tests/test_house.py", "nntrack/demo/dist/")  # this one, and a runtime that others built
    paths = [ROOT / name for name in tracked.stdout.split("\0") if name and not name.startswith(others)]
    assert [relative(p) for p in paths if p.is_file() and pattern.search(p.read_bytes())] == []
