"""Latency of ONNX files on one thread: ``python -m benchmarks.latency REFERENCE.onnx MODEL.onnx [MODEL.onnx ...]``.

The files take turns, so that whatever else the machine does meets all of them alike. The ratio is that of the medians.
"""

import time
from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd
import torch
import typer

from benchmarks import _machine
from nntrack.command_line import run
from nntrack.deploy import pictures, runtime


def main(
    models: Annotated[list[Path], typer.Argument(help="ONNX files; the first is what the others are compared with")],
    rounds: Annotated[int, typer.Option(min=10, help="calls of each network")] = 400,
) -> None:
    """Print bytes, median and 90th percentile in ms, and the ratio to the first."""
    nets = [runtime.load(path) for path in models]
    images = [pictures.inputs(net.input_size)[0] for net in nets]
    times = np.empty((rounds, len(nets)))
    for row in times:
        for i, (net, image) in enumerate(zip(nets, images, strict=True)):
            start = time.perf_counter()
            net.run(image)
            row[i] = 1e3 * (time.perf_counter() - start)
    median, late = np.quantile(times[rounds // 10 :], [0.5, 0.9], axis=0)  # the first calls prepare buffers
    rows = {
        "file": [str(path) for path in models],
        "bytes": [path.stat().st_size for path in models],
        "median, ms": median.round(2),
        "90 %, ms": late.round(2),
        "ratio": (median / median[0]).round(2),
    }
    print(f"{_machine.name(torch.device('cpu'))}, one thread\n")
    print(pd.DataFrame(rows).to_markdown(index=False))


if __name__ == "__main__":
    run(main)
