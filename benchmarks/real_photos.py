"""Nets on real people, side by side: ``python -m benchmarks.real_photos data/real models/onnx [more models]``.

Pose nets on the labelled photos of AFLW2000-3D and 300W-LP (its mirrored ones included). Each photo is seen in ten
windows: where the net's own box leads from the box of the labels, as in the tracker, four windows near that, and the
mirror images of all. With ``--reference RELEASED.onnx`` also on the faces of WIDER FACE, which have no labels: that
net's mean answer in its ten windows stands in for the truth where it is sure, so part of the difference is its own.
Localizers on windows of the validation part of WIDER FACE; on the same windows how well a pose net's stated deviation
tells faces from what is none (area under the ROC curve). Archives that are not in the folder are left out; names and
layout are those of ``data/real``. Photos of the first two are not read by the project's readers but here, so that a
mistake in those would show.
"""

import io
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from itertools import islice, pairwise
from pathlib import Path
from typing import Annotated, NamedTuple

import numpy as np
import pandas as pd
import typer
from scipy.io import loadmat

from nntrack import config
from nntrack.command_line import run
from nntrack.data.face_free import FaceFree
from nntrack.data.hdf5 import Stored
from nntrack.data.images import decode_grey
from nntrack.deploy import runtime
from nntrack.evaluation import errors, evaluate
from nntrack.evaluation.protocols import EvalInputs
from nntrack.geometry.boxes import box_iou, landmark_box, square_around
from nntrack.geometry.rotations import aflw_angles_to_quat, geodesic_distance, mean_quat, mirror_quat
from nntrack.readers import conversion, widerface
from nntrack.readers._format import Options

POSED = ("AFLW2000-3D.zip", "300W-LP.zip")
FACES = "wider_faces"
STEPS = 3  # of a net's window after its own box
WINDOWS = ((1.0, 0.0, 0.0), (0.94, 0.0, 0.0), (1.06, 0.0, 0.0), (1.0, 0.03, 0.03), (1.0, -0.03, -0.03))  # side, shift
LEAST_FACE = 64  # px, both sides of a face without labels
SURE = {"spread": 4.0, "deviation": 9.0, "overlap": 0.35}  # degrees, degrees, IoU: of the reference's answers
YAW = (0, 15, 30, 50, 90)  # degrees, bounds of the groups
NEAR = 20.0  # degrees: pitch is compared where the answer is no failure ...
UPRIGHT = 60.0  # degrees: ... and the head is turned and tilted by less, as the angles of others say little


class Face(NamedTuple):
    """A face in a grey photo (H, W). start: the first window, box: its own, px xyxy. quat (4,): None where unknown."""

    image: np.ndarray
    start: np.ndarray
    box: np.ndarray
    quat: np.ndarray | None


class Answers(NamedTuple):
    """What a net says of a face in `WINDOWS`: quats (5, 4), those of the mirror image mirrored back, its last window.

    deviation: mean stated deviation of the rotation, degrees.
    """

    quat: np.ndarray
    mirrored: np.ndarray
    window: np.ndarray
    deviation: float


def main(
    archives: Annotated[Path, typer.Argument(help="folder of archives, as data/real")],
    models: Annotated[list[Path], typer.Argument(help="ONNX files, or folders of them")],
    reference: Annotated[Path | None, typer.Option(help="pose net to compare with where there are no labels")] = None,
    limit: Annotated[int, typer.Option(min=1, help="at most so many photos of each archive of poses")] = 2000,
) -> None:
    """Print a table of pose nets per set of faces, and one of localizers."""
    params = config.load()
    present = [name for name in (*POSED, FACES) if (archives / name).exists()]
    if not present:
        raise FileNotFoundError(f"{archives} holds none of {', '.join((*POSED, FACES))}")
    paths = [path for model in models for path in (sorted(model.glob("*.onnx")) if model.is_dir() else [model])]
    nets = {str(path): runtime.load(path) for path in paths}
    posers = {name: net for name, net in nets.items() if isinstance(net, runtime.PoseModel)}
    localizers = {name: net for name, net in nets.items() if isinstance(net, runtime.LocalizerModel)}
    for name in [name for name in present if name in POSED and posers]:
        found = [labelled(photo, params.evaluate.bbox_scale) for photo in islice(photos(archives / name), limit)]
        rows = {net: against_labels(posers[net], found) for net in posers}
        _print(f"{name.removesuffix('.zip')}, {len(found)} photos, ten windows each; degrees", rows)
    if FACES in present and reference is not None and posers:
        sure = compared(runtime.PoseModel(reference), unlabelled(archives / FACES))
        rows = {net: against_reference(posers[net], sure) for net in posers}
        _print(f"WIDER FACE, {len(sure)} faces, difference from {reference.name}; degrees", rows)
    if FACES in present:
        with tempfile.TemporaryDirectory() as scratch:
            stored = convert(archives / FACES, Path(scratch) / "widerface.h5", params.seed)
            rows = {name: faces_found(net, stored) for name, net in localizers.items()}
            rows |= {name: faces_told_apart(net, stored) for name, net in posers.items() if net.has_uncertainty}
            _print(f"WIDER FACE, {int(np.sum(stored.strings['subset'] == 'val'))} windows", rows)


def photos(archive: Path) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Image (H, W), quat (4,), landmarks (68, 2) px of all photos; points in the files count pixel centres from 1."""
    with zipfile.ZipFile(archive) as opened:
        names = set(opened.namelist())
        for name in sorted(n for n in names if n.endswith(".jpg") and f"{n[:-4]}.mat" in names):
            labels = loadmat(io.BytesIO(opened.read(f"{name[:-4]}.mat")))
            points = labels.get("pt3d_68", labels["pt2d"])[:2].T - 0.5
            quat = aflw_angles_to_quat(*labels["Pose_Para"][0, :3].astype(np.float64))
            yield decode_grey(opened.read(name)), quat, points


def labelled(photo: tuple[np.ndarray, np.ndarray, np.ndarray], scale: float) -> Face:
    """The face of a photo of `photos`; its first window is the square ``scale`` times the box of the landmarks."""
    image, quat, points = photo
    box = landmark_box(points)
    return Face(image, square_around(box, scale), box, quat)


def unlabelled(folder: Path) -> Iterator[Face]:
    """The faces of WIDER FACE that are large, sharp and not flagged as invalid, from all lists that are there."""
    with zipfile.ZipFile(folder / "wider_face_split.zip") as lists:
        for subset in widerface.SUBSETS:
            text = lists.read(f"wider_face_split/wider_face_{subset}_bbx_gt.txt").decode()
            with zipfile.ZipFile(folder / f"WIDER_{subset}.zip") as opened:
                have = {name.partition("images/")[2]: name for name in opened.namelist() if name.endswith(".jpg")}
                for photo, rows in widerface.parse_list(text, subset).items():
                    boxes = [r[:4] for r in rows if min(r[2:4]) >= LEAST_FACE and r[4] < 2 and not r[7]]
                    image = decode_grey(opened.read(have[photo])) if photo in have and boxes else None
                    for x, y, width, height in boxes if image is not None else ():
                        box = np.array([x, y, x + width, y + height], np.float64)
                        yield Face(image, square_around(box, 1.2), box, None)


def answers(net: runtime.PoseModel, face: Face) -> Answers:
    """What the net says in the windows about that which its own box leads to."""
    window = face.start
    for _ in range(STEPS):
        box = net.predict([face.image], window[None])["bbox"][0].astype(np.float64)
        if min(box[2:] - box[:2]) <= 16:  # px; the tracker takes less for no face
            break
        window = square_around(box)
    side, width = window[2] - window[0], face.image.shape[1]
    near = np.stack([square_around(window, scale) + side * np.array([x, y, x, y]) for scale, x, y in WINDOWS])
    opposite = np.stack([width - near[:, 2], near[:, 1], width - near[:, 0], near[:, 3]], axis=1)
    one = net.predict([face.image] * len(near), near)
    other = net.predict([np.ascontiguousarray(face.image[:, ::-1])] * len(near), opposite)
    tril = np.concatenate([one["rotaxis_scales_tril"], other["rotaxis_scales_tril"]]) if net.has_uncertainty else 0.0
    deviation = float(np.degrees(errors.root_mean_variance(tril).mean())) if net.has_uncertainty else 0.0
    return Answers(one["quat"], mirror_quat(other["quat"]), window, deviation)


def against_labels(net: runtime.PoseModel, faces: Sequence[Face]) -> dict[str, str]:
    """Mean errors of the angles over all windows, the offset and slope of pitch, and the mirror difference."""
    found = [answers(net, face) for face in faces]
    predicted = np.concatenate([np.concatenate([one.quat, one.mirrored]) for one in found])
    true = np.repeat(np.stack([face.quat for face in faces]), 2 * len(WINDOWS), axis=0)
    return _figures(predicted, true) | {"mirror": _mirror(found)}


def compared(reference: runtime.PoseModel, faces: Iterator[Face]) -> list[Face]:
    """The faces of which the reference is sure, with its mean answer for a label."""
    sure = []
    for face in faces:
        found = answers(reference, face)
        quats = np.concatenate([found.quat, found.mirrored])
        mean = mean_quat(quats)
        spread = np.degrees(np.sqrt(np.mean(np.square(geodesic_distance(quats, np.broadcast_to(mean, quats.shape))))))
        overlap = box_iou(face.box, found.window)
        if spread <= SURE["spread"] and found.deviation <= SURE["deviation"] and overlap >= SURE["overlap"]:
            sure.append(face._replace(quat=mean))
    return sure


def against_reference(net: runtime.PoseModel, faces: Sequence[Face]) -> dict[str, str]:
    """Mean differences of the angles in the net's own window, by yaw too, and what `against_labels` has."""
    found = [answers(net, face) for face in faces]
    predicted, true = np.stack([one.quat[0] for one in found]), np.stack([face.quat for face in faces])
    geodesic = np.degrees(geodesic_distance(predicted, true))
    yaw = np.abs(errors.aflw_degrees(true)[:, 1])
    groups = {}
    for low, high in pairwise(YAW):
        group = geodesic[(yaw >= low) & (yaw < high)]
        groups[f"geodesic, yaw {low}-{high}"] = f"{group.mean():.1f}" if len(group) else "-"
    return {**_figures(predicted, true), "geodesic": f"{geodesic.mean():.2f}", **groups, "mirror": _mirror(found)}


def _figures(predicted: np.ndarray, true: np.ndarray) -> dict[str, str]:
    off = errors.wrap_degrees(errors.aflw_degrees(predicted) - errors.aflw_degrees(true))
    pitch, yaw, roll = np.abs(off).mean(axis=0)
    near = np.degrees(geodesic_distance(predicted, true)) < NEAR
    near &= (np.abs(errors.aflw_degrees(true)[:, 1:]) < UPRIGHT).all(axis=1)
    expected, offset = errors.aflw_degrees(true)[near, 0], off[near, 0]
    slope = f"{np.polyfit(expected, expected + offset, 1)[0]:.2f}" if np.ptp(expected) > 1 else "-"
    return {
        "average": f"{np.abs(off).mean():.2f}",
        "yaw": f"{yaw:.2f}",
        "pitch": f"{pitch:.2f}",
        "roll": f"{roll:.2f}",
        "pitch offset": f"{offset.mean():+.1f}" if len(offset) else "-",
        "pitch slope": slope,
    }


def _mirror(found: Sequence[Answers]) -> str:
    return f"{np.degrees(np.mean([geodesic_distance(one.quat[0], one.mirrored[0]) for one in found])):.2f}"


def convert(archive: Path, out: Path, seed: int) -> Stored:
    """Return the localizer's windows, with and without a face, made as the pipeline makes them."""
    conversion.convert("widerface", archive, out, Options(seed=seed), source="real", max_bad_share=1.0, progress=False)
    return Stored(out)


def faces_found(net: runtime.LocalizerModel, stored: Stored) -> dict[str, str]:
    """Return the accuracy on windows and the mean IoU of boxes."""
    (found,) = evaluate.evaluate(net, stored, EvalInputs({})).values()
    figures = found.figures(seed=0)
    return {"accuracy": f"{figures['accuracy'].value:.3f}", "IoU": f"{figures['iou'].value:.2f}"}


def faces_told_apart(net: runtime.PoseModel, stored: Stored) -> dict[str, str]:
    """Return the share of pairs, a face and an image of none, where the stated deviation is larger for the second."""
    rows = np.flatnonzero(stored.strings["subset"] == "val")
    faces = rows[stored.labels["face"][rows] == 1]
    none = FaceFree(stored, rows, int(min(stored.image.shape[1:])))
    seen = [(stored.image[row], square_around(stored.labels["bbox"][row])) for row in faces]
    unseen = [(none.image[number], none.labels["roi"][number]) for number in range(len(none))]
    face, other = (
        errors.root_mean_variance(
            net.predict([i for i, _ in shown], np.stack([w for _, w in shown]))["rotaxis_scales_tril"]
        )
        for shown in (seen, unseen)
    )
    return {"AUROC": f"{(other[:, None] > face).mean():.3f}"}


def _print(title: str, rows: dict[str, dict[str, str]]) -> None:
    table = pd.DataFrame.from_dict(rows, orient="index").fillna("").rename_axis("network").reset_index()
    print(f"\n{title}\n\n{table.to_markdown(index=False, disable_numparse=True)}", flush=True)


if __name__ == "__main__":
    run(main)
