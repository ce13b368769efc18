"""The Basel/FaceWarehouse face model that a user may supply (``bfm_noneck_v3.pkl`` of 3DDFA_V2), at the 68 landmarks.

It is a pickle, and a pickle can run any code: only what a NumPy array is made of is let in.
"""

import os
import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nntrack.data.datasets import DATASETS

FILE_NAME = DATASETS["w300lp"].companion
LICENCE = "Basel face model: academic"
WEIGHTS = (199, 29)  # of shape and expression, as the datasets have them
MICROMETRES = 1e5  # per head radius: the model's unit

# its y goes up and its z toward the viewer
_TO_HEAD_FRAME = np.array([1.0, -1.0, -1.0])
_ARRAY_PARTS = {
    *((f"numpy.{core}.multiarray", name) for core in ("core", "_core") for name in ("_reconstruct", "scalar")),
    *((f"numpy.{core}.numeric", "_frombuffer") for core in ("core", "_core")),
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
    ("_codecs", "encode"),  # how old protocols write bytes
}


@dataclass(frozen=True)
class Basel:
    """mean (68, 3), shape (n, 68, 3), expression (m, 68, 3): the model's own axes turned to the head frame's.

    Unit: head radii (100 mm); the origin is the model's own, inside the head. The weights are those of the datasets'
    ``Shape_Para`` and ``Exp_Para``.
    """

    mean: np.ndarray
    shape: np.ndarray
    expression: np.ndarray

    def landmarks(self, shape: np.ndarray, expression: np.ndarray) -> np.ndarray:
        """Landmarks (..., 68, 3) for weights (..., n) and (..., m)."""
        return self.mean + np.tensordot(shape, self.shape, 1) + np.tensordot(expression, self.expression, 1)


def load(path: str | os.PathLike[str]) -> Basel:
    """Read the pickle. Raises ValueError, naming the file, if it is damaged or holds other things than arrays."""
    try:
        with open(path, "rb") as stream:
            content = _Unpickler(stream, encoding="latin1").load()
        return _at_landmarks(content)
    except FileNotFoundError:
        raise
    # a damaged pickle can raise nearly anything
    except Exception as error:
        raise ValueError(f"{path} is not the Basel model of 3DDFA_V2, or is damaged: {error}") from error


def load_beside(archive: Path) -> Basel | None:
    """The model, if the user put it into the folder of ``archive``."""
    path = archive.with_name(FILE_NAME)
    return load(path) if path.exists() else None


def _at_landmarks(content: Mapping[str, Any]) -> Basel:
    rows = np.asarray(content["keypoints"], np.int64).ravel()  # (204,): x, y, z of each landmark
    if rows.shape != (204,):
        raise ValueError(f"expected 204 keypoint rows, got {rows.size}")

    def part(name: str) -> np.ndarray:  # (columns, 68, 3)
        values = np.asarray(content[name])
        values = values.reshape(len(values), -1)[rows].astype(np.float64)
        if not np.isfinite(values).all():
            raise ValueError(f"{name} holds a number that is not finite")
        return values.T.reshape(-1, 68, 3) * _TO_HEAD_FRAME / MICROMETRES

    model = Basel(part("u")[0], part("w_shp"), part("w_exp"))
    found = len(model.shape), len(model.expression)
    if found != WEIGHTS:
        raise ValueError(f"expected {WEIGHTS} weights of shape and expression, got {found}")
    return model


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> type:
        if (module, name) not in _ARRAY_PARTS:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, and only NumPy arrays are let in")
        return super().find_class(module, name)
