"""Pose nets with each backbone, trained for equally long: ``python -m benchmarks.backbones [--seconds 100]``.

Each is trained with the parameters of params.yaml except the number of steps, which is what fits into the seconds (the
speed is measured before), exported, and measured as `evaluate` does, on the box protocol of AFLW2000-3D, or of its
synthetic stand-in. Latency is that of the ONNX file on one thread; a model named with ``--reference`` is timed and
measured, too. The machine must be idle.
"""

import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from torch.utils.flop_counter import FlopCounterMode

from benchmarks import _machine
from benchmarks.training import DATA, FACE, SPLIT, Net, Steppers, make_task
from nntrack import config, contract
from nntrack.command_line import run
from nntrack.data import splits
from nntrack.data.hdf5 import Stored, read_attributes
from nntrack.deploy import export
from nntrack.deploy.runtime import PoseModel
from nntrack.evaluation import evaluate
from nntrack.evaluation.protocols import EvalInputs
from nntrack.networks import weights
from nntrack.networks.backbones import BACKBONES
from nntrack.training import loop, tasks
from nntrack.training.loop import Run

WIDTHS = {"diracnet": 0.5, "mobilenet_v1": 0.5, "resnet18": 0.25}
COLUMNS = ("params_m", "mmac", "latency_ms", "images_per_second", "steps", "average", "geodesic_median")


def main(
    seconds: Annotated[float, typer.Option(min=1, help="of training, each")] = 100.0,
    only: Annotated[str, typer.Option(help="backbone:width, with commas between")] = ",".join(
        f"{name}:{width}" for name, width in WIDTHS.items()
    ),
    reference: Annotated[Path | None, typer.Option(help="ONNX file of another pose net")] = None,
) -> None:
    """Print a table; the last line is one JSON object."""
    params = config.load()
    how = _machine.alone(params)
    faces, settings = Stored(DATA / "aflw2k.h5"), params.evaluate.model_dump()
    rows = {}
    for spec in only.split(","):
        name, _, width = spec.partition(":")
        if name not in BACKBONES or not width:
            raise ValueError(f"--only: '{spec}' is not of the form backbone:width; known: {', '.join(BACKBONES)}")
        rows[spec] = trained(name, float(width), params, how, seconds)
        rows[spec] |= measured(rows[spec].pop("file"), faces, settings)
    if reference is not None:
        rows[reference.name] = measured(PoseModel(reference), faces, settings)
    show(rows, faces.attributes["source"])
    print(json.dumps({"seconds": seconds, "threads": how.threads, "source": faces.attributes["source"], "rows": rows}))


def trained(name: str, width: float, params: config.Params, how: Run, seconds: float) -> dict:
    """Size and speed of a net, and its ONNX file after so many seconds of training, as ``file``."""
    task = make_task(params, Net.pose, name, width)
    schedule = task.schedule
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        task.net.eval()(torch.zeros(1, 1, contract.POSE_SIZE, contract.POSE_SIZE))
    steppers = Steppers(task, how)
    steppers.real(loop.LOG_EVERY)
    step = statistics.median(steppers.real(loop.LOG_EVERY) for _ in range(3)) / loop.LOG_EVERY
    steps = max(1, int(seconds / step))
    schedule = schedule.model_copy(update={"steps": steps, "validate_every": steps})
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch)
        tasks.train_pose(DATA, splits.load(SPLIT), FACE, out, schedule, params.lr, how)
        facts = export.provenance({"w300lp": read_attributes(DATA / "w300lp.h5")}, "")
        export.export_pose(weights.load_pose(out / tasks.MODEL_NAME), out / "head-pose.onnx", facts)
        file = PoseModel(out / "head-pose.onnx")
    return {
        "file": file,
        "params_m": round(sum(p.numel() for p in task.net.parameters()) / 1e6, 2),
        "mmac": round(counter.get_total_flops() / 2e6, 1),
        "images_per_second": round(schedule.batch_size / step),
        "steps": steps,
    }


def measured(model: PoseModel, faces: Stored, settings: dict) -> dict:
    """Latency and errors of an ONNX file."""
    image = np.zeros(model.input_size, np.float32)
    times = []
    for _ in range(500):
        start = time.perf_counter()
        model.run(image)
        times.append(1e3 * (time.perf_counter() - start))
    (found,) = evaluate.evaluate(model, faces, EvalInputs(settings), ("bbox",)).values()
    figures = found.figures(seed=0)
    errors = {name: figures[name].value for name in ("average", "geodesic_median")}
    return {"latency_ms": round(statistics.median(times), 2), **errors}


def show(rows: dict[str, dict], source: str) -> None:
    """Print a table."""
    print(f"errors in degrees, on {source} archives; {_machine.name(torch.device('cpu'))}")
    print(f"{'':34}" + "".join(f"{column:>18}" for column in COLUMNS))
    for name, row in rows.items():
        print(f"{name:34}" + "".join(f"{row.get(column, '-'):>18}" for column in COLUMNS))


if __name__ == "__main__":
    run(main)
