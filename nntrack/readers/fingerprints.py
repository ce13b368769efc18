"""Marks: small committed files that stand for archives too large to hash, so that DVC sees when one changes."""

import hashlib
from collections.abc import Collection, Mapping
from pathlib import Path

from nntrack.face_model.basel import FILE_NAME as BASEL
from nntrack.files import replacing
from nntrack.readers.archive import fingerprint

# Files that change what an archive is converted to, beside the archive or in it: data set's archive -> file
COMPANIONS = {"300W-LP.zip": BASEL, "BIWI": "BIWI/biwi_boxes.csv"}


def mark_path(archive: str | Path) -> Path:
    """``<archive>.mark``, beside the archive."""
    archive = Path(archive)
    return archive.with_name(f"{archive.name}.mark")


def write_mark(archive: str | Path) -> Path:
    """Write the mark of an archive that is there, and return its path. The same archive gives the same bytes."""
    archive = Path(archive)
    lines = [f"archive: {archive.name}", *(f"{key}: {value}" for key, value in fingerprint(archive).items())]
    companion = archive.parent / COMPANIONS.get(archive.name, archive.name)
    if companion != archive and companion.exists():
        with open(companion, "rb") as stream:
            lines.append(f"{companion.name}: {hashlib.file_digest(stream, 'sha256').hexdigest()}")
    return _write(archive, lines)


def write_marks(folder: str | Path, archives: Collection[str], unused: Collection[str] = ()) -> dict[str, str]:
    """Write the marks of all ``archives`` (names in ``folder``); returns what became of each.

    'marked': it is there. 'not used': it is one of ``unused``. 'kept': it is absent, but its mark is there (committed:
    the converted file can be pulled). Raises FileNotFoundError that lists every other absent archive.
    """
    folder = Path(folder)
    missing = [
        name
        for name in archives
        if name not in unused and not (folder / name).exists() and not _is_mark(mark_path(folder / name))
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


def _mark(archive: Path, unused: bool) -> str:
    if unused:
        _write(archive, [f"archive: {archive.name}", "not used"])
        return "not used"
    if archive.exists():
        write_mark(archive)
        return "marked"
    return "kept"


def _is_mark(path: Path) -> bool:
    """Whether a mark of an archive is there; one that says 'not used' does not stand for any."""
    return path.exists() and "sha256:" in path.read_text(encoding="utf-8")


def _write(archive: Path, lines: list[str]) -> Path:
    path = mark_path(archive)
    with replacing(path) as partial:
        partial.write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")
    return path
