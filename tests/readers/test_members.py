import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nntrack.readers import members
from nntrack.readers.members import Damaged, list_zip


def write(path, contents, compression=zipfile.ZIP_DEFLATED, before=b""):
    path.write_bytes(before)
    with zipfile.ZipFile(path, "a" if before else "w", compression) as file:
        for name, data in contents.items():
            file.writestr(name, data)
    return path


def content(path):
    found = {}
    for member in list_zip(path):
        found[member.name] = member.read()
        with member.open() as stream:
            assert stream.read() == found[member.name]
    return found


@given(
    st.dictionaries(
        st.from_regex(r"[aäç _]{1,4}(/[aäç _.]{0,2}b){0,2}", fullmatch=True).filter(lambda n: "/." not in n),
        st.binary(),
        max_size=9,
    )
)
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
        list_zip(path)


def test_damage_is_named(tmp_path):
    path = write(tmp_path / "a.zip", {"x": b"12345678"}, zipfile.ZIP_STORED)
    path.write_bytes(path.read_bytes().replace(b"12345678", b"12345679"))
    with pytest.raises(Damaged, match=r"a.zip: x is damaged"):
        content(path)


def test_what_cannot_be_unpacked_is_named(tmp_path):
    path = write(tmp_path / "a.zip", {"x": b"12345678"}, zipfile.ZIP_LZMA)
    with pytest.raises(Damaged, match=r"x is packed by LZMA, not by deflate"):
        content(path)


class TestZips:
    def zip_of(self, path, name, data, compression=zipfile.ZIP_DEFLATED):
        with zipfile.ZipFile(path, "w", compression) as file:
            file.writestr(name, data)
        return list_zip(path)[0]

    @pytest.mark.parametrize("lie", [0, 100, 1 << 20])
    def test_a_member_gives_no_more_than_it_claims(self, lie, tmp_path, monkeypatch):
        member = self.zip_of(tmp_path / "a.zip", "x", bytes(200 << 20))._replace(size=lie)
        written = []
        monkeypatch.setattr(members, "_write", lambda target, block, size: written.append(len(block)))
        with pytest.raises(Damaged, match=r"a.zip: x is damaged"):
            member.read()
        with pytest.raises(Damaged, match=r"a.zip: x is damaged"), member.open():
            pass
        assert sum(written) <= lie + 1

    def test_a_bomb_is_refused_before_it_is_unpacked(self, tmp_path):
        member = self.zip_of(tmp_path / "a.zip", "x", bytes(200 << 20))
        with pytest.raises(Damaged, match="claims 209715200 bytes, and 67108864 is the most"):
            member.read()
        with pytest.raises(Damaged, match="claims to unpack to 209715200 bytes from"), member.open():
            pass

    @pytest.mark.parametrize("field", ["offset", "packed", "size"])
    def test_numbers_of_64_bits_are_no_trap(self, field, tmp_path):
        member = self.zip_of(tmp_path / "a.zip", "x", b"1" * 99)._replace(**{field: (1 << 64) - 1})
        wide = b"\1\0\x18\0" + b"".join(n.to_bytes(8, "little") for n in (member.size, member.packed, member.offset))
        head = bytearray(46)
        head[:4], head[20:28], head[42:46] = b"PK\1\2", b"\xff" * 8, b"\xff" * 4
        head[10], head[28], head[30] = 8, 1, len(wide)
        directory = bytes(head) + b"x" + wide
        old = (tmp_path / "a.zip").read_bytes()
        start = old.index(b"PK\1\2")
        end = b"PK\5\6" + bytes(4) + b"\1\0\1\0" + len(directory).to_bytes(4, "little") + start.to_bytes(4, "little")
        (tmp_path / "a.zip").write_bytes(old[:start] + directory + end + b"\0\0")
        with pytest.raises(ValueError, match=r"a\.zip"):
            list_zip(tmp_path / "a.zip")[0].read()

    @pytest.mark.parametrize("extra", [b"\1\0\x18\0", b"\1\0\xff\xff1234567", b"\1", b"\2\0\xff\xff"])
    def test_an_extra_field_that_is_cut_short_is_no_trap(self, extra, tmp_path):
        with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
            member = zipfile.ZipInfo("x")
            member.extra = b"abcd" + bytes(len(extra) - 4) if len(extra) > 4 else b"abcd"[: len(extra)]
            file.writestr(member, b"1")
        data = (tmp_path / "a.zip").read_bytes()
        at = data.index(b"PK\1\2")
        directory = bytearray(data[at:]).replace(member.extra, extra)
        directory[20:28] = b"\xff" * 8
        (tmp_path / "a.zip").write_bytes(data[:at] + directory)
        with pytest.raises(ValueError, match=r"a\.zip"):
            list_zip(tmp_path / "a.zip")

    def test_a_name_stays_in_its_line(self, tmp_path):
        assert self.zip_of(tmp_path / "a.zip", "a\nb\x1b[31m", b"").name == "a\ufffdb\ufffd[31m"
