"""Jitter: how far a pose net's output moves while the head does not, under each of `perturbations.PERTURBATIONS`.

Every perturbation has all of `SPREADS`, each computed per face and averaged over faces.
"""

import os
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
from tqdm import tqdm

from nntrack.data.hdf5 import Stored
from nntrack.deploy.runtime import PoseModel
from nntrack.evaluation.evaluate import check_labels
from nntrack.evaluation.perturbations import (
    NOISE,
    PERTURBATIONS,
    QUALITIES,
    RANDOM,
    SHIFTS,
    compressed,
    crop_around,
    noisy,
    windows,
)
from nntrack.evaluation.protocols import EvalInputs, landmark_square
from nntrack.geometry.rotations import geodesic_distance, mean_quat, quat_conjugate, quat_multiply, quat_to_rotvec


class Predictions(NamedTuple):
    """A net's outputs for n views of one face.

    quat: (n, 4). pos_size: (n, 3) px. head: the true length of 100 mm in the photo, px.
    """

    quat: np.ndarray
    pos_size: np.ndarray
    head: float


def rotation_spread(views: Predictions) -> float:
    """Root mean square of the angle to the mean rotation, degrees."""
    return _rms(np.degrees(geodesic_distance(views.quat, mean_quat(views.quat))))


def pitch_range(views: Predictions) -> float:
    """Peak-to-peak rotation about the head's own left-right axis, relative to the mean rotation, degrees.

    For a frontal face this is the pitch. Unlike an Euler angle it means the same in profile.
    """
    offset = quat_to_rotvec(quat_multiply(quat_conjugate(mean_quat(views.quat)), views.quat))
    return float(np.degrees(np.ptp(offset[:, 0])))


def position_spread(views: Predictions) -> float:
    """Root mean square of the distance to the mean position in the image, % of the true length of 100 mm: mm."""
    position = views.pos_size[:, :2]
    return 100 * _rms(np.linalg.norm(position - position.mean(axis=0), axis=1)) / views.head


def size_spread(views: Predictions) -> float:
    """Standard deviation of the size, % of its mean."""
    size = views.pos_size[:, 2]
    return 100 * float(size.std() / size.mean())


SPREADS: dict[str, Callable[[Predictions], float]] = {
    "rotation": rotation_spread,
    "pitch_range": pitch_range,
    "position": position_spread,
    "size": size_spread,
}


def evaluate_stability(
    model: PoseModel, stored: Stored, name: str, settings: Mapping[str, Any], seed: int, workers: int | None = None
) -> dict[str, dict[str, float]]:
    """The jitter of a net under every perturbation, on evenly chosen faces of a dataset.

    Returns ``{"<name>_<perturbation>": {spread: value, "n": faces, "views": of each}}``. Raises ValueError if the
    dataset is empty or its samples lack landmarks or size.

    Args:
        model: the net.
        stored: the dataset; faces are cropped as by the protocol of ground-truth boxes.
        name: of the net.
        settings: the evaluate section of the parameters.
        seed: of the random perturbations; each face has its own by its name.
        workers: number of threads, None for one per core; it does not change the figures.
    """
    every = np.arange(len(stored))
    check_labels(stored, ("landmarks", "pos_size"), every)
    chosen = np.unique(np.linspace(0, len(stored) - 1, settings["stability"]["faces"]).round().astype(int))
    rois, count = landmark_square(stored, every, EvalInputs(settings)), settings["stability"]["draws"]

    def spreads(row: int) -> np.ndarray:
        rng = np.random.default_rng([seed, *stored.strings["name"][row].encode()])
        head = float(stored.labels["pos_size"][row, 2])
        views = predict_views(model, np.array(stored.image[row]), rois[row], head, count, rng)
        return np.array([[spread(views[name]) for spread in SPREADS.values()] for name in PERTURBATIONS])

    found = np.stack(_in_threads(spreads, chosen, workers, f"{name} stability")).mean(axis=0)
    return {
        f"{name}_{perturbation}": {
            **{spread: round(float(value), 3) for spread, value in zip(SPREADS, values, strict=True)},
            "n": len(chosen),
            "views": count if perturbation in RANDOM else len(SHIFTS),
        }
        for perturbation, values in zip(PERTURBATIONS, found, strict=True)
    }


def predict_views(
    model: PoseModel, image: np.ndarray, roi: np.ndarray, head: float, count: int, rng: np.random.Generator
) -> dict[str, Predictions]:
    """The net's outputs for all views of one face, by perturbation.

    Args:
        model: the net.
        image: (H, W) uint8.
        roi: (4,) xyxy px; it is rounded to whole pixels, as the tracker does it.
        head: the true length of 100 mm, px.
        count: of views under each random perturbation.
        rng: of these.
    """

    def predict(images: Iterable[np.ndarray], rois: np.ndarray) -> Predictions:
        found = model.predict(images, rois)
        return Predictions(found["quat"].astype(np.float64), found["pos_size"].astype(np.float64), head)

    roi = np.rint(np.asarray(roi, np.float64))
    views = {name: predict([image] * len(rois), rois) for name, rois in windows(roi, rng).items()}
    crop, roi_in_crop = crop_around(image, roi)
    quat, pos_size, _ = predict(noisy(crop, count, rng), np.tile(roi_in_crop, (count * len(NOISE), 1)))
    for i, sigma in enumerate(NOISE):
        views[f"noise_{sigma}"] = Predictions(quat[i :: len(NOISE)], pos_size[i :: len(NOISE)], head)
    for quality, frames in zip(QUALITIES, zip(*compressed(image, count, rng), strict=True), strict=True):
        views[f"jpeg_{quality}"] = predict(frames, np.tile(roi, (count, 1)))
    return views


def _in_threads(
    work: Callable[[int], np.ndarray], tasks: np.ndarray, workers: int | None, title: str
) -> list[np.ndarray]:
    # threads suffice: onnxruntime, OpenCV and NumPy's generators release the interpreter lock while they compute
    pool = ThreadPoolExecutor(workers or os.cpu_count())
    try:
        return list(tqdm(pool.map(work, tasks), title, len(tasks), unit=" faces", disable=None, leave=False))
    finally:
        pool.shutdown(cancel_futures=True)


def _rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(values**2)))
