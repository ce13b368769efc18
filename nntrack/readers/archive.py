"""Members of zip archives: listed in little memory, read by their place in the file, fingerprinted without unpacking.

`zipfile` keeps an object per member: some 300 MB for the largest archive here, in every process that opens it. Here the
list is read once, as a stream, and a worker is handed the few numbers that it needs to fetch a member.
"""

import hashlib
import os
import re
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple

_END = struct.Struct("<4s4H2IH")
_END64 = struct.Struct("<4sQ2H2I4Q")
_LOCATOR64_SIZE = 20
_ENTRY = struct.Struct("<4s6H3I5H2I")
_STORED, _DEFLATED, _ENCRYPTED = 0, 8, -1
_BLOCK = 1 << 20  # bytes
_HDF5 = b"\x89HDF\r\n\x1a\n"  # how such a file begins
_IN_MEMORY = 1 << 26  # bytes: no photo, .mat or list of an archive here is larger
SWOLLEN = 200  # times as large once unpacked: ten times what pictures and numbers reach, a fifth of what zeros do
_CONTROL = re.compile(r"[\0-\x1f\x7f]")  # has no place in a name, nor in an error's one line


class Damaged(ValueError):
    """One member, or what is in it, cannot be used; the message names it."""


class Member(NamedTuple):
    """Where one file lies in a zip. offset: of its local header; packed and size: bytes; crc: of the unpacked bytes."""

    name: str
    offset: int
    packed: int
    size: int
    method: int
    crc: int


def list_zip(path: str | os.PathLike[str]) -> Iterator[Member]:
    """All files of a zip in the order of its directory (folders left out).

    Raises ValueError if the file is not a complete zip, FileNotFoundError if it is absent. Nothing is ever unpacked
    under a member's name.
    """
    with open(path, "rb") as stream:
        count, start, base = _find_directory(stream, path)
        stream.seek(start)
        for _ in range(count):
            entry = stream.read(_ENTRY.size)
            if len(entry) != _ENTRY.size or entry[:4] != b"PK\1\2":
                raise _incomplete(path)
            (_, _, _, flags, method, _, _, crc, packed, size, n, m, k, _, _, _, offset) = _ENTRY.unpack(entry)
            tail = stream.read(n + m + k)
            name = tail[:n].decode("utf-8" if flags & 0x800 else "cp437", "replace")
            if 0xFFFFFFFF in (size, packed, offset):
                size, packed, offset = _wide(tail[n : n + m], size, packed, offset)
            if offset + base + packed > start:
                raise _incomplete(path)
            if not name.endswith("/"):
                yield Member(
                    _CONTROL.sub("\ufffd", name), offset + base, packed, size, _ENCRYPTED if flags & 1 else method, crc
                )


def read_member(stream: IO[bytes], member: Member) -> bytes:
    """The unpacked bytes of a member of the zip opened as ``stream``; raises `Damaged` if they are not intact."""
    if max(member.size, member.packed) > _IN_MEMORY:
        raise _damaged(stream, member, f"claims {member.size} bytes, and {_IN_MEMORY} is the most for one of its kind")
    _seek(stream, member)
    data = stream.read(member.packed)
    if member.method == _DEFLATED:
        try:
            data = zlib.decompressobj(-zlib.MAX_WBITS).decompress(data, member.size + 1)
        except zlib.error as error:
            raise _damaged(stream, member, f"cannot be unpacked: {error}") from error
    if len(data) != member.size or zlib.crc32(data) != member.crc:
        raise _damaged(stream, member, "is damaged (its checksum is wrong)")
    return data


def copy_member(stream: IO[bytes], member: Member, target: IO[bytes]) -> None:
    """Like `read_member`, block by block into ``target``, for members too large for memory."""
    if member.size > max(_BLOCK, SWOLLEN * member.packed):
        raise _damaged(stream, member, f"claims to unpack to {member.size} bytes from {member.packed}")
    _seek(stream, member)
    unpack = zlib.decompressobj(-zlib.MAX_WBITS) if member.method == _DEFLATED else None
    left, room, crc = member.packed, member.size, 0
    while left > 0 and room >= 0:
        block = stream.read(min(left, _BLOCK))
        if not block:
            break
        left -= len(block)
        try:
            block = unpack.decompress(block, room + 1) if unpack else block
        except zlib.error as error:
            raise _damaged(stream, member, f"cannot be unpacked: {error}") from error
        room -= len(block)
        crc = zlib.crc32(block, crc)
        target.write(block)
    if left or room or crc != member.crc:
        raise _damaged(stream, member, "is damaged (its checksum is wrong)")
    target.seek(0)


def _seek(stream: IO[bytes], member: Member) -> None:
    """Go to the packed bytes of a member that can be unpacked."""
    if member.method not in (_STORED, _DEFLATED):
        kind = "encrypted" if member.method == _ENCRYPTED else f"packed by method {member.method}, not by deflate"
        raise _damaged(stream, member, f"is {kind}")
    stream.seek(member.offset)
    header = stream.read(30)
    if len(header) < 30 or header[:4] != b"PK\3\4":
        raise _damaged(stream, member, "is not where the list of members says it is")
    stream.seek(sum(struct.unpack_from("<2H", header, 26)), os.SEEK_CUR)


def _damaged(stream: IO[bytes], member: Member, what: str) -> Damaged:
    return Damaged(f"{stream.name}: {member.name} {what}")


def fingerprint(path: str | os.PathLike[str]) -> dict[str, str | int]:
    """What tells one archive from another at little cost: kind, members, bytes (unpacked), and a SHA-256 of the list.

    zip: names, checksums and sizes from its directory. Folder: relative names and sizes of its files, and the
    fingerprints of the zips in it. The order of members does not count; hidden files and marks are left out. HDF5: its
    bytes, there being no list.
    """
    path = Path(path)
    if is_hdf5(path):
        with open(path, "rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        return {"kind": "hdf5", "members": 1, "bytes": path.stat().st_size, "sha256": digest}
    rows, total = [], 0
    if path.is_dir():
        for file in folder_files(path):
            inner: dict[str, Any] = {"bytes": file.stat().st_size, "sha256": ""}
            if file.suffix == ".zip":
                inner = fingerprint(file)
            rows.append(f"{file.relative_to(path).as_posix()}\0{inner['sha256']}\0{inner['bytes']}")
            total += inner["bytes"]
    else:
        for member in list_zip(path):
            rows.append(f"{member.name}\0{member.crc:08x}\0{member.size}")
            total += member.size
    digest = hashlib.sha256("\n".join(sorted(rows)).encode()).hexdigest()
    return {"kind": "folder" if path.is_dir() else "zip", "members": len(rows), "bytes": total, "sha256": digest}


def is_hdf5(path: Path) -> bool:
    """Whether a file begins as HDF5 files do."""
    if not path.is_file():
        return False
    with open(path, "rb") as stream:
        return stream.read(len(_HDF5)) == _HDF5


def folder_files(folder: Path) -> list[Path]:
    """Every file below a folder, sorted; hidden files and folders and marks are left out."""
    found = []
    for parent, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [Path(parent, name) for name in files if not name.startswith(".") and not name.endswith(".mark")]
    return sorted(found)


def _find_directory(stream: IO[bytes], path: str | os.PathLike[str]) -> tuple[int, int, int]:
    """Number of entries, where the first one is, and what to add to every offset (bytes put before the zip)."""
    length = stream.seek(0, os.SEEK_END)
    stream.seek(max(0, length - _END.size - 0xFFFF))
    tail = stream.read()
    at = tail.rfind(b"PK\5\6")
    if at < 0 or len(tail) - at < _END.size:
        raise _incomplete(path)
    _, _, _, _, count, size, offset, _ = _END.unpack_from(tail, at)
    end = length - len(tail) + at
    stream.seek(max(0, end - _LOCATOR64_SIZE))
    if stream.read(4) == b"PK\6\7":  # numbers that may not fit 32 bits stand in a record before it
        end -= _LOCATOR64_SIZE + _END64.size
        stream.seek(max(0, end))
        record = stream.read(_END64.size)
        if record[:4] != b"PK\6\6" or len(record) < _END64.size:
            raise _incomplete(path)
        count, size, offset = _END64.unpack(record)[7:]
    start = end - size
    if start < offset:
        raise _incomplete(path)
    return count, start, start - offset


def _wide(extra: bytes, size: int, packed: int, offset: int) -> list[int]:
    """Numbers that do not fit 32 bits stand in the entry's extra field 1, those only, in this order."""
    numbers = [size, packed, offset]
    at = 0
    while at + 4 <= len(extra):
        kind, length = struct.unpack_from("<2H", extra, at)
        if kind == 1:
            data = extra[at + 4 : at + 4 + length]
            wide = (number for (number,) in struct.iter_unpack("<Q", data[: len(data) // 8 * 8]))
            return [next(wide, n) if n == 0xFFFFFFFF else n for n in numbers]
        at += 4 + length
    return numbers


def _incomplete(path: str | os.PathLike[str]) -> ValueError:
    return ValueError(f"{path} is not a complete zip archive (a download that was cut short?); get it again")
