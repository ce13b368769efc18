"""The images of a run, each a sheet: samples of the datasets, augmentation, and predictions from best to worst.

The same inputs give the same pixels. A dataset without samples gives a sheet without images.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import torch

from nntrack import contract
from nntrack.config import Augment
from nntrack.data.hdf5 import Stored
from nntrack.data.sample import move_labels
from nntrack.deploy.runtime import LocalizerModel, PoseModel
from nntrack.geometry import boxes
from nntrack.networks.localizer import LocalizerNet
from nntrack.reporting import contact_sheet, overlay
from nntrack.reporting.contact_sheet import Group, Tile, evenly, title_of
from nntrack.reporting.overlay import PREDICTED, TRUTH, Canvas
from nntrack.training import augment, image_ops, torch_settings
from nntrack.training.dataset import Batch, Mixture, Part

COLUMNS = 4
_WINDOW = 2.1  # side of the part of a photo that is shown / longer side of the head's box
_LABELS = ("bbox", "quat", "pos_size", "landmarks")  # drawn on training images
_TRUTH_AXES = (TRUTH,) * 3
_POSE_LEGEND = (
    ("true landmarks and axes", TRUTH),
    ("predicted head", PREDICTED),
    *zip(("predicted axes: to the right", "down", "out of the face"), overlay.AXES, strict=True),
)
_HOTTEST = (100, 230, 250)
_FACES_LEGEND = (("true box", TRUTH), ("predicted box", PREDICTED))


def read_errors(path: str | Path) -> pd.DataFrame:
    """Return a CSV file of errors per sample; no rows if it is missing: the dataset is switched off."""
    if Path(path).exists():
        return pd.read_csv(path)
    return pd.DataFrame(columns=["index", "name", "geodesic", "face", "reported", "score", "iou"], dtype=float)


def dataset(stored: Stored) -> np.ndarray:
    """Return samples, evenly spaced, with their labels."""
    rows = evenly(range(len(stored)), 5 * COLUMNS)
    title = f"{stored.path.stem}: {len(rows)} of {len(stored)} samples, {title_of(stored)}"
    return contact_sheet.sample_sheet(title, [(row, stored.sample(row)) for row in rows], COLUMNS)


def augmentation(posed: Stored, pose: Augment, faces: Stored, localizer: Augment, seed: int) -> np.ndarray:
    """Return images as the two nets see them in training, each with augmented versions, and labels moved along.

    Args:
        posed: samples with poses.
        pose: augmentation of the pose net.
        faces: samples of the localizer.
        localizer: augmentation of the localizer.
        seed: of the augmentation.
    """
    groups = [
        *_variations("Pose net", posed, pose, (contract.POSE_SIZE,) * 2, augment.client_gain, seed, 3),
        *_variations("Localizer", faces, localizer, contract.LOCALIZER_SIZE, augment.plain_gain, seed, 4),
    ]
    title = "Training images: originals, and augmented as the nets see them"
    return contact_sheet.sheet(title, groups, COLUMNS, overlay.legend(_LABELS))


def poses(model: PoseModel, stored: Stored, errors: pd.DataFrame, bbox_scale: float) -> np.ndarray:
    """Return the best, median and worst predictions by the angle between true and predicted rotation.

    Args:
        model: the pose net.
        stored: what it was measured on.
        errors: see `read_errors`.
        bbox_scale: side of the crop / longer side of the box of the landmarks.
    """
    ranked = errors.dropna(subset="geodesic").sort_values("geodesic", kind="stable")
    parts = {"From the best to the worst": ranked}
    if len(ranked) > 4 * COLUMNS:
        middle = (len(ranked) - COLUMNS) // 2
        parts = {
            "Best": ranked[:COLUMNS],
            "About the median": ranked[middle : middle + COLUMNS],
            "Worst": ranked[::-1][: 2 * COLUMNS],
        }
    groups = [Group(name, _posed_tiles(model, stored, rows, bbox_scale)) for name, rows in parts.items()]
    title = f"Head poses in {title_of(stored)} of {stored.path.stem}: rotation error"
    return contact_sheet.sheet(title, groups, COLUMNS, _POSE_LEGEND)


def hits_and_misses(model: LocalizerModel, stored: Stored, errors: pd.DataFrame) -> np.ndarray:
    """Return faces that the localizer finds, with good and bad boxes, faces it misses, and false detections."""
    face, reported, by_box = errors.face > 0, errors.reported > 0, errors.fillna({"iou": 0})
    parts = {
        "Found, best boxes first": by_box[face & reported].sort_values("iou", ascending=False, kind="stable"),
        "Found, worst boxes first": by_box[face & reported].sort_values("iou", kind="stable"),
        "Missed faces, lowest score first": errors[face & ~reported].sort_values("score", kind="stable"),
        "False detections, highest score first": errors[~face & reported].sort_values(
            "score", ascending=False, kind="stable"
        ),
    }
    groups = [Group(name, _faces_tiles(model, stored, rows[:COLUMNS])) for name, rows in parts.items()]
    title = f"Localizer on held-out {title_of(stored)} of {stored.path.stem}"
    return contact_sheet.sheet(title, groups, COLUMNS, _FACES_LEGEND)


def heat(net: LocalizerNet, stored: Stored, errors: pd.DataFrame) -> np.ndarray:
    """Return the localizer's heat map over evenly spaced frames, with and without a face."""
    parts = {"Faces": errors[errors.face > 0], "No face": errors[errors.face <= 0]}
    with torch_settings.settings(threads=1):  # the last bits, and so grey levels, depend on the number of threads
        groups = [
            Group(name, [_heat_tile(net, stored, row) for row in evenly(rows["index"], 2 * COLUMNS)])
            for name, rows in parts.items()
        ]
    title = f"Heat maps of the localizer on held-out {title_of(stored)} of {stored.path.stem}"
    return contact_sheet.sheet(title, groups, COLUMNS, (*_FACES_LEGEND, ("heat map, at its maximum", _HOTTEST)))


def _variations(
    name: str,
    stored: Stored,
    settings: Augment,
    size: tuple[int, int],
    gain: Callable[[torch.Tensor], torch.Tensor],
    seed: int,
    originals: int,
) -> list[Group]:
    """Return rows of an original and its augmented versions, one group.

    Args:
        name: of the net.
        stored: samples.
        settings: of the augmentation.
        size: (height, width) px of the net's input.
        gain: of images, as the net's input is made.
        seed: of the augmentation.
        originals: how many.
    """
    rows = np.array(evenly(np.flatnonzero(stored.masks["bbox"]), originals), np.int64)
    if not len(rows):
        return [Group(name, [])]
    # only the first of every stack is shown, since a stack shares its augmentation
    every = torch.arange(len(rows)).repeat_interleave(COLUMNS).repeat(image_ops.STACK)
    batch = Mixture([Part(stored, rows)]).batch(every)
    generator = torch.Generator().manual_seed(seed)
    plain, varied = augment.view(batch, size), augment.random_view(batch, size, settings, generator)
    tiles = []
    for number in range(len(rows) * COLUMNS):
        first = number % COLUMNS == 0
        view = plain if first else varied
        image = view["image"][number : number + 1]
        net_input = augment.net_input(image, gain(image))[0, 0] + contract.PREPROCESSING.offset
        grey = (net_input * 255).round().clamp(0, 255).to(torch.uint8).numpy()
        tiles.append(Tile(_enlarged(grey, _labels_of(view, number, size)), ("original" if first else "",)))
    return [Group(f"{name}, {title_of(stored)} of {stored.path.stem}", tiles)]


def _labels_of(view: Batch, number: int, size: tuple[int, int]) -> dict[str, Any]:
    """Return the known labels of one sample of a view, from patch units to px of the view."""
    known = {name[4:] for name, mask in view.items() if name.startswith("has_") and mask[number]}
    labels = {name: view[name][number].double().numpy() for name in _LABELS if name in known}
    return move_labels(overlay.to_size((-1, -1, 1, 1), size), labels)


def _enlarged(grey: np.ndarray, labels: Mapping[str, Any]) -> np.ndarray:
    """Return an image enlarged to the width of a tile, with its labels."""
    rows, columns = grey.shape
    width = contact_sheet.tile_width(COLUMNS)
    image, [moved] = overlay.view(grey, (0, 0, columns, rows), (round(width * rows / columns), width), labels)
    return overlay.draw_labels(image, moved)


def _posed_tiles(model: PoseModel, stored: Stored, rows: pd.DataFrame, bbox_scale: float) -> list[Tile]:
    numbers = rows["index"].astype(int).tolist()
    if not numbers:
        return []
    tight = boxes.landmark_box(stored.labels["landmarks"][numbers])
    predictions = model.predict([stored.image[number] for number in numbers], boxes.square_around(tight, bbox_scale))
    width = contact_sheet.tile_width(COLUMNS)
    tiles = []
    for place, (number, name, angle) in enumerate(zip(numbers, rows.name, rows.geodesic, strict=True)):
        window = overlay.window_about(tight[place], stored.image.shape[1:], _WINDOW)
        sets = stored.sample(number).labels, {name: predictions[name][place] for name in ("quat", "pos_size")}
        image, [true, predicted] = overlay.view(stored.image[number], window, (width, width), *sets)
        caption = (f"{angle:.1f}° off · #{number}", name)
        tiles.append(Tile(_draw_pose(image, true, predicted), caption))
    return tiles


def _draw_pose(image: np.ndarray, true: Mapping[str, Any], predicted: Mapping[str, Any]) -> np.ndarray:
    canvas = Canvas(image)
    overlay.draw_wire_head(canvas, predicted["quat"], predicted["pos_size"], PREDICTED)
    if "landmarks" in true:
        canvas.dots(true["landmarks"], TRUTH)
    if "pos_size" in true:
        overlay.draw_axes(canvas, true["quat"], true["pos_size"], 1.2, _TRUTH_AXES)
    overlay.draw_axes(canvas, predicted["quat"], predicted["pos_size"])
    return canvas.pixels


def _faces_tiles(model: LocalizerModel, stored: Stored, rows: pd.DataFrame) -> list[Tile]:
    numbers = rows["index"].astype(int).tolist()
    if not numbers:
        return []
    predictions = model.predict([stored.image[number] for number in numbers])
    return [
        _face_tile(stored, number, predictions["bbox"][place], float(predictions["score"][place]), None)
        for place, number in enumerate(numbers)
    ]


def _face_tile(stored: Stored, row: int, box: np.ndarray, score: float, heat: np.ndarray | None) -> Tile:
    """Return a whole frame with its true box and, where a face is reported, the predicted one.

    Args:
        stored: the frames.
        row: which one.
        box: predicted, xyxy px of the frame.
        score: predicted probability of a face.
        heat: heat map (cells, sum 1) to lay over the frame.
    """
    rows, columns = stored.image.shape[1:]
    width = contact_sheet.tile_width(COLUMNS)
    size = (round(width * rows / columns), width)
    sets = stored.sample(row).labels, {"bbox": box}
    image, [true, predicted] = overlay.view(stored.image[row], (0, 0, columns, rows), size, *sets)
    canvas = Canvas(image if heat is None else _warm(image, heat))
    if "bbox" in true:
        overlay.draw_box(canvas, true["bbox"], TRUTH, 1.6)
    if score > contract.LOCALIZER_THRESHOLD:
        overlay.draw_box(canvas, predicted["bbox"], PREDICTED, 1.6)
    return Tile(canvas.pixels, (f"face: {score:.0%} · #{row}", str(stored.strings["name"][row])))


def _heat_tile(net: LocalizerNet, stored: Stored, row: int) -> Tile:
    rows, columns = stored.image.shape[1:]
    squeezed = cv2.resize(stored.image[row], contract.LOCALIZER_SIZE[::-1], interpolation=cv2.INTER_AREA)
    image = torch.from_numpy(squeezed)[None, None]
    with torch.inference_mode():
        outputs = net(augment.net_input(image, augment.plain_gain(image)))
    box = (outputs["box"][0].numpy() + 1) / 2 * [columns, rows, columns, rows]
    return _face_tile(stored, row, box, float(torch.sigmoid(outputs["logit"][0])), outputs["heatmap"][0].numpy())


def _warm(image: np.ndarray, heat: np.ndarray) -> np.ndarray:
    """Return a grey image (H, W) blended with a heat map (cells, sum 1) that is scaled to its hottest cell."""
    height, width = image.shape
    alpha = cv2.resize(heat / heat.max(), (width, height), interpolation=cv2.INTER_CUBIC).clip(0, 1)
    colour = cv2.applyColorMap((alpha * 255).astype(np.uint8), cv2.COLORMAP_INFERNO).astype(np.float64)
    mixed = image[..., None] * 0.75 * (1 - 0.7 * alpha[..., None]) + colour * 0.7 * alpha[..., None]
    return mixed.round().clip(0, 255).astype(np.uint8)
