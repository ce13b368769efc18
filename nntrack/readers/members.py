"""One file of an archive: where it lies, and its bytes, checked. And the list of those of a zip.

`zipfile` reads the list once; a worker is handed the few numbers that it needs to fetch a member.
"""

import bz2
import errno
import os
import re
import stat
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import IO, NamedTuple

from nntrack.files import FULL

_STORED, _DEFLATED, _BZIP2 = 0, 8, 12
_METHODS = {9: "deflate64", 14: "LZMA", 93: "Zstandard", 95: "XZ", 98: "PPMd", 99: "AES encryption"}
_ENCRYPTED = -1
_FILE = -1  # offset of a member that is a file by itself
_BLOCK = 1 << 20  # bytes
_IN_MEMORY = 1 << 26  # bytes: no image, .mat or list of an archive here is larger
_SPOOLED = 1 << 24  # bytes of a member: a larger one is unpacked to a temporary file
SWOLLEN = 200  # times as large once unpacked: ten times what images and numbers reach, a fifth of what zeros do
_CONTROL = re.compile(r"[\0-\x1f\x7f]")  # has no place in a name, nor in an error's one line
_TAIL = 22 + 0xFFFF  # bytes: the record that ends a zip, and the longest comment
_HEAD = 512  # bytes: what is looked at to tell what a file is
_SHOWN = 60  # characters of a text that is no archive
# What people have in the place of a zip: where its mark is, the mark, what to call it.
_OTHERS = (
    (0, b"\x89HDF\r\n\x1a\n", "an HDF5 file"),
    (257, b"ustar", "a tar archive: unpack it and name the folder"),
    (0, b"\x1f\x8b", "a gzip file: unpack it and name the folder"),
    (0, b"BZh", "a bzip2 file: unpack it and name the folder"),
    (0, b"\xfd7zXZ\0", "an xz file: unpack it and name the folder"),
    (0, b"\x28\xb5\x2f\xfd", "a Zstandard file: unpack it and name the folder"),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7z archive: unpack it and name the folder"),
    (0, b"Rar!\x1a\x07", "a RAR archive: unpack it and name the folder"),
    (0, b"%PDF", "a PDF document"),
    (0, b"\xff\xd8\xff", "a JPEG image"),
    (0, b"\x89PNG", "a PNG image"),
    (0, b"MATLAB ", "a MATLAB file"),
    (0, b"\x93NUMPY", "a NumPy array"),
    (0, b"version https://git-lfs", "a pointer of Git LFS: get the file itself with `git lfs pull`"),
)
# Zips may begin so, too.
_UNFINISHED = (
    (0, b"PK\7\x08", "one part of a split zip: join the parts, `zip -s 0 SPLIT.zip --out WHOLE.zip`"),
    (0, bytes(_HEAD), "zeros at its beginning, a download that was not finished: get it again"),
)
_PAGE = re.compile(rb"(?:\xef\xbb\xbf)?\s*<(?:!doctype|html|head|\?xml|!--)", re.IGNORECASE)


class Damaged(ValueError):
    """One member, or what is in it, cannot be used; the message names it."""


class Member(NamedTuple):
    """Where one file of an archive lies.

    path: of the zip, or of the file itself. name: in the zip or folder. offset: of its local header in the zip, or
    `_FILE`. packed and size: bytes, 0 if it is a file. method: of packing. crc: of the unpacked bytes.
    """

    path: str
    name: str
    offset: int = _FILE
    packed: int = 0
    size: int = 0
    method: int = _STORED
    crc: int = 0

    def __str__(self) -> str:
        """What an error calls it."""
        return self.path if self.offset == _FILE else f"{self.path}: {self.name}"

    def read(self) -> bytes:
        """Its unpacked bytes. Raises `Damaged` if they are not intact, OSError if the file cannot be read."""
        with self._opened() as stream:
            size = os.fstat(stream.fileno()).st_size if self.offset == _FILE else max(self.size, self.packed)
            if size > _IN_MEMORY:
                raise Damaged(f"{self} claims {size} bytes, and {_IN_MEMORY} is the most for one of its kind")
            if self.offset == _FILE:
                return stream.read()
            self._seek(stream)
            data = stream.read(self.packed)
        if unpack := self._unpacker():
            try:
                data = unpack(data, self.size + 1)
            except (zlib.error, OSError, EOFError) as error:
                raise Damaged(f"{self} cannot be unpacked: {error}") from error
        if len(data) != self.size or zlib.crc32(data) != self.crc:
            raise Damaged(f"{self} is damaged (its checksum is wrong)")
        return data

    @contextmanager
    def open(self) -> Iterator[IO[bytes]]:
        """The member as a seekable stream, unpacked block by block for want of memory. Raises as `read`."""
        if self.offset == _FILE:
            with self._opened() as stream:
                yield stream
            return
        if self.size > max(_BLOCK, SWOLLEN * self.packed):
            raise Damaged(f"{self} claims to unpack to {self.size} bytes from {self.packed}")
        with tempfile.SpooledTemporaryFile(_SPOOLED) as target:
            with self._opened() as stream:
                self._seek(stream)
                self._unpack(stream, target)
            target.seek(0)
            yield target

    def _unpack(self, stream: IO[bytes], target: IO[bytes]) -> None:
        unpack = self._unpacker()
        left, room, crc = self.packed, self.size, 0
        while left > 0 and room >= 0:
            block = stream.read(min(left, _BLOCK))
            if not block:
                break
            left -= len(block)
            try:
                block = unpack(block, room + 1) if unpack else block
            except (zlib.error, OSError, EOFError) as error:
                raise Damaged(f"{self} cannot be unpacked: {error}") from error
            room -= len(block)
            crc = zlib.crc32(block, crc)
            _write(target, block, self.size)
        if left or room or crc != self.crc:
            raise Damaged(f"{self} is damaged (its checksum is wrong)")

    def _unpacker(self) -> Callable[[bytes, int], bytes] | None:
        """A function that unpacks the next packed bytes to at most so many; None if they are stored as they are."""
        if self.method == _BZIP2:
            return bz2.BZ2Decompressor().decompress
        return zlib.decompressobj(-zlib.MAX_WBITS).decompress if self.method == _DEFLATED else None

    @contextmanager
    def _opened(self) -> Iterator[IO[bytes]]:
        """The file that holds it. An OSError of reading names that file."""
        try:
            with open(self.path, "rb") as stream:
                yield stream
        except OSError as error:
            if error.filename is not None or error.errno is None:
                raise
            raise OSError(error.errno, error.strerror, self.path) from error

    def _seek(self, stream: IO[bytes]) -> None:
        """Go to the packed bytes of a member that can be unpacked."""
        if reason := self.unusable():
            raise Damaged(f"{self} is {reason}")
        stream.seek(self.offset)
        header = stream.read(30)
        if len(header) < 30 or header[:4] != b"PK\3\4":
            raise Damaged(f"{self} is not where the list of members says it is")
        stream.seek(sum(struct.unpack_from("<2H", header, 26)), os.SEEK_CUR)

    def unusable(self) -> str:
        """Why nobody can unpack it here; empty if one can."""
        if self.method == _ENCRYPTED:
            return "encrypted"
        usable = self.method in (_STORED, _DEFLATED, _BZIP2)
        return "" if usable else f"packed by {_METHODS.get(self.method, f'method {self.method}')}, not by deflate"


def list_zip(path: str | os.PathLike[str]) -> list[Member]:
    """All files of a zip (folders and hidden files left out), a name that is there twice as its last.

    Raises ValueError if the file is not a complete zip, FileNotFoundError if it is absent. Nothing is ever unpacked
    under a member's name.
    """
    with open(path, "rb") as stream:
        _check_kind(stream.read(_HEAD), path)
        claimed = _check_end(stream, path)
        try:
            with zipfile.ZipFile(stream) as file:
                found, start = file.infolist(), file.start_dir
        except OSError as error:
            if error.errno != errno.EINVAL:  # of a seek to where a forged number points
                raise OSError(error.errno, error.strerror, os.fspath(path)) from error
            raise _incomplete(path) from error
        except Exception as error:  # zipfile raises nearly anything on a forged file
            raise _incomplete(path) from error
    # some writers count modulo 65536
    inside = all(0 <= info.header_offset <= start - info.compress_size for info in found)
    if (len(found) - claimed) % 0x10000 or not inside:
        raise _incomplete(path)
    members = {}
    for info in found:
        name = _plain_name(info)
        if name:
            method = _ENCRYPTED if info.flag_bits & 1 else info.compress_type
            numbers = info.header_offset, info.compress_size, info.file_size, method, info.CRC
            members[name] = Member(os.fspath(path), name, *numbers)
    return list(members.values())


def clean_name(name: str) -> str:
    """A name that stays in the one line of an error."""
    return _CONTROL.sub("\ufffd", name)


def is_hidden(name: str) -> bool:
    """Whether a file or folder is none of the dataset's: hidden, or what macOS or a Synology NAS puts beside files."""
    return name.startswith(".") or name in ("__MACOSX", "@eaDir")


def _plain_name(info: zipfile.ZipInfo) -> str:
    """The name of a member with "/" between its parts; empty for folders, hidden files and names that lead upward."""
    name = info.orig_filename.split("\0")[0]
    if not info.flag_bits & 0x800 and not name.isascii():  # macOS writes UTF-8 and does not say so
        with suppress(UnicodeError):
            name = name.encode("cp437").decode("utf-8")
    name = clean_name(name.replace("\\", "/"))
    parts = [part for part in name.split("/") if part not in ("", ".")]
    is_folder = name.endswith("/") or stat.S_ISDIR(info.external_attr >> 16)
    return "" if is_folder or any(map(is_hidden, parts)) else "/".join(parts)


def _check_kind(head: bytes, path: str | os.PathLike[str]) -> None:
    """Raise ValueError if a file is of another kind; it may all the same end in a zip, as a tar of zips does."""
    if any(head[at:].startswith(mark) for at, mark, _ in _OTHERS):
        raise _incomplete(path, head)


def _check_end(stream: IO[bytes], path: str | os.PathLike[str]) -> int:
    """How many members the record at the end of a zip claims. Raises ValueError if there is no whole zip to read."""
    length = stream.seek(0, os.SEEK_END)
    stream.seek(max(0, length - _TAIL))
    tail = stream.read()
    at = tail.rfind(b"PK\5\6")
    if at < 0 or len(tail) - at < 22:
        stream.seek(0)
        raise _incomplete(path, stream.read(_HEAD))
    disk, _, _, count, size, offset = struct.unpack_from("<4H2I", tail, at + 4)
    if tail[max(0, at - 20) : at].startswith(b"PK\6\7") and at >= 76:  # numbers that need 64 bits stand before it
        return int(struct.unpack_from("<Q", tail, at - 76 + 32)[0])
    if disk not in (0, 0xFFFF):
        raise ValueError(
            f"{path} is the last of {disk + 1} parts of a split zip: join them with `zip -s 0 {path} --out WHOLE.zip`"
        )
    before = length - len(tail) + at - size - offset  # bytes in front of the zip
    if before > 0 and before % (1 << 32) == 0:
        raise ValueError(
            f"{path} is larger than 4 GiB and was packed without the records for that (zip64), so the places of its"
            " members are lost: pack it anew, or unpack it and name the folder"
        )
    return count


def _incomplete(path: str | os.PathLike[str], head: bytes = b"") -> ValueError:
    if not os.path.getsize(path):
        return ValueError(f"{path} is not a complete zip archive: it is empty (0 bytes); get it again")
    for at, mark, what in (*_OTHERS, *_UNFINISHED):
        if head[at:].startswith(mark):
            return ValueError(f"{path} is not a complete zip archive: it is {what}")
    if _PAGE.match(head):
        return ValueError(
            f"{path} is not a complete zip archive: it is a web page (HTML), perhaps of a login or of a download"
            " limit: open it in a browser to see, and get the archive again"
        )
    if text := _beginning(head):
        return ValueError(f"{path} is not a complete zip archive: it is a text, {text!r}; get it again")
    part = ", or one part of several, which must be joined" if head[:4] == b"PK\3\4" else ""
    return ValueError(f"{path} is not a complete zip archive (a download that was cut short{part}?); get it again")


def _beginning(head: bytes) -> str:
    """The first words of a text; empty if it is none."""
    wide = head.startswith((b"\xff\xfe", b"\xfe\xff"))
    text = " ".join(head.decode("utf-16" if wide else "utf-8", "replace").rstrip("\ufffd").split())
    return text[:_SHOWN] if text.isprintable() and "\ufffd" not in text else ""


def _write(target: IO[bytes], block: bytes, size: int) -> None:
    try:
        target.write(block)
    except OSError as error:
        if error.errno not in FULL:
            raise
        hint = f"{error.strerror}, where {size} bytes are unpacked for a while: set TMPDIR to a folder with room"
        raise OSError(error.errno, hint, tempfile.gettempdir()) from error
