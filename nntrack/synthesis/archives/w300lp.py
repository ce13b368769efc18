"""Drawn pictures with one posed head each, as AFLW2000-3D and 300W-LP have them: 450x450, a .mat beside each photo.

The layouts, keys, dtypes and units are the originals'; see the readers, which read both.
"""

import cv2
import numpy as np

from nntrack.data.sample import move_labels
from nntrack.geometry.boxes import landmark_box
from nntrack.geometry.rotations import aflw_angles_to_quat, quat_apply
from nntrack.readers._3ddfa import labels_to_pose, points_to_matlab
from nntrack.synthesis import renderer
from nntrack.synthesis.archives.formats import jpeg, mat
from nntrack.synthesis.heads import load

SIDE = 450  # px
SUBSETS = ("AFW", "HELEN", "IBUG", "LFPW")
_SHARES = (0.09, 0.61, 0.03, 0.27)  # of the photos in each
_QUALITY = (75, 96)
_AFLW2K, _300WLP = 1, 2  # streams of random numbers

Members = list[tuple[str, bytes]]


def aflw2k(seed: int, number: int, head: str | None = None) -> tuple[Members, np.ndarray]:
    """One photo of AFLW2000-3D: members and the picture. Yaw to 90 degrees, two thirds of it within 30.

    head: as in `heads.load`.
    """
    rng = np.random.default_rng([seed, _AFLW2K, number])
    person = renderer.draw_person(rng, load.load(head))
    picture = _portrait(rng, person, _wide_angles(rng))
    name = f"AFLW2000/image{number + 2:05d}"
    arrays = _parameters(picture, rng) | {
        "pt3d_68": _with_offset(points_to_matlab(picture.landmarks), rng).T.astype(np.float32),
        "pt2d": np.full((2, 21), -1.0),  # all hidden: no reader looks at them
    }
    members = [(f"{name}.jpg", _encode(picture.image, rng)), (f"{name}.mat", mat(arrays))]
    if number == 0:
        members.insert(0, ("AFLW2000/Code/Model_Shape.mat", mat({"note": "no sample"})))
    return members, picture.image


def w300lp(views: int, seed: int, number: int, head: str | None = None) -> tuple[Members, np.ndarray]:
    """One photo of 300W-LP and its rotated views: members and one picture.

    View 0 is the original; the others turn the same head further, to a yaw of up to 90 degrees. Only view 0 has its
    mirrored copy: no reader takes those. head: as in `heads.load`.
    """
    rng = np.random.default_rng([seed, _300WLP, number])
    subset = str(rng.choice(SUBSETS, p=_SHARES))
    stem = _photo_name(subset, number)
    person = renderer.draw_person(rng, load.load(head))
    start = np.radians(np.clip(rng.normal(0, [18, 15, 11]), -50, 50))  # pitch, yaw, roll
    end = np.sign(start[1]) * np.radians(rng.uniform(35, 92))
    looks = rng.bit_generator.state  # every view starts from the same draws: light, expression, background
    members: Members = []
    pictures = []
    for view in range(views):
        rng.bit_generator.state = looks
        yaw = start[1] + (end - start[1]) * view / max(1, views - 1)
        picture = _portrait(rng, person, np.array([start[0], yaw, start[2]]))
        pictures.append(picture)
        # pt2d of a rotated view is still that of the original, as it is in the real archive
        arrays = _parameters(picture, rng) | {"pt2d": points_to_matlab(pictures[0].landmarks[:, :2]).T}
        points = points_to_matlab(picture.landmarks[:, :2])
        name = f"{subset}/{stem}_{view}"
        members += [
            (f"300W_LP/{name}.jpg", _encode(picture.image, rng)),
            (f"300W_LP/{name}.mat", mat(arrays)),
            (f"300W_LP/landmarks/{name}_pts.mat", mat({"pts_2d": points, "pts_3d": points})),
        ]
    members += _mirrored(pictures[0], f"300W_LP/{subset}_Flip/{stem}_0", rng)
    return members, pictures[number % views].image


def _portrait(rng: np.random.Generator, person: renderer.Person, angles: np.ndarray) -> renderer.Picture:
    """A head with AFLW angles pitch, yaw, roll (radians), placed as in the originals: the face fills half the photo."""
    quat = aflw_angles_to_quat(*angles)
    radius = SIDE * np.clip(rng.normal(0.29, 0.025), 0.22, 0.38)
    middle = SIDE * rng.normal(0.5, 0.02, 2)
    centre = middle - quat_apply(quat, renderer.FACE_MIDDLE)[:2] * radius
    return renderer.draw(rng, person, person.express(rng), (SIDE, SIDE), quat, centre, radius)


def _wide_angles(rng: np.random.Generator) -> np.ndarray:
    """Pitch, yaw, roll in radians, spread as AFLW2000-3D's: 65, 23 and 12 % of |yaw| within 30, 60 and 90 degrees."""
    low, high = ((0, 30), (30, 60), (60, 90))[rng.choice(3, p=(0.65, 0.23, 0.12))]
    yaw = rng.choice([-1, 1]) * (abs(rng.normal(0, 14)) % 30 if low == 0 else rng.uniform(low, high))
    pitch = np.clip(rng.normal(0, 15), -55, 55)
    roll = np.clip(rng.normal(0, 12), -60, 60)
    return np.radians([pitch, yaw, roll])


def _parameters(picture: renderer.Picture, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """What both originals' .mat hold, shapes and dtypes as there; coefficients of their face model are 0."""
    para = labels_to_pose(picture.quat, picture.pos_size, np.float64(SIDE), np.float64(SIDE))
    para[5] = rng.normal(-60, 5)
    box = np.round(landmark_box(picture.landmarks) + [-20, -20, 20, 20])
    return {
        "Pose_Para": para[None].astype(np.float32),
        "roi": box[None].astype(np.int16),
        "Shape_Para": np.zeros((199, 1)),
        "Exp_Para": np.zeros((29, 1)),
        "Tex_Para": np.zeros((199, 1)),
        "Illum_Para": np.zeros((1, 10)),
        "Color_Para": np.zeros((1, 7)),
    }


def _with_offset(points: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Points (68, 3) with z shifted: its origin means nothing in the original."""
    return points + [0, 0, rng.uniform(-50, 50)]


def _mirrored(picture: renderer.Picture, name: str, rng: np.random.Generator) -> Members:
    flip = np.array([[-1.0, 0, SIDE], [0, 1, 0]])
    labels = {"quat": picture.quat, "pos_size": picture.pos_size, "landmarks": picture.landmarks}
    mirrored = picture._replace(image=cv2.flip(picture.image, 1), **move_labels(flip, labels))
    arrays = _parameters(mirrored, rng) | {"pt2d": points_to_matlab(mirrored.landmarks[:, :2]).T}
    arrays |= {key: arrays[key].astype(np.float32) for key in ("Shape_Para", "Exp_Para")}
    return [(f"{name}.jpg", _encode(mirrored.image, rng)), (f"{name}.mat", mat(arrays))]


def _photo_name(subset: str, number: int) -> str:
    if subset == "IBUG":
        return f"IBUG_image_{number:05d} _01" if number % 2 else f"IBUG_image_{number:05d}_01"  # some have a space
    return {"AFW": f"AFW_{number:06d}_1", "HELEN": f"HELEN_{number:06d}_1", "LFPW": f"LFPW_image_train_{number:05d}"}[
        subset
    ]


def _encode(image: np.ndarray, rng: np.random.Generator) -> bytes:
    return jpeg(image, int(rng.integers(*_QUALITY)))
