"""Loads any net that is to be measured: an ONNX file in Opentrack's format, or the result of a training."""

import os
import tempfile
from pathlib import Path

from nntrack.deploy import runtime
from nntrack.deploy.runtime import LocalizerModel, PoseModel

WEIGHTS = "model.safetensors"  # in a training's folder


def load(path: str | os.PathLike[str]) -> PoseModel | LocalizerModel:
    """The net of an ONNX file, a ``.safetensors`` file, or a training's folder.

    Weights of ours are exported as the pipeline does it, and the export is what runs, so that nothing but the weights
    can make a difference. Raises FileNotFoundError or ValueError, naming the file.
    """
    path = Path(path)
    weights = path / WEIGHTS if path.is_dir() else path
    if path.is_dir() and not weights.exists():
        raise FileNotFoundError(f"{path} is a folder, but not of a training, which holds {WEIGHTS}: name a file")
    if weights.suffix != ".safetensors":
        return runtime.load(path)
    with tempfile.TemporaryDirectory() as folder:
        exported = Path(folder) / "net.onnx"
        _export(weights, exported)
        model = runtime.load(exported)
    model.path = path
    return model


def name_of(path: str | os.PathLike[str]) -> str:
    """The default name of a net: that of its file, or of its training's folder."""
    path = Path(path)
    return path.parent.name if path.name == WEIGHTS and path.parent.name else path.stem


def _export(weights: Path, out: Path) -> None:
    # torch takes seconds to load, and an ONNX file does not need it
    from nntrack.deploy import export
    from nntrack.networks.localizer import LocalizerNet
    from nntrack.networks.weights import load_localizer, load_pose, read

    facts = export.provenance({}, "")
    if read(weights)[1].get("network") == LocalizerNet.__name__:
        export.export_localizer(load_localizer(weights), out, facts)
    else:
        export.export_pose(load_pose(weights), out, facts)
