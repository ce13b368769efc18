"""Renders photos as AFLW2000-3D has them."""

import numpy as np

from nntrack.readers._3ddfa import points_to_matlab
from nntrack.synthesis.archives._photos import encode, pose_arrays, render_portrait
from nntrack.synthesis.archives.formats import Members, mat
from nntrack.synthesis.heads.load import Sources, sample_head
from nntrack.synthesis.renderer import sample_person

_STREAM = 1  # of random numbers


def render(seed: int, number: int, *, heads: Sources) -> tuple[Members, np.ndarray]:
    """One photo: its members of the archive, and its image.

    Args:
        seed: of the whole archive.
        number: of the photo, from 0.
        heads: where people's heads come from, see `heads.load`.
    """
    rng = np.random.default_rng([seed, _STREAM, number])
    person = sample_person(rng, sample_head(rng, heads))
    rendering = render_portrait(rng, person, _sample_angles(rng))
    name = f"AFLW2000/image{number + 2:05d}"
    points = rendering.landmarks
    arrays = pose_arrays(rendering, rng) | {
        # the origin of z means nothing in the original
        "pt3d_68": (points_to_matlab(points) + [0, 0, rng.uniform(-50, 50)]).T.astype(np.float32),
        "pt2d": np.full((2, 21), -1.0),  # all hidden: no reader looks at them
    }
    members = [(f"{name}.jpg", encode(rendering.image, rng)), (f"{name}.mat", mat(arrays))]
    if number == 0:
        members.insert(0, ("AFLW2000/Code/Model_Shape.mat", mat({"note": "no sample"})))
    return members, rendering.image


def _sample_angles(rng: np.random.Generator) -> np.ndarray:
    """Pitch, yaw, roll in radians as in AFLW2000-3D: 65, 23 and 12 % of |yaw| are in 0-30, 30-60 and 60-90 degrees."""
    low, high = ((0, 30), (30, 60), (60, 90))[rng.choice(3, p=(0.65, 0.23, 0.12))]
    yaw = rng.choice([-1, 1]) * (abs(rng.normal(0, 14)) % 30 if low == 0 else rng.uniform(low, high))
    pitch = np.clip(rng.normal(0, 15), -55, 55)
    roll = np.clip(rng.normal(0, 12), -60, 60)
    return np.radians([pitch, yaw, roll])
