"""The house keeps its order: imports go down, stages declare what they import, input checks raise."""

import ast
import json
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from nntrack import config

ROOT = Path(__file__).parents[1]
FLOORS = (
    {"rotations", "affine", "landmarks", "constants", "reference", "contract", "config", "resampling", "titles"}
    | {"processes"},
    {"sample", "facemodel", "images", "runtime", "archive", "basel", "originals", "raster", "scenery", "sculpture"}
    | {"facekit", "errors", "perspective", "wirehead", "pace"},
    {"store", "readers", "parts", "shapes", "clutter", "drawing"},
    {"dataset", "facemodel_fit", "conversion", "marks", "splits", "head", "heads", "scan", "scanfit", "looks", "wear"}
    | {"kernels", "sheets", "muon"},
    {"backbones", "checkpoint", "arms", "progress", "resume", "parallel", "compute", "showing", "changes"} | {"gpu"},
    {"augment", "networks", "metrics", "protocols", "losses", "supply", "fitting", "render", "selection"},
    {"export", "evaluation", "stability", "training", "synthesis", "portraits", "clips", "crowds", "report"}
    | {"comparison", "nets", "pictures", "sittings", "page", "tables", "card"},
)
# On one floor: the rules of motion need both, the face box turns points, both need constants, readers share their
# format, and the client's crop is an image operation. The reference face is mirrored; the archives are drawn kind by
# kind. Heads are found through one door, and a scan is fitted before it is one. Shaking is measured on the faces that
# the evaluation measures on, two nets are compared by it, and a checkpoint is exported before it is measured. A
# training takes its batches from the supply.
NEIGHBOURS = {
    ("affine", "rotations"),
    ("affine", "landmarks"),
    ("affine", "constants"),
    ("landmarks", "constants"),
    ("landmarks", "rotations"),
    ("readers", "readers"),
    ("runtime", "images"),
    ("reference", "landmarks"),
    ("synthesis", "clips"),
    ("synthesis", "crowds"),
    ("synthesis", "portraits"),
    ("synthesis", "sittings"),
    ("heads", "head"),
    ("heads", "scan"),
    ("scan", "scanfit"),
    ("fitting", "supply"),
    ("stability", "evaluation"),
    ("card", "tables"),
    ("report", "tables"),
    ("comparison", "evaluation"),
    ("nets", "export"),
}

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


def floor_of(path: Path) -> tuple[int, str]:
    name = path.relative_to(ROOT / "nntrack").parts[0].removesuffix(".py")
    for floor, names in enumerate(FLOORS):
        if name in names:
            return floor, name
    raise AssertionError(f"{relative(path)} stands on no floor: give it one in FLOORS")


@pytest.mark.parametrize("path", [p for p in MODULES if p.name != "__init__.py"], ids=relative)
def test_imports_go_down(path):
    floor, name = floor_of(path)
    for target in imports(path):
        below, other = floor_of(target)
        assert below < floor or (name, other) in NEIGHBOURS, f"{name} imports {other}"


@pytest.mark.parametrize(("name", "stage"), [pytest.param(*pair, id=pair[0]) for pair in expanded_stages()])
def test_a_stage_depends_on_exactly_the_code_that_it_runs(name, stage):
    script = ROOT / "stages" / (re.search(r"python -m stages\.(\w+)", str(stage["cmd"]))[1] + ".py")
    expected = closure(script, ROOT / "stages" / "__init__.py")
    if name.startswith("convert@"):  # readers are found by name; what any of them shares counts for all
        readers = {p for p in (ROOT / "nntrack" / "readers").glob("*.py") if not p.name.startswith("_")}
        own = ROOT / "nntrack" / "readers" / f"{name.removeprefix('convert@')}.py"
        expected |= closure(*readers) - readers | {own}
    expected = {relative(path) for path in expected}
    declared = {dep for dep in stage.get("deps", []) if isinstance(dep, str) and dep.endswith(".py")}
    assert declared == expected


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


def test_the_lower_floors_do_not_load_torch():
    names = [name for names in FLOORS[:3] for name in names if name != "readers"]
    code = f"import sys; from nntrack import {', '.join(sorted(names))}; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def test_tracked_files_hold_no_path_of_a_machine():
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    if tracked.returncode:
        pytest.skip("needs the git checkout")
    pattern = re.compile(rb"(?<![\w.:/])/(?:home|root|tmp|work|Users)/")
    paths = [ROOT / name for name in tracked.stdout.split("\0") if name and name != "tests/test_house.py"]
    assert [relative(p) for p in paths if p.is_file() and pattern.search(p.read_bytes())] == []
