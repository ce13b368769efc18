"""The pictures of a run, each a sheet: what was learnt from, how it was varied, where the nets are right and wrong.

The same inputs give the same pixels. A dataset without samples gives a sheet that says so.
"""

import csv
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from nntrack import contract
from nntrack.config import Augment
from nntrack.data.hdf5 import Stored
from nntrack.data.sample import move_labels
from nntrack.deploy.runtime import LocalizerModel, PoseModel
from nntrack.geometry import boxes
from nntrack.networks.localizer import LocalizerNet
from nntrack.reporting import contact_sheet, overlay
from nntrack.reporting.contact_sheet import Group, Tile
from nntrack.reporting.overlay import PREDICTED, TRUTH, Canvas
from nntrack.reporting.samples import evenly, sample_sheet, source_of
from nntrack.training import augment, kernels, torch_settings
from nntrack.training.dataset import Batch, Mixture, Part

COLUMNS = 4
_AROUND = 2.1  # side of what is shown of a posed head / longer side of its box
_SHOWN = ("bbox", "quat", "pos_size", "landmarks")  # labels, of what training sees
_TRUTH_AXES = (TRUTH,) * 3
_POSE_LEGEND = (
    ("true landmarks and axes", TRUTH),
    ("predicted head", PREDICTED),
    *zip(("predicted axes: to the right", "down", "out of the face"), overlay.AXES, strict=True),
)
_HOT = (100, 230, 250)
_FACES_LEGEND = (("true box", TRUTH), ("predicted box", PREDICTED))

Errors = list[dict[str, str]]  # rows of a file of errors: column to text


def read_errors(path: str | Path) -> Errors:
    """The rows of a file of errors per sample; none if it is not there, as for a dataset that is switched off."""
    if not Path(path).exists():
        return []
    with open(path, encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def dataset(stored: Stored) -> np.ndarray:
    """Samples at even distances, with their labels."""
    rows = evenly(range(len(stored)), 5 * COLUMNS)
    title = f"{stored.path.stem}: {len(rows)} of {len(stored)} samples, {source_of(stored)}"
    return sample_sheet(title, [(row, stored.sample(row)) for row in rows], COLUMNS)


def augmentation(posed: Stored, pose: Augment, faces: Stored, localizer: Augment, seed: int) -> np.ndarray:
    """Originals, each beside variations of it, as the two nets see them in training; labels as they came along."""
    groups = [
        *_variations("Pose net", posed, pose, (contract.POSE_SIZE,) * 2, augment.client_gain, seed, 3),
        *_variations("Localizer", faces, localizer, contract.LOCALIZER_SIZE, augment.plain_gain, seed, 4),
    ]
    title = "Each original, and variations of it as the nets see them in training"
    return contact_sheet.sheet(title, groups, COLUMNS, overlay.legend(_SHOWN))


def poses(model: PoseModel, stored: Stored, errors: Errors, bbox_scale: float) -> np.ndarray:
    """Best, median and worst answers by the angle between true and predicted rotation, from boxes of the landmarks."""
    ranked = sorted((row for row in errors if row["geodesic"]), key=lambda row: float(row["geodesic"]))
    parts = {"From the best to the worst": ranked}
    if len(ranked) > 4 * COLUMNS:
        middle = (len(ranked) - COLUMNS) // 2
        parts = {
            "Best": ranked[:COLUMNS],
            "About the median": ranked[middle : middle + COLUMNS],
            "Worst": ranked[::-1][: 2 * COLUMNS],
        }
    groups = [Group(name, _posed_tiles(model, stored, rows, bbox_scale)) for name, rows in parts.items()]
    title = f"Head poses in {source_of(stored)} of {stored.path.stem}: angle between truth and prediction"
    return contact_sheet.sheet(title, groups, COLUMNS, _POSE_LEGEND)


def hits_and_misses(model: LocalizerModel, stored: Stored, errors: Errors) -> np.ndarray:
    """What the localizer finds, how it errs, and how sure it is then."""
    parts: dict[str, tuple[Callable[[bool, bool], bool], str, int]] = {
        "Found, with the best boxes": (lambda face, told: face and told, "iou", -1),
        "Found, with the worst boxes": (lambda face, told: face and told, "iou", 1),
        "Faces missed, the surest first": (lambda face, told: face and not told, "score", 1),
        "No face, but one reported, the surest first": (lambda face, told: told and not face, "score", -1),
    }
    groups = []
    for name, (belongs, column, sign) in parts.items():
        rows = [row for row in errors if belongs(float(row["face"]) > 0, float(row["reported"]) > 0)]
        rows = sorted(rows, key=lambda row: sign * float(row.get(column) or 0))[:COLUMNS]
        groups.append(Group(name, _faces_tiles(model, stored, rows)))
    title = f"The localizer on held-out {source_of(stored)} of {stored.path.stem}"
    return contact_sheet.sheet(title, groups, COLUMNS, _FACES_LEGEND)


def heat(net: LocalizerNet, stored: Stored, errors: Errors) -> np.ndarray:
    """The localizer's heat map over measured frames at even distances, with and without a face."""
    parts = {
        name: [int(row["index"]) for row in errors if (float(row["face"]) > 0) == face]
        for name, face in (("Faces", True), ("No face", False))
    }
    with torch_settings.settings(threads=1):  # or the last bits, and grey levels, would depend on the number of cores
        groups = [
            Group(name, [_heat_tile(net, stored, row) for row in evenly(rows, 2 * COLUMNS)])
            for name, rows in parts.items()
        ]
    title = f"Where the localizer looks on held-out {source_of(stored)} of {stored.path.stem}"
    return contact_sheet.sheet(title, groups, COLUMNS, (*_FACES_LEGEND, ("heat, up to the hottest place", _HOT)))


def _variations(
    name: str,
    stored: Stored,
    settings: Augment,
    size: tuple[int, int],
    gain: Callable[[torch.Tensor], torch.Tensor],
    seed: int,
    originals: int,
) -> list[Group]:
    """Rows of an original and its variations, all ``size`` px as the net's input is."""
    rows = np.array(evenly(np.flatnonzero(stored.masks["bbox"]), originals), np.int64)
    if not len(rows):
        return [Group(name, [])]
    # the first of every stack is shown, so that no two of them are varied alike
    every = torch.arange(len(rows)).repeat_interleave(COLUMNS).repeat(kernels.CHANNELS)
    batch = Mixture([Part(stored, rows)]).batch(every)
    generator = torch.Generator().manual_seed(seed)
    plain, varied = augment.view(batch, size), augment.varied_view(batch, size, settings, generator)
    tiles = []
    for number in range(len(rows) * COLUMNS):
        first = number % COLUMNS == 0
        shown = plain if first else varied
        image = shown["image"][number : number + 1]
        picture = augment.net_input(image, gain(image))[0, 0] + contract.PREPROCESSING.offset
        grey = (picture * 255).round().clamp(0, 255).to(torch.uint8).numpy()
        tiles.append(Tile(_drawn(grey, _labels_of(shown, number, size)), ("original" if first else "",)))
    return [Group(f"{name}, {source_of(stored)} of {stored.path.stem}", tiles)]


def _labels_of(shown: Batch, number: int, size: tuple[int, int]) -> dict[str, Any]:
    """The known labels of one sample of a view, from patch units to px of the view."""
    known = {name[4:] for name, mask in shown.items() if name.startswith("has_") and mask[number]}
    labels = {name: shown[name][number].double().numpy() for name in _SHOWN if name in known}
    return move_labels(overlay.to_size((-1, -1, 1, 1), size), labels)


def _drawn(grey: np.ndarray, labels: Mapping[str, Any]) -> np.ndarray:
    """A small picture enlarged to a tile, with its labels."""
    height, wide = grey.shape
    width = contact_sheet.tile_width(COLUMNS)
    picture, [moved] = overlay.view(grey, (0, 0, wide, height), (round(width * height / wide), width), labels)
    return overlay.draw_labels(picture, moved)


def _posed_tiles(model: PoseModel, stored: Stored, rows: Errors, bbox_scale: float) -> list[Tile]:
    numbers = [int(row["index"]) for row in rows]
    if not numbers:
        return []
    tight = boxes.landmark_box(stored.labels["landmarks"][numbers])
    found = model.predict([stored.image[number] for number in numbers], boxes.square_around(tight, bbox_scale))
    width = contact_sheet.tile_width(COLUMNS)
    tiles = []
    for place, (number, row) in enumerate(zip(numbers, rows, strict=True)):
        window = overlay.window_about(tight[place], stored.image.shape[1:], _AROUND)
        sides = stored.sample(number).labels, {name: found[name][place] for name in ("quat", "pos_size")}
        picture, [true, told] = overlay.view(stored.image[number], window, (width, width), *sides)
        caption = (f"{float(row['geodesic']):.1f}° off · #{number}", row["name"])
        tiles.append(Tile(_draw_pose(picture, true, told), caption))
    return tiles


def _draw_pose(picture: np.ndarray, true: Mapping[str, Any], told: Mapping[str, Any]) -> np.ndarray:
    canvas = Canvas(picture)
    overlay.draw_wire_head(canvas, told["quat"], told["pos_size"], PREDICTED)
    if "landmarks" in true:
        canvas.dots(true["landmarks"], TRUTH)
    if "pos_size" in true:
        overlay.draw_axes(canvas, true["quat"], true["pos_size"], 1.2, _TRUTH_AXES)
    overlay.draw_axes(canvas, told["quat"], told["pos_size"])
    return canvas.pixels


def _faces_tiles(model: LocalizerModel, stored: Stored, rows: Errors) -> list[Tile]:
    numbers = [int(row["index"]) for row in rows]
    if not numbers:
        return []
    found = model.predict([stored.image[number] for number in numbers])
    return [
        _face_tile(stored, number, found["bbox"][place], float(found["score"][place]), None)
        for place, number in enumerate(numbers)
    ]


def _face_tile(stored: Stored, row: int, box: np.ndarray, score: float, heat: np.ndarray | None) -> Tile:
    """A whole frame with its true box and, where a face is reported, the predicted one."""
    height, wide = stored.image.shape[1:]
    width = contact_sheet.tile_width(COLUMNS)
    size = (round(width * height / wide), width)
    sides = stored.sample(row).labels, {"bbox": box}
    picture, [true, told] = overlay.view(stored.image[row], (0, 0, wide, height), size, *sides)
    canvas = Canvas(picture if heat is None else _warm(picture, heat))
    if "bbox" in true:
        overlay.draw_box(canvas, true["bbox"], TRUTH, 1.6)
    if score > contract.LOCALIZER_THRESHOLD:
        overlay.draw_box(canvas, told["bbox"], PREDICTED, 1.6)
    return Tile(canvas.pixels, (f"face: {score:.0%} · #{row}", str(stored.strings["name"][row])))


def _heat_tile(net: LocalizerNet, stored: Stored, row: int) -> Tile:
    height, wide = stored.image.shape[1:]
    squeezed = cv2.resize(stored.image[row], contract.LOCALIZER_SIZE[::-1], interpolation=cv2.INTER_AREA)
    image = torch.from_numpy(squeezed)[None, None]
    with torch.inference_mode():
        told = net(augment.net_input(image, augment.plain_gain(image)))
    box = (told["box"][0].numpy() + 1) / 2 * [wide, height, wide, height]
    return _face_tile(stored, row, box, float(torch.sigmoid(told["logit"][0])), told["heatmap"][0].numpy())


def _warm(picture: np.ndarray, heat: np.ndarray) -> np.ndarray:
    """A grey picture under its heat (cells, sum 1), scaled to the hottest cell: the hotter, the less of it is seen."""
    height, width = picture.shape
    share = cv2.resize(heat / heat.max(), (width, height), interpolation=cv2.INTER_CUBIC).clip(0, 1)
    colour = cv2.applyColorMap((share * 255).astype(np.uint8), cv2.COLORMAP_INFERNO).astype(np.float64)
    mixed = picture[..., None] * 0.75 * (1 - 0.7 * share[..., None]) + colour * 0.7 * share[..., None]
    return mixed.round().clip(0, 255).astype(np.uint8)
