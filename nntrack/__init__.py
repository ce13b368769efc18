"""Trains the two neural networks of Opentrack's NeuralNet head tracker, and runs them.

net = nntrack.load("head-pose.onnx")
net.predict([grey_image], rois)     # see `PoseModel`, `LocalizerModel`
"""

from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nntrack.deploy.runtime import LocalizerModel, PoseModel, load

__all__ = ["LocalizerModel", "PoseModel", "__version__", "load"]

__version__ = version("nntrack")


def __getattr__(name: str) -> Any:
    """The public names, loaded when they are first asked for: most modules do without onnxruntime."""
    if name not in __all__:
        raise AttributeError(f"module 'nntrack' has no attribute '{name}'")
    from nntrack.deploy import runtime

    return getattr(runtime, name)
