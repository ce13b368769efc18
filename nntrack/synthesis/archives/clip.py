"""Renders the test clip: one person in front of a still background, whose pose is known in every frame.

Trackers follow it as they follow a webcam: one pinhole camera, smooth motion, and a stretch in which nobody is there.
The folder holds `VIDEO` and `POSES`, a row per frame. Motion JPEG is what OpenCV reads without any codec of the system.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy.interpolate import CubicSpline, PchipInterpolator

from nntrack.geometry.rotations import aflw_angles_to_quat
from nntrack.synthesis import renderer
from nntrack.synthesis.archives.formats import Members, avi, jpeg
from nntrack.synthesis.camera import webcam
from nntrack.synthesis.heads.load import Sources, sample_head
from nntrack.synthesis.lighting import sample_light
from nntrack.synthesis.scene.background import render_background

SIZE = (480, 640)  # px, height and width
FPS = 30
VIDEO, POSES = "clip.avi", "poses.csv"
# quat: of the head in the camera's axes, xyzw. x, y, size: px, as `pos_size`. fx, fy, cx, cy: px, as `camera`. Without
# a face (0) the pose is empty.
COLUMNS = ("frame", "face", "qx", "qy", "qz", "qw", "x", "y", "size", "fx", "fy", "cx", "cy")
LENS = webcam(SIZE)
NOBODY = (0.55, 0.7)  # from where to where nobody is there, fractions of the clip
_STREAM = 6  # of random numbers
_QUALITY = 85  # of the JPEGs
_STEP = 1.0  # s between the poses through which the head moves
_ANGLE_STD, _MAX_ANGLE = np.radians([[14.0, 32.0, 11.0], [32.0, 62.0, 32.0]])  # pitch, yaw, roll
_DISTANCE_STD, _MAX_DISTANCE = 0.16, 0.45  # of the logarithm of the distance
_DISTANCE = 650.0  # mm, of somebody at a desk
_ASIDE_STD, _MAX_ASIDE = np.array([[0.07, 0.035], [0.2, 0.1]])  # x, y: tangents of the angles from the optical axis
_UNIT = 100.0  # mm, whose projection is the size
_GRAIN = 1.5  # grey levels, standard deviation of the sensor's noise


class Motion(NamedTuple):
    """The way of a head, frame by frame. quat (n, 4) in the camera's axes; pos_size (n, 3) px; expressions (n, e)."""

    quat: np.ndarray
    pos_size: np.ndarray
    expressions: np.ndarray


def render(seed: int, number: int, *, frames: int, heads: Sources) -> tuple[Members, np.ndarray]:
    """One frame: its JPEG and its row of the table of poses, and its image.

    Args:
        seed: of the whole clip.
        number: of the frame, from 0.
        frames: of the clip.
        heads: where people's heads come from, see `heads.load`.
    """
    rng = np.random.default_rng([seed, _STREAM])  # the same in all frames
    person = renderer.sample_person(rng, sample_head(rng, heads))
    light = sample_light(rng)
    image = np.round(255 * render_background(rng, SIZE)).astype(np.uint8)
    motion = _motion(rng, person, frames)
    face = not NOBODY[0] <= number / frames < NOBODY[1]
    pose = [""] * 7
    if face:
        quat, (*centre, radius) = motion.quat[number], motion.pos_size[number]
        image = renderer.render(
            rng, person, motion.expressions[number], SIZE, quat, np.array(centre), radius,
            light=light, background=image, lens=LENS, occluded=0.0,
        ).image  # fmt: skip
        pose = [*(f"{v:.6f}" for v in quat), *(f"{v:.3f}" for v in motion.pos_size[number])]
    grain = np.random.default_rng([seed, _STREAM, number]).normal(0, _GRAIN, SIZE)
    image = np.clip(np.round(image + grain), 0, 255).astype(np.uint8)
    camera = (LENS.focal, LENS.focal, *LENS.middle)
    row = ",".join([str(number), str(int(face)), *pose, *(f"{v:.3f}" for v in camera)])
    return [(VIDEO, jpeg(image, _QUALITY)), (POSES, row.encode())], image


def write(folder: Path, samples: Iterable[Members]) -> None:
    """The folder: the video, and the table of poses."""
    folder.mkdir(parents=True)
    frames, rows = [], [",".join(COLUMNS)]
    for (_, frame), (_, row) in samples:
        frames.append(frame)
        rows.append(row.decode())
    (folder / VIDEO).write_bytes(avi(frames, SIZE, FPS))
    (folder / POSES).write_text("".join(f"{row}\n" for row in rows), encoding="utf-8", newline="\n")


def _motion(rng: np.random.Generator, person: renderer.Person, frames: int) -> Motion:
    """A smooth way through random poses, `_STEP` apart, which begins in front of the camera and looks into it."""
    times = np.arange(frames) / FPS
    knots = np.arange(0, times[-1] + 2 * _STEP, _STEP)
    count = len(knots)
    wanted = np.column_stack(
        [
            rng.normal(0, _ANGLE_STD, (count, 3)),
            rng.normal(0, _ASIDE_STD, (count, 2)),
            rng.normal(0, _DISTANCE_STD, count),
        ]
    )
    wanted[0] = 0
    most = np.array([*_MAX_ANGLE, *_MAX_ASIDE, _MAX_DISTANCE])
    path = most * np.tanh(CubicSpline(knots, wanted, bc_type="clamped")(times) / most)
    depth = _DISTANCE * np.exp(path[:, 5])
    centres = LENS.middle + LENS.focal * path[:, 3:5]
    expressions = [person.head.neutral_expression, *(person.head.sample_expression(rng) for _ in knots[1:])]
    return Motion(
        aflw_angles_to_quat(*path[:, :3].T),
        np.column_stack([centres, LENS.focal * _UNIT / depth]),
        PchipInterpolator(knots, np.stack(expressions))(times),
    )
