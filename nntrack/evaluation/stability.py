"""How far a pose net's answer moves while the head does not: what users see as shaking.

A face is shown again and again, with the noise of a camera, compressed, or cut a little differently. Rows are those of
`protocols.STABILITY`; every row has all of `SPREADS`, each taken per face and averaged over faces.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import cv2
import numpy as np
from tqdm import tqdm

from nntrack.data import images
from nntrack.data.hdf5 import Stored
from nntrack.deploy.runtime import PoseModel
from nntrack.evaluation import evaluate
from nntrack.evaluation.protocols import DRAWN, NOISE, QUALITIES, STABILITY, Given, landmark_square
from nntrack.geometry.rotations import geodesic_distance, mean_quat, quat_conjugate, quat_multiply, quat_to_rotvec

STEP = 0.25  # px of the photo, between shifts
SHIFTS = np.arange(-4, 4 + STEP, STEP)  # px of the photo
SCALES = np.geomspace(0.8, 1.25, len(SHIFTS))
_MARGIN = 4  # px about a window: sub-pixel sampling looks that far and less


class Answers(NamedTuple):
    """What a net said of one face, shown n times.

    quat: (n, 4). pos_size: (n, 3) px. head: the true length of 100 mm in the photo, px.
    """

    quat: np.ndarray
    pos_size: np.ndarray
    head: float


def rotation_spread(answers: Answers) -> float:
    """Root mean square of the angle to the mean rotation, degrees."""
    return _rms(np.degrees(geodesic_distance(answers.quat, mean_quat(answers.quat))))


def pitch_range(answers: Answers) -> float:
    """Peak to peak of the turn about the head's own left-right axis, away from the mean rotation, degrees.

    Seen from the front it is the pitch. Unlike an Euler angle it means the same in profile.
    """
    offset = quat_to_rotvec(quat_multiply(quat_conjugate(mean_quat(answers.quat)), answers.quat))
    return float(np.degrees(np.ptp(offset[:, 0])))


def position_spread(answers: Answers) -> float:
    """Root mean square of the distance to the mean position in the picture, % of the true length of 100 mm: mm."""
    place = answers.pos_size[:, :2]
    return 100 * _rms(np.linalg.norm(place - place.mean(axis=0), axis=1)) / answers.head


def size_spread(answers: Answers) -> float:
    """Standard deviation of the size, % of its mean."""
    size = answers.pos_size[:, 2]
    return 100 * float(size.std() / size.mean())


SPREADS: dict[str, Callable[[Answers], float]] = {
    "rotation": rotation_spread,
    "pitch_range": pitch_range,
    "position": position_spread,
    "size": size_spread,
}


def evaluate_stability(
    model: PoseModel, stored: Stored, name: str, settings: Mapping[str, Any], seed: int, workers: int | None = None
) -> dict[str, dict[str, float]]:
    """Every row on faces of a posed dataset, evenly chosen, cut by the box protocol.

    settings: of the evaluate section. workers: threads, None for one per core; they do not change the figures.
    Returns ``{"<name>_<row>": {spread: value, "n": faces, "views": of each}}``. Raises ValueError if the dataset is
    empty or its samples lack landmarks or size.
    """
    every = np.arange(len(stored))
    evaluate.check_known(stored, ("landmarks", "pos_size"), every)
    chosen = np.unique(np.linspace(0, len(stored) - 1, settings["stability"]["faces"]).round().astype(int))
    rois = landmark_square(stored, every, Given(settings))

    def spreads(index: int) -> np.ndarray:
        rng = np.random.default_rng([seed, *stored.strings["name"][index].encode()])
        head = float(stored.labels["pos_size"][index, 2])
        rows = shown(model, np.array(stored.image[index]), rois[index], head, settings["stability"]["draws"], rng)
        return np.array([[spread(rows[row]) for spread in SPREADS.values()] for row in STABILITY])

    found = np.stack(_in_threads(spreads, chosen, workers, f"{name} stability")).mean(axis=0)
    return {
        f"{name}_{row}": {
            **{spread: round(float(value), 3) for spread, value in zip(SPREADS, values, strict=True)},
            "n": len(chosen),
            "views": settings["stability"]["draws"] if row in DRAWN else len(SHIFTS),
        }
        for row, values in zip(STABILITY, found, strict=True)
    }


def shown(
    model: PoseModel, picture: np.ndarray, roi: np.ndarray, head: float, draws: int, rng: np.random.Generator
) -> dict[str, Answers]:
    """What the net says of one face, by row of `protocols.STABILITY`. picture (H, W) uint8, roi (4,) px.

    The window is moved to whole steps, which makes cutting the picture down an exact operation.
    """
    roi = np.round(np.asarray(roi, np.float64) / STEP) * STEP
    answers = {row: _ask(model, [picture] * len(rois), rois, head) for row, rois in windows(roi, rng).items()}
    cut, within = cut_about(picture, roi)
    rois = np.tile(within, (draws * len(NOISE), 1))
    quat, pos_size, _ = _ask(model, noisy(cut, draws, rng), rois, head)
    for i, sigma in enumerate(NOISE):
        answers[f"noise_{sigma}"] = Answers(quat[i :: len(NOISE)], pos_size[i :: len(NOISE)], head)
    frames = zip(*compressed(picture, draws, rng), strict=True)
    for quality, same in zip(QUALITIES, frames, strict=True):
        answers[f"jpeg_{quality}"] = _ask(model, same, np.tile(roi, (draws, 1)), head)
    return answers


def windows(roi: np.ndarray, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """The windows (33, 4) of the rows that cut differently.

    Each row takes every shift along x, every shift along y and every scale that it varies once, in an order of its own
    (a Latin hypercube): as many windows as there are steps cover all three together.
    """
    still, same = np.zeros_like(SHIFTS), np.ones_like(SCALES)
    mixed = rng.permutation
    designs = {
        "shift": (mixed(SHIFTS), mixed(SHIFTS), same),
        "scale": (still, still, SCALES),
        "crop": (mixed(SHIFTS), mixed(SHIFTS), SCALES),
    }
    centre, half = (roi[:2] + roi[2:]) / 2, (roi[2:] - roi[:2]) / 2
    found = {}
    for row, (x, y, scale) in designs.items():
        centres, halves = centre + np.stack([x, y], axis=1), half * scale[:, None]
        found[row] = np.concatenate([centres - halves, centres + halves], axis=1)
    return found


def cut_about(picture: np.ndarray, roi: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The part of a picture that a patch of ``roi`` shows, with a margin, and the ROI in it.

    The patch stays the same, since the edge is repeated outside the picture as before.
    """
    centre, half = (roi[:2] + roi[2:]) / 2, (roi[2:] - roi[:2]).max() / 2
    limit = np.array(picture.shape[::-1])
    low = np.clip(np.floor(centre - half).astype(int) - _MARGIN, 0, limit - 1)
    high = np.clip(np.ceil(centre + half).astype(int) + _MARGIN, low + 1, limit)
    return picture[low[1] : high[1], low[0] : high[0]], roi - np.tile(low, 2)


def noisy(picture: np.ndarray, draws: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """``draws`` times the picture with noise of every strength, the same field at each, so that they compare."""
    for _ in range(draws):
        field = rng.standard_normal(picture.shape, np.float32)
        for sigma in NOISE:
            yield add_noise(picture, sigma * field)


def compressed(picture: np.ndarray, draws: int, rng: np.random.Generator) -> Iterator[tuple[np.ndarray, ...]]:
    """``draws`` times the whole frame with the weakest noise, as JPEG of each quality gives it back."""
    for _ in range(draws):
        frame = add_noise(picture, NOISE[0] * rng.standard_normal(picture.shape, np.float32))
        yield tuple(_jpeg(frame, quality) for quality in QUALITIES)


def add_noise(picture: np.ndarray, noise: np.ndarray) -> np.ndarray:
    """Picture (H, W) uint8 and noise (H, W) float32 in grey levels as a camera delivers them: whole, 0 to 255."""
    return np.rint(noise + picture).clip(0, 255).astype(np.uint8)


def _ask(model: PoseModel, pictures: Any, rois: np.ndarray, head: float) -> Answers:
    found = model.predict(pictures, rois)
    return Answers(found["quat"].astype(np.float64), found["pos_size"].astype(np.float64), head)


def _in_threads(
    work: Callable[[int], np.ndarray], tasks: np.ndarray, workers: int | None, title: str
) -> list[np.ndarray]:
    # threads do: onnxruntime, OpenCV and NumPy's generators let go of the interpreter while they compute
    pool = ThreadPoolExecutor(workers or os.cpu_count())
    try:
        return list(tqdm(pool.map(work, tasks), title, len(tasks), unit=" faces", disable=None, leave=False))
    finally:
        pool.shutdown(cancel_futures=True)


def _jpeg(picture: np.ndarray, quality: int) -> np.ndarray:
    return images.decode_grey(cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes())


def _rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(values**2)))
