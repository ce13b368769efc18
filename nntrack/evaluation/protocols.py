"""The table of protocols: which samples of a dataset are measured, and how a face is cropped from its photo.

All of them wrap angles by 360 degrees and do nothing else to them (see `errors`). Photos of AFLW2000-3D with a label
beyond 99 degrees were dropped by its reader already.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from nntrack.data import splits
from nntrack.data.hdf5 import Stored
from nntrack.data.splits import Split
from nntrack.geometry.boxes import landmark_box, square_around
from nntrack.geometry.perspective import face_middle, seen_to_camera

if TYPE_CHECKING:  # tables need the titles here, and no onnxruntime
    from nntrack.deploy.runtime import LocalizerModel

Values = Mapping[str, np.ndarray]


class EvalInputs(NamedTuple):
    """What an evaluation needs apart from net and dataset.

    settings: the evaluate section of the parameters. split: the held-out groups, see `splits`. localizer: finds the
    faces of photos that have no box.
    """

    settings: Mapping[str, Any]
    split: Split | None = None
    localizer: "LocalizerModel | None" = None


def whole_photo(stored: Stored, rows: np.ndarray, inputs: EvalInputs) -> np.ndarray:
    """The whole photo."""
    height, width = stored.image.shape[1:]
    return np.tile(np.array([0.0, 0.0, width, height]), (len(rows), 1))


@dataclass(frozen=True)
class Protocol:
    """One way of measuring on one dataset.

    dataset: the name of its reader; ANY for one that is not in the table. net: the kind it is for, "pose" or
    "localizer". labels: those that every sample must have. subset: the rows that are measured; None if by the
    parameters there are none. window: what the pose net sees of these rows, (n, 4) px, xyxy; rows of NaN are left out;
    a localizer sees the whole photo. correct: (predicted, true) to the prediction that is compared.
    full_count: number of samples of the original dataset under this protocol.
    """

    dataset: str
    name: str
    net: str
    title: str
    labels: tuple[str, ...]
    subset: Callable[[Stored, EvalInputs], np.ndarray | None]
    window: Callable[[Stored, np.ndarray, EvalInputs], np.ndarray] = whole_photo
    correct: Callable[[Values, Values], Values] | None = None
    full_count: int | None = None


ANY = "any"
VALIDATION = "val"  # the subset of WIDER FACE that its authors hold out


def every_row(stored: Stored, inputs: EvalInputs) -> np.ndarray:
    """All samples."""
    return np.arange(len(stored))


def held_out(stored: Stored, inputs: EvalInputs) -> np.ndarray | None:
    """The samples of held-out photos or persons, None if none are held out. Raises ValueError without a split."""
    reader = str(stored.attributes.get("reader"))
    if inputs.split is None or reader not in inputs.split:
        raise ValueError(
            f"{stored.path} is measured on samples held out of training: name the split, --split data/split.json"
        )
    return splits.rows_of(stored, inputs.split[reader], inside=True) if inputs.split[reader] else None


def validation(stored: Stored, inputs: EvalInputs) -> np.ndarray:
    """The validation subset of WIDER FACE."""
    return np.flatnonzero(stored.strings["subset"] == VALIDATION)


def landmark_square(stored: Stored, rows: np.ndarray, inputs: EvalInputs) -> np.ndarray:
    """The square about the true landmarks' box, enlarged by ``bbox_scale``."""
    return square_around(landmark_box(stored.labels["landmarks"][rows]), inputs.settings["bbox_scale"])


def central_square(stored: Stored, rows: np.ndarray, inputs: EvalInputs) -> np.ndarray:
    """The same square of every photo, ``center_crop`` of its shorter side wide."""
    height, width = stored.image.shape[1:]
    half = inputs.settings["center_crop"] * min(height, width) / 2
    roi = np.array([width / 2 - half, height / 2 - half, width / 2 + half, height / 2 + half])
    return np.tile(roi, (len(rows), 1))


def face_square(stored: Stored, rows: np.ndarray, inputs: EvalInputs) -> np.ndarray:
    """The square about the face's box, as in the tracker; without a box, about the one that the localizer finds.

    NaN where the localizer reports no face. Raises ValueError if it is needed and not there.
    """
    boxes, lacking = stored.labels["bbox"][rows].astype(np.float64), ~stored.masks["bbox"][rows]
    if lacking.any():
        if inputs.localizer is None:
            raise ValueError(
                f"{stored.path}: {int(lacking.sum())} of {len(rows)} samples have no bbox: "
                "name a localizer that finds the faces, --localizer FILE.onnx"
            )
        found = inputs.localizer.predict(stored.image[row] for row in rows[lacking])
        boxes[lacking] = np.where(found["face"][:, None] > 0, found["bbox"], np.nan)
    return square_around(boxes)


def correct_perspective(predicted: Values, true: Values) -> Values:
    """The prediction with its rotation in the camera's frame.

    The net's own frame is that of a camera which looks along the ray through the middle of the predicted face.
    """
    middle = face_middle(predicted["quat"], predicted["pos_size"])
    quat = seen_to_camera(predicted["quat"], middle, true["camera"])
    return {**predicted, "quat": quat}


_POSED = ("quat", "landmarks")
_BOX = "box of the ground-truth landmarks"
_PERSPECTIVE = "box of the face, corrected for the camera's perspective"
PROTOCOLS = (
    Protocol("aflw2k", "bbox", "pose", _BOX, _POSED, every_row, landmark_square, full_count=1969),
    Protocol("aflw2k", "center", "pose", "fixed centre crop", _POSED, every_row, central_square, full_count=1969),
    Protocol("w300lp", "bbox", "pose", f"held-out photos, {_BOX}", _POSED, held_out, landmark_square),
    Protocol("ytfaces", "bbox", "pose", f"held-out persons, {_BOX}", _POSED, held_out, landmark_square),
    Protocol("biwi", "box", "pose", "box of the face, camera's perspective ignored", ("quat",), every_row, face_square),
    Protocol(
        "biwi", "perspective", "pose", _PERSPECTIVE, ("quat", "camera"), every_row, face_square, correct_perspective
    ),
    Protocol("widerface", "val", "localizer", "validation photos of the authors", ("face",), validation),
    Protocol(ANY, "bbox", "pose", _BOX, _POSED, every_row, landmark_square),
    Protocol(ANY, "val", "localizer", "samples of the subset 'val'", ("face",), validation),
)


def of_dataset(reader: str, net: str, names: tuple[str, ...] = ()) -> dict[str, Protocol]:
    """The protocols of a dataset for a kind of net, by name; only those named, if any are.

    Raises ValueError, listing the known, for an unknown name.
    """
    known = {row.dataset for row in PROTOCOLS if row.net == net}
    found = {
        row.name: row for row in PROTOCOLS if row.net == net and row.dataset == (reader if reader in known else ANY)
    }
    unknown = [name for name in names if name not in found]
    if unknown:
        raise ValueError(f"no protocol is called '{unknown[0]}'; known: {', '.join(found)}")
    return {name: found[name] for name in names or found}
