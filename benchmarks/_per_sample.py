"""Training as the ancestor (opentrack/neuralnet-tracker-traincode) arranges it, for comparison.

Every sample is a JPEG in an HDF5 file, and each of its labels a row of another table there. Worker processes of a
`DataLoader` read them one by one, decode the image, and take both through a chain of steps, each label a tensor that
each step moves by itself: the random window, the mirror image, the units of the patch. OpenCV warps the image, and
changes lighting, sharpness, noise and occlusion. The batch is float32, NCHW. The net is plain float32 too, not channels
last, with Adam and its defaults; gradients are not clipped and weights not averaged. The strength of the augmentation
is that of `augment`.

It differs from the ancestor in ways that make it faster: images are the crops that conversion made (192 px; the
ancestor keeps whole photos, 450 px in 300W-LP), tables are not compressed nor in chunks, and boxes do not enclose a
model of the whole head. It changes lighting and noise sample by sample, the ancestor batch by batch on its accelerator.
"""

import copy
import multiprocessing
import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from multiprocessing.context import BaseContext
from pathlib import Path

import cv2
import h5py
import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, RandomSampler, get_worker_info

from benchmarks import _machine
from nntrack import contract
from nntrack.config import Augment
from nntrack.data import images
from nntrack.data.sample import move_labels
from nntrack.deploy import preprocess
from nntrack.geometry import affine, boxes
from nntrack.training import augment, tasks
from nntrack.training.dataset import Mixture
from nntrack.training.loop import Run

SAMPLES = 2048  # that are encoded, sampled as in training
QUALITY = [cv2.IMWRITE_JPEG_QUALITY, 95]
UNIT = torch.tensor([-1.0, -1.0, 1.0, 1.0])

Labels = dict[str, torch.Tensor]
View = Callable[[np.ndarray, Labels, np.random.Generator], Labels]


class Encoded(Dataset):
    """``count`` random samples of a mixture in an HDF5 file at ``path``, read one by one.

    Labels are in px; those that no sample has are left out. ``view``: from image (H, W) and labels to the net's.
    """

    def __init__(self, train: Mixture, count: int, view: View, path: Path, generator: torch.Generator) -> None:
        self._view, self._path, self._count = view, path, count
        self._file: h5py.File | None = None
        self._columns: dict[str, h5py.Dataset] = {}
        self.rng = np.random.default_rng(generator.initial_seed())
        batch = train.batch(train.sample(count, generator))
        self._masks = [name for name in batch if name.startswith("has_")]
        with h5py.File(path, "w") as file:
            _write(file, batch, self._masks)

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, number: int) -> Labels:
        if self._file is None:
            self._file = h5py.File(self._path)
            self._columns = dict(self._file)
        row = {name: column[number] for name, column in self._columns.items()}
        image = cv2.imdecode(row.pop("image"), cv2.IMREAD_GRAYSCALE)
        masks = {name: torch.tensor(known) for name, known in zip(self._masks, row.pop("masks"), strict=True)}
        return self._view(image, {name: torch.as_tensor(value) for name, value in row.items()} | masks, self.rng)

    def close(self) -> None:
        """Close the file: an open one cannot go to a worker."""
        if self._file is not None:
            self._file.close()
            self._file, self._columns = None, {}


def _write(file: h5py.File, batch: Labels, masks: list[str]) -> None:
    pictures = batch["image"][:, 0].numpy()
    column = file.create_dataset("image", len(pictures), h5py.vlen_dtype(np.uint8))
    for number, image in enumerate(pictures):
        column[number] = cv2.imencode(".jpg", image, QUALITY)[1]
    file["masks"] = torch.stack([batch[name] for name in masks], dim=1).numpy()
    missing = {name.removeprefix("has_") for name in masks if not batch[name].any()}
    for name in sorted(batch.keys() - {"image", *masks, *missing}):
        file[name] = batch[name].numpy()


class PerSample:
    """The arrangement for one task; ``net`` is "pose" or "localizer". ``path``: where samples may be written."""

    def __init__(self, net: str, task: tasks.PoseTask | tasks.LocalizerTask, run: Run, path: Path) -> None:
        cv2.setNumThreads(1)  # the workers are the threads
        self._generator = torch.Generator().manual_seed(run.seed)
        self._dataset = Encoded(task.train, SAMPLES, partial(VIEWS[net], task.augment), path, self._generator)
        self._task, self._batch_size = task, task.schedule.batch_size
        self._device = run.device
        self._net = copy.deepcopy(task.net).to(self._device).train()
        self._optimizer = torch.optim.Adam(self._net.parameters(), task.lr)

    def learn(self, batch: dict[str, torch.Tensor]) -> None:
        """One step on a batch as the loader gives it."""
        batch = {name: value.to(self._device, non_blocking=True) for name, value in batch.items()}
        loss, _ = self._task.loss(self._net(batch["image"]), batch, 1.0, lambda values: values)
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self._optimizer.step()

    def seconds(self, steps: int, workers: int, learn: bool = True) -> float:
        """The time of so many steps, or so many batches of the loader alone, after those that it loads ahead."""
        batches = self._batches(steps, workers)
        for batch in islice(batches, _ahead(workers)):
            if learn:
                self.learn(batch)
        _machine.synchronize()
        start = time.perf_counter()
        for batch in islice(batches, steps):
            if learn:
                self.learn(batch)
        _machine.synchronize()
        taken = time.perf_counter() - start
        self._dataset.close()
        return taken

    def _batches(self, steps: int, workers: int) -> Iterator[dict[str, torch.Tensor]]:
        # more than are used, so that the workers are busy to the end of a timing
        count = (steps + 2 * _ahead(workers)) * self._batch_size
        return iter(
            DataLoader(
                self._dataset,
                self._batch_size,
                sampler=RandomSampler(self._dataset, True, count, self._generator),
                num_workers=workers,
                multiprocessing_context=_workers() if workers else None,
                pin_memory=self._device.type == "cuda",
                worker_init_fn=_begin_worker,
                timeout=60 if workers else 0,  # seconds
                generator=self._generator,
            )
        )


def _workers() -> BaseContext:
    """How workers are started. Forked from here, they would share pages that other timings then had to copy."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    return context


def _ahead(workers: int) -> int:
    """The number of batches that are loaded ahead: two per worker is the loader's default."""
    return 2 * workers + 1


def _begin_worker(number: int) -> None:
    cv2.setNumThreads(1)
    worker = get_worker_info()
    worker.dataset.rng = np.random.default_rng(worker.seed)


def pose_view(settings: Augment, image: np.ndarray, labels: Labels, rng: np.random.Generator) -> Labels:
    """`tasks.pose_view` of one image (H, W) uint8 and its labels in px, without a gain: the image is float32."""
    image, labels = random_view(image, labels, (contract.POSE_SIZE, contract.POSE_SIZE), settings, rng)
    return labels | {"image": torch.from_numpy(preprocess.pose_input(image)[None])}


def localizer_view(settings: Augment, image: np.ndarray, labels: Labels, rng: np.random.Generator) -> Labels:
    """`tasks.localizer_view` of one image (H, W) uint8 and its labels in px, likewise."""
    image, labels = random_view(image, labels, contract.LOCALIZER_SIZE, settings, rng)
    low, high = labels["bbox"][:2], labels["bbox"][2:]
    inside = (high.clamp(-1, 1) - low.clamp(-1, 1)).prod()
    visible = inside >= tasks.VISIBLE * (high - low).prod()
    labels["has_face"] = labels["has_face"] & (visible | (labels["face"] == 0))
    labels["has_bbox"] = labels["has_bbox"] & visible
    labels["bbox"] = labels["bbox"].clip(-1, 1)
    return labels | {"image": torch.from_numpy(image)[None] / 255 - contract.PREPROCESSING.offset}


VIEWS = {"pose": pose_view, "localizer": localizer_view}


def random_view(
    image: np.ndarray, labels: Labels, size: tuple[int, int], settings: Augment, rng: np.random.Generator
) -> tuple[np.ndarray, Labels]:
    """`augment.random_view` of one sample: image (height, width) uint8, labels in patch units."""
    move = torch.from_numpy(sample_move(labels["roi"].numpy(), settings, rng))
    image, labels = view(image, labels, move, size)
    return degrade(image, settings, rng), labels


def view(image: np.ndarray, labels: Labels, move: torch.Tensor, size: tuple[int, int]) -> tuple[np.ndarray, Labels]:
    """`augment.view` of one sample after the similarity ``move`` (2, 3): image uint8, labels in patch units.

    The steps are the ancestor's: cut the window, mirror it, convert to the units of the patch.
    """
    frame = torch.tensor([0.0, 0.0, size[1], size[0]])
    mirror = torch.tensor([[-1.0, 0.0, size[1]], [0.0, 1.0, 0.0]])
    window = affine.compose(affine.box_to_box(labels["roi"], frame), move)
    mirrored = bool(affine.is_mirrored(window))
    if mirrored:
        window = affine.compose(mirror, window)
    rest = {name: value for name, value in labels.items() if name != "roi"}
    image, labels = images.warp(image, window.numpy(), size), move_labels(window, rest)
    if all(labels.get(f"has_{name}", False) for name in ("landmarks", "quat", "pos_size")):
        labels["bbox"] = boxes.face_box(labels["landmarks"], labels["quat"], labels["pos_size"])
    if mirrored:
        image, labels = np.ascontiguousarray(image[:, ::-1]), move_labels(mirror, labels)
    return image, move_labels(affine.box_to_box(frame, UNIT), labels) | {"roi": UNIT}


def sample_move(roi: np.ndarray, settings: Augment, rng: np.random.Generator) -> np.ndarray:
    """`augment.sample_moves` for one ``roi`` (4,): (2, 3) float32."""
    angle = np.float32(np.radians(rng.uniform(-1, 1, 2).mean() * settings.rotation))
    scale = np.float32(np.exp(rng.uniform(-1, 1) * settings.scale))
    centre, side = (roi[:2] + roi[2:]) / 2, roi[2:] - roi[:2]
    shift = (rng.standard_normal(2) * settings.shift * side).astype(np.float32)
    mirror = -1 if rng.random() < settings.flip else 1
    first = np.array([[mirror, 0, -mirror * centre[0]], [0, 1, -centre[1]]], np.float32)
    return affine.compose(affine.similarity(angle, scale, centre + shift), first)


def degrade(image: np.ndarray, settings: Augment, rng: np.random.Generator) -> np.ndarray:
    """An image (H, W) uint8 after changes as `augment.sample_changes` has them."""
    if rng.random() < settings.occlusion:
        image = occlude(image, rng)
    if rng.random() < settings.intensity:
        image = relight(image, rng)
    if rng.random() < settings.blur:
        image = blur(image, rng)
    if settings.noise:
        strength = np.float32(255 * settings.noise * rng.random())
        noisy = image + strength * rng.standard_normal(image.shape, np.float32)
        image = np.rint(noisy).clip(0, 255).astype(np.uint8)
    return image


def occlude(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The image with an ellipse or a rectangle of one grey level over it."""
    image, (height, width) = image.copy(), image.shape
    centre = rng.random(2) * (width, height)
    axes = rng.uniform(*augment.OCCLUDER, 2) * (width / 2, height / 2)
    angle, grey = rng.random() * 180, int(rng.random() * 256)
    if rng.random() < 0.5:
        return cv2.ellipse(image, (tuple(centre), tuple(2 * axes), angle), grey, cv2.FILLED)
    corners = cv2.boxPoints((tuple(centre), tuple(2 * axes), angle))
    return cv2.fillConvexPoly(image, corners.astype(np.int32), grey)


def relight(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The image with another gamma, gain and offset, by a table of the 256 grey levels."""
    gamma = np.exp(rng.uniform(-1, 1) * augment.GAMMA)
    gain, offset = np.exp(rng.uniform(*augment.GAIN)), rng.uniform(-1, 1) * augment.OFFSET
    table = np.linspace(0, 1, 256) ** gamma * gain + offset
    return cv2.LUT(image, np.rint(255 * table.clip(0, 1)).astype(np.uint8))


def blur(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The image convolved with a Gaussian that is longer in one random direction."""
    angle, along = rng.random() * np.pi, rng.uniform(*augment.BLUR_LONG)
    across = min(along, rng.uniform(*augment.BLUR_ACROSS))
    place = np.arange(augment.BLUR_SIZE, dtype=np.float32) - (augment.BLUR_SIZE - 1) / 2
    y, x, cos, sin = place[:, None], place, np.cos(angle), np.sin(angle)
    kernel = np.exp(-0.5 * (((cos * x + sin * y) / along) ** 2 + ((cos * y - sin * x) / across) ** 2))
    return cv2.filter2D(image, -1, kernel / kernel.sum(), borderType=cv2.BORDER_REPLICATE)
