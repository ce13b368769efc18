"""The same dataset in every form in which people have it."""

import os
import shutil
import struct
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest

from nntrack.data.datasets import in_pipeline
from nntrack.readers import aflw2k, biwi, conversion
from nntrack.readers.archive import folder_files, locate
from nntrack.readers.marks import fingerprint
from nntrack.readers.members import list_zip
from tests import archives
from tests.reading import read


def unpack(archive, folder):
    """All files of an archive, each zip unpacked to a folder of its name."""
    for path in [archive] if archive.is_file() else [p for p in sorted(archive.rglob("*")) if p.is_file()]:
        inner = Path(path.name) if archive.is_file() else path.relative_to(archive)
        if path.suffix == ".zip":
            with zipfile.ZipFile(path) as file:
                file.extractall(folder if archive.is_file() else folder / inner.with_suffix(""))
        else:
            (folder / inner).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, folder / inner)
    return folder


def repack(archive, folder, rename):
    """The same archive, every member under another name."""
    if archive.is_file():
        files = [archive]
    else:
        shutil.copytree(archive, folder / archive.name)
        files = sorted((folder / archive.name).rglob("*.zip"))
    folder.mkdir(exist_ok=True)
    for path in files:
        with zipfile.ZipFile(path) as old:
            rows = {name: old.read(name) for name in old.namelist()}
        target = folder / archive.name if archive.is_file() else path
        with zipfile.ZipFile(target, "w") as new:
            for name, data in rows.items():
                for other in np.atleast_1d(rename(name)):
                    info = zipfile.ZipInfo("x")
                    info.filename = str(other)  # as it is: the constructor would mend it
                    new.writestr(info, data if other == np.atleast_1d(rename(name))[0] else b"junk")
    return folder / archive.name


def beside(name):
    """What macOS adds, and a NAS."""
    head, _, tail = name.rpartition("/")
    return [name, f"__MACOSX/{head}/._{tail}", f"{head}/._{tail}", f"{head}/.DS_Store", f"{head}/@eaDir/{tail}"]


FORMS = {
    "unpacked": unpack,
    "another top folder": lambda a, f: repack(a, f, lambda n: f"some/where/{n}"),
    "without its top folder": lambda a, f: repack(a, f, lambda n: n.partition("/")[2] or n),
    "backslashes": lambda a, f: repack(a, f, lambda n: n.replace("/", "\\")),
    "a dot before": lambda a, f: repack(a, f, lambda n: f"./{n}"),
    "upper-case suffixes": lambda a, f: repack(a, f, lambda n: n[:-4] + n[-4:].upper()),
    "from macOS": lambda a, f: repack(a, f, beside),
    "its folders are links": lambda a, f: linked(unpack(a, f / "store"), f / "links"),
}


def linked(store, folder):
    folder.mkdir()
    for path in sorted(store.iterdir()):
        (folder / path.name).symlink_to(path)
    (folder / "round").symlink_to(folder)
    return folder


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("dataset", in_pipeline())
def test_every_form_gives_the_same_samples(dataset, form, tmp_path):
    archive = archives.make(dataset, tmp_path / "given")
    reader = conversion.find_reader(dataset)
    expected, tally = read(reader, archive)
    found, same = read(reader, FORMS[form](archive, tmp_path / "form"))
    assert (same.kept, same.dropped) == (tally.kept, tally.dropped)
    for one, other in zip(expected, found, strict=True):
        np.testing.assert_array_equal(one.image, other.image)
        assert one.group == other.group and one.labels.keys() == other.labels.keys()


def test_the_fingerprint_sees_behind_links(tmp_path, rng):
    store = unpack(archives.aflw2k(rng).write(tmp_path / "A.zip"), tmp_path / "store")
    folder = linked(store, tmp_path / "links")
    first = fingerprint(folder)
    assert first["members"] > 6
    (store / "AFLW2000/image00002.mat").write_bytes(b"other")
    assert fingerprint(folder) != first


def test_a_link_to_nothing_is_named(tmp_path):
    (tmp_path / "part_2").symlink_to(tmp_path / "unmounted")
    with pytest.raises(FileNotFoundError, match=r"part_2 is a link to .*unmounted, which is not there"):
        folder_files(tmp_path)


def test_the_other_form_beside_is_found(tmp_path):
    (tmp_path / "A").mkdir()
    (tmp_path / "B.zip").touch()
    assert locate(tmp_path / "A.zip") == tmp_path / "A" and locate(tmp_path / "B") == tmp_path / "B.zip"
    assert locate(tmp_path / "C.zip") == tmp_path / "C.zip"


@pytest.mark.parametrize(("kept", "missing"), [("jpg", "imageNNNNN.mat"), ("mat", "imageNNNNN.jpg")])
def test_a_part_of_which_nothing_is_there_is_an_error(kept, missing, tmp_path, rng):
    archive = archives.aflw2k(rng)
    archive.contents = {name: data for name, data in archive.contents.items() if name.endswith(kept)}
    with pytest.raises(ValueError, match=rf"a part is missing: nothing in it is called AFLW2000/{missing}"):
        read(aflw2k, archive.write(tmp_path / "a.zip"))


def test_zips_in_a_zip_are_told(tmp_path, rng):
    inner = archives.biwi(rng).write(tmp_path / "hpdb.zip")
    outer = archives.Archive()
    outer.contents["hpdb.zip"] = inner.read_bytes()
    with pytest.raises(ValueError, match=r"it holds hpdb\.zip: unpack that"):
        read(biwi, outer.write(tmp_path / "BIWI.zip"))


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"\n<!DOCTYPE html><html>Quota exceeded</html>", "a web page"),
        (b"<html>", "a web page"),
        (b"", "empty"),
        (b"\x1f\x8b\x08" + bytes(99), "a gzip file"),
        (b"BZh9" + bytes(99), "a bzip2 file"),
        (bytes(257) + b"ustar" + bytes(300), "a tar archive"),
        (b"7z\xbc\xaf\x27\x1c" + bytes(99), "a 7z archive"),
        (b"Rar!\x1a\x07\x01\0", "a RAR archive"),
        (b"\x89HDF\r\n\x1a\n" + bytes(99), "an HDF5 file"),
        (b"version https://git-lfs.github.com/spec/v1\n", "a pointer of Git LFS"),
        (b"PK\7\x08PK\3\4" + bytes(99), "one part of a split zip"),
        (b"PK\3\4" + bytes(99), "cut short, or one part of several"),
        (b"MATLAB 5.0 MAT-file", "a MATLAB file"),
        (bytes(600), "zeros at its beginning"),
        (b'\n{"error": "not\nfound"}', """a text, '{"error": "not found"}'"""),
        ("<html>Sign in".encode("utf-16"), "a text, '<html>Sign in'"),
        (b"\x80?" * 99, "cut short"),
    ],
)
def test_what_is_no_zip_is_called_what_it_is(data, what, tmp_path):
    (tmp_path / "a.zip").write_bytes(data)
    with pytest.raises(ValueError, match=rf"a\.zip is not a complete zip archive.*{what}"):
        list_zip(tmp_path / "a.zip")


def test_a_tar_of_zips_is_no_zip(tmp_path, rng):
    archives.biwi(rng).write(tmp_path / "hpdb.zip")
    with tarfile.open(tmp_path / "BIWI.zip", "w") as file:
        file.add(tmp_path / "hpdb.zip", "hpdb.zip")
    with pytest.raises(ValueError, match="it is a tar archive"):
        list_zip(tmp_path / "BIWI.zip")


def end_of(path):
    data = bytearray(path.read_bytes())
    return data, data.rindex(b"PK\5\6")


class TestHeaders:
    """Zips whose headers claim other things than what is there."""

    def zip(self, tmp_path, count=3):
        with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
            for i in range(count):
                file.writestr(f"{i}", b"x")
        return tmp_path / "a.zip"

    def test_a_number_of_members_modulo_65536_is_no_fault(self, tmp_path):
        path = self.zip(tmp_path, 70_000)
        with zipfile.ZipFile(path) as file:
            start = file.start_dir
        data = path.read_bytes()
        size = data.rindex(b"PK\6\6") - start
        end = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, 70_000 % 65536, 70_000 % 65536, size, start, 0)
        path.write_bytes(data[: start + size] + end)
        assert len(list_zip(path)) == 70_000

    @pytest.mark.parametrize(("place", "form", "value"), [(10, "<H", 2), (12, "<I", 47), (16, "<I", 1 << 30)])
    def test_another_number_size_or_place_is_refused(self, place, form, value, tmp_path):
        path = self.zip(tmp_path)
        data, at = end_of(path)
        struct.pack_into(form, data, at + place, value)
        path.write_bytes(data)
        with pytest.raises(ValueError, match=r"a\.zip is not a complete zip"):
            list_zip(path)

    def test_more_than_4_gib_without_zip64_must_be_packed_anew(self, tmp_path):
        path = self.zip(tmp_path)
        data, _ = end_of(path)
        with open(path, "wb") as stream:  # a hole of 4 GiB where members would be
            stream.seek(1 << 32)
            stream.write(data)
        with pytest.raises(ValueError, match=r"larger than 4 GiB .*zip64.*pack it anew"):
            list_zip(path)

    def test_the_last_part_of_a_split_zip(self, tmp_path):
        path = self.zip(tmp_path)
        data, at = end_of(path)
        struct.pack_into("<H", data, at + 4, 6)
        path.write_bytes(data)
        with pytest.raises(ValueError, match="the last of 7 parts of a split zip"):
            list_zip(path)

    def test_members_that_are_encrypted_are_told_as_that(self, tmp_path, rng):
        path = archives.aflw2k(rng).write(tmp_path / "a.zip")
        data = bytearray(path.read_bytes())
        at = data.find(b"PK\1\2")
        while at >= 0:
            data[at + 8] |= 1
            at = data.find(b"PK\1\2", at + 1)
        path.write_bytes(data)
        with pytest.raises(ValueError, match=r"is encrypted, as all of its kind are: unpack it and name the folder"):
            read(aflw2k, path)

    def test_bzip2_is_read(self, tmp_path):
        with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_BZIP2) as file:
            file.writestr("x", b"12" * 999)
        assert list_zip(tmp_path / "a.zip")[0].read() == b"12" * 999


def test_a_full_folder_of_temporary_files_is_named(tmp_path, monkeypatch):
    class Full:
        def write(self, block):
            raise OSError(28, os.strerror(28))

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("x", b"1")
    monkeypatch.setattr("tempfile.SpooledTemporaryFile", lambda _: Full())
    with pytest.raises(OSError, match=r"No space left on device.*set TMPDIR"), list_zip(path)[0].open():
        pass
