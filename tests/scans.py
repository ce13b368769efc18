"""A small scanned head in FaceKit's layout, for tests: the neutral surface under FaceKit's vertex numbers."""

from functools import cache
from pathlib import Path

import numpy as np
from scipy.spatial import ConvexHull
from scipy.spatial.transform import Rotation

from nntrack.geometry.neutral_face import NEUTRAL_LANDMARKS
from nntrack.synthesis.heads import facekit
from nntrack.synthesis.heads.cutting import EYE_RADIUS
from nntrack.synthesis.heads.surface import CENTRE, project

PITCH, SCALE = np.radians(4.0), 1.05  # by which the files hang and are too large
_EYE_CENTRE = np.array([-0.31, -0.005, 0.075])  # of the subject's right eyeball
_GRID = (22, 35)  # of an eyeball's vertices


def write(folder: Path) -> Path:
    """A neutral, two identities and five expressions."""
    folder.mkdir(parents=True)
    neutral, faces = _neutral()
    skin = np.zeros(facekit.VERTICES)
    skin[facekit.SKIN.start : facekit.SKIN.stop] = 1
    low = skin * np.clip((neutral[:, 1] - 0.66) / 0.1, 0, 1) * (neutral[:, 2] < 0.6)
    meshes = {
        facekit.NEUTRAL: neutral,
        "identity000": neutral * (1.06, 1, 1),
        "identity001": neutral + skin[:, None] * (0, 0.04, 0) * neutral[:, 1:2],
        "jawOpen": neutral + low[:, None] * (0, 0.3, 0.05),
    }
    for side, sign in (("L", 1), ("R", -1)):
        lid, corner = (skin * _near(neutral, at, sign) for at in ((0.31, -0.06, -0.05), (0.26, 0.66, -0.07)))
        meshes[f"eyeBlink_{side}"] = neutral + lid[:, None] * (0, 0.07, 0)
        meshes[f"mouthSmile_{side}"] = neutral + corner[:, None] * (0.06 * sign, -0.06, 0)
    for name, points in meshes.items():
        write_mesh(folder / f"{name}.obj", to_files(points), faces)
    return folder


def to_files(points: np.ndarray) -> np.ndarray:
    """Points of our frame in that of the files: y up, z to the viewer, centimetres, hanging by PITCH, too large."""
    turned = Rotation.from_rotvec([PITCH, 0, 0]).apply(points) * SCALE
    return turned * (10, -10, -10) + (0, 3.5, 9.0)


def write_mesh(path: Path, points: np.ndarray, faces: str) -> None:
    """An .obj; ``faces`` are its last lines."""
    vertices = "\n".join(f"v {x:.5f} {y:.5f} {z:.5f}" for x, y, z in points.tolist())
    path.write_text(f"# a test\nmtllib none.mtl\n{vertices}\nvt 0.5 0.5\nusemtl none\n{faces}")


def _near(points: np.ndarray, at: tuple[float, float, float], side: int) -> np.ndarray:
    return np.exp(-np.sum((points - np.multiply(at, (side, 1, 1))) ** 2, axis=1) / 0.01)


@cache
def _neutral() -> tuple[np.ndarray, str]:
    points = np.zeros((facekit.VERTICES, 3))
    count = facekit.SKIN.stop
    index = np.arange(count) + 0.5
    height, turn = 1 - 2 * index / count, np.pi * (1 + 5**0.5) * index
    flat = np.sqrt(1 - height**2)
    points[:count] = project(CENTRE + np.column_stack([flat * np.cos(turn), height, flat * np.sin(turn)]))
    points[facekit.LANDMARKS] = NEUTRAL_LANDMARKS
    directions = points[:count] - CENTRE
    hull = ConvexHull(directions / np.linalg.norm(directions, axis=1, keepdims=True))
    triangles = hull.simplices
    a, b, c = (points[triangles[:, i]] for i in range(3))
    inward = np.sum(np.cross(b - a, c - a) * (a - CENTRE), axis=1) < 0
    triangles[inward] = triangles[inward][:, ::-1]
    lines = ["f " + " ".join(f"{i + 1}/1" for i in row) for row in triangles.tolist()]
    for which, side in ((facekit.RIGHT_EYE, 1), (facekit.LEFT_EYE, -1)):
        angle, about = np.meshgrid(np.linspace(0.01, 3.1, _GRID[0]), np.linspace(0, 2 * np.pi, _GRID[1]), indexing="ij")
        unit = np.stack([np.sin(angle) * np.cos(about), np.sin(angle) * np.sin(about), -np.cos(angle)], axis=-1)
        points[which.start : which.stop] = _EYE_CENTRE * (side, 1, 1) + EYE_RADIUS * unit.reshape(-1, 3)
        grid = np.arange(which.start + 1, which.stop + 1).reshape(_GRID)
        quads = np.stack([grid[:-1, :-1], grid[1:, :-1], grid[1:, 1:], grid[:-1, 1:]], axis=-1).reshape(-1, 4)
        lines += ["f " + " ".join(f"{i}/1" for i in row) for row in quads.tolist()]
    for which, z in ((facekit.MOUTH, 0.05), (facekit.TEETH, -0.1), (facekit.SOCKETS, 0.2)):  # one square each
        square = np.array([(-0.2, 0.6, z), (-0.2, 0.75, z), (0.2, 0.75, z), (0.2, 0.6, z)])
        points[which.start : which.start + 4] = square
        lines.append("f " + " ".join(f"{which.start + i}//1" for i in range(1, 5)))
    return points, "\n".join(lines) + "\n"
