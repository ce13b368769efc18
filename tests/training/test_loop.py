import pytest
import torch
from torch import nn

from nntrack import config
from nntrack.config import Schedule
from nntrack.training import checkpoint, loop, torch_settings
from nntrack.training.loop import Run, Task
from tests.conftest import ROOT

SCHEDULE = Schedule(
    batch_size=4, steps=100, warmup_steps=10, weight_decay=0.1, ema_decay=0.9, validate_every=50, losses={"a": 1.0}
)


@pytest.mark.parametrize("precision", ["auto", "32-true", "bf16-mixed", "16-mixed"])
def test_a_run_has_the_precision_of_the_parameters_or_the_machines_own(precision, monkeypatch):
    monkeypatch.setattr(torch_settings, "precision", lambda device: f"that of a {device.type}")
    params = config.load(ROOT / "params.yaml").model_copy(update={"precision": precision, "devices": 1, "nodes": 1})
    run = Run.of(params)
    assert run.precision == (f"that of a {run.device.type}" if precision == "auto" else precision)
    assert run._replace(precision=precision) == Run(params.seed, params.threads, precision, 1, 1)


class Squares:
    """Samples whose mean is to be predicted."""

    def __init__(self, count):
        self.image = torch.rand(count, 2, 8, 8, generator=torch.Generator().manual_seed(count))

    def __len__(self):
        return len(self.image)

    def sample(self, size, generator):
        return torch.randint(len(self.image), (size,), generator=generator)

    def batch(self, index):
        return {"image": self.image[index], "index": index}

    def in_order(self, size, first=0, stride=1):
        yield self.batch(torch.arange(len(self.image)))

    def names(self, index):
        return [f"square {number}" for number in index.tolist()]


class Killed(BaseException):
    pass


STEPS = 50
KEY = "0123456789abcdef"


class Means(Task):
    """A small net with buffers learns means under noise; what goes wrong happens in the steps given."""

    slow = ("4",)

    def __init__(self, kill_in=None, valid=True, spoil=None, lr=0.05, steps=STEPS):
        self.net = torch_settings.seeded(
            lambda: nn.Sequential(nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(144, 1)), 1
        )
        self.schedule = SCHEDULE.model_copy(update={"steps": steps, "validate_every": 15, "ema_decay": 0.95})
        self.lr, self.train, self.valid = lr, Squares(64), Squares(11) if valid else None
        self.kill_in, self.spoil, self.steps = kill_in, spoil, iter(range(1, STEPS + 1))

    def prepare(self, batch, generator):
        noise = 0.0 if generator is None else 0.1 * torch.randn(batch["image"].shape, generator=generator)
        return batch | {"noise": noise + 0 * batch["image"]}

    def finish(self, batch):
        return batch | {"image": batch["image"] + batch["noise"], "mean": batch["image"].mean(dim=(1, 2, 3))}

    def loss(self, prediction, batch, ramp, mean):
        error = (prediction[:, 0].float() - batch["mean"]).square().mean()
        step = next(self.steps)
        if step == self.kill_in:
            raise Killed
        return (1 + ramp) * error * (float("nan") if step == self.spoil else 1.0), {"error": error}

    def evaluate(self, prediction, batch):
        error = (prediction[:, 0].float() - batch["mean"]).abs()
        return {"error": (error, torch.ones_like(error, dtype=torch.bool))}

    def score(self, means):
        return means["error"]


def fit(task, folder, work=None, precision="32-true"):
    return loop.fit(task, Run(5, 1, precision), folder, None if work is None else checkpoint.Checkpoint(work, KEY))


def files(folder):
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Weights and files of an undisturbed training."""
    folder = tmp_path_factory.mktemp("whole")
    return fit(Means(), folder), files(folder)


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@pytest.fixture
def always(monkeypatch):
    """A checkpoint after every step."""
    monkeypatch.setattr(checkpoint, "EVERY", 0.0)
    monkeypatch.setattr(checkpoint, "TIME_FRACTION", float("inf"))


@pytest.mark.parametrize(("precision", "valid"), [("32-true", True), ("bf16-mixed", False)])
def test_checkpoints_change_nothing(precision, valid, always, tmp_path):
    without = fit(Means(valid=valid), tmp_path / "without", None, precision)
    watched = fit(Means(valid=valid), tmp_path / "with", tmp_path / "work", precision)
    assert same(without, watched)
    assert files(tmp_path / "without") == files(tmp_path / "with")


# before the first log, after it, before a validation, before the last step; and again and again
@pytest.mark.parametrize("kills", [[2], [21], [30], [STEPS], [5, 1, 22, 3, 10]], ids=str)
def test_a_training_that_was_ended_continues_to_the_same_bytes(kills, whole, always, tmp_path):
    for number, kill in enumerate(kills):
        with pytest.raises(Killed):
            fit(Means(kill), tmp_path / f"killed {number}", tmp_path / "work")
    assert same(fit(Means(), tmp_path / "live", tmp_path / "work"), whole[0])
    assert files(tmp_path / "live") == whole[1]


@pytest.mark.parametrize("written", [{3}, {7, 15}, {40}], ids=str)
def test_it_does_not_matter_when_checkpoints_are_written(written, whole, tmp_path, monkeypatch):
    save = checkpoint.Checkpoint.save
    monkeypatch.setattr(checkpoint.Checkpoint, "due", lambda self: True)
    monkeypatch.setattr(
        checkpoint.Checkpoint, "save", lambda self, step, parts: step in written and save(self, step, parts)
    )
    with pytest.raises(Killed):
        fit(Means(45), tmp_path / "killed", tmp_path / "work")
    assert same(fit(Means(), tmp_path / "live", tmp_path / "work"), whole[0])
    assert files(tmp_path / "live") == whole[1]


def test_the_result_is_still_there_if_it_could_not_be_written(whole, tmp_path, capsys):
    """A training too short for checkpoints on its way has one at its end."""
    fit(Means(), tmp_path / "first", tmp_path / "work")
    assert same(fit(Means(kill_in=1), tmp_path / "again", tmp_path / "work"), whole[0])
    assert files(tmp_path / "again") == whole[1]
    assert capsys.readouterr().out.startswith(f"continuing after step {STEPS}, ")


def test_a_spoilt_training_names_the_last_good_checkpoint(always, tmp_path):
    said = rf"the loss became nan at step 24; .*: square \d+.*\. The last good checkpoint is that of step 23, .*{KEY}"
    with pytest.raises(ValueError, match=said):
        fit(Means(spoil=24), tmp_path / "live", tmp_path / "work")
    with pytest.raises(ValueError, match=r"square \d+\. There is no checkpoint$"):
        fit(Means(spoil=1), tmp_path / "live", tmp_path / "other")


@pytest.mark.parametrize("valid", [True, False])
def test_weights_that_the_last_step_spoilt_are_an_error(valid, tmp_path):
    with pytest.raises(ValueError, match=r"weights that are not numbers.* There is no checkpoint$"):
        fit(Means(valid=valid, lr=float("inf"), steps=1), tmp_path / "live", tmp_path / "work")
