"""Scanned heads as FaceKit lays them out: which files there are, and which vertex is what.

FaceKit is a morphable face model by the Vision and Graphics Lab of USC ICT (https://github.com/ICT-VGL/ICT-FaceKit, MIT
licence); users bring it, nothing of it is part of this project. Every .obj in its folder is the same mesh of quads: a
neutral one, one per identity mode, one per named expression. The files' frame: x right, y up, z to the viewer; unit cm.
"""

import re
from pathlib import Path
from typing import NamedTuple

import numpy as np

VERTICES = 26719
NEUTRAL = "generic_neutral_mesh"
IDENTITY = "identity"  # the modes' file names begin so

SKIN = range(0, 11248)  # face, then head, neck and upper shoulders
MOUTH = range(11248, 13294)  # its lining
GUMS = range(14062, 17039)  # and the tongue
SOCKETS = range(13294, 14062)  # of the eyes
TEETH = range(17039, 21451)
LEFT_EYE = range(21451, 22221)  # the outer shell of the subject's left eyeball; within it is another one
RIGHT_EYE = range(23021, 23791)
SOLID = 24591  # lacrimal, blend and occlusion meshes and lashes follow: made to be seen through

# The 68 landmarks in iBUG's order
LANDMARKS = np.array(
    [1225, 1888, 1052, 367, 1719, 1722, 2199, 1447, 966, 3661, 4390, 3927, 3924, 2608, 3272, 4088, 3443]
    + [268, 493, 1914, 2044, 1401, 3615, 4240, 4114, 2734, 2509, 978, 4527, 4942, 4857, 1140, 2075, 1147, 4269, 3360]
    + [1507, 1542, 1537, 1528, 1518, 1511, 3742, 3751, 3756, 3721, 3725, 3732]
    + [5708, 5695, 2081, 0, 4275, 6200, 6213, 6346, 6461, 5518, 5957, 5841, 5702, 5711, 5533, 6216, 6207, 6470]
    + [5517, 5966]
)


class Scans(NamedTuple):
    """neutral (SOLID, 3) and triangles (m, 3) of it; identities (k, SOLID, 3) float32: what each mode adds at weight 1;
    expressions: the same by name. Frame and unit of the files."""

    neutral: np.ndarray
    triangles: np.ndarray
    identities: np.ndarray
    expressions: dict[str, np.ndarray]


def read(folder: Path) -> Scans:
    """All meshes of a folder, in the order of their names.

    Raises FileNotFoundError if the folder, its neutral mesh or its identities are missing, ValueError if meshes are no
    such meshes; the message names all of them.
    """
    if not folder.is_dir():
        raise FileNotFoundError(
            f"no folder '{folder}': put FaceKit's FaceXModel there, or set synthesize.heads.facekit to 0"
        )
    paths = {path.stem: path for path in sorted(folder.glob("*.obj"))}
    neutral_path = paths.pop(NEUTRAL, None)
    if neutral_path is None:
        raise FileNotFoundError(f"{folder} has no {NEUTRAL}.obj: synthesize.facekit wants FaceKit's folder FaceXModel")
    if not any(name.startswith(IDENTITY) for name in paths):
        raise FileNotFoundError(
            f"{folder} has no {IDENTITY}*.obj: synthesize.facekit wants FaceKit's folder FaceXModel"
        )
    neutral, triangles = read_vertices(neutral_path), read_triangles(neutral_path)
    modes, faults = {}, []
    for name, path in paths.items():
        try:
            modes[name] = (read_vertices(path) - neutral).astype(np.float32)
        except ValueError as error:
            faults.append(str(error))
    if faults:
        raise ValueError("; ".join(faults))
    identities = np.stack([mode for name, mode in modes.items() if name.startswith(IDENTITY)])
    return Scans(
        neutral, triangles, identities, {name: m for name, m in modes.items() if not name.startswith(IDENTITY)}
    )


def read_vertices(path: Path) -> np.ndarray:
    """The vertices (SOLID, 3) of an .obj. Raises ValueError if it holds another number of them, or no numbers."""
    text = path.read_bytes()
    lines = re.findall(rb"^v[ \t]([^\r\n]*)", text, re.MULTILINE)
    if len(lines) != VERTICES:
        raise ValueError(f"{path}: expected {VERTICES} vertices (FaceKit's mesh), found {len(lines)}")
    try:
        points = np.array(b" ".join(lines[:SOLID]).split(), np.float64)
    except ValueError as error:
        raise ValueError(f"{path}: a vertex is not made of numbers: {error}") from None
    if len(points) != 3 * SOLID:
        raise ValueError(f"{path}: expected three numbers per vertex")
    if not np.isfinite(points).all():
        raise ValueError(f"{path}: vertex {np.argmin(np.isfinite(points)) // 3} is not finite")
    return points.reshape(-1, 3)


def read_triangles(path: Path) -> np.ndarray:
    """The faces of an .obj among its first SOLID vertices, quads cut in two, (m, 3) int32.

    Raises ValueError if there are none, or if a face names a vertex that does not exist.
    """
    text = re.sub(rb"/\S*", b"", path.read_bytes())  # indices of textures and normals
    rows = [line.split() for line in re.findall(rb"^f[ \t]([^\r\n]*)", text, re.MULTILINE)]
    try:
        quads = np.array([row for row in rows if len(row) == 4], np.int64).reshape(-1, 4) - 1
        single = np.array([row for row in rows if len(row) == 3], np.int64).reshape(-1, 3) - 1
    except ValueError as error:
        raise ValueError(f"{path}: a face is not made of vertex numbers: {error}") from None
    triangles = np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]], single])
    if len(triangles) == 0 or triangles.min() < 0 or triangles.max() >= VERTICES:
        raise ValueError(f"{path}: expected faces of the vertices 1 to {VERTICES}")
    return triangles[(triangles < SOLID).all(axis=1)].astype(np.int32)
