"""Training of the two networks: which samples, what a network gets of them, which losses, what is written."""

import os
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch

from nntrack import config, contract
from nntrack.data.datasets import in_pipeline
from nntrack.data.face_free import FaceFree
from nntrack.data.hdf5 import Stored
from nntrack.data.splits import rows_of
from nntrack.face_model import model
from nntrack.networks import losses, weights
from nntrack.networks.localizer import LocalizerConfig, LocalizerNet
from nntrack.networks.pose_net import PoseConfig, PoseNet
from nntrack.training import augment, loop, torch_settings
from nntrack.training.checkpoint import Checkpoint, digest
from nntrack.training.cuda_graph import Number
from nntrack.training.dataset import Batch, Mixture, Part
from nntrack.training.loop import Mean, Net, Run, Task, Values

MODEL_NAME = "model.safetensors"
LIVE_NAME = "live"
NO_FACE_FILE = "widerface.h5"  # whose images without a face the pose net sees too
MEASURED = tuple(in_pipeline("measure"))  # readers of datasets that are for measuring
VISIBLE = 0.6  # fraction of a face's box that must be in the frame for the face to count as one

HeldOut = Mapping[str, Collection[str]]  # dataset: groups that are not trained on


def train_pose(
    folder: str | os.PathLike[str],
    held_out: HeldOut,
    face: str | os.PathLike[str],
    out: str | os.PathLike[str],
    params: config.Pose,
    lr: float,
    run: Run,
    work: str | os.PathLike[str] | None = None,
) -> None:
    """Train the pose net; write its best averaged weights and the curves. Raises ValueError as `pose_task`.

    Args:
        folder: of the datasets ``<name>.h5`` that ``params.sampling`` names, and of `NO_FACE_FILE`.
        held_out: groups that choose the weights.
        face: file of the face model.
        out: folder for the results.
        params: all parameters of the pose net but its learning rate ``lr``.
        run: how to compute.
        work: folder for checkpoints; with it, a training that ended in any way continues to the same bytes.
    """
    task = pose_task(folder, held_out, face, params, lr, run.seed)
    photos = [Path(folder) / NO_FACE_FILE] if params.no_face else []
    _train(task, run, out, work, held_out, [face, *_posed_files(folder, params.sampling), *photos])


def train_localizer(
    path: str | os.PathLike[str],
    held_out: HeldOut,
    out: str | os.PathLike[str],
    params: config.Localizer,
    run: Run,
    work: str | os.PathLike[str] | None = None,
) -> None:
    """Train the localizer on the training subset of the WIDER FACE samples in ``path``; see `train_pose`."""
    _train(localizer_task(path, held_out, params, run.seed), run, out, work, held_out, [path])


def pose_task(
    folder: str | os.PathLike[str],
    held_out: HeldOut,
    face: str | os.PathLike[str],
    params: config.Pose,
    lr: float,
    seed: int,
) -> "PoseTask":
    """What `train_pose` trains, with a new net. Raises ValueError for unknown names, or if there are no samples."""
    losses.check(params.losses, losses.POSE)
    datasets = {path.stem: _posed(path) for path in _posed_files(folder, params.sampling)}
    face_model = model.load(face)
    net_config = PoseConfig(
        backbone=params.backbone,
        width=params.width,
        rotation=params.rotation,
        shape_modes=len(face_model.shape_basis),
        expression_modes=len(face_model.expression_basis),
    )
    net = torch_settings.seeded(lambda: PoseNet(net_config, face_model), seed)

    photos = Stored(Path(folder) / NO_FACE_FILE) if params.no_face else None
    size = max(stored.image.shape[1] for stored in datasets.values())

    def parts(inside: bool) -> list[Part]:
        found = [Part(s, rows_of(s, held_out.get(n, ()), inside), params.sampling[n]) for n, s in datasets.items()]
        weight = sum(part.weight for part in found if len(part.rows))
        if photos is not None and weight:
            rows = rows_of(photos, held_out.get(photos.path.stem, ()), inside, "train")
            without = FaceFree(photos, rows, size)
            found.append(Part(without, np.arange(len(without)), weight * params.no_face / (1 - params.no_face)))
        return found

    return PoseTask(net, params, lr, parts)


def localizer_task(
    path: str | os.PathLike[str], held_out: HeldOut, params: config.Localizer, seed: int
) -> "LocalizerTask":
    """What `train_localizer` trains, with a new net; see `pose_task`."""
    losses.check(params.losses, losses.LOCALIZER)
    stored = Stored(path)
    net = torch_settings.seeded(lambda: LocalizerNet(LocalizerConfig(params.width)), seed)
    groups = held_out.get("widerface", ())
    return LocalizerTask(
        net, params, params.lr, lambda inside: [Part(stored, rows_of(stored, groups, inside, "train"))]
    )


class _NetTask(Task[Net]):
    """What the tasks of the two nets have in common: a table of losses, and how stored images are averaged.

    parts: called with False, the parts of datasets to train on; with True, those held out.
    """

    table: ClassVar[Mapping[str, losses.Loss]]
    metrics: ClassVar[Mapping[str, losses.Loss]] = {}  # computed in validation, besides all losses
    size: ClassVar[tuple[int, int]]  # height, width of the net's input, px

    def __init__(
        self, net: Net, params: config.Pose | config.Localizer, lr: float, parts: Callable[[bool], list[Part]]
    ) -> None:
        self.net, self.schedule, self.lr = net, params, lr
        self.augment = params.augment
        self.weights = params.losses
        labels = {name for loss in self.table.values() for name in loss.labels}
        self.train, held_out = Mixture(parts(False), labels), parts(True)
        self.valid = Mixture(held_out, labels) if any(len(part.rows) for part in held_out) else None
        roi = self.train.labels("roi")
        self.pool = max(1, int((roi[:, 2] - roi[:, 0]).median().item() / self.size[1]))

    def finish(self, batch: Batch) -> Batch:
        """See `Task`."""
        image = augment.net_input(batch["image"], batch["gain"])
        return {name: value for name, value in batch.items() if name != "gain"} | {"image": image}

    def loss(self, prediction: Batch, batch: Batch, ramp: Number, mean: Mean) -> tuple[torch.Tensor, Batch]:
        """See `Task`."""
        return losses.total(self.weights, self.table, prediction, batch, ramp, mean)

    def evaluate(self, prediction: Batch, batch: Batch) -> Values:
        """See `Task`."""
        return losses.evaluate({**self.table, **self.metrics}, prediction, batch)

    def score(self, means: Mapping[str, float]) -> float:
        """The weighted sum of the losses; see `Task`."""
        return sum(weight * means[name] for name, weight in self.weights.items())


class PoseTask(_NetTask[PoseNet]):
    """The pose net's task."""

    table = losses.POSE
    metrics = losses.POSE_METRICS
    size = (contract.POSE_SIZE, contract.POSE_SIZE)
    slow = ("rotaxis_scales", "pos_size_scales")  # the losses of the uncertainties have heavy tails

    def prepare(self, batch: Batch, generator: torch.Generator | None) -> Batch:
        """See `Task`."""
        return pose_view(batch, self.augment, generator, self.pool)


class LocalizerTask(_NetTask[LocalizerNet]):
    """The localizer's task."""

    table = losses.LOCALIZER
    size = contract.LOCALIZER_SIZE

    def prepare(self, batch: Batch, generator: torch.Generator | None) -> Batch:
        """See `Task`."""
        return localizer_view(batch, self.augment, generator, self.pool)


def pose_view(batch: Batch, settings: config.Augment, generator: torch.Generator | None, pool: int = 1) -> Batch:
    """Images for the pose net, with their ``gain`` (see `augment.net_input`), and labels in patch units.

    Args:
        batch: of a mixture, labels in px.
        settings: of the augmentation.
        generator: of the augmentation; None for none.
        pool: see `augment.view`.
    """
    viewed = _view(batch, PoseTask.size, settings, generator, pool)
    return viewed | {"gain": augment.client_gain(viewed["image"])}


def localizer_view(batch: Batch, settings: config.Augment, generator: torch.Generator | None, pool: int = 1) -> Batch:
    """The same for the localizer; labels are in units of the frame."""
    viewed = _view(batch, LocalizerTask.size, settings, generator, pool)
    box = viewed["bbox"]
    area_inside = (box[:, 2:].clamp(-1, 1) - box[:, :2].clamp(-1, 1)).prod(dim=1)
    visible = area_inside >= VISIBLE * (box[:, 2:] - box[:, :2]).prod(dim=1)
    # a face that augmentation moved out of the frame is neither a face nor none
    counts = visible | (viewed["face"] == 0)
    viewed |= {
        "has_face": viewed["has_face"] & counts,
        "has_bbox": viewed["has_bbox"] & visible,
        "bbox": box.clamp(-1, 1),  # what lies beyond the frame cannot be seen
    }
    return viewed | {"gain": augment.plain_gain(viewed["image"])}


def _view(
    batch: Batch, size: tuple[int, int], settings: config.Augment, generator: torch.Generator | None, pool: int
) -> Batch:
    if generator is not None:
        return augment.random_view(batch, size, settings, generator, pool)
    return augment.view(batch, size, pool=pool)


def _posed_files(folder: str | os.PathLike[str], sampling: Mapping[str, float]) -> list[Path]:
    return [Path(folder) / f"{name}.h5" for name, weight in sampling.items() if weight > 0]


def _posed(path: Path) -> Stored:
    """A dataset to learn poses from. Raises ValueError if it has none, or is there to measure on."""
    stored = Stored(path)
    if stored.attributes.get("reader") in MEASURED:
        raise ValueError(f"pose.sampling: {path} is for measuring, never for training")
    if len(stored) and not stored.masks["quat"].any():
        raise ValueError(f"pose.sampling: {path} holds no poses to learn from")
    return stored


def _train(
    task: PoseTask | LocalizerTask,
    run: Run,
    out: str | os.PathLike[str],
    work: str | os.PathLike[str] | None,
    held_out: HeldOut,
    files: Iterable[str | os.PathLike[str]],
) -> None:
    checkpoint = None
    if work is not None:
        split = {name: sorted(groups) for name, groups in held_out.items()}
        # the schedule as text, in which the order of losses and datasets counts: it decides the last bits
        values = [task.schedule.model_dump_json(), task.lr, run, split, torch_settings.kind(run.device)]
        checkpoint = Checkpoint(work, digest(values, files))
    best = loop.fit(task, run, Path(out) / LIVE_NAME, checkpoint)
    if best is None:
        return
    weights.save(Path(out) / MODEL_NAME, task.net, best)
    if checkpoint is not None:
        checkpoint.remove()
