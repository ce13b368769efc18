"""The two networks as the tracker runs them: an ONNX file, onnxruntime and the client's preprocessing, without torch.

Any file in Opentrack's format will do, ours or not: what is measured here is what is shipped.
"""

import os
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import onnxruntime

from nntrack import contract
from nntrack.deploy import preprocess
from nntrack.geometry.landmarks import COUNT
from nntrack.geometry.rotations import normalize

# The client shows nonsense without these; without the two factors it only gives up its filter.
_REQUIRED = ("pos_size", "quat", "box")
_OLDEST_VERSION = 2  # of the model: older ones state their quaternion in another frame
_UNIT_TOLERANCE = 0.02  # of a quaternion's length; quantised nets of today's releases stay well within it


class _Model(ABC):
    """An ONNX file with one float32 input ``x`` of a static shape, and its session.

    path: the file. input_size: height, width. outputs: shapes by name.

    Args:
        path: the ONNX file.
        threads: that onnxruntime computes one image with.
        session: of that file, if it is open already.
    """

    kind: ClassVar[str]  # "pose" or "localizer"

    def __init__(
        self, path: str | os.PathLike[str], threads: int = 1, session: onnxruntime.InferenceSession | None = None
    ) -> None:
        self.path = Path(path)
        self._session = session or _open_session(self.path, threads)
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
        self._check()

    @property
    def metadata(self) -> dict[str, str]:
        """The file's ``metadata_props``."""
        return dict(self._session.get_modelmeta().custom_metadata_map)

    @property
    def version(self) -> int:
        """``ModelProto.model_version``."""
        return int(self._session.get_modelmeta().version)

    def run(self, x: np.ndarray) -> dict[str, np.ndarray]:
        """The raw outputs for one preprocessed image (height, width) float32; the batch axis is kept."""
        try:
            values = self._session.run(list(self.outputs), {contract.INPUT_NAME: x[None, None].astype(np.float32)})
        except Exception as error:  # as in `_open_session`
            raise ValueError(f"{self.path} cannot be run by onnxruntime: {' '.join(str(error).split())}") from error
        return dict(zip(self.outputs, values, strict=True))

    @abstractmethod
    def _check(self) -> None:
        """Raise ValueError if the client could not use the file as a net of this kind."""

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

    def _check_finite(self, outputs: Mapping[str, np.ndarray]) -> None:
        bad = [name for name, value in outputs.items() if not np.all(np.isfinite(value))]
        if bad:
            raise ValueError(f"{self.path}: {', '.join(bad)} holds a number that is not finite")


class PoseModel(_Model):
    """A pose net in Opentrack's format.

    has_uncertainty, has_landmarks: whether `predict` gives the factors, the landmarks.
    Raises FileNotFoundError if there is no such file, ValueError if the client could not use it, naming the fault.
    """

    kind = "pose"

    def _check(self) -> None:
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

    def predict(self, images: Iterable[np.ndarray], rois: np.ndarray) -> dict[str, np.ndarray]:
        """The head in each of N grey images (H, W) uint8, in the image's own pixels.

        rois: (N, 4) px, xyxy; the net sees the square that the client makes of each (`preprocess.roi_square`).
        Returns quat (N, 4), pos_size (N, 3) px, bbox (N, 4) px, and where the file has them landmarks (N, 68, 3) px,
        rotaxis_scales_tril (N, 3, 3) rad, pos_size_scales_tril (N, 3, 3) px. All float32; nothing for no images.
        Raises ValueError for a quaternion that is not of unit length or a number that is not finite.
        """
        found = [
            self.predict_square(image, preprocess.roi_square(roi, image.shape))
            for image, roi in zip(images, np.asarray(rois), strict=True)
        ]
        return {name: np.concatenate([one[name] for one in found]) for name in found[0]} if found else {}

    def predict_square(self, image: np.ndarray, square: preprocess.Square) -> dict[str, np.ndarray]:
        """The head in one grey image (H, W) uint8, seen through a square of it; returns and raises as `predict`."""
        return self.to_image(self.run_square(image, square), square)

    def run_square(self, image: np.ndarray, square: preprocess.Square) -> dict[str, np.ndarray]:
        """The raw outputs for a square of a grey image (H, W) uint8. Raises as `predict`."""
        raw = self.run(preprocess.pose_input(preprocess.cut_patch(image, square, self.input_size[0])))
        self._check_finite(raw)
        self._check_quat(raw["quat"])
        return raw

    def to_image(self, raw: Mapping[str, np.ndarray], square: preprocess.Square) -> dict[str, np.ndarray]:
        """The raw outputs for a square of an image in px of that image, as `predict` returns them."""
        half, centre = square.side / 2, np.array([square.x, square.y], np.float32)
        shift = np.array([square.x, square.y, 0], np.float32)
        found: dict[str, Any] = {
            "quat": normalize(raw["quat"]),
            "pos_size": raw["pos_size"] * half + shift,
            "bbox": raw["box"] * half + np.tile(centre, 2),
        }
        if self.has_landmarks:
            found["landmarks"] = raw["landmarks"] * half + shift
        if self.has_uncertainty:
            found["rotaxis_scales_tril"] = raw["rotaxis_scales_tril"]
            found["pos_size_scales_tril"] = raw["pos_size_scales_tril"] * half
        return {name: np.asarray(value, np.float32) for name, value in found.items()}

    def _check_quat(self, quat: np.ndarray) -> None:
        lengths = np.linalg.norm(quat, axis=-1)
        worst = float(lengths[np.argmax(np.abs(lengths - 1))])
        if abs(worst - 1) > _UNIT_TOLERANCE:
            raise ValueError(f"{self.path}: a quaternion has length {worst:.3f}; the client expects 1 and never checks")


class LocalizerModel(_Model):
    """A localizer in Opentrack's format. Raises as `PoseModel`."""

    kind = "localizer"

    def _check(self) -> None:
        self._check_shapes(contract.LOCALIZER_OUTPUTS, tuple(contract.LOCALIZER_OUTPUTS))
        if self.input_size != contract.LOCALIZER_SIZE:
            raise ValueError(f"{self.path}: the input is {self.input_size}, expected {contract.LOCALIZER_SIZE}")

    def predict(self, images: Iterable[np.ndarray]) -> dict[str, np.ndarray]:
        """The face in each of N whole grey frames (H, W) uint8.

        Returns score (N,), the probability that there is a face; face (N,), 1 where the tracker takes it for one, else
        0; bbox (N, 4) px of the frame. All float32. Raises ValueError for a number that is not finite.
        """
        found = [self._predict_one(image) for image in images]
        score = np.array([score for score, _ in found], np.float32)
        return {
            "score": score,
            "face": (score > contract.LOCALIZER_THRESHOLD).astype(np.float32),
            "bbox": np.array([box for _, box in found], np.float32).reshape(-1, 4),
        }

    def _predict_one(self, image: np.ndarray) -> tuple[float, np.ndarray]:
        output = self.run(preprocess.localizer_input(image))["logit_box"]
        self._check_finite({"logit_box": output})
        logit, *box = output[0]
        size = np.array([image.shape[1], image.shape[0]] * 2, np.float32)
        return 1 / (1 + np.exp(-float(logit))), (np.array(box) + 1) / 2 * size


def load(path: str | os.PathLike[str]) -> PoseModel | LocalizerModel:
    """The net in one ONNX file; its outputs decide which of the two it is. Raises as `PoseModel`."""
    session = _open_session(Path(path), 1)
    names = {output.name for output in session.get_outputs()}
    model = LocalizerModel if names >= set(contract.LOCALIZER_OUTPUTS) else PoseModel
    return model(path, session=session)


def _open_session(path: Path, threads: int) -> onnxruntime.InferenceSession:
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
