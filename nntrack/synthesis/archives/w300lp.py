"""Renders photos and their rotated views as 300W-LP has them."""

import cv2
import numpy as np

from nntrack.data.sample import move_labels
from nntrack.readers._3ddfa import points_to_matlab
from nntrack.synthesis.archives._photos import SIDE, encode, pose_arrays, render_portrait
from nntrack.synthesis.archives.formats import Members, mat
from nntrack.synthesis.heads.load import Sources, sample_head
from nntrack.synthesis.renderer import Rendering, sample_person

_STREAM = 2  # of random numbers
_SUBSETS = {"AFW": 0.09, "HELEN": 0.61, "IBUG": 0.03, "LFPW": 0.27}  # fraction of the photos
_LYING = 0.14  # fraction of the views in which the head leans or lies on one side


def render(seed: int, number: int, *, views: int, heads: Sources) -> tuple[Members, np.ndarray]:
    """One photo and its rotated views: their members of the archive, and one of the images.

    View 0 is the original; the others turn the same head further, to a yaw of up to 100 degrees. Each has its
    own expression, light and background, unlike the real archive's: a network learns more from them. Only view 0 has
    its mirrored copy: no reader takes those.

    Args:
        seed: of the whole archive.
        number: of the photo, from 0.
        views: how many.
        heads: where people's heads come from, see `heads.load`.
    """
    rng = np.random.default_rng([seed, _STREAM, number])
    subset = str(rng.choice(list(_SUBSETS), p=list(_SUBSETS.values())))
    stem = _photo_name(subset, number)
    person = sample_person(rng, sample_head(rng, heads))
    start = np.clip(rng.normal(0, 15), -50, 50)
    end = np.sign(start) * rng.uniform(35, 100)
    members: Members = []
    renderings = []
    for view in range(views):
        pitch, roll = np.clip(rng.normal(0, [18, 11]), -50, 50)
        if rng.random() < _LYING:
            roll = rng.uniform(-130, 130)
        yaw = start + (end - start) * view / max(1, views - 1)
        rendering = render_portrait(rng, person, np.radians([pitch, yaw, roll]))
        renderings.append(rendering)
        # pt2d of a rotated view is still that of the original, as it is in the real archive
        arrays = pose_arrays(rendering, rng) | {"pt2d": points_to_matlab(renderings[0].landmarks[:, :2]).T}
        points = points_to_matlab(rendering.landmarks[:, :2])
        name = f"{subset}/{stem}_{view}"
        members += [
            (f"300W_LP/{name}.jpg", encode(rendering.image, rng)),
            (f"300W_LP/{name}.mat", mat(arrays)),
            (f"300W_LP/landmarks/{name}_pts.mat", mat({"pts_2d": points, "pts_3d": points})),
        ]
    members += _mirrored(renderings[0], f"300W_LP/{subset}_Flip/{stem}_0", rng)
    return members, renderings[number % views].image


def _mirrored(rendering: Rendering, name: str, rng: np.random.Generator) -> Members:
    flip = np.array([[-1.0, 0, SIDE], [0, 1, 0]])
    labels = {"quat": rendering.quat, "pos_size": rendering.pos_size, "landmarks": rendering.landmarks}
    mirrored = rendering._replace(image=cv2.flip(rendering.image, 1), **move_labels(flip, labels))
    arrays = pose_arrays(mirrored, rng) | {"pt2d": points_to_matlab(mirrored.landmarks[:, :2]).T}
    arrays |= {key: arrays[key].astype(np.float32) for key in ("Shape_Para", "Exp_Para")}
    return [(f"{name}.jpg", encode(mirrored.image, rng)), (f"{name}.mat", mat(arrays))]


def _photo_name(subset: str, number: int) -> str:
    if subset == "IBUG":
        return f"IBUG_image_{number:05d} _01" if number % 2 else f"IBUG_image_{number:05d}_01"  # some have a space
    return f"LFPW_image_train_{number:05d}" if subset == "LFPW" else f"{subset}_{number:06d}_1"
