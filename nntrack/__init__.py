"""Trains the two neural networks of Opentrack's NeuralNet head tracker, and runs them.

>>> import cv2, nntrack
>>> localizer = nntrack.load("head-localizer.onnx")
>>> pose_net = nntrack.load("head-pose.onnx")
>>> image = cv2.imread("photo.jpg", cv2.IMREAD_GRAYSCALE)
>>> face = localizer.predict([image])  # score, face, bbox: arrays with a row per image
>>> head = pose_net.predict([image], face["bbox"])  # quat, pos_size, bbox and more, in pixels of the image
>>> head["quat"].shape
(1, 4)

See `LocalizerModel.predict` and `PoseModel.predict` for all that is returned, its units and frames. `Tracker` runs both
on the frames of a video, as Opentrack does.
"""

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nntrack.deploy.runtime import LocalizerModel, PoseModel, load
    from nntrack.deploy.tracker import HeadPose, Tracker

_MODULES = {
    "HeadPose": "nntrack.deploy.tracker",
    "LocalizerModel": "nntrack.deploy.runtime",
    "PoseModel": "nntrack.deploy.runtime",
    "Tracker": "nntrack.deploy.tracker",
    "load": "nntrack.deploy.runtime",
}

__all__ = ["HeadPose", "LocalizerModel", "PoseModel", "Tracker", "__version__", "load"]

__version__ = version("nntrack")


def __getattr__(name: str) -> Any:
    """A public name, loaded when it is first used: most modules do without onnxruntime."""
    if name not in _MODULES:
        raise AttributeError(f"module 'nntrack' has no attribute '{name}'")
    return getattr(import_module(_MODULES[name]), name)
