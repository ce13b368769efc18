"""Made-up heads: 68 points of random places, symmetric as a face is, seen under random rotations. No one's likeness."""

import cv2
import numpy as np

from nntrack.data import hdf5
from nntrack.data.sample import Sample
from nntrack.face_model.fit import mirror
from nntrack.face_model.model import FaceModel
from nntrack.geometry import boxes, landmarks
from nntrack.geometry.rotations import quat_apply, rotvec_to_quat

_places = np.random.default_rng(7).uniform([-0.7, -0.3, -0.3], [0.7, 1.1, 0.6], (landmarks.COUNT, 3))
MEAN = (_places + mirror(_places)) / 2
MEAN -= MEAN[list(landmarks.EYE_CORNERS)].mean(axis=0)


def labels(rng, face=MEAN, size=192, turn=0.4):
    """Posed labels in px of a (size, size) picture, the face box's square about two thirds of it."""
    quat = rotvec_to_quat(rng.normal(0, turn, 3))
    pos_size = np.array([*(size * np.array([0.5, 0.42]) + rng.normal(0, size / 50, 2)), size * rng.uniform(0.24, 0.28)])
    points = quat_apply(quat, face) * pos_size[2]
    points[:, :2] += pos_size[:2]
    box = boxes.face_box(points, quat, pos_size)
    values = {"face": 1.0, "roi": boxes.square_around(box), "bbox": box, "quat": quat, "pos_size": pos_size}
    return {name: np.asarray(value, np.float32) for name, value in (values | {"landmarks": points}).items()}


def picture(values, size=192):
    """A dot at every landmark, each of its own grey level."""
    image = np.full((size, size), 110, np.uint8)
    for number, (x, y) in enumerate(values["landmarks"][:, :2]):
        cv2.circle(image, (int(x), int(y)), 3, 40 + 3 * number, -1)
    return image


def samples(rng, count, groups=8, size=192, depth=True, face=MEAN):
    for number in range(count):
        values = labels(rng, face, size)
        image = picture(values, size)
        if not depth:
            values["landmarks"] = values["landmarks"][:, :2]
        yield Sample(image, f"face {number}", f"photo {number % groups}", values, subset="train")


def crops(rng, count, groups=8):
    """For the localizer: every other picture has a bright disc, its face."""
    for number in range(count):
        image = rng.integers(20, 60, (224, 288)).astype(np.uint8)
        values = {"face": np.float32(number % 2), "roi": np.array([0, 0, 288, 224], np.float32)}
        if number % 2:
            x, y, radius = rng.uniform(80, 208), rng.uniform(70, 154), rng.uniform(20, 45)
            cv2.circle(image, (int(x), int(y)), int(radius), 200, -1)
            values["bbox"] = np.array([x - radius, y - radius, x + radius, y + radius], np.float32)
        yield Sample(image, f"crop {number}", f"photo {number % groups}", values, subset="train")


def write(path, made):
    path.parent.mkdir(parents=True, exist_ok=True)
    hdf5.write(path, made, {"source": "synthetic"})
    return hdf5.Stored(path)


def face_model(shape_modes=40, expression_modes=10):
    shapes = (landmarks.COUNT, 3), (shape_modes, landmarks.COUNT, 3), (expression_modes, landmarks.COUNT, 3)
    model = FaceModel(*(np.zeros(shape, np.float32) for shape in shapes))
    model.mean[:] = MEAN
    return model
