"""The networks with 8-bit convolutions: a third of the size, and faster where the processor can multiply bytes."""

import os
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import onnx

from nntrack.data.hdf5 import Stored
from nntrack.deploy import check, preprocess, runtime
from nntrack.files import replacing

SAMPLES = 200  # images by which the ranges of values are found


def quantize(path: str | os.PathLike[str], out: str | os.PathLike[str], datasets: Sequence[Stored]) -> None:
    """Write the network of ``path`` with int8 convolutions to ``out``, its ranges found on training images.

    Static quantization in the QDQ format, a scale for each channel of the weights; all else stays in float32.
    Raises ValueError if the new file breaks the client's contract, or there are no images.

    Args:
        path: ONNX file of either network, float32.
        out: the ONNX file to write.
        datasets: what the network was trained on; the first that holds samples is used.
    """
    stored = next((dataset for dataset in datasets if len(dataset)), None)
    if stored is None:
        files = ", ".join(str(dataset.path) for dataset in datasets)
        raise ValueError(f"{files}: there is no sample in them, so the ranges of int8 cannot be found")
    inputs = _inputs(runtime.load(path), stored)
    # the package is large, and only needed here
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, quantize_static

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def get_next(self) -> dict[str, np.ndarray] | None:
            return next(inputs, None)

    with tempfile.TemporaryDirectory() as scratch, replacing(out) as partial:
        small = Path(scratch) / "int8.onnx"
        quantize_static(
            path, small, Reader(), quant_format=QuantFormat.QDQ, per_channel=True, op_types_to_quantize=["Conv"]
        )
        onnx.save(_described_as(onnx.load(path), onnx.load(small)), partial)
        faults = [f"{point}: {fault}" for point, fault, _ in check.check_contract(partial) if fault]
        if faults:
            raise ValueError(f"{out} breaks the client's contract: {'; '.join(faults)}")


def _inputs(net: runtime.PoseModel | runtime.LocalizerModel, stored: Stored) -> Iterator[dict[str, np.ndarray]]:
    """Inputs of the network, from images in even steps."""
    for row in range(0, len(stored), max(1, len(stored) // SAMPLES)):
        image = stored.image[row]
        if isinstance(net, runtime.PoseModel):
            square = preprocess.roi_square(stored.labels["roi"][row], image.shape)
            value = preprocess.pose_input(preprocess.cut_patch(image, square, net.input_size[0]))
        else:
            value = preprocess.localizer_input(image)
        yield {"x": value[None, None]}


def _described_as(original: onnx.ModelProto, model: onnx.ModelProto) -> onnx.ModelProto:
    """The model, with the versions and metadata of the original."""
    model.ir_version, model.model_version = original.ir_version, original.model_version
    model.producer_name, model.producer_version = original.producer_name, original.producer_version
    del model.metadata_props[:]
    model.metadata_props.extend(original.metadata_props)
    return model
