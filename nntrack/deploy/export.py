"""Exports trained nets to ONNX files as Opentrack loads them (see `contract`), and checks them before they are kept.

The ``metadata_props`` of a file state where its weights come from and what its tensors mean, and nothing that changes
from one run to the next, so that the same weights give the same bytes.
"""

import copy
import io
import json
import math
import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from torch import Tensor, nn

from nntrack import contract
from nntrack.deploy import pictures
from nntrack.deploy.check import check_contract
from nntrack.deploy.runtime import LocalizerModel, PoseModel
from nntrack.deploy.simplify import simplify
from nntrack.files import replacing
from nntrack.geometry.landmarks import COUNT
from nntrack.networks import backbones

FRAME = "x right, y down, z into the screen; the identity looks into the camera"
PATCH_UNITS = "patch edges at -1 and 1"
POSE_OUTPUTS = {**contract.POSE_OUTPUTS, "landmarks": (1, COUNT, 3)}  # the client ignores outputs it does not know
TOLERANCE = 1e-4  # of torch and onnxruntime, relative to the larger of 1 and the output's largest value

_DESCRIPTIONS = {
    "pose": "Head pose from a grey face patch, for Opentrack's NeuralNet tracker",
    "localizer": "The face in a whole grey frame, for Opentrack's NeuralNet tracker",
}
_MEANINGS = {
    "pose": {
        "x": "grey patch 129x129; v*0.45/max(5, b) - 0.5 where the grey level b at the 90 % quantile is below 127, "
        "else v/255 - 0.5",
        "pos_size": f"x, y between the eyes, projected length of 100 mm; {PATCH_UNITS}",
        "quat": f"unit quaternion x, y, z, w; {FRAME}",
        "box": f"face with part of the forehead, x0, y0, x1, y1; {PATCH_UNITS}",
        "rotaxis_scales_tril": "lower factor of the covariance of the rotation offset, a rotation vector in radians",
        "pos_size_scales_tril": f"lower factor of the covariance of pos_size; {PATCH_UNITS}",
        "landmarks": f"68 iBUG landmarks, sides the subject's; z 0 at the mean of the eye corners; {PATCH_UNITS}",
    },
    "localizer": {
        "x": "whole grey frame squeezed to 288x224 by area, v/255 - 0.5",
        "logit_box": "logit of there being a face, then x0, y0, x1, y1 of the face; frame edges at -1 and 1",
    },
}


class PoseGraph(nn.Module):
    """A pose net with the outputs of the ONNX file, in the order of POSE_OUTPUTS."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """The outputs for x (1, 1, 129, 129)."""
        outputs = self.net(x)
        return tuple(outputs[name] for name in POSE_OUTPUTS)


class LocalizerGraph(nn.Module):
    """A localizer with the one output of the ONNX file."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """logit_box (1, 5) for x (1, 1, 224, 288)."""
        outputs = self.net(x)
        return (torch.cat([outputs["logit"].reshape(-1, 1), outputs["box"]], dim=1),)


def export_pose(net: nn.Module, path: str | os.PathLike[str], facts: Mapping[str, Any]) -> dict[str, Any]:
    """Write the pose net to ``path``, with the result of `provenance`. Returns the figures of ``metrics/export.json``.

    Raises ValueError, with figures, if the file's outputs differ from the net's, or break the contract.
    """
    size = (contract.POSE_SIZE, contract.POSE_SIZE)
    return _export(PoseGraph(net), path, "pose", size, POSE_OUTPUTS, facts)


def export_localizer(net: nn.Module, path: str | os.PathLike[str], facts: Mapping[str, Any]) -> dict[str, Any]:
    """Write the localizer to ``path``; see `export_pose`."""
    return _export(LocalizerGraph(net), path, "localizer", contract.LOCALIZER_SIZE, contract.LOCALIZER_OUTPUTS, facts)


def provenance(datasets: Mapping[str, Mapping[str, Any]], digest: str) -> dict[str, Any]:
    """Where weights come from: source and params digest (str), datasets with their counts and licences.

    datasets: attributes of the HDF5 files trained on, by dataset; empty datasets are left out. digest: of the params.
    """
    used = {
        name: {
            "source": str(attributes.get("source", "unknown")),
            "licence": str(attributes.get("licence")),
            "archive": str(attributes.get("archive")),
            "fingerprint": str(attributes.get("fingerprint")),
            "kept": int(attributes["kept"]),
            "dropped": json.loads(attributes.get("dropped", "{}")),
        }
        for name, attributes in sorted(datasets.items())
        if attributes.get("kept")
    }
    sources = sorted({row["source"] for row in used.values()})
    return {"source": " and ".join(sources) or "unknown", "datasets": used, "params": digest}


def terms(facts: Mapping[str, Any]) -> str:
    """The terms of use of weights of this `provenance`, in a sentence or two."""
    if facts["source"] == "synthetic":
        return "Trained on images that the pipeline rendered: no dataset's licence applies to the weights."
    listed = "; ".join(f"{name}: {row['licence']}" for name, row in facts["datasets"].items())
    return f"The licences of the training data apply to the weights. {listed or 'No dataset was named'}."


def _export(
    graph: nn.Module,
    path: str | os.PathLike[str],
    kind: str,
    size: tuple[int, int],
    outputs: Mapping[str, tuple[int, ...]],
    facts: Mapping[str, Any],
) -> dict[str, Any]:
    graph = graph.cpu().float().eval()
    fused = copy.deepcopy(graph)
    backbones.fuse(fused)
    model = _to_onnx(fused, size, list(outputs))
    _describe(model, kind, facts)
    onnx.checker.check_model(model, full_check=True)
    with replacing(path) as partial:
        partial.write_bytes(model.SerializeToString(deterministic=True))
        difference = _check(graph, partial, kind, size, outputs)
    return {
        "parameters": sum(p.numel() for p in fused.parameters()),
        "bytes": Path(path).stat().st_size,
        "difference": difference,
        "opset": contract.OPSET,
        "ir": model.ir_version,
    }


def _to_onnx(graph: nn.Module, size: tuple[int, int], outputs: list[str]) -> onnx.ModelProto:
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        # torch's newer exporter writes opset 20 and a side file, which Opentrack's runtimes refuse
        warnings.simplefilter("ignore", DeprecationWarning)
        # the tracer warns of Python comparisons of shapes, which are fixed here; `_check` compares the outputs
        warnings.simplefilter("ignore", torch.jit.TracerWarning)  # type: ignore[attr-defined]  # public at run time
        # what the exporter cannot fold `simplify` does
        warnings.filterwarnings("ignore", "Constant folding", UserWarning)
        torch.onnx.export(
            graph,
            (torch.zeros(1, 1, *size),),
            buffer,  # type: ignore[arg-type]  # this exporter accepts streams
            dynamo=False,
            opset_version=contract.OPSET,
            input_names=[contract.INPUT_NAME],
            output_names=outputs,
        )
    return simplify(onnx.load_from_string(buffer.getvalue()))


def _describe(model: onnx.ModelProto, kind: str, facts: Mapping[str, Any]) -> None:
    """Set names, versions and metadata, and remove the exporter's, which hold paths of the machine."""
    if model.ir_version > contract.MAX_IR_VERSION:
        raise ValueError(
            f"the exporter wrote IR {model.ir_version}, Opentrack's runtimes take {contract.MAX_IR_VERSION}"
        )
    model.model_version = contract.MODEL_VERSION
    model.producer_name, model.producer_version, model.domain = "nntrack", "", ""
    model.doc_string = _DESCRIPTIONS[kind]
    model.graph.name = f"head-{kind}"
    for part in (model.graph, *model.graph.node, *model.graph.initializer, *model.graph.input, *model.graph.output):
        part.ClearField("doc_string")
        part.ClearField("metadata_props")
    model.ClearField("metadata_props")
    values = {
        "description": _DESCRIPTIONS[kind],
        "frame": FRAME,
        "tensors": _MEANINGS[kind],
        "terms": terms(facts),
        **facts,
    }
    for key, value in sorted(values.items()):
        text = value if isinstance(value, str) else json.dumps(value, sort_keys=True)
        model.metadata_props.add(key=key, value=text)


def _check(
    graph: nn.Module, path: Path, kind: str, size: tuple[int, int], outputs: Mapping[str, tuple[int, ...]]
) -> float:
    """The largest difference between the file's outputs and the graph's, rounded up to a power of ten.

    Raises ValueError if it is too large, or if the file breaks the contract.
    """
    faults = [finding.fault for finding in check_contract(path) if finding.fault]
    if faults:
        raise ValueError(f"{kind}: {faults[0]}")
    model = (PoseModel if kind == "pose" else LocalizerModel)(path)
    if model.outputs != dict(outputs) or model.input_size != size:
        raise ValueError(
            f"{kind}: the file has {model.input_size} -> {model.outputs}, expected {size} -> {dict(outputs)}"
        )
    largest = 0.0
    for image in pictures.inputs(size):
        found = model.run(image)
        with torch.no_grad():
            expected = graph(torch.from_numpy(image)[None, None])
        for name, value in zip(outputs, expected, strict=True):
            largest = max(largest, _difference(f"{kind}: {name}", found[name], value.numpy()))
    return 10.0 ** math.ceil(math.log10(largest)) if largest else 0.0


def _difference(name: str, found: np.ndarray, expected: np.ndarray) -> float:
    """The largest absolute difference. Raises ValueError if it exceeds TOLERANCE or a number is not finite."""
    if not (np.all(np.isfinite(found)) and np.all(np.isfinite(expected))):
        raise ValueError(f"{name} holds a number that is not finite")
    if name.endswith("quat") and np.sum(found * expected) < 0:
        expected = -expected  # the same rotation; at a tie the last bit decides between the two
    difference = float(np.abs(found - expected).max())
    limit = TOLERANCE * max(1.0, float(np.abs(expected).max()))
    if difference > limit:
        raise ValueError(
            f"{name} differs by {difference:.3g} between onnxruntime and torch, at most {limit:.3g} is allowed"
        )
    return difference
