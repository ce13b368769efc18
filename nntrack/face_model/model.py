"""The deformable face model: 68 landmarks = mean + shape modes + expression modes, in the head frame.

Unit: head radii (100 mm). The origin is between the eyes. Modes are scaled so that a weight has unit variance over the
people (shape) or the moments (expression) that the model was learnt from; see `facemodel_fit` for how.
"""

import os
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from nntrack.files import write_npz
from nntrack.geometry.landmarks import COUNT


@dataclass(frozen=True)
class FaceModel:
    """mean (68, 3), shape_basis (n, 68, 3), expression_basis (m, 68, 3): float32. Modes that the data lack are zero.

    Raises ValueError for a wrong shape.
    """

    mean: np.ndarray
    shape_basis: np.ndarray
    expression_basis: np.ndarray

    def __post_init__(self) -> None:
        """Check the shapes."""
        for name, rank in (("mean", 2), ("shape_basis", 3), ("expression_basis", 3)):
            shape = np.shape(getattr(self, name))
            if len(shape) != rank or shape[-2:] != (COUNT, 3):
                raise ValueError(f"{name} of the face model has shape {shape}, expected (..., {COUNT}, 3)")

    def landmarks(self, shape: Any, expression: Any) -> np.ndarray:
        """Landmarks (..., 68, 3) in the head frame for weights (..., n) and (..., m)."""
        offsets = np.tensordot(shape, self.shape_basis, 1) + np.tensordot(expression, self.expression_basis, 1)
        return self.mean + offsets


def save(path: str | os.PathLike[str], model: FaceModel) -> None:
    """Write an .npz whose bytes depend on the model alone."""
    write_npz(path, {row.name: np.asarray(getattr(model, row.name), np.float32) for row in fields(model)})


def load(path: str | os.PathLike[str]) -> FaceModel:
    """Read what `save` wrote. Raises FileNotFoundError or ValueError, naming the file."""
    if not Path(path).exists():
        raise FileNotFoundError(f"{path} does not exist; make it with `dvc repro facemodel`")
    try:
        with open(path, "rb") as stream, np.load(stream, allow_pickle=False) as arrays:
            return FaceModel(**{row.name: arrays[row.name] for row in fields(FaceModel)})
    # NumPy, zipfile, zlib and tokenize each have their own errors for the same damage
    except Exception as error:
        raise ValueError(f"{path} is not a face model of this project: {' '.join(str(error).split())}") from error
