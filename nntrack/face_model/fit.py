"""Learning the deformable face model from labelled samples.

Samples of one group (the views of a photo, the frames of a person) show one face under known rotations. Its 3D shape
follows by ridge least squares in the head frame: three equations a landmark and sample where the depth is known, two
where it is not, so that several views give depth even then. Between groups the spread gives the shape modes, and within
groups what is left over gives the expression modes.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from nntrack.data.datasets import in_pipeline
from nntrack.data.hdf5 import Stored
from nntrack.face_model.model import FaceModel
from nntrack.geometry.landmarks import COUNT, MIRROR
from nntrack.geometry.rotations import quat_to_rotmat

# Ridge, in equations' worth of trust in the prior. One view alone says nothing of the depth.
GROUP_RIDGE = 0.3  # a group's shape is drawn toward the mean face
MOMENT_RIDGE = 0.3  # one sample's departure from its group is drawn toward none
PRIOR_ROUNDS = 3  # the mean face is the groups' mean, which depends on the mean face


@dataclass(frozen=True)
class Observations:
    """n labelled faces.

    rotmat (n, 3, 3); points (n, 68, 3), image frame, head radii from the head's centre; has_depth (n,); group (n,) int.
    """

    rotmat: np.ndarray
    points: np.ndarray
    has_depth: np.ndarray
    group: np.ndarray

    def __len__(self) -> int:
        return len(self.group)


def observe(datasets: Iterable[tuple[Stored, np.ndarray]]) -> Observations:
    """The faces of (dataset, rows) that have rotation, position, size and landmarks. Datasets may be empty."""
    parts: list[tuple[np.ndarray, ...]] = []
    names: list[np.ndarray] = []
    for number, (stored, rows) in enumerate(datasets):
        complete = np.logical_and.reduce([stored.masks[name][rows] for name in ("quat", "pos_size", "landmarks")])
        rows = rows[complete & (stored.labels["pos_size"][rows, 2] > 0)]
        pos_size = stored.labels["pos_size"][rows].astype(np.float64)
        points = stored.labels["landmarks"][rows].astype(np.float64)
        points[..., :2] -= pos_size[:, None, :2]
        points /= pos_size[:, None, 2:]
        rotmat = quat_to_rotmat(stored.labels["quat"][rows].astype(np.float64))
        parts.append((rotmat, points, stored.masks["landmarks_depth"][rows]))
        names.append(np.array([f"{number}/{name}" for name in stored.strings["group"][rows]], dtype=object))
    if not sum(map(len, names)):
        raise ValueError(
            "no training sample has rotation, position, size and landmarks, so there is no face model to learn; "
            f"use at least one of {' and '.join(in_pipeline('train'))}"
        )
    group = np.unique(np.concatenate(names).astype(str), return_inverse=True)[1]
    rotmat, points, has_depth = (np.concatenate(column) for column in zip(*parts, strict=True))
    return Observations(rotmat, points, has_depth, group)


def fit(
    seen: Observations,
    shape_modes: int,
    expression_modes: int,
    bases: tuple[np.ndarray, np.ndarray] | None = None,
) -> FaceModel:
    """The face model of the observed faces.

    bases: shape (n, 68, 3) and expression (m, 68, 3) directions in the head frame to use instead of learnt ones, of any
    scale; they are scaled to the spread of the observed faces.
    """
    faces, moments = group_shapes(seen)
    mean = faces.mean(axis=0)
    mean = (mean + mirror(mean)) / 2
    # a mirrored face is as likely as the face: with the mirrored twins every mode keeps or swaps the sides
    faces = np.concatenate([faces, mirror(faces)]) - mean
    moments = np.concatenate([moments, mirror(moments)])
    if bases is None:
        shape, expression = principal_modes(faces, shape_modes), principal_modes(moments, expression_modes)
    else:
        shape, expression = (
            unit_variance(bases[0][:shape_modes], faces),
            unit_variance(bases[1][:expression_modes], moments),
        )
    shape, expression = _padded(shape, shape_modes), _padded(expression, expression_modes)
    return FaceModel(mean.astype(np.float32), shape.astype(np.float32), expression.astype(np.float32))


def group_shapes(seen: Observations) -> tuple[np.ndarray, np.ndarray]:
    """Each group's face (g, 68, 3), and each sample's departure from it (n, 68, 3), both in the head frame."""
    groups = int(seen.group.max()) + 1
    # rows without an equation are zero: z of samples without depth
    rows = seen.rotmat.copy()  # (n, 3, 3): image coordinates of the head's axes
    rows[~seen.has_depth, 2] = 0
    lifted = np.einsum("nij,npi->npj", rows, seen.points)  # (n, 68, 3): R^T u
    gram = np.einsum("nki,nkj->nij", rows, rows)
    gram_sum, lifted_sum = np.zeros((groups, 3, 3)), np.zeros((groups, COUNT, 3))
    np.add.at(gram_sum, seen.group, gram)
    np.add.at(lifted_sum, seen.group, lifted)
    ridge = GROUP_RIDGE * np.eye(3)
    prior = np.linalg.lstsq(gram_sum.sum(0), lifted_sum.sum(0).T, rcond=1e-6)[0].T  # (68, 3)
    for _ in range(PRIOR_ROUNDS):
        faces = np.linalg.solve(gram_sum + ridge, (lifted_sum + prior @ ridge).transpose(0, 2, 1)).transpose(0, 2, 1)
        prior = faces.mean(axis=0)
    left = lifted - faces[seen.group] @ gram  # R^T (u - R X); gram is symmetric
    moments = np.linalg.solve(gram + MOMENT_RIDGE * np.eye(3), left.transpose(0, 2, 1)).transpose(0, 2, 1)
    return faces, moments


def mirror(faces: np.ndarray) -> np.ndarray:
    """Faces or departures (..., 68, 3) of the head frame with left and right swapped."""
    return faces[..., MIRROR, :] * np.array([-1.0, 1.0, 1.0])


def principal_modes(centred: np.ndarray, count: int) -> np.ndarray:
    """At most ``count`` directions (k, 68, 3) of greatest spread of centred faces (n, 68, 3), one std long."""
    flat = centred.reshape(len(centred), -1)
    values, vectors = np.linalg.eigh(flat.T @ flat / max(1, len(flat)))
    values, vectors = values[::-1][:count], vectors[:, ::-1][:, :count].T
    # what rounding makes is no mode
    kept = values > 1e-10 * max(values[0], 1e-12)
    vectors = vectors[kept] * np.sqrt(values[kept])[:, None]
    # an eigenvector's sign is arbitrary: its largest element is made positive
    largest = np.take_along_axis(vectors, np.abs(vectors).argmax(axis=1)[:, None], axis=1)
    return (vectors * np.sign(largest)).reshape(-1, COUNT, 3)


def unit_variance(basis: np.ndarray, centred: np.ndarray) -> np.ndarray:
    """``basis`` (k, 68, 3) with each mode as long as the std of its weight over centred faces (n, 68, 3)."""
    flat = basis.reshape(len(basis), -1)
    flat = flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-12)
    # neighbouring modes of a foreign basis need not be orthogonal on 68 points: a little ridge keeps weights small
    gram = flat @ flat.T + 1e-2 * np.eye(len(flat))
    weights = np.linalg.solve(gram, flat @ centred.reshape(len(centred), -1).T)  # (k, n)
    return (flat * np.sqrt((weights**2).mean(axis=1))[:, None]).reshape(basis.shape)


def _padded(basis: np.ndarray, count: int) -> np.ndarray:
    return np.concatenate([basis, np.zeros((count - len(basis), COUNT, 3))])
