import io
import struct
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nntrack.readers.archive import Damaged, copy_member, fingerprint, list_zip, read_member


def write(path, contents, compression=zipfile.ZIP_DEFLATED, before=b""):
    path.write_bytes(before)
    with zipfile.ZipFile(path, "a" if before else "w", compression) as file:
        for name, data in contents.items():
            file.writestr(name, data)
    return path


def content(path):
    found = {}
    with open(path, "rb") as stream:
        for member in list_zip(path):
            copy = io.BytesIO()
            copy_member(stream, member, copy)
            found[member.name] = read_member(stream, member)
            assert copy.read() == found[member.name]
    return found


@given(st.dictionaries(st.text("aäç/ _.", min_size=1).filter(lambda n: not n.endswith("/")), st.binary(), max_size=9))
def test_members_are_those_of_zipfile(tmp_path_factory, contents):
    path = write(tmp_path_factory.mktemp("zip") / "a.zip", contents)
    with zipfile.ZipFile(path) as file:
        assert content(path) == {info.filename: file.read(info) for info in file.infolist() if not info.is_dir()}


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("before", [b"", b"#! unpacks itself\n"])
def test_stored_and_packed_members_and_bytes_before_the_zip(compression, before, tmp_path):
    contents = {"a/": b"", "a/b.txt": b"hello" * 99, "empty": b""}
    path = write(tmp_path / "a.zip", contents, compression, before)
    del contents["a/"]
    assert content(path) == contents


def test_large_numbers_stand_in_the_extra_fields(tmp_path, monkeypatch):
    monkeypatch.setattr(zipfile, "ZIP64_LIMIT", 10)
    monkeypatch.setattr(zipfile, "ZIP_FILECOUNT_LIMIT", 1)
    contents = {f"{i}": bytes(range(50)) for i in range(5)}
    path = write(tmp_path / "a.zip", contents)
    assert b"PK\6\6" in path.read_bytes() and content(path) == contents


@pytest.mark.parametrize("keep", [0, 3, 0.2, 0.9, -1])
def test_a_cut_file_is_no_zip(keep, tmp_path, rng):
    path = write(tmp_path / "a.zip", {f"{i}": rng.bytes(100) for i in range(20)})
    data = path.read_bytes()
    path.write_bytes(data[: int(keep * len(data)) if 0 < keep < 1 else keep])
    with pytest.raises(ValueError, match=r"a.zip is not a complete zip"):
        list(list_zip(path))


def test_damage_is_named(tmp_path):
    path = write(tmp_path / "a.zip", {"x": b"12345678"}, zipfile.ZIP_STORED)
    path.write_bytes(path.read_bytes().replace(b"12345678", b"12345679"))
    with pytest.raises(Damaged, match=r"a.zip: x is damaged"):
        content(path)


def test_what_cannot_be_unpacked_is_named(tmp_path):
    path = write(tmp_path / "a.zip", {"x": b"12345678"}, zipfile.ZIP_LZMA)
    with pytest.raises(Damaged, match=r"x is packed by method 14"):
        content(path)


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


def test_a_list_of_many_members_takes_little_memory(tmp_path):
    path, entries = tmp_path / "a.zip", []
    for i in range(70_000):  # more than 16 bits count
        name = f"{i:06d}.jpg".encode()
        entries.append(struct.pack("<4s6H3I5H2I", b"PK\1\2", *[0] * 6, 0, 0, 0, len(name), *[0] * 4, 0, 0) + name)
    directory = b"".join(entries)
    tail = struct.pack("<4sQ2H2I4Q", b"PK\6\6", 44, 45, 45, 0, 0, len(entries), len(entries), len(directory), 0)
    tail += struct.pack("<4sIQI", b"PK\6\7", 0, len(directory), 1)
    path.write_bytes(directory + tail + struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, 0xFFFF, 0xFFFF, 0, 0, 0))
    assert np.mean([int(member.name[:6]) for member in list_zip(path)]) == 69_999 / 2
