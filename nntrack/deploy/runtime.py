"""The two networks as the tracker runs them: an ONNX file, onnxruntime and the client's preprocessing, without torch.

Any file in Opentrack's format will do, ours or not: what is measured here is what is shipped.
"""

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnxruntime

from nntrack import contract
from nntrack.data import images
from nntrack.geometry.landmarks import COUNT
from nntrack.geometry.rotations import normalize

# The client shows nonsense without these; without the two factors it only gives up its filter.
_REQUIRED = ("pos_size", "quat", "box")
_OLDEST_VERSION = 2  # of the model: older ones state their quaternion in another frame
_UNIT_TOLERANCE = 0.02  # of a quaternion's length; quantised nets of today's releases stay well within it


class _Model:
    """An ONNX file with one float32 input ``x`` of a static shape, and its session."""

    def __init__(self, path: str | os.PathLike[str], threads: int) -> None:
        self.path = Path(path)
        self._session = _session(self.path, threads)
        inputs = self._session.get_inputs()
        if len(inputs) != 1 or inputs[0].name != contract.INPUT_NAME:
            names = ", ".join(repr(i.name) for i in inputs)
            raise ValueError(f"{self.path}: expected exactly one input called '{contract.INPUT_NAME}', got {names}")
        shape = tuple(inputs[0].shape)
        if not (len(shape) == 4 and shape[:2] == (1, 1) and all(isinstance(n, int) for n in shape)):
            raise ValueError(f"{self.path}: the input has shape {shape}, expected (1, 1, height, width), all fixed")
        if inputs[0].type != "tensor(float)":
            raise ValueError(f"{self.path}: the input is {inputs[0].type}, expected tensor(float)")
        self.input_size: tuple[int, int] = shape[2:]
        self.outputs = {o.name: tuple(o.shape) for o in self._session.get_outputs()}
        wrong = [f"{o.name} is {o.type}" for o in self._session.get_outputs() if o.type != "tensor(float)"]
        if wrong:
            raise ValueError(f"{self.path}: every output must be tensor(float), but {'; '.join(wrong)}")

    @property
    def metadata(self) -> dict[str, str]:
        """What the file says about itself (``metadata_props``)."""
        return dict(self._session.get_modelmeta().custom_metadata_map)

    @property
    def version(self) -> int:
        """``ModelProto.model_version``."""
        return int(self._session.get_modelmeta().version)

    def run(self, x: np.ndarray) -> dict[str, np.ndarray]:
        """The raw outputs for one preprocessed picture (height, width) float32; the batch axis is kept."""
        try:
            values = self._session.run(list(self.outputs), {contract.INPUT_NAME: x[None, None].astype(np.float32)})
        except Exception as error:  # as in `_session`
            raise ValueError(f"{self.path} cannot be run by onnxruntime: {' '.join(str(error).split())}") from error
        return dict(zip(self.outputs, values, strict=True))

    def _check_shapes(self, expected: Mapping[str, tuple[int, ...]], required: Sequence[str]) -> None:
        missing = [name for name in required if name not in self.outputs]
        if missing:
            raise ValueError(
                f"{self.path}: no output is called {', '.join(missing)} (upper and lower case count); "
                f"it has {', '.join(self.outputs)}"
            )
        for name, shape in expected.items():
            if self.outputs.get(name, shape) != shape:
                raise ValueError(f"{self.path}: output {name} has shape {self.outputs[name]}, expected {shape}")


class PoseModel(_Model):
    """The pose net in ``path``.

    outputs: shapes by name. has_uncertainty, has_landmarks: whether `predict` gives the factors, the landmarks.
    Raises FileNotFoundError if there is no such file, ValueError if the client could not use it, saying why.
    """

    def __init__(self, path: str | os.PathLike[str], threads: int = 1) -> None:
        super().__init__(path, threads)
        self._check_shapes(contract.POSE_OUTPUTS, _REQUIRED)
        if self.input_size[0] != self.input_size[1]:
            raise ValueError(f"{self.path}: the input is {self.input_size}, expected a square")
        if not _OLDEST_VERSION <= self.version <= contract.MODEL_VERSION:
            raise ValueError(
                f"{self.path}: model_version is {self.version}, expected {_OLDEST_VERSION}..{contract.MODEL_VERSION}: "
                "the client takes any other for its first format, with quaternions in another frame"
            )
        self.has_uncertainty = all(name in self.outputs for name in contract.POSE_OUTPUTS)
        self.has_landmarks = self.outputs.get("landmarks") == (1, COUNT, 3)

    def predict(self, pictures: Iterable[np.ndarray], rois: np.ndarray) -> dict[str, np.ndarray]:
        """Heads in the image frame of each picture.

        pictures: N times (H, W) uint8. rois: (N, 4) px, xyxy; the square of the longer side is what the net sees.
        Returns quat (N, 4), pos_size (N, 3) px, bbox (N, 4) px, and where the file has them landmarks (N, 68, 3) px,
        rotaxis_scales_tril (N, 3, 3) rad, pos_size_scales_tril (N, 3, 3) px. All float32.
        Raises ValueError for a quaternion that is not of unit length or a number that is not finite.
        """
        rois = np.asarray(rois)
        told = [self._look(picture, roi) for picture, roi in zip(pictures, rois, strict=True)]
        if not told:
            return {}
        raw = {name: np.concatenate([one[name] for one in told]) for name in told[0]}
        self._check_values(raw)
        square = np.stack([images.client_square(roi) for roi in rois])
        centre, half = (square[:, :2] + square[:, 2:]) / 2, (square[:, 2:3] - square[:, :1]) / 2
        level = np.concatenate([centre, np.zeros_like(half)], axis=1)
        found: dict[str, Any] = {
            "quat": normalize(raw["quat"]),
            "pos_size": raw["pos_size"] * half + level,
            "bbox": raw["box"] * half + np.tile(centre, 2),
        }
        if self.has_landmarks:
            found["landmarks"] = raw["landmarks"] * half[..., None] + level[:, None]
        if self.has_uncertainty:
            found["rotaxis_scales_tril"] = raw["rotaxis_scales_tril"]
            found["pos_size_scales_tril"] = raw["pos_size_scales_tril"] * half[..., None]
        return {name: np.asarray(value, np.float32) for name, value in found.items()}

    def _look(self, picture: np.ndarray, roi: np.ndarray) -> dict[str, np.ndarray]:
        return self.run(images.client_brightness(images.client_patch(picture, roi, self.input_size[0])))

    def _check_values(self, raw: Mapping[str, np.ndarray]) -> None:
        bad = [name for name, value in raw.items() if not np.all(np.isfinite(value))]
        if bad:
            raise ValueError(f"{self.path}: {', '.join(bad)} holds a number that is not finite")
        lengths = np.linalg.norm(raw["quat"], axis=-1)
        worst = float(lengths[np.argmax(np.abs(lengths - 1))])
        if abs(worst - 1) > _UNIT_TOLERANCE:
            raise ValueError(f"{self.path}: a quaternion has length {worst:.3f}; the client expects 1 and never checks")


class LocalizerModel(_Model):
    """The localizer in ``path``. Raises as `PoseModel`."""

    def __init__(self, path: str | os.PathLike[str], threads: int = 1) -> None:
        super().__init__(path, threads)
        self._check_shapes(contract.LOCALIZER_OUTPUTS, tuple(contract.LOCALIZER_OUTPUTS))
        if self.input_size != contract.LOCALIZER_SIZE:
            raise ValueError(f"{self.path}: the input is {self.input_size}, expected {contract.LOCALIZER_SIZE}")

    def predict(self, pictures: Iterable[np.ndarray]) -> dict[str, np.ndarray]:
        """The face in each whole frame, N times (H, W) uint8.

        Returns score (N,), the probability that there is a face; face (N,), 1 where the tracker takes it for one, else
        0; bbox (N, 4) px of the frame. All float32.
        """
        found = [self._predict_one(picture) for picture in pictures]
        score = np.array([score for score, _ in found], np.float32)
        return {
            "score": score,
            "face": (score > contract.LOCALIZER_THRESHOLD).astype(np.float32),
            "bbox": np.array([box for _, box in found], np.float32).reshape(-1, 4),
        }

    def _predict_one(self, picture: np.ndarray) -> tuple[float, np.ndarray]:
        height, width = self.input_size
        squeezed = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)
        values = self.run(squeezed.astype(np.float32) / 255 - 0.5)["logit_box"][0]
        if not np.all(np.isfinite(values)):
            raise ValueError(f"{self.path}: logit_box holds a number that is not finite")
        size = np.array([picture.shape[1], picture.shape[0]] * 2)
        return 1 / (1 + np.exp(-float(values[0]))), (values[1:] + 1) / 2 * size


def load(path: str | os.PathLike[str]) -> PoseModel | LocalizerModel:
    """The net in ``path``; its outputs tell which of the two it is. Raises as `PoseModel`."""
    outputs = {output.name for output in _session(Path(path), threads=1).get_outputs()}
    return LocalizerModel(path) if outputs >= set(contract.LOCALIZER_OUTPUTS) else PoseModel(path)


def _session(path: Path, threads: int) -> onnxruntime.InferenceSession:
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder: name an ONNX file")
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist; make it with `dvc repro` or name another ONNX file")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.use_deterministic_compute = True
    options.log_severity_level = 3
    try:
        # by itself it would print what went wrong and try the same again
        session = onnxruntime.InferenceSession(
            os.fspath(path), options, providers=["CPUExecutionProvider"], enable_fallback=False
        )
        for value in (*session.get_inputs(), *session.get_outputs()):
            str(value)  # names are decoded as late as here
        return session
    except Exception as error:  # onnxruntime has its own exceptions, one class per status code, without a common base
        raise ValueError(f"{path} cannot be loaded by onnxruntime: {' '.join(str(error).split())}") from error
