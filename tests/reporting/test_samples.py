import subprocess
import sys
import tomllib

import cv2
import h5py
import numpy as np
import pytest

from nntrack.reporting import contact_sheet, samples
from nntrack.reporting.overlay import TRUTH
from tests import faces
from tests.conftest import ROOT


@pytest.fixture
def file(tmp_path, rng):
    faces.write(tmp_path / "some.h5", faces.samples(rng, 12))
    return tmp_path / "some.h5"


def nntrack(*arguments):
    """The console script, as pip would make it."""
    module, function = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]["nntrack"].split(":")
    code = f"import sys; from {module} import {function}; sys.exit({function}())"
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


def test_a_sheet_shows_samples_with_and_without_labels(rng):
    face, bare = next(faces.samples(rng, 1)), next(faces.crops(rng, 1))
    drawn = samples.sample_sheet("title", [(0, face), (1, bare)])
    plain = samples.sample_sheet("title", [(1, bare)])
    assert drawn.shape[1] == plain.shape[1] == contact_sheet.WIDTH
    # turquoise are the landmarks of the one, and their colour in the legend
    assert [(np.abs(s.astype(int) - TRUTH).max(axis=2) < 20).any() for s in (drawn, plain)] == [True, False]


def test_the_command_draws_what_is_asked_for(file, tmp_path):
    done = nntrack("show", file, "--index", "3,7", "-o", tmp_path / "two.png")
    assert done.returncode == 0, done.stderr
    assert "2 of 12 samples" in done.stdout
    two = cv2.imread(str(tmp_path / "two.png"))
    assert nntrack("show", file, "-n", 12, "-o", tmp_path / "all.jpg").returncode == 0
    assert cv2.imread(str(tmp_path / "all.jpg")).shape[0] > 2 * two.shape[0]


def test_an_empty_dataset_gives_a_sheet(tmp_path):
    faces.write(tmp_path / "none.h5", ())
    done = nntrack("show", tmp_path / "none.h5", "-o", tmp_path / "a.png")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "a.png").exists()


def test_what_cannot_be_shown_is_one_line(file, tmp_path):
    (tmp_path / "text.h5").write_text("no samples")
    (tmp_path / "file").write_text("")
    h5py.File(tmp_path / "other.h5", "w").close()
    for arguments, message in {
        (file, "-i", "12"): "there is no sample 12",
        (file, "-o", "a.bmp"): "no picture is written as '.bmp'",
        (file, "-o", tmp_path / "file/a.png"): "file/a.png cannot be written: ",
        (tmp_path / "text.h5",): "text.h5 is not an HDF5 file",
        (tmp_path,): "is not an HDF5 file",
        (tmp_path / "other.h5",): "other.h5 has schema None",
        (tmp_path / "absent.h5",): "absent.h5 does not exist",
    }.items():
        done = nntrack("show", *arguments)
        assert done.returncode == 1 and message in done.stderr
        assert done.stderr.startswith("error: ") and done.stderr.count("\n") == 1


def test_the_program_names_its_commands():
    done = nntrack("--help")
    assert done.returncode == 0 and all(name in done.stdout for name in ("show", "evaluate"))
    unknown = nntrack("shwo")
    assert unknown.returncode == 2 and "shwo" in unknown.stderr
