"""Files are written whole or not at all, and nothing of the user's is replaced by an output."""

import os
import shutil
from fnmatch import fnmatch
from pathlib import Path

import pytest

from nntrack.files import check_outputs, replacing
from tests.conftest import ROOT
from tests.test_stages import NAMES, said, start


def test_what_a_killed_process_left_beside_a_file_is_removed(tmp_path):
    with replacing(tmp_path / "z") as partial:
        assert fnmatch(partial.parent.name, ".z.partial-????????")
        partial.touch()
    for name in (".x [1].h5.partial-ab12_xyz", ".y.h5.partial-ab12_xyz", ".x [1].h5.original"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_bytes(b"half")
    with replacing(tmp_path / "x [1].h5") as partial:
        partial.write_bytes(b"whole")
    left = [".x [1].h5.original", ".y.h5.partial-ab12_xyz", "x [1].h5", "z"]
    assert sorted(path.name for path in tmp_path.iterdir()) == left


def test_a_file_never_replaces_a_folder_nor_a_folder_a_file(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "text").touch()
    with pytest.raises(IsADirectoryError), replacing(tmp_path / "folder") as partial:
        partial.touch()
    assert os.listdir(tmp_path / "folder") == ["text"]
    with pytest.raises(NotADirectoryError), replacing(tmp_path / "folder" / "text") as partial:
        partial.mkdir()
    assert sorted(tmp_path.rglob("*")) == [tmp_path / "folder", tmp_path / "folder" / "text"]


# A stage or command, its arguments with OUT for a path to write, and a file that it reads. Their contents are nonsense,
# so that a complaint about the output shows that they were not read first.
FILES = [
    ("stages.convert", "aflw2k faces OUT", "faces"),
    ("stages.convert", "biwi BIWI.zip OUT", "biwi_boxes.csv"),
    ("stages.split", "hdf5 OUT", "hdf5/widerface.h5"),
    ("stages.facemodel", "hdf5 split OUT", "split"),
    ("stages.facemodel", "hdf5 split OUT --raw faces.png", "faces.png/bfm_noneck_v3.pkl"),
    ("stages.export", "pose localizer hdf5 onnx OUT", "localizer"),
    ("stages.export", "pose localizer hdf5 onnx OUT", "hdf5/ytfaces.h5"),
    ("stages.evaluate", "net faces OUT", "net"),
    ("stages.evaluate", "net faces x.json --detail OUT", "faces"),
    ("stages.evaluate", "models/pose faces OUT", "models/pose/model.safetensors"),
    ("stages.evaluate", "net faces OUT --split split", "split"),
    ("stages.card", "onnx faces YTFaces OUT new", "faces"),
    ("stages.clip", "onnx clip OUT", "clip/poses.csv"),
    ("stages.page", "OUT", "params.yaml"),
    ("nntrack.commands.track", "video --csv OUT --no-window", "video"),
    ("nntrack.commands.evaluate", "net faces OUT --localizer localizer", "localizer"),
    ("nntrack.commands.card", "localizer net --faces faces -o OUT", "faces"),
    ("nntrack.commands.show", "faces -o OUT", "faces"),
    ("nntrack.commands.track", "film --out OUT", "film"),
    ("nntrack.commands.track", "film --models models/onnx --csv OUT", "models/onnx/head-pose.onnx"),
    ("nntrack.commands.update_readme", "metrics --readme OUT", "metrics/published.json"),
]
# As above, with a file or folder that is written under a name of the stage's own.
NAMED = [
    ("stages.train_pose", "hdf5 split model models/pose", "models/pose/model.safetensors"),
    ("stages.train_localizer", "faces split new", "new/model.safetensors"),
    ("stages.export", "pose localizer hdf5 onnx m.json", "onnx/head-pose.onnx"),
    ("stages.report", "metrics onnx new", "new/results.md"),
    ("stages.evaluate", "net faces x.json", "x_center.json"),
    ("stages.evaluate", "net faces x.json --errors new", "new/faces_bbox.csv"),
    ("stages.card", "onnx faces YTFaces card.json new", "new/gain.svg"),
    ("stages.mark", "real", "real/BIWI.mark"),
    ("stages.synthesize", "new", "new/YTFaces.mark"),
]
# As above, with a folder that is renewed as a whole.
RENEWED = [
    ("stages.pictures", "hdf5 models errors new", "new"),
    ("stages.train_pose", "hdf5 split model new", "new/live"),
    ("stages.train_localizer", "faces split new", "new/live"),
    ("stages.synthesize", "new", "new/YTFaces"),
]


WITHOUT_OUTPUT = {
    f"nntrack.commands.{name}" for name in ("check", "compare", "demo", "experiments", "renew_pretrained")
}  # that the user names


def test_every_stage_and_command_is_tried():
    assert {name for name, _, _ in [*FILES, *NAMED, *RENEWED]} | WITHOUT_OUTPUT == set(NAMES)


@pytest.fixture
def project(tmp_path, monkeypatch):
    for name in ("params.yaml", "dvc.yaml"):
        shutil.copy(ROOT / name, tmp_path)
    for name in {source for _, _, source in FILES} - {"params.yaml"}:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(f"nonsense of {name}")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def refusal(project, monkeypatch, capsys, name, arguments):
    """The one line by which a command refuses its arguments; nothing in the project has changed."""

    def state():
        return {path: path.read_bytes() if path.is_file() else None for path in project.rglob("*")}

    before = state()
    assert start(monkeypatch, name, *arguments.split()) == 1
    assert state() == before
    return said(capsys)


@pytest.mark.parametrize(("name", "arguments", "source"), FILES)
def test_no_command_writes_its_file_over_a_folder(name, arguments, source, project, monkeypatch, capsys):
    Path("out.png").mkdir()
    Path("out.png", "thesis").touch()
    line = refusal(project, monkeypatch, capsys, name, arguments.replace("OUT", "out.png"))
    assert "out.png is a folder" in line


@pytest.mark.parametrize("way", ["same path", "hard link", "link", "linked folder", "dots"])
@pytest.mark.parametrize(("name", "arguments", "source"), FILES)
def test_no_command_writes_over_what_it_reads(way, name, arguments, source, project, monkeypatch, capsys):
    out = "out.png"
    if way == "hard link":
        os.link(source, out)
    elif way == "link":
        os.symlink(source, out)
    elif name == "nntrack.commands.show":
        pytest.skip("writes to names of pictures alone")
    elif way == "linked folder":
        os.symlink(".", "here")
        out = f"here/{source}"
    else:
        out = source if way == "same path" else f"new/../{source}"
    if way == "dots":
        Path("new").mkdir()
    line = refusal(project, monkeypatch, capsys, name, arguments.replace("OUT", out))
    assert f"{out} would replace" in line and "input" in line


@pytest.mark.parametrize(("name", "arguments", "path"), NAMED)
def test_no_command_writes_a_file_of_its_own_naming_over_a_folder(name, arguments, path, project, monkeypatch, capsys):
    if Path(path).exists():
        Path(path).unlink()
    Path(path, "thesis").mkdir(parents=True)
    assert f"{path} is a folder" in refusal(project, monkeypatch, capsys, name, arguments)


@pytest.mark.parametrize(("name", "arguments", "path"), RENEWED)
def test_a_folder_is_renewed_by_the_stage_that_made_it_alone(name, arguments, path, project, monkeypatch, capsys):
    Path(path, "thesis").mkdir(parents=True)
    line = refusal(project, monkeypatch, capsys, name, arguments)
    assert f"{path} " in line and "this stage" in line
    shutil.rmtree(path)
    Path(path).touch()
    assert path in refusal(project, monkeypatch, capsys, name, arguments)


def test_archives_that_were_not_rendered_are_left_alone(project, monkeypatch, capsys):
    Path("real").mkdir()
    Path("real/AFLW2000-3D.zip").write_text("a download")
    line = refusal(project, monkeypatch, capsys, "stages.synthesize", "real")
    assert "real/AFLW2000-3D.zip was not written by this stage" in line


def test_archives_that_took_the_place_of_rendered_ones_are_left_alone(project, monkeypatch, capsys):
    for name in ("real/sheets/aflw2k.jpg", "real/AFLW2000-3D.zip.mark", "real/AFLW2000-3D.zip"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text("of an earlier run")
    line = refusal(project, monkeypatch, capsys, "stages.synthesize", "real")
    assert "real/AFLW2000-3D.zip is not what this stage wrote" in line


@pytest.mark.parametrize(("asked", "there"), [("photos", "photos.zip"), ("photos.zip", "photos")])
def test_the_other_form_of_an_archive_is_not_written_over(asked, there, project, monkeypatch, capsys):
    out = there
    if there == "photos":
        Path(there).mkdir()
        out = "photos/x.h5"
    else:
        Path(there).write_text("a download")
    line = refusal(project, monkeypatch, capsys, "stages.convert", f"aflw2k {asked} {out}")
    assert f"{out} would replace {there}, which is an input" in line


@pytest.mark.parametrize("arguments", ["stages.split hdf5 OUT", "stages.facemodel hdf5 split OUT"])
def test_no_dataset_is_written_over_even_if_it_is_not_read(arguments, project, monkeypatch, capsys):
    name, words = arguments.split(maxsplit=1)
    Path("hdf5/biwi.h5").touch()
    line = refusal(project, monkeypatch, capsys, name, words.replace("OUT", "hdf5/biwi.h5"))
    assert "hdf5/biwi.h5 would replace hdf5, which is an input" in line


def test_an_output_is_not_written_into_a_folder_that_is_read(project):
    for name in ("archive/zips/a.zip", "elsewhere/b.zip", "elsewhere/c.zip"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text(name)
    os.symlink("../elsewhere", "archive/linked")
    os.symlink(".", "archive/zips/loop")
    os.link("elsewhere/c.zip", "hard.zip")
    os.symlink("archive", "again")
    for out in ("archive/x.h5", "again/zips/a.zip", "archive/new/x.h5", "elsewhere/b.zip", "hard.zip"):
        with pytest.raises(ValueError, match="is an input"):
            check_outputs(out, inputs=["archive"])
    check_outputs("x.h5", "new/x.h5", "net", inputs=["archive"])


def test_an_output_folder_holds_no_input_and_two_outputs_have_two_names(project):
    Path("sheets").mkdir()
    Path("sheets/a.jpg").touch()
    check_outputs(folders={Path("sheets"): ["*.jpg"]}, inputs=["faces"])
    with pytest.raises(ValueError, match=r"sheets would replace sheets/a.jpg, which is an input"):
        check_outputs(folders={Path("sheets"): ["*.jpg"]}, inputs=["sheets/a.jpg"])
    with pytest.raises(ValueError, match="two outputs"):
        check_outputs("x", None, "./x")
    with pytest.raises(ValueError, match="two outputs"):
        check_outputs("sheets/b.jpg", folders={Path("sheets"): ["*.jpg"]})


def test_a_place_that_cannot_be_written_to_is_named(project, monkeypatch):
    with pytest.raises(ValueError, match=r"faces/x cannot be written: .*faces is not a folder"):
        check_outputs("faces/x")
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(ValueError, match=r"new/x cannot be written: .* is read-only"):
        check_outputs("new/x")
