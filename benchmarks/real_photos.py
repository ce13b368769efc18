"""Nets on real photos, side by side: ``python -m benchmarks.real_photos data/real models/onnx [more models]``.

The pose net on the photos of AFLW2000-3D and 300W-LP (mirrored ones included), cut by the box protocol: mean absolute
error of yaw, pitch and roll in degrees. The localizer on the validation part of WIDER FACE. Archives not in the
folder are left out; names and layout are those of ``data/real``. Photos of the first two are not read by the project's
readers but here, so that a mistake in those would show.
"""

import io
import tempfile
import zipfile
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from scipy.io import loadmat

from nntrack import config
from nntrack.command_line import run
from nntrack.data.hdf5 import Stored
from nntrack.data.images import decode_grey
from nntrack.deploy import runtime
from nntrack.evaluation import errors, evaluate
from nntrack.evaluation.protocols import EvalInputs
from nntrack.geometry.boxes import landmark_box, square_around
from nntrack.geometry.rotations import aflw_angles_to_quat
from nntrack.readers import conversion
from nntrack.readers._format import Options

POSED = ("AFLW2000-3D.zip", "300W-LP.zip")
FACES = "wider_faces"
Photo = tuple[np.ndarray, np.ndarray, np.ndarray]  # image (H, W), quat (4,), landmarks (68, 2) px


def main(
    archives: Annotated[Path, typer.Argument(help="folder of archives, as data/real")],
    models: Annotated[list[Path], typer.Argument(help="ONNX files, or folders with one of each kind: a row each")],
    limit: Annotated[int, typer.Option(min=1, help="at most so many photos of each archive of poses")] = 2000,
) -> None:
    """Print a table with one row per model."""
    params = config.load()
    present = [name for name in (*POSED, FACES) if (archives / name).exists()]
    if not present:
        raise FileNotFoundError(f"{archives} holds none of {', '.join((*POSED, FACES))}")
    titles, columns = ["model"], []
    for name in present[: len(set(present) & set(POSED))]:
        found = list(islice(photos(archives / name), limit))
        titles.append(f"{name[:-4]}, degrees (n = {len(found)})")
        columns.append(lambda net, found=found: pose_error(net, found, params.evaluate.bbox_scale))
    with tempfile.TemporaryDirectory() as scratch:
        if FACES in present:
            stored = convert(archives / FACES, Path(scratch) / "widerface.h5", params.seed)
            titles.append(f"WIDER FACE, accuracy / IoU (n = {int(np.sum(stored.strings['subset'] == 'val'))})")
            columns.append(lambda net: faces_found(net, stored))
        print(_line(titles) + "\n" + _line(["---"] * len(titles)))
        for model in models:
            nets = [runtime.load(path) for path in (sorted(model.glob("*.onnx")) if model.is_dir() else [model])]
            cells = [next((text for net in nets if (text := column(net))), "-") for column in columns]
            print(_line([str(model), *cells]), flush=True)


def photos(archive: Path) -> Iterator[Photo]:
    """Yield all photos of AFLW2000-3D or 300W-LP; points in the files count pixel centres from 1."""
    with zipfile.ZipFile(archive) as opened:
        names = set(opened.namelist())
        for name in sorted(n for n in names if n.endswith(".jpg") and f"{n[:-4]}.mat" in names):
            labels = loadmat(io.BytesIO(opened.read(f"{name[:-4]}.mat")))
            points = labels.get("pt3d_68", labels["pt2d"])[:2].T - 0.5
            quat = aflw_angles_to_quat(*labels["Pose_Para"][0, :3].astype(np.float64))
            yield decode_grey(opened.read(name)), quat, points


def pose_error(net: Any, found: list[Photo], scale: float) -> str:
    """Return the mean of the mean errors of yaw, pitch and roll in degrees, "" for a localizer."""
    if not isinstance(net, runtime.PoseModel):
        return ""
    images, quats, points = zip(*found, strict=True)
    predicted = net.predict(images, square_around(landmark_box(np.stack(points)), scale))
    return f"{errors.angle_errors(predicted, {'quat': np.stack(quats)}).mean():.2f}"


def convert(archive: Path, out: Path, seed: int) -> Stored:
    """Return the localizer's crops, with and without a face, made as the pipeline makes them."""
    conversion.convert("widerface", archive, out, Options(seed=seed), source="real", max_bad_share=1.0, progress=False)
    return Stored(out)


def faces_found(net: Any, stored: Stored) -> str:
    """Return the accuracy on crops and the mean IoU of boxes, "" for a pose net."""
    if not isinstance(net, runtime.LocalizerModel):
        return ""
    (found,) = evaluate.evaluate(net, stored, EvalInputs({})).values()
    figures = found.figures(seed=0)
    return f"{figures['accuracy'].value:.3f} / {figures['iou'].value:.2f}"


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    run(main)
