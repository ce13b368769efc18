"""Renders video frames as BIWI has them: 640x480, with files of poses and of a calibration.

Layout, units and axes are the original's; see the reader. All heads are photographed by one pinhole camera, on either
side of its optical axis, so that a head's apparent rotation differs from its rotation in the camera's axes as it does
there.
"""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from scipy.interpolate import CubicSpline
from scipy.spatial.transform import Rotation

from nntrack.geometry.boxes import face_box
from nntrack.geometry.rotations import aflw_angles_to_quat, quat_to_rotmat
from nntrack.readers.biwi import BETWEEN_EYES, BOXES, COLUMNS, RADIUS, SIZE
from nntrack.synthesis import renderer
from nntrack.synthesis.archives.formats import Members, ZipWriter, png
from nntrack.synthesis.camera import Lens
from nntrack.synthesis.heads.load import Sources, sample_head

FRAMES = 24  # per person
LENS = Lens(520.0, np.array([321.5, 238.0]))
_STREAM = 5  # of random numbers
_FIRST = 3  # number of the first frame, as in the original
_MISSED_EVERY = 12  # frames: a face detector finds no box
# from the depth camera's axes to the colour camera's
_TURN, _SHIFT = Rotation.from_rotvec([0.012, -0.009, 0.004]).as_matrix(), np.array([-24.0, 3.0, -8.0])  # mm
_ANGLE_STD, _MAX_ANGLE = np.radians([[16.0, 32.0, 9.0], [50.0, 70.0, 35.0]])  # pitch, yaw, roll
_MAX_ASIDE = np.array([0.34, 0.18])  # from the optical axis: tangents of the angles in x and y


def render(seed: int, number: int, *, heads: Sources) -> tuple[Members, np.ndarray]:
    """One frame: its photo, pose and row of boxes, with a person's first the calibration; and its image.

    Args:
        seed: of the whole archive.
        number: of the frame, from 0.
        heads: where people's heads come from, see `heads.load`.
    """
    person_number, index = divmod(number, FRAMES)
    rng = np.random.default_rng([seed, _STREAM, person_number])  # the same in all frames of a person
    person = renderer.sample_person(rng, sample_head(rng, heads))
    quats, places = _motion(rng)
    first, last = (person.head.sample_expression(rng) for _ in range(2))
    weight = index / (FRAMES - 1)
    expression = (1 - weight) * first + weight * last
    quat, eyes = quats[index], places[index]
    centre = LENS.middle + LENS.focal * eyes[:2] / eyes[2]
    radius = LENS.focal * RADIUS / eyes[2]
    rendering = renderer.render(rng, person, expression, SIZE, quat, centre, radius, lens=LENS)
    folder, frame = f"hpdb/{person_number + 1:02d}", _FIRST + index
    rotation = quat_to_rotmat(quat)
    middle = _TURN.T @ (eyes - rotation @ BETWEEN_EYES - _SHIFT)
    members = [
        (f"{folder}/frame_{frame:05d}_rgb.png", png(rendering.image)),
        (f"{folder}/frame_{frame:05d}_pose.txt", _paragraphs(_TURN.T @ rotation, middle)),
    ]
    if index == 0:
        members.insert(0, (f"{folder}/rgb.cal", _calibration()))
    if index % _MISSED_EVERY != _MISSED_EVERY - 1:
        box = face_box(rendering.landmarks, rendering.quat, rendering.pos_size)
        members.append(("row", ",".join([str(person_number + 1), str(frame), *(f"{v:.1f}" for v in box)]).encode()))
    return members, rendering.image


def write(folder: Path, samples: Iterable[Members]) -> None:
    """The folder: a zip, and the table of boxes that users have to make for the original."""
    folder.mkdir(parents=True)
    rows = [",".join(COLUMNS)]
    with ZipWriter(folder / "hpdb.zip") as archive:
        for name, data in (member for members in samples for member in members):
            if name == "row":
                rows.append(data.decode())
            else:
                archive.add(name, data)
    (folder / BOXES).write_text("".join(f"{row}\n" for row in rows), encoding="utf-8", newline="\n")


def _motion(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Rotations (n, 4) in the colour camera's axes and points between the eyes (n, 3) in mm, frame by frame, smooth."""
    knots, times = np.linspace(0, 1, 7), np.linspace(0, 1, FRAMES)
    angles = np.clip(CubicSpline(knots, rng.normal(0, _ANGLE_STD, (7, 3)))(times), -_MAX_ANGLE, _MAX_ANGLE)
    # from one side to the other, and a little up and down
    side = np.linspace(-1, 1, 7) * rng.choice([-1, 1]) + rng.normal(0, 0.1, 7)
    paths = CubicSpline(knots, np.stack([side, rng.uniform(-0.8, 0.8, 7)], axis=-1))(times)
    depth = CubicSpline(knots, rng.uniform(800, 1100, 7))(times)
    places = np.column_stack([np.clip(paths, -1, 1) * _MAX_ASIDE * depth[:, None], depth])
    return aflw_angles_to_quat(*angles.T), places


def _calibration() -> bytes:
    matrix = np.array([[LENS.focal, 0, LENS.middle[0]], [0, LENS.focal, LENS.middle[1]], [0, 0, 1]])
    return _paragraphs(matrix, np.zeros(4), _TURN, _SHIFT, np.array(SIZE[::-1]))


def _paragraphs(*arrays: np.ndarray) -> bytes:
    """Arrays as the original's text files have them: a row a line, six digits, a blank line between."""
    return "\n".join("".join(_line(row) for row in np.atleast_2d(array)) for array in arrays).encode()


def _line(row: np.ndarray) -> str:
    return "".join(f"{value:.6g} " for value in row) + "\n"
