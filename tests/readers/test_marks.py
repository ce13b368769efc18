import zipfile

import pytest

from nntrack import config
from nntrack.data.datasets import in_pipeline
from nntrack.readers import marks
from nntrack.readers.marks import describe, fingerprint, mark_path, write_mark, write_marks
from tests import archives
from tests.conftest import ROOT

NAMES = ["AFLW2000-3D.zip", "300W-LP.zip"]


@pytest.fixture
def folder(tmp_path, rng):
    archives.aflw2k(rng).write(tmp_path / NAMES[0])
    archives.w300lp(rng).write(tmp_path / NAMES[1])
    return tmp_path


def test_the_same_archive_gives_the_same_mark(folder):
    first = write_mark(folder / NAMES[0]).read_bytes()
    assert write_mark(folder / NAMES[0]).read_bytes() == first
    assert b"archive: AFLW2000-3D.zip\n" in first and b"sha256: " in first and b"\r" not in first
    assert len(first) < 200


def test_another_archive_gives_another_mark(folder, rng):
    first = write_mark(folder / NAMES[0]).read_text()
    archives.aflw2k(rng, 4).write(folder / NAMES[0])
    assert write_mark(folder / NAMES[0]).read_text() != first


def test_the_basel_model_beside_it_counts(folder):
    marks = [write_mark(folder / NAMES[1]).read_text()]
    for data in (b"1", b"2"):
        (folder / "bfm_noneck_v3.pkl").write_bytes(data)
        marks.append(write_mark(folder / NAMES[1]).read_text())
    assert len(set(marks)) == 3


def test_boxes_in_the_folder_count(tmp_path, rng):
    folder = archives.make("biwi", tmp_path)
    marks = []
    for x in (1, 2, 2):
        archives.biwi_boxes(folder, [f"1,3,{x},20,30,40"])  # the same size: only its content tells
        marks.append(write_mark(folder).read_text())
    assert marks[0] != marks[1] == marks[2] and "biwi_boxes.csv: " in marks[0]


def test_all_that_is_missing_is_listed_at_once(folder):
    with pytest.raises(FileNotFoundError) as error:
        write_marks(folder, [*NAMES, "YTFaces", "wider_faces"])
    assert all(text in str(error.value) for text in ("YTFaces", "wider_faces", str(folder), "use: false"))
    assert NAMES[0] not in str(error.value)
    assert not list(folder.glob("*.mark"))


def test_boxes_beside_a_zip_count_too(tmp_path, rng):
    archives.biwi(rng).write(tmp_path / "BIWI.zip")
    before = write_mark(tmp_path / "BIWI").read_text()
    archives.biwi_boxes(tmp_path, ["1,3,10,20,30,40"])
    assert "biwi_boxes.csv: " in write_mark(tmp_path / "BIWI").read_text().removeprefix(before)


def test_what_is_not_used_need_not_be_there(folder):
    outcome = write_marks(folder, [*NAMES, "YTFaces"], unused=["YTFaces"])
    assert outcome == {NAMES[0]: "marked", NAMES[1]: "marked", "YTFaces": "not used"}
    assert mark_path(folder / "YTFaces").read_text() == "archive: YTFaces\nnot used\n"
    # that mark stands for no archive
    with pytest.raises(FileNotFoundError, match="YTFaces"):
        write_marks(folder, [*NAMES, "YTFaces"])


def test_an_absent_archive_keeps_its_mark(folder):
    write_marks(folder, NAMES)
    before = mark_path(folder / NAMES[0]).read_bytes()
    (folder / NAMES[0]).unlink()
    outcome = write_marks(folder, NAMES)
    assert outcome[NAMES[0]] == "kept" and mark_path(folder / NAMES[0]).read_bytes() == before
    assert "AFLW2000-3D.zip: is absent; its committed mark is kept" in describe(outcome)


def test_only_what_the_pipeline_rendered_is_synthetic(tmp_path, monkeypatch, rng):
    """The licence of a converted file rests on it, so neither the name of a folder nor the place alone will do."""
    monkeypatch.chdir(tmp_path)
    ours = archives.aflw2k(rng).write(tmp_path / marks.SYNTHETIC / NAMES[0])
    assert not marks.is_synthesized(ours)  # put there by hand
    write_mark(ours)
    assert marks.is_synthesized(ours) and marks.is_synthesized(marks.SYNTHETIC / NAMES[0])
    elsewhere = archives.aflw2k(rng).write(tmp_path / "mine" / "synthetic" / NAMES[0])
    write_mark(elsewhere)
    assert not marks.is_synthesized(elsewhere)
    archives.aflw2k(rng, 4).write(ours)  # another in its place
    assert not marks.is_synthesized(ours)
    assert not marks.is_synthesized(marks.SYNTHETIC / "absent.zip")


def test_the_pipeline_names_the_archives_of_the_table():
    foreach = config.read_yaml(ROOT / "dvc.yaml")["stages"]["convert"]["foreach"]
    assert foreach == {name: row.archive for name, row in in_pipeline().items()}


def write(path, contents, compression=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", compression) as file:
        for name, data in contents.items():
            file.writestr(name, data)
    return path


class TestFingerprint:
    def test_order_and_packing_do_not_count(self, tmp_path):
        contents = {"a": b"1" * 50, "b": b"2"}
        one = write(tmp_path / "1.zip", contents)
        two = write(tmp_path / "2.zip", dict(reversed(contents.items())), zipfile.ZIP_STORED)
        assert fingerprint(one) == fingerprint(two)

    @pytest.mark.parametrize("other", [{"a": b"2"}, {"b": b"1"}, {"a": b"1", "b": b""}])
    def test_names_and_contents_count(self, other, tmp_path):
        one, two = write(tmp_path / "1.zip", {"a": b"1"}), write(tmp_path / "2.zip", other)
        assert fingerprint(one)["sha256"] != fingerprint(two)["sha256"]

    def test_of_a_folder(self, tmp_path):
        folder = tmp_path / "f"
        (folder / "sub").mkdir(parents=True)
        (folder / "sub" / "x.txt").write_bytes(b"123")
        write(folder / "a.zip", {"a": b"1"})
        first = fingerprint(folder)
        assert (first["kind"], first["members"], first["bytes"]) == ("folder", 2, 4)
        (folder / ".hidden").write_bytes(b"")
        (folder / "a.zip.mark").write_bytes(b"")
        assert fingerprint(folder) == first
        write(folder / "a.zip", {"a": b"2"})  # same size, other checksum
        assert fingerprint(folder)["sha256"] != first["sha256"]
