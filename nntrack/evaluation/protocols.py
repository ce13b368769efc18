"""Named protocols: which samples of a dataset are measured, and how a face is cut from its photo.

This is the one table of them. Under all of them angles are wrapped by 360 degrees and nothing else (see `errors`). That
photos of AFLW2000-3D whose labels pass 99 degrees are left out is its reader's doing.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from nntrack.data import splits
from nntrack.data.hdf5 import Stored
from nntrack.data.splits import Split
from nntrack.deploy.runtime import LocalizerModel
from nntrack.geometry.boxes import landmark_box, square_around
from nntrack.geometry.perspective import face_middle, seen_to_camera

Values = Mapping[str, np.ndarray]


class Given(NamedTuple):
    """What a protocol may ask for beside the dataset.

    settings: the evaluate section, by parameter name. split: what no training sees, see `splits`. localizer: finds the
    faces of photos that have no box.
    """

    settings: Mapping[str, Any]
    split: Split | None = None
    localizer: LocalizerModel | None = None


def read_given(
    settings: Mapping[str, Any], split: str | os.PathLike[str] | None, localizer: str | os.PathLike[str] | None
) -> Given:
    """The same by the paths of its files, read. Raises as those who read them."""
    return Given(
        settings,
        None if split is None else splits.load(split),
        None if localizer is None else LocalizerModel(localizer),
    )


def whole_photo(stored: Stored, rows: np.ndarray, given: Given) -> np.ndarray:
    """All that there is to see."""
    height, width = stored.image.shape[1:]
    return np.tile(np.array([0.0, 0.0, width, height]), (len(rows), 1))


@dataclass(frozen=True)
class Protocol:
    """One way of measuring on one dataset.

    dataset: the name of its reader; ANY for one that is not in the table. net: what is measured, "pose" or "localizer".
    needs: labels that every sample must have. subset: which rows; None if by the parameters there are none. window:
    what the pose net is shown of the rows, (n, 4) px, xyxy; a row that is not a number is left out; a localizer sees
    the whole photo. correct: what is done to its answer, (predicted, true) to predicted, before it is compared.
    full_count: how many samples the original has under this protocol.
    """

    dataset: str
    name: str
    net: str
    title: str
    needs: tuple[str, ...]
    subset: Callable[[Stored, Given], np.ndarray | None]
    window: Callable[[Stored, np.ndarray, Given], np.ndarray] = whole_photo
    correct: Callable[[Values, Values], Values] | None = None
    full_count: int | None = None


ANY = "any"
VALIDATION = "val"  # of WIDER FACE: kept apart by its authors


def every_row(stored: Stored, given: Given) -> np.ndarray:
    """All samples."""
    return np.arange(len(stored))


def held_out(stored: Stored, given: Given) -> np.ndarray | None:
    """The samples of photos or persons that no training sees, None if it sees all. Raises ValueError if not told."""
    reader = str(stored.attributes.get("reader"))
    if given.split is None or reader not in given.split:
        raise ValueError(f"{stored.path} is measured on what no training sees: name the split, --split data/split.json")
    return splits.rows_of(stored, given.split[reader], inside=True) if given.split[reader] else None


def validation(stored: Stored, given: Given) -> np.ndarray:
    """The subset that WIDER FACE's authors kept apart."""
    return np.flatnonzero(stored.strings["subset"] == VALIDATION)


def landmark_square(stored: Stored, rows: np.ndarray, given: Given) -> np.ndarray:
    """The square about the true landmarks' box, enlarged by ``bbox_scale``."""
    return square_around(landmark_box(stored.labels["landmarks"][rows]), given.settings["bbox_scale"])


def central_square(stored: Stored, rows: np.ndarray, given: Given) -> np.ndarray:
    """The same square of every photo, ``center_crop`` of its shorter side wide."""
    height, width = stored.image.shape[1:]
    half = given.settings["center_crop"] * min(height, width) / 2
    roi = np.array([width / 2 - half, height / 2 - half, width / 2 + half, height / 2 + half])
    return np.tile(roi, (len(rows), 1))


def face_square(stored: Stored, rows: np.ndarray, given: Given) -> np.ndarray:
    """The square about the face's box, as the tracker takes it; where there is no box, about the one that is found.

    Rows where the localizer reports no face are not a number. Raises ValueError if it is needed and not there.
    """
    boxes, lacking = stored.labels["bbox"][rows].astype(np.float64), ~stored.masks["bbox"][rows]
    if lacking.any():
        if given.localizer is None:
            raise ValueError(
                f"{stored.path}: {int(lacking.sum())} of {len(rows)} samples have no bbox: "
                "name a localizer that finds the faces, --localizer FILE.onnx"
            )
        found = given.localizer.predict(stored.image[row] for row in rows[lacking])
        boxes[lacking] = np.where(found["face"][:, None] > 0, found["bbox"], np.nan)
    return square_around(boxes)


def along_the_ray(predicted: Values, true: Values) -> Values:
    """The rotation in the camera's frame, the net taken to look along the ray through where it places the face."""
    middle = face_middle(predicted["quat"], predicted["pos_size"])
    quat = seen_to_camera(predicted["quat"], middle, true["camera"])
    return {**predicted, "quat": quat}


_POSED = ("quat", "landmarks")
_BOX = "box of the ground-truth landmarks"
PROTOCOLS = (
    Protocol("aflw2k", "bbox", "pose", _BOX, _POSED, every_row, landmark_square, full_count=1969),
    Protocol("aflw2k", "center", "pose", "fixed centre crop", _POSED, every_row, central_square, full_count=1969),
    Protocol("300wlp", "bbox", "pose", f"held-out photos, {_BOX}", _POSED, held_out, landmark_square),
    Protocol("ytfaces", "bbox", "pose", f"held-out persons, {_BOX}", _POSED, held_out, landmark_square),
    Protocol("biwi", "box", "pose", "box of the face, camera's perspective ignored", ("quat",), every_row, face_square),
    Protocol(
        "biwi",
        "perspective",
        "pose",
        "box of the face, corrected for the camera's perspective",
        ("quat", "camera"),
        every_row,
        face_square,
        along_the_ray,
    ),
    Protocol("widerface", "val", "localizer", "photos kept apart by the authors", ("face",), validation),
    Protocol(ANY, "bbox", "pose", _BOX, _POSED, every_row, landmark_square),
    Protocol(ANY, "val", "localizer", "samples of the subset 'val'", ("face",), validation),
)


def of(reader: str, net: str, names: tuple[str, ...] = ()) -> dict[str, Protocol]:
    """The protocols of a dataset, by name, for a kind of net; only those named, if any are.

    Raises ValueError for a name that is not among them, listing those that are.
    """
    known = {row.dataset for row in PROTOCOLS if row.net == net}
    found = {
        row.name: row for row in PROTOCOLS if row.net == net and row.dataset == (reader if reader in known else ANY)
    }
    unknown = [name for name in names if name not in found]
    if unknown:
        raise ValueError(f"no protocol is called '{unknown[0]}'; known: {', '.join(found)}")
    return {name: found[name] for name in names or found}


NOISE = (1, 8, 16, 32)  # standard deviations in grey levels of 255
QUALITIES = (70, 30)  # of JPEG, which many webcams send
# What a face is put through to see how the answer moves, and how it is called in print: frames drawn anew, and windows.
DRAWN = {f"noise_{sigma}": f"camera noise of {sigma}" for sigma in NOISE} | {
    f"jpeg_{quality}": f"camera noise of {NOISE[0]}, JPEG of quality {quality}" for quality in QUALITIES
}
STABILITY = DRAWN | {
    "shift": "window shifted by up to 4 px",
    "scale": "window scaled by 0.8 to 1.25",
    "crop": "window shifted and scaled",
}
