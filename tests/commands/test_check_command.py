import pytest
import typer

from nntrack.commands import check
from nntrack.deploy import pictures
from tests import onnx_files


@pytest.fixture(autouse=True)
def one_picture(monkeypatch):
    monkeypatch.setattr(pictures, "WITHOUT_FACE", {"black": pictures.WITHOUT_FACE["black"]})


def test_good_files_pass(tmp_path, capsys):
    localizer = onnx_files.localizer(tmp_path / "l.onnx", logit_box=[[-1, 0, 0, 1, 1]])
    check.main([localizer, onnx_files.pose(tmp_path / "p.onnx", box=[[-1, -1, 1, 1]])])
    said = capsys.readouterr().out
    assert said.count(": 0 of ") == 2 and "FAIL" not in said
    assert "black: window stays" in said and "black: no face" in said


def test_one_fault_fails_the_command_after_all_files_were_checked(tmp_path, capsys):
    bad, good = onnx_files.pose(tmp_path / "bad.onnx", quat=None), onnx_files.pose(tmp_path / "good.onnx")
    with pytest.raises(typer.Exit) as end:
        check.main([bad, good], loop=False)
    said = capsys.readouterr().out
    assert end.value.exit_code == 1
    assert "bad.onnx: 1 of " in said and "good.onnx: 0 of " in said
    assert "FAIL" in said and "no output is called quat" in said and "window stays" not in said


def test_a_file_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"gone\.onnx"):
        check.main([tmp_path / "gone.onnx"])
