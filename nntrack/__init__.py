"""Trains the two neural networks of Opentrack's NeuralNet head tracker, and runs them.

>>> import cv2, nntrack
>>> localizer = nntrack.load("head-localizer.onnx")
>>> pose_net = nntrack.load("head-pose.onnx")
>>> image = cv2.imread("photo.jpg", cv2.IMREAD_GRAYSCALE)
>>> face = localizer.predict([image])  # score, face, bbox: arrays with a row per image
>>> head = pose_net.predict([image], face["bbox"])  # quat, pos_size, bbox and more, in pixels of the image
>>> head["quat"].shape
(1, 4)

See `LocalizerModel.predict` and `PoseModel.predict` for all that is returned, its units and frames.
"""

from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nntrack.deploy.runtime import LocalizerModel, PoseModel, load

__all__ = ["LocalizerModel", "PoseModel", "__version__", "load"]

__version__ = version("nntrack")


def __getattr__(name: str) -> Any:
    """A public name, loaded when it is first used: most modules do without onnxruntime."""
    if name not in __all__:
        raise AttributeError(f"module 'nntrack' has no attribute '{name}'")
    from nntrack.deploy import runtime

    return getattr(runtime, name)
