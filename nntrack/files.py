"""Writing files: nothing is left under a final name that is not whole, and the same content gives the same bytes."""

import errno
import glob
import hashlib
import io
import json
import os
import shutil
import tempfile
import zipfile
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import numpy as np

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)  # errors of writing alone; most of them name no file
_ZIP_DATE = (1980, 1, 1, 0, 0, 0)  # of every member: the day of writing would change the bytes


def check_outputs(
    *files: str | os.PathLike[str] | None,
    folders: Mapping[Path, Collection[str]] | None = None,
    inputs: Iterable[str | os.PathLike[str] | None] = (),
) -> None:
    """Raise ValueError, before anything is read, if writing an output would destroy something else of the user's.

    An output file never replaces a folder, no output replaces an input or another output, and a folder is renewed only
    if nothing is in it but what the stage itself writes there. Links, hard links and other spellings of a path count
    as the path.

    Args:
        files: files to write; None stands for an option that was not given.
        folders: folders to replace as a whole, each with the names (patterns of `fnmatch`) of what is written there.
        inputs: files and folders that are read, there or not; the parameters are always among them.
    """
    paths = [Path(path) for path in files if path is not None]
    renewed = folders or {}
    sources = [Path(path) for path in ("params.yaml", *inputs) if path is not None]
    for path in paths:
        if path.is_dir():
            raise ValueError(f"{path} is a folder, and the output is a file: name a file, for instance one in it")
    for path, names in renewed.items():
        if path.exists() and not path.is_dir():
            raise ValueError(f"{path} is a file, and the output is a folder: give it another name")
        for entry in sorted(path.iterdir()) if path.exists() else ():
            if not any(fnmatchcase(entry.name, name) for name in names):
                raise ValueError(f"{path} holds {entry.name}, which this stage did not write: name a new folder")
    outputs = [*paths, *renewed]
    for i, path in enumerate(outputs):
        place = next(parent for parent in path.absolute().parents if os.path.lexists(parent))
        if not place.is_dir():
            raise ValueError(f"{path} cannot be written: {place} is not a folder")
        if not os.access(place, os.W_OK):
            raise ValueError(f"{path} cannot be written: {place} is read-only")
        for source in sources:
            if _is_within(path, source) or (path in renewed and _is_within(source, path)):
                raise ValueError(f"{path} would replace {source}, which is an input: give the output another name")
        for other in outputs[:i]:
            if _is_within(path, other) or _is_within(other, path):
                raise ValueError(f"{path} and {other} are two outputs: give them two names")


def _is_within(path: Path, place: Path) -> bool:
    """Whether ``path`` is ``place`` itself or in that folder, by any name: links and hard links included."""
    if place.resolve() in (path.resolve(), *path.resolve().parents):
        return True
    if not (path.is_file() and place.exists()):
        return False
    return any(path.samefile(file) for file in _files_like(path, place))


def _files_like(path: Path, place: Path) -> Iterator[str | os.PathLike[str]]:
    """What may be the same file as ``path``: ``place``, or in a folder every link and every name of the same inode."""
    if not place.is_dir():
        yield place
        return
    inode, visited = path.stat().st_ino, set()
    for root, folders, _ in os.walk(place, followlinks=True):
        if os.path.realpath(root) in visited:
            folders.clear()
            continue
        visited.add(os.path.realpath(root))
        with os.scandir(root) as entries:
            found = [e for e in entries if (e.inode() == inode or e.is_symlink()) and os.path.isfile(e)]
        yield from found


def sha256(path: str | os.PathLike[str]) -> str:
    """The sha256 of a file in hexadecimal digits."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A temporary name beside ``path``; what was written there takes the final name only if no error came.

    A file does not replace a folder (IsADirectoryError). What a killed process left behind is removed by the next one
    that writes there.
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        for left in path.parent.glob(f".{glob.escape(path.name)}.partial-????????"):
            shutil.rmtree(left, ignore_errors=True)
        with tempfile.TemporaryDirectory(prefix=f".{path.name}.partial-", dir=path.parent) as folder:
            partial = Path(folder) / path.name
            yield partial
            if path.is_dir() and partial.is_dir():  # a folder does not give way to another by itself
                os.replace(path, Path(folder) / f"{path.name}.old")
            os.replace(partial, path)
    except OSError as error:
        elsewhere = error.filename is not None and path.parent.resolve() not in Path(error.filename).resolve().parents
        if error.errno not in FULL or elsewhere:
            raise
        raise OSError(error.errno, os.strerror(error.errno), os.fspath(path)) from error


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write UTF-8 text with Unix line ends."""
    with replacing(path) as partial:
        partial.write_text(text, encoding="utf-8", newline="\n")


def write_json(path: str | os.PathLike[str], content: Mapping[str, Any]) -> None:
    """Write a JSON object, indented, its keys in the given order."""
    write_text(path, json.dumps(content, indent=2) + "\n")


def write_npz(path: str | os.PathLike[str], arrays: Mapping[str, np.ndarray], compressed: bool = False) -> None:
    """Write arrays as an .npz."""
    kind = zipfile.ZIP_DEFLATED if compressed else zipfile.ZIP_STORED
    with replacing(path) as partial, zipfile.ZipFile(partial, "w") as archive:
        for name, array in arrays.items():
            buffer = io.BytesIO()
            np.lib.format.write_array(buffer, np.ascontiguousarray(array), allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy", _ZIP_DATE), buffer.getvalue(), kind, compresslevel=9)
