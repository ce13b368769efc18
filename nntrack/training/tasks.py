"""Training of the two nets: which samples, what the net is shown of them, which losses, what is kept."""

import os
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import partial
from pathlib import Path

import torch

from nntrack import config, contract
from nntrack.data.datasets import in_pipeline
from nntrack.data.hdf5 import Stored
from nntrack.data.splits import rows_of
from nntrack.face_model import model as facemodel
from nntrack.networks import losses
from nntrack.networks.localizer import LocalizerConfig, LocalizerNet
from nntrack.networks.pose_net import PoseConfig, PoseNet
from nntrack.networks.weights import save as save_weights
from nntrack.training import augment, loop, torch_settings
from nntrack.training import checkpoint as resume
from nntrack.training.checkpoint import Checkpoint
from nntrack.training.dataset import Batch, Mixture, Part
from nntrack.training.loop import Net, Run, Task

MODEL_NAME = "model.safetensors"
LIVE_NAME = "live"
UNCERTAINTY = ("rotaxis_scales", "pos_size_scales")  # heads that learn slower: their losses have heavy tails
MEASURED = tuple(in_pipeline("measure"))  # readers whose samples nobody trains on
VISIBLE = 0.6  # share of a face's box that must be in the frame for the face to count as one

HeldOut = Mapping[str, Collection[str]]  # dataset: groups that no training sees


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
    """Train the pose net on the datasets ``folder``/<name>.h5 that ``params.sampling`` names.

    ``out`` receives the best averaged weights and the curves. If a ``work`` folder is given, a training that was ended
    in any way goes on from where it was, to the same bytes. Raises ValueError for unknown names, or if there is no
    sample to learn from.
    """
    task = pose_task(folder, held_out, face, params, run)
    files = [face, *_posed_files(folder, params.sampling)]
    _train(task, params, lr, run, out, _checkpoint(work, params, lr, run, held_out, files))


def train_localizer(
    path: str | os.PathLike[str],
    held_out: HeldOut,
    out: str | os.PathLike[str],
    params: config.Localizer,
    run: Run,
    work: str | os.PathLike[str] | None = None,
) -> None:
    """Train the localizer on the training subset of the WIDER FACE samples in ``path``; see `train_pose`."""
    task = localizer_task(path, held_out, params, run)
    _train(task, params, params.lr, run, out, _checkpoint(work, params, params.lr, run, held_out, [path]))


def pose_task(
    folder: str | os.PathLike[str],
    held_out: HeldOut,
    face: str | os.PathLike[str],
    params: config.Pose,
    run: Run,
) -> Task[PoseNet]:
    """What `train_pose` trains: a new net, its samples, what it is shown of them and its losses."""
    losses.check(params.losses, losses.POSE)
    opened = {path.stem: _posed(path) for path in _posed_files(folder, params.sampling)}
    model = facemodel.load(face)
    net_config = PoseConfig(
        backbone=params.backbone,
        width=params.width,
        rotation=params.rotation,
        shape_modes=len(model.shape_basis),
        expression_modes=len(model.expression_basis),
    )
    net = torch_settings.seeded(lambda: PoseNet(net_config, model), run.seed)

    def parts(inside: bool) -> list[Part]:
        return [Part(s, rows_of(s, held_out.get(n, ()), inside), params.sampling[n]) for n, s in opened.items()]

    show = partial(show_pose, params.augment)
    return _task(net, parts, show, contract.POSE_SIZE, losses.POSE, params.losses, loop.device(run))


def localizer_task(
    path: str | os.PathLike[str], held_out: HeldOut, params: config.Localizer, run: Run
) -> Task[LocalizerNet]:
    """What `train_localizer` trains; see `pose_task`."""
    losses.check(params.losses, losses.LOCALIZER)
    stored = Stored(path)
    net = torch_settings.seeded(lambda: LocalizerNet(LocalizerConfig(params.width)), run.seed)
    groups = held_out.get("widerface", ())

    def parts(inside: bool) -> list[Part]:
        return [Part(stored, rows_of(stored, groups, inside, "train"))]

    show = partial(show_localizer, params.augment)
    width = contract.LOCALIZER_SIZE[1]
    return _task(net, parts, show, width, losses.LOCALIZER, params.losses, loop.device(run))


def _posed_files(folder: str | os.PathLike[str], sampling: Mapping[str, float]) -> list[Path]:
    return [Path(folder) / f"{name}.h5" for name, share in sampling.items() if share > 0]


def _posed(path: Path) -> Stored:
    """A dataset to learn poses from. Raises ValueError if it has none, or is there to measure on."""
    stored = Stored(path)
    if stored.attributes.get("reader") in MEASURED:
        raise ValueError(f"pose.sampling: {path} is for measuring, never for training")
    if len(stored) and not stored.masks["quat"].any():
        raise ValueError(f"pose.sampling: {path} holds no poses to learn from")
    return stored


def show_pose(settings: config.Augment, pool: int, batch: Batch, generator: torch.Generator | None) -> Batch:
    """A batch in px to what `net_input` makes the pose net's of, and labels in patch units; varied if a generator is
    given."""
    size = (contract.POSE_SIZE, contract.POSE_SIZE)
    shown = _show(settings, pool, size, batch, generator)
    return shown | {"gain": augment.client_gain(shown["image"])}


def show_localizer(settings: config.Augment, pool: int, batch: Batch, generator: torch.Generator | None) -> Batch:
    """A batch in px to what `net_input` makes the localizer's of, and labels in frame units; varied if a generator is
    given."""
    shown = _show(settings, pool, contract.LOCALIZER_SIZE, batch, generator)
    box = shown["bbox"]
    inside = (box[:, 2:].clamp(-1, 1) - box[:, :2].clamp(-1, 1)).prod(dim=1)
    visible = inside >= VISIBLE * (box[:, 2:] - box[:, :2]).prod(dim=1)
    # a face that variation pushed out of the frame is neither one nor none
    counts = visible | (shown["face"] == 0)
    shown |= {"has_face": shown["has_face"] & counts, "has_bbox": shown["has_bbox"] & visible}
    return shown | {"gain": augment.plain_gain(shown["image"])}


def net_input(batch: Batch) -> Batch:
    """A shown batch with its picture as a net takes it."""
    image = augment.net_input(batch["image"], batch["gain"])
    return {name: value for name, value in batch.items() if name != "gain"} | {"image": image}


def _show(
    settings: config.Augment, pool: int, size: tuple[int, int], batch: Batch, generator: torch.Generator | None
) -> Batch:
    if generator is not None:
        return augment.varied_view(batch, size, settings, generator, pool)
    return augment.view(batch, size, pool=pool)


def _task(
    net: Net,
    parts: Callable[[bool], list[Part]],
    show: Callable[[int, Batch, torch.Generator | None], Batch],
    width: int,
    table: Mapping[str, losses.Loss],
    weights: Mapping[str, float],
    device: torch.device,
) -> Task[Net]:
    """parts: those to learn from (False) or held out (True). show: given how many stored px make one of ``width``."""
    needs = {name for loss in table.values() for name in loss.labels}
    train, held_out = Mixture(parts(False), device, needs), parts(True)
    roi = train.labels("roi")
    pool = max(1, int((roi[:, 2] - roi[:, 0]).median().item() / width))
    # everything is watched on held-out samples; what has no weight does not count
    watched = table | losses.POSE_METRICS if table is losses.POSE else table
    return Task(
        net=net,
        train=train,
        valid=Mixture(held_out, device, needs) if any(len(part.rows) for part in held_out) else None,
        prepare=partial(show, pool),
        finish=net_input,
        total=partial(losses.total, weights, table),
        values=partial(losses.evaluate, watched),
        score=lambda means: sum(weight * means[name] for name, weight in weights.items()),
        slow=UNCERTAINTY,
    )


def _checkpoint(
    work: str | os.PathLike[str] | None,
    params: config.Schedule,
    lr: float,
    run: Run,
    held_out: HeldOut,
    files: Iterable[str | os.PathLike[str]],
) -> Checkpoint | None:
    if work is None:
        return None
    split = {name: sorted(groups) for name, groups in held_out.items()}
    # as text, in which the order of losses and datasets counts: it decides the last bits
    values = [params.model_dump_json(), lr, run, split, torch_settings.kind(loop.device(run))]
    return Checkpoint(work, resume.digest(values, files))


def _train(
    task: Task[PoseNet] | Task[LocalizerNet],
    params: config.Schedule,
    lr: float,
    run: Run,
    out: str | os.PathLike[str],
    checkpoint: Checkpoint | None,
) -> None:
    best = loop.fit(task, params, lr, run, Path(out) / LIVE_NAME, checkpoint)
    if best is None:
        return
    save_weights(Path(out) / MODEL_NAME, task.net, best)
    if checkpoint is not None:
        checkpoint.remove()
