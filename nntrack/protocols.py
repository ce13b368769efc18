"""Named protocols: which samples of a dataset are measured, and how a face is cut from its photo.

Under all of them angles are wrapped by 360 degrees and nothing else (see `metrics`). That photos of AFLW2000-3D whose
labels pass 99 degrees are left out is its reader's doing.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from nntrack.landmarks import landmark_box, square_around


@dataclass(frozen=True)
class PoseProtocol:
    """How a face is cut from its photo.

    roi: (landmarks (N, 68, 3) px, (height, width) px, setting) to (N, 4) px, xyxy. setting: the parameter of the
    evaluate section it reads. whole_photo: it needs the photo as it was taken, not a crop about the face.
    """

    name: str
    title: str
    setting: str
    roi: Callable[[np.ndarray, tuple[int, int], float], np.ndarray]
    whole_photo: bool = False


def _landmark_square(landmarks: np.ndarray, size: tuple[int, int], scale: float) -> np.ndarray:
    return square_around(landmark_box(landmarks), scale)


def _central_square(landmarks: np.ndarray, size: tuple[int, int], share: float) -> np.ndarray:
    height, width = size
    half = share * min(height, width) / 2
    roi = np.array([width / 2 - half, height / 2 - half, width / 2 + half, height / 2 + half])
    return np.tile(roi, (len(landmarks), 1))


POSE_PROTOCOLS = {
    row.name: row
    for row in (
        PoseProtocol("bbox", "box of the ground-truth landmarks", "bbox_scale", _landmark_square),
        PoseProtocol("center", "fixed centre crop", "center_crop", _central_square, whole_photo=True),
    )
}
_CROPPED = ("300wlp", "ytfaces")  # readers that keep crops


def applicable(reader: str) -> tuple[str, ...]:
    """The protocols under which samples of a posed dataset can be measured, by the name of its reader."""
    return tuple(name for name, row in POSE_PROTOCOLS.items() if not (row.whole_photo and reader in _CROPPED))


LOCALIZER_SUBSET = "val"  # of WIDER FACE: kept apart by its authors

NOISE = (1, 8, 16, 32)  # standard deviations in grey levels of 255
# What a face is put through to see how the answer moves, and how it is called in print.
STABILITY = {f"noise_{sigma}": f"camera noise of {sigma}" for sigma in NOISE} | {
    "shift": "window shifted by up to 4 px",
    "scale": "window scaled by 0.8 to 1.25",
    "crop": "window shifted and scaled",
}
