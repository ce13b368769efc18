import pytest
import torch
from torch import nn

from nntrack import config
from nntrack.config import Schedule
from nntrack.training import checkpoint as resume
from nntrack.training import loop, torch_settings
from nntrack.training.loop import Run, Task
from nntrack.training.schedule import pace
from tests.conftest import ROOT

SCHEDULE = Schedule(
    batch_size=4, steps=100, warmup_steps=10, weight_decay=0.1, ema_decay=0.9, validate_every=50, losses={"a": 1.0}
)


def test_the_average_follows_parameters_and_buffers():
    net = nn.BatchNorm1d(2)
    average = loop.Average(net)
    with torch.no_grad():
        net.weight.fill_(3.0)
    net(torch.randn(8, 2))
    for _ in range(200):
        average.update(net, 0.9)
    torch.testing.assert_close(average.net.weight, net.weight)
    torch.testing.assert_close(average.net.running_mean, net.running_mean)
    assert average.net.num_batches_tracked == net.num_batches_tracked
    assert not average.net.training


def test_the_average_forgets_the_start_at_once():
    net = nn.Linear(1, 1)
    average = loop.Average(net)
    schedule = SCHEDULE.model_copy(update={"ema_decay": 0.999})
    with torch.no_grad():
        net.weight.fill_(5.0)
    for step in range(1, 21):
        average.update(net, pace(step, schedule).decay)
    assert average.net.weight.item() > 4.9


def test_groups_hold_every_parameter_once():
    net = nn.Sequential()
    net.add_module("dense", nn.Conv2d(1, 4, 3))
    net.add_module("depthwise", nn.Conv2d(4, 4, 3, groups=4))
    net.add_module("sure", nn.Linear(4, 1))
    found = loop.groups(net, 0.1, ("sure",))
    held = [parameter for group in found for parameter in group["params"]]
    assert len(held) == len(set(held)) == len(list(net.parameters()))
    for group in found:
        for parameter in group["params"]:
            assert group["weight_decay"] == (0.1 if parameter.ndim > 1 else 0.0)
            assert (group["share"] < 1) == any(parameter is own for own in net.sure.parameters())
            assert group["orthogonal"] == (parameter is net.dense.weight)
    assert [len(group["params"]) for group in loop.groups(net, 0.1, ())] == [1, 3, 2]


def test_the_settings_are_put_back():
    before = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    with pytest.raises(KeyError), torch_settings.settings(1):
        raise KeyError
    assert (torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()) == before


@pytest.mark.parametrize("told", ["auto", "32-true", "bf16-mixed", "16-mixed"])
def test_a_run_has_the_precision_that_was_told_or_the_machines_own(told, monkeypatch):
    monkeypatch.setattr(torch_settings, "precision", lambda place: f"that of a {place.type}")
    params = config.load(ROOT / "params.yaml").model_copy(update={"precision": told, "devices": 1, "nodes": 1})
    run = Run.of(params)
    assert run.precision == (f"that of a {loop.device(run).type}" if told == "auto" else told)
    assert run._replace(precision=told) == Run(params.seed, params.threads, told, 1, 1)


class Squares:
    """Samples to tell the mean of."""

    def __init__(self, count):
        self.image = torch.rand(count, 2, 8, 8, generator=torch.Generator().manual_seed(count))

    def __len__(self):
        return len(self.image)

    def draw(self, size, generator):
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


def task(kill_in=None, valid=True, spoil=None):
    """A small net with buffers that learns under noise; what is wrong with it happens in the steps named."""
    net = torch_settings.seeded(
        lambda: nn.Sequential(nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(144, 1)), 1
    )
    steps = iter(range(1, STEPS + 1))

    def prepare(batch, generator):
        noise = 0.0 if generator is None else 0.1 * torch.randn(batch["image"].shape, generator=generator)
        return batch | {"noise": noise + 0 * batch["image"]}

    def finish(batch):
        return batch | {"image": batch["image"] + batch["noise"], "mean": batch["image"].mean(dim=(1, 2, 3))}

    def total(prediction, batch, ramp, mean):
        error = (prediction[:, 0].float() - batch["mean"]).square().mean()
        step = next(steps)
        if step == kill_in:
            raise Killed
        return (1 + ramp) * error * (float("nan") if step == spoil else 1.0), {"error": error}

    def values(prediction, batch):
        error = (prediction[:, 0].float() - batch["mean"]).abs()
        return {"error": (error, torch.ones_like(error, dtype=torch.bool))}

    held_out = Squares(11) if valid else None
    return Task(net, Squares(64), held_out, prepare, finish, total, values, lambda means: means["error"], ("4",))


def fit(made, folder, work=None, precision="32-true", lr=0.05, steps=STEPS):
    schedule = SCHEDULE.model_copy(update={"steps": steps, "validate_every": 15, "ema_decay": 0.95})
    checkpoint = None if work is None else resume.Checkpoint(work, KEY)
    return loop.fit(made, schedule, lr, Run(5, 1, precision), folder, checkpoint)


def files(folder):
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Weights and files of a training that nothing disturbed."""
    folder = tmp_path_factory.mktemp("whole")
    return fit(task(), folder), files(folder)


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@pytest.fixture
def always(monkeypatch):
    """A checkpoint after every step."""
    monkeypatch.setattr(resume, "EVERY", 0.0)
    monkeypatch.setattr(resume, "SHARE", float("inf"))


@pytest.mark.parametrize(("precision", "valid"), [("32-true", True), ("bf16-mixed", False)])
def test_checkpoints_change_nothing(precision, valid, always, tmp_path):
    without = fit(task(valid=valid), tmp_path / "without", None, precision)
    watched = fit(task(valid=valid), tmp_path / "with", tmp_path / "work", precision)
    assert same(without, watched)
    assert files(tmp_path / "without") == files(tmp_path / "with")


# before the first log, after it, before a validation, before the last step; and again and again
@pytest.mark.parametrize("kills", [[2], [21], [30], [STEPS], [5, 1, 22, 3, 10]], ids=str)
def test_a_training_that_was_ended_goes_on_to_the_same_bytes(kills, whole, always, tmp_path):
    for number, kill in enumerate(kills):
        with pytest.raises(Killed):
            fit(task(kill), tmp_path / f"killed {number}", tmp_path / "work")
    assert same(fit(task(), tmp_path / "live", tmp_path / "work"), whole[0])
    assert files(tmp_path / "live") == whole[1]


@pytest.mark.parametrize("written", [{3}, {7, 15}, {40}], ids=str)
def test_it_does_not_matter_when_checkpoints_are_written(written, whole, tmp_path, monkeypatch):
    save = resume.Checkpoint.save
    monkeypatch.setattr(resume.Checkpoint, "due", lambda self: True)
    monkeypatch.setattr(
        resume.Checkpoint, "save", lambda self, step, parts: step in written and save(self, step, parts)
    )
    with pytest.raises(Killed):
        fit(task(45), tmp_path / "killed", tmp_path / "work")
    assert same(fit(task(), tmp_path / "live", tmp_path / "work"), whole[0])
    assert files(tmp_path / "live") == whole[1]


def test_what_was_learnt_is_still_there_if_it_could_not_be_used(whole, tmp_path, capsys):
    """A training too short for checkpoints on its way has one at its end."""
    fit(task(), tmp_path / "first", tmp_path / "work")
    assert same(fit(task(kill_in=1), tmp_path / "again", tmp_path / "work"), whole[0])
    assert files(tmp_path / "again") == whole[1]
    assert capsys.readouterr().out.startswith(f"going on after step {STEPS}, ")


def test_a_spoilt_training_names_the_last_good_checkpoint(always, tmp_path):
    said = rf"the loss became nan at step 24; .*: square \d+.*\. The last good checkpoint is that of step 23, .*{KEY}"
    with pytest.raises(ValueError, match=said):
        fit(task(spoil=24), tmp_path / "live", tmp_path / "work")
    with pytest.raises(ValueError, match=r"square \d+\. There is no checkpoint$"):
        fit(task(spoil=1), tmp_path / "live", tmp_path / "other")


@pytest.mark.parametrize("valid", [True, False])
def test_weights_that_the_last_step_spoilt_are_not_handed_out(valid, tmp_path):
    with pytest.raises(ValueError, match=r"weights that are not numbers.* There is no checkpoint$"):
        fit(task(valid=valid), tmp_path / "live", tmp_path / "work", lr=float("inf"), steps=1)
