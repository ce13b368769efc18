"""ONNX files measured on converted datasets under named protocols, as `runtime` runs them.

Results are nested as ``{dataset: {"<model>_<protocol>": {metric: value}}}`` beside the ``source`` of the samples, so
that figures of drawn archives cannot be taken for those of the originals.
"""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from tqdm import tqdm

from nntrack import images, metrics
from nntrack.protocols import LOCALIZER_SUBSET, POSE_PROTOCOLS, applicable
from nntrack.runtime import LocalizerModel, PoseModel
from nntrack.store import Stored, replacing


def evaluate(
    model: PoseModel | LocalizerModel, stored: Stored, name: str, settings: Mapping[str, Any]
) -> dict[str, dict[str, float]]:
    """Whatever is measured of a net of this kind: `evaluate_pose` or `evaluate_localizer`."""
    if isinstance(model, LocalizerModel):
        return evaluate_localizer(model, stored, name)
    return evaluate_pose(model, stored, name, settings)


def evaluate_pose(
    model: PoseModel, stored: Stored, name: str, settings: Mapping[str, Any], protocols: tuple[str, ...] = ()
) -> dict[str, dict[str, float]]:
    """Every protocol that applies (or those named) on all samples of a posed dataset.

    settings: by parameter name, see `POSE_PROTOCOLS`. Returns ``{"<name>_<protocol>": {metric: value}}``.
    Raises ValueError if the dataset is empty, its samples lack pose or landmarks, or a protocol is unknown.
    """
    check_known(stored, ("quat", "landmarks"))
    known = {mask: stored.masks[mask] for mask in ("quat", "landmarks", "pos_size")}
    table = metrics.POSE | metrics.CALIBRATION
    results = {}
    for protocol in protocols or applicable(str(stored.attributes.get("reader"))):
        if protocol not in POSE_PROTOCOLS:
            raise ValueError(f"no protocol is called '{protocol}'; known: {', '.join(POSE_PROTOCOLS)}")
        rois = crop_rois(stored, protocol, settings)
        predicted = model.predict(_progress(stored.image, f"{name} {protocol}"), rois)
        results[f"{name}_{protocol}"] = metrics.measure(table, predicted, stored.labels, known)
    return results


def crop_rois(stored: Stored, protocol: str, settings: Mapping[str, Any]) -> np.ndarray:
    """The window (N, 4) px that a protocol shows of each sample."""
    row = POSE_PROTOCOLS[protocol]
    return row.roi(stored.labels["landmarks"], stored.image.shape[1:], settings[row.setting])


def evaluate_localizer(model: LocalizerModel, stored: Stored, name: str) -> dict[str, dict[str, float]]:
    """The localizer on the held-out subset of WIDER FACE: ``{"<name>_val": {metric: value}}``.

    Boxes are compared where there is a face, whether or not it was reported. Raises ValueError if the subset is empty.
    """
    chosen = _held_out(stored)
    if not len(chosen):
        raise ValueError(f"{stored.path} has no sample of the subset '{LOCALIZER_SUBSET}'")
    height, width = stored.image.shape[1:]
    true = {field: stored.labels[field][chosen] for field in ("face", "bbox")}
    true["frame_size"] = np.tile(np.array([width, height], np.float32), (len(chosen), 1))
    known = {mask: stored.masks[mask][chosen] for mask in ("face", "bbox")}
    predicted = model.predict(_progress([stored.image[i] for i in chosen], name))
    predicted.pop("score")
    result = metrics.measure(metrics.LOCALIZER, predicted, true, known)
    return {f"{name}_{LOCALIZER_SUBSET}": result}


def write_results(path: str | os.PathLike[str], stored: Stored, results: Mapping[str, Any]) -> None:
    """Write results as JSON under the dataset's name (the file's stem), complete or not at all."""
    content = {Path(stored.path).stem: dict(results), "source": str(stored.attributes.get("source", "unknown"))}
    with replacing(path) as partial:
        partial.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def draw_predictions(
    model: PoseModel | LocalizerModel,
    stored: Stored,
    settings: Mapping[str, Any],
    path: str | os.PathLike[str],
    count: int = 24,
) -> None:
    """A JPEG contact sheet: ``count`` of the measured samples, evenly chosen, with what the net says drawn on them.

    Poses under the box protocol; of the localizer the box, where it reports a face. An empty dataset gives one black
    tile, so that the file is always there.
    """
    draw, rows = _draw_poses, np.arange(len(stored))
    if isinstance(model, LocalizerModel):
        draw, rows = _draw_faces, _held_out(stored)
    if not len(rows):
        _write_jpeg(path, np.zeros((225, 225, 3), np.uint8))
        return
    chosen = rows[np.unique(np.linspace(0, len(rows) - 1, count).round().astype(int))]
    tiles = draw(model, stored, chosen, settings)
    _write_jpeg(path, images.contact_sheet(tiles, columns=min(6, len(tiles)), tile=(225, 225)))


def _draw_poses(model: PoseModel, stored: Stored, rows: np.ndarray, settings: Mapping[str, Any]) -> list[np.ndarray]:
    check_known(stored, ("quat", "landmarks"))
    rois = crop_rois(stored, "bbox", settings)[rows]
    found = model.predict(list(stored.image[rows]), rois)
    return [
        images.draw_labels(stored.image[i], {"roi": rois[k], **{name: found[name][k] for name in found}})
        for k, i in enumerate(rows)
    ]


def _draw_faces(
    model: LocalizerModel, stored: Stored, rows: np.ndarray, settings: Mapping[str, Any]
) -> list[np.ndarray]:
    found = model.predict(list(stored.image[rows]))
    reported = [{"bbox": box} if face else {} for face, box in zip(found["face"], found["bbox"], strict=True)]
    return [images.draw_labels(stored.image[i], labels) for i, labels in zip(rows, reported, strict=True)]


def _write_jpeg(path: str | os.PathLike[str], sheet: np.ndarray) -> None:
    ok, encoded = cv2.imencode(".jpg", sheet, [cv2.IMWRITE_JPEG_QUALITY, 88])
    if not ok:
        raise ValueError(f"OpenCV cannot encode {path}")
    with replacing(path) as partial:
        partial.write_bytes(encoded.tobytes())


def _held_out(stored: Stored) -> np.ndarray:
    return np.flatnonzero(stored.strings["subset"] == LOCALIZER_SUBSET)


def check_known(stored: Stored, fields: Sequence[str]) -> None:
    """Raise ValueError if there are no samples, or one of them lacks a label that a pose is measured by."""
    if not len(stored):
        raise ValueError(f"{stored.path} holds no samples to evaluate on")
    for field in fields:
        if not stored.masks[field].all():
            lacking = int((~stored.masks[field]).sum())
            raise ValueError(f"{stored.path}: {lacking} of {len(stored)} samples have no {field}; not a posed dataset")


def _progress(pictures: Sequence[np.ndarray], title: str) -> Iterator[np.ndarray]:
    return iter(tqdm(pictures, title, unit=" samples", disable=None, leave=False))
