"""What AFLW2000-3D and 300W-LP have in common: 450x450 photos of one posed head each, and a .mat for each.

Keys, shapes, dtypes and units are the originals'; see the readers.
"""

import numpy as np

from nntrack.geometry.boxes import landmark_box
from nntrack.geometry.perspective import FACE_MIDDLE
from nntrack.geometry.rotations import aflw_angles_to_quat, quat_apply
from nntrack.readers._3ddfa import labels_to_pose
from nntrack.synthesis.archives.formats import jpeg
from nntrack.synthesis.renderer import Person, Rendering, render

SIDE = 450  # px
_QUALITY = (75, 96)  # of the JPEG


def render_portrait(rng: np.random.Generator, person: Person, angles: np.ndarray) -> Rendering:
    """A head with AFLW angles pitch, yaw, roll (radians), placed as in the originals: the face fills half the photo."""
    quat = aflw_angles_to_quat(*angles)
    radius = SIDE * np.clip(rng.normal(0.29, 0.025), 0.22, 0.38)
    middle = SIDE * rng.normal(0.5, 0.02, 2)
    centre = middle - quat_apply(quat, FACE_MIDDLE)[:2] * radius
    return render(rng, person, person.head.sample_expression(rng), (SIDE, SIDE), quat, centre, radius)


def pose_arrays(rendering: Rendering, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """The arrays that the .mat of both originals hold; coefficients of their face model are 0."""
    para = labels_to_pose(rendering.quat, rendering.pos_size, np.float64(SIDE), np.float64(SIDE))
    para[5] = rng.normal(-60, 5)  # depth, which means nothing there
    box = np.round(landmark_box(rendering.landmarks) + [-20, -20, 20, 20])
    return {
        "Pose_Para": para[None].astype(np.float32),
        "roi": box[None].astype(np.int16),
        "Shape_Para": np.zeros((199, 1)),
        "Exp_Para": np.zeros((29, 1)),
        "Tex_Para": np.zeros((199, 1)),
        "Illum_Para": np.zeros((1, 10)),
        "Color_Para": np.zeros((1, 7)),
    }


def encode(image: np.ndarray, rng: np.random.Generator) -> bytes:
    """The image (H, W) uint8 as a JPEG of random quality."""
    return jpeg(image, int(rng.integers(*_QUALITY)))
