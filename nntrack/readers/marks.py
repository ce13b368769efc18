"""Marks: small committed files that stand for archives too large to hash, so that DVC sees when one changes."""

import hashlib
import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from nntrack.data.datasets import in_pipeline
from nntrack.data.hdf5_files import is_hdf5
from nntrack.files import sha256, write_text
from nntrack.readers.archive import companion, folder_files, locate
from nntrack.readers.members import list_zip

SYNTHETIC = Path("data", "synthetic")  # where the pipeline puts the archives that it renders
_COMPANIONS = {row.archive: row.companion for row in in_pipeline().values() if row.companion}


def mark_path(archive: str | Path) -> Path:
    """``<archive>.mark``, beside the archive."""
    archive = Path(archive)
    return archive.with_name(f"{archive.name}.mark")


def write_mark(archive: str | Path) -> Path:
    """Write the mark of an archive that is there, and return its path. The same archive gives the same bytes."""
    write_text(mark_path(archive), _content(Path(archive)))
    return mark_path(archive)


def is_synthesized(archive: Path) -> bool:
    """Whether an archive is one that the pipeline rendered: it lies where the pipeline puts those, as its mark says.

    A folder of the same name elsewhere is no proof, nor is its place alone: either may hold somebody's own archive.
    """
    if archive.absolute().parent.resolve() != SYNTHETIC.resolve() or not archive.exists():
        return False
    return is_marked(archive)


def is_marked(archive: Path) -> bool:
    """Whether the mark beside an archive is there and says what the archive says now."""
    path = mark_path(archive)
    try:
        return path.exists() and path.read_text(encoding="utf-8") == _content(archive)
    except ValueError:  # no archive, or not a whole one
        return False


def fingerprint(path: str | os.PathLike[str]) -> dict[str, str | int]:
    """What tells one archive from another at little cost: kind, members, bytes (unpacked), and a SHA-256 of the list.

    zip: names, checksums and sizes from its directory. Folder: relative names and sizes of its files, and the
    fingerprints of the zips in it. The order of members does not count; hidden files and marks are left out. HDF5: its
    bytes, there being no list.
    """
    path = Path(path)
    if is_hdf5(path):
        return {"kind": "hdf5", "members": 1, "bytes": path.stat().st_size, "sha256": sha256(path)}
    rows, total = [], 0
    if path.is_dir():
        for file in folder_files(path):
            inner: dict[str, Any] = {"bytes": file.stat().st_size, "sha256": ""}
            if file.suffix.lower() == ".zip":
                inner = fingerprint(file)
            rows.append(f"{file.relative_to(path).as_posix()}\0{inner['sha256']}\0{inner['bytes']}")
            total += inner["bytes"]
    else:
        for member in list_zip(path):
            rows.append(f"{member.name}\0{member.crc:08x}\0{member.size}")
            total += member.size
    digest = hashlib.sha256("\n".join(sorted(rows)).encode()).hexdigest()
    return {"kind": "folder" if path.is_dir() else "zip", "members": len(rows), "bytes": total, "sha256": digest}


def write_marks(folder: str | Path, archives: Collection[str], unused: Collection[str] = ()) -> dict[str, str]:
    """Write the marks of all ``archives`` (names in ``folder``); returns what became of each.

    'marked': it is there. 'not used': it is one of ``unused``. 'kept': it is absent, but its mark is there (committed:
    the converted file can be pulled). Raises FileNotFoundError that lists every other absent archive.
    """
    folder = Path(folder)
    missing = [
        name
        for name in archives
        if name not in unused and not locate(folder / name).exists() and not _is_mark(mark_path(folder / name))
    ]
    if missing:
        raise FileNotFoundError(
            f"{len(missing)} archive{'s are' if len(missing) > 1 else ' is'} missing: put {', '.join(missing)} into"
            f" {folder} (see the README there), or set `use: false` for the dataset under `convert` in params.yaml"
        )
    return {name: _mark(folder / name, name in unused) for name in archives}


def describe(outcome: Mapping[str, str]) -> str:
    """One line per archive for people to read."""
    notes = {"kept": "is absent; its committed mark is kept (`dvc pull` brings the converted file)"}
    return "\n".join(f"{name}: {notes.get(state, state)}" for name, state in outcome.items())


def _content(archive: Path) -> str:
    found = fingerprint(locate(archive))
    lines = [f"archive: {archive.name}", *(f"{key}: {value}" for key, value in found.items())]
    beside = companion(archive, _COMPANIONS.get(archive.name, ""))
    if beside.is_file():
        lines.append(f"{beside.name}: {sha256(beside)}")
    return "\n".join(lines) + "\n"


def _mark(archive: Path, unused: bool) -> str:
    if unused:
        write_text(mark_path(archive), f"archive: {archive.name}\nnot used\n")
        return "not used"
    if locate(archive).exists():
        write_mark(archive)
        return "marked"
    return "kept"


def _is_mark(path: Path) -> bool:
    """Whether a mark of an archive is there; one that says 'not used' does not stand for any."""
    return path.exists() and "sha256:" in path.read_text(encoding="utf-8")
