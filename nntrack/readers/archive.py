"""Finds the files of an archive: a zip, or a folder with unpacked files, zips, or both.

A zip counts as the folder that it unpacks to, so that the layout of a dataset is the same in every form in which people
have it. Readers say which files they need, by patterns that allow any folders above.
"""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from nntrack.readers.members import Member, clean_name, is_hidden, list_zip

_PACKED = (".zip", ".tar", ".tgz", ".gz", ".bz2", ".xz", ".7z", ".rar")  # inside an archive they are left as they are


class Wanted(NamedTuple):
    """Files that a reader looks for.

    pattern: matches a path with "/" between its parts, any number of folders above included; its groups tell one file
    from another. example: what an error calls such a file. required: whether an archive without any is refused.
    """

    pattern: re.Pattern[str]
    example: str
    required: bool = True


def find(archive: Path, *kinds: Wanted) -> list[dict[tuple[str, ...], Member]]:
    """For each kind of files, those of an archive: the groups of its pattern -> where the file is.

    archive: a zip, or a folder of files, zips, or both. Of files that are there more than once the first counts,
    unpacked ones before those in zips. Raises ValueError if there is none of a kind that is required or none of it can
    be unpacked, FileNotFoundError if the archive or the target of a link is absent.
    """
    found: list[dict[tuple[str, ...], Member]] = [{} for _ in kinds]
    first = packed = ""
    for place, member in _members(archive):
        first = first or member.name
        packed = packed or (member.name if member.name.lower().endswith(_PACKED) else "")
        for kind, files in zip(kinds, found, strict=True):
            if match := kind.pattern.fullmatch(place):
                files.setdefault(match.groups(), member)
                break
    for kind, files in zip(kinds, found, strict=True):
        if kind.required and not files:
            begins = f"it begins with {first}" if first else "it is empty"
            hint = f"; it holds {packed}: unpack that, and name the folder" if packed else ""
            raise ValueError(
                f"{archive} is not the right archive, or a part is missing: nothing in it is called {kind.example};"
                f" {begins}{hint}"
            )
        if files and all(member.unusable() for member in files.values()):
            member = next(iter(files.values()))
            raise ValueError(f"{member} is {member.unusable()}, as all of its kind are: unpack it and name the folder")
    return found


def locate(archive: Path) -> Path:
    """The archive, or if it is absent the same in its other form beside it: folder X for X.zip, X.zip for folder X."""
    if archive.exists():
        return archive
    other = archive.with_suffix("") if archive.suffix.lower() == ".zip" else archive.parent / f"{archive.name}.zip"
    return other if other.exists() else archive


def companion(archive: Path, name: str) -> Path:
    """Where a file of the user's lies that goes with an archive, there or not: in its folder, or beside its zip.

    name: relative to the folder that holds the archive, as in the table of datasets.
    """
    archive = locate(archive)
    return archive.parent / (name if archive.is_dir() else Path(name).name)


def folder_files(folder: Path) -> list[Path]:
    """Every file below a folder, sorted, behind links too; hidden files and folders and marks are left out.

    Raises FileNotFoundError for a link to what is not there, OSError for a folder that cannot be read.
    """
    found: list[Path] = []
    _walk(folder, found, set())
    return sorted(found)


def _walk(folder: Path, found: list[Path], visited: set[str]) -> None:
    if os.path.realpath(folder) in visited:  # links may lead round, or twice to the same
        return
    visited.add(os.path.realpath(folder))
    with os.scandir(folder) as entries:
        shown = [entry for entry in entries if not is_hidden(entry.name) and not entry.name.endswith(".mark")]
    for entry in sorted(shown, key=lambda entry: (entry.is_symlink(), entry.name)):
        if entry.is_dir():
            _walk(Path(entry), found, visited)
        elif entry.is_file():
            found.append(Path(entry))
        elif entry.is_symlink() and not os.path.exists(entry):
            raise FileNotFoundError(f"{entry.path} is a link to {os.readlink(entry)}, which is not there")


def _members(archive: Path) -> Iterator[tuple[str, Member]]:
    """Every file of an archive, and its path as if all zips were unpacked, each to a folder of its name."""
    if not archive.is_dir():
        top = archive.name.removesuffix(archive.suffix if archive.suffix.lower() == ".zip" else "")
        yield from ((f"{top}/{member.name}", member) for member in list_zip(archive))
        return
    files = [(path, path.relative_to(archive).as_posix()) for path in folder_files(archive)]
    for path, name in files:
        if path.suffix.lower() != ".zip":
            yield f"{archive.name}/{name}", Member(os.fspath(path), clean_name(name))
    for path, name in files:
        if path.suffix.lower() == ".zip":
            yield from ((f"{archive.name}/{name[:-4]}/{member.name}", member) for member in list_zip(path))
