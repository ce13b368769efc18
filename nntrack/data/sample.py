"""The table of label fields: what a label is called, its shape, unit and frame, and how it moves under an affine map.

Readers, store, datasets, augmentation, losses and drawings all go by this table. A new label is a row here.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from nntrack.geometry import affine


@dataclass(frozen=True)
class Field:
    """One kind of label.

    move: ``move(affine, values)`` gives the values after an affine map of the image; None where a map changes nothing.
    """

    name: str
    shape: tuple[int, ...]
    unit: str
    meaning: str
    move: Callable[[Any, Any], Any] | None


FIELDS: dict[str, Field] = {
    row.name: row
    for row in (
        Field("face", (), "0 or 1", "whether the image shows a face", None),
        Field("roi", (4,), "px, xyxy", "the window that a network gets as input", affine.move_box),
        Field("bbox", (4,), "px, xyxy", "tight box of the face, part of the forehead included", affine.move_box),
        Field("quat", (4,), "unit, xyzw", "rotation of the head, identity = frontal", affine.move_quat),
        Field("pos_size", (3,), "px", "x, y between the eyes; projected length of 100 mm", affine.move_pos_size),
        Field(
            "landmarks",
            (68, 3),
            "px",
            "iBUG order; z into the screen, 0 at the mean of the eye corners",
            affine.move_landmarks,
        ),
        Field("camera", (4,), "px", "focal lengths x, y; place x, y of the optical axis", affine.move_camera),
    )
}

# One mask ``has_<name>`` each. Landmarks can be known in the image alone: then z is 0 and has_landmarks_depth is False.
MASKS = (*FIELDS, "landmarks_depth")

# Strings that go with every sample.
STRINGS = {
    "name": "where it comes from: archive member, frame, crop",
    "group": "samples of one photo or person; a split never parts a group",
    "sequence": "the video, or empty",
    "subset": "the part of the dataset that its authors put it in, or empty",
}


@dataclass(frozen=True)
class Sample:
    """One image and what is known about it.

    image: (H, W) uint8, grey. labels: values by field name, in the image's frame; a label that is not there is left
    out. Landmarks may be (68, 2) where no depth is known.
    """

    image: np.ndarray
    name: str
    group: str
    labels: Mapping[str, np.ndarray] = field(default_factory=dict)
    sequence: str = ""
    subset: str = ""

    def __post_init__(self) -> None:
        """Raise ValueError for a label that is not in the table, has the wrong shape, or is not finite."""
        for name, value in self.labels.items():
            if name not in FIELDS:
                raise ValueError(f"{self.name}: no label is called '{name}'; known: {', '.join(FIELDS)}")
            shape = np.shape(value)
            if shape != FIELDS[name].shape and not (name == "landmarks" and shape == (68, 2)):
                raise ValueError(f"{self.name}: {name} has shape {shape}, expected {FIELDS[name].shape}")
            if not np.all(np.isfinite(value)):
                raise ValueError(f"{self.name}: {name} holds a number that is not finite")

    def has(self, mask: str) -> bool:
        """Whether the mask ``has_<mask>`` (see MASKS) is set."""
        if mask == "landmarks_depth":
            return "landmarks" in self.labels and np.shape(self.labels["landmarks"])[-1] == 3
        return mask in self.labels


def move_labels(matrix: Any, labels: Mapping[str, Any]) -> dict[str, Any]:
    """All labels (batched or not) after the map ``matrix`` (..., 2, 3) of the image; other keys pass unchanged."""
    moves = {name: row.move for name, row in FIELDS.items() if row.move}
    return {name: moves[name](matrix, value) if name in moves else value for name, value in labels.items()}
