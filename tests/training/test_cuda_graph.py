"""Steps that are recorded, on a GPU where there is one, and rehearsed without."""

from contextlib import contextmanager

import pytest
import torch
from torch import nn

from nntrack.training import torch_settings
from nntrack.training.cuda_graph import Beside, Replay
from nntrack.training.distributed import World
from nntrack.training.loop import Loop
from nntrack.training.optimizer import Muon
from tests import trainings

HERE = torch.cuda.is_available()
pytestmark = pytest.mark.filterwarnings("ignore:.*capturable")  # steps are taken without a recording, too


class Stream:
    """A stream that notes for whom it waits."""

    def __init__(self, priority=0):
        self.waited = []

    def wait_stream(self, other):
        self.waited.append(other)


class Graph:
    """What was done within `recording`, to be done again."""

    def __init__(self):
        self.steps = []

    def replay(self):
        for step in self.steps:
            step()


def rehearse(monkeypatch):
    """Let the processor stand in for a GPU; returns how the step of a `Replay` is told what is recorded."""
    current, graphs = Stream(), []

    @contextmanager
    def within(*_, **__):
        yield

    @contextmanager
    def recording(graph, stream):
        graphs.append(graph)
        yield
        graphs.clear()

    for name, stand_in in {
        "Stream": Stream,
        "current_stream": lambda: current,
        "set_stream": lambda stream: None,
        "stream": within,
        "CUDAGraph": Graph,
        "graph": recording,
    }.items():
        monkeypatch.setattr(torch.cuda, name, stand_in)

    def recorded(step):
        def told(batch, numbers):
            made = step(batch, numbers)
            for graph in graphs:

                def again():
                    for name, value in step(batch, numbers).items():
                        made[name].copy_(value)

                graph.steps.append(again)
            return made

        return told

    return recorded


@pytest.fixture(params=["rehearsed", pytest.param("real", marks=pytest.mark.skipif(not HERE, reason="no GPU here"))])
def place(request, monkeypatch):
    """A device, and what a step has to go through before a `Replay` is given it."""
    if request.param == "real":
        return "cuda", lambda step: step
    return "cpu", rehearse(monkeypatch)


class Learner:
    """A net, its optimiser, and a step."""

    def __init__(self, device):
        torch.manual_seed(0)
        self.net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4 * 9, 1)).to(device)
        groups = [{"params": [self.net[0].weight], "orthogonal": True}, {"params": self.net[3].parameters()}]
        self.optimizer = Muon(groups, 1e-3, fused=True, capturable=device == "cuda")

    def step(self, batch, numbers):
        rate, weight = numbers
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        loss = (self.net(batch["image"]) - batch["wanted"]).square().mean() * weight
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        return {"loss": loss.detach()}

    def changed(self):
        states = [value for state in self.optimizer.state.values() for value in state.values()]
        return [*self.net.parameters(), *self.net.buffers(), *states]


def given(device, step):
    torch.manual_seed(step)
    batch = {"image": torch.randn(6, 1, 5, 5).to(device), "wanted": torch.randn(6, 1).to(device)}
    return batch, (0.01 / step, 1.0 + step)


def test_a_replay_does_what_the_step_does(place):
    device, told = place
    plain, other = Learner(device), Learner(device)
    replay = Replay(told(other.step), other.changed)
    losses = [(plain.step(*given(device, step))["loss"], replay(*given(device, step))["loss"]) for step in range(1, 8)]
    # each is its own: none was written over by those after it
    assert len({loss.item() for _, loss in losses}) == len(losses)
    for one, two in losses:
        torch.testing.assert_close(one, two)
    assert len(plain.changed()) == len(other.changed()) > 9
    for one, two in zip(plain.changed(), other.changed(), strict=True):
        torch.testing.assert_close(one, two)


def test_what_was_learnt_before_the_recording_stays(place):
    device, told = place
    plain, other = Learner(device), Learner(device)
    for learner in (plain, other):
        for step in range(1, 4):
            learner.step(*given(device, step))
    replay = Replay(told(other.step), other.changed)
    for step in range(4, 7):
        plain.step(*given(device, step))
        replay(*given(device, step))
    for one, two in zip(plain.changed(), other.changed(), strict=True):
        torch.testing.assert_close(one, two)


def test_a_step_that_waits_is_done_as_it_is(place, monkeypatch, capsys):
    device, told = place
    plain, other = Learner(device), Learner(device)
    recording = []

    def waits(batch, numbers):
        if device == "cpu" and recording:
            raise RuntimeError("operation not permitted when stream is capturing\nand more")
        batch["wanted"].sum().item()
        return other.step(batch, numbers)

    if device == "cpu":

        @contextmanager
        def failing(graph, stream):
            recording.append(graph)
            try:
                yield
            finally:
                recording.clear()

        monkeypatch.setattr(torch.cuda, "graph", failing)
    replay = Replay(waits, other.changed)
    for step in range(1, 4):
        torch.testing.assert_close(plain.step(*given(device, step)), replay(*given(device, step)))
    for one, two in zip(plain.changed(), other.changed(), strict=True):
        torch.testing.assert_close(one, two)
    told = capsys.readouterr().err
    assert told.count("cannot be recorded") == 1 and "and more" not in told


@pytest.mark.parametrize("net", trainings.NETS)
def test_a_recorded_training_learns_what_it_would(net, place, tmp_path):
    device, told = place
    if device == "cpu" and HERE:
        pytest.skip("a training takes the GPU that is here")
    folder = trainings.write(tmp_path)
    losses, weights = [], []
    for recorded in (False, True):
        task, schedule = trainings.of(net, folder)
        with torch_settings.settings(1):
            loop = Loop(task, schedule, 1e-3, trainings.RUN, None, None, World(1, 1, "32-true"))
            loop.step = Replay(told(loop.descend), loop.changed) if recorded else loop.descend
            for step in range(1, 5):
                loop.learn(step)
            loop.check()
        losses.append(loop.recent.take())
        weights.append(torch.cat([value.detach().double().flatten().cpu() for value in loop.changed()]))
    assert losses[1] == pytest.approx(losses[0], rel=1e-4)
    # as a whole: parameters that no loss depends on follow the last bits
    assert torch.dist(*weights) < 1e-4 * weights[0].norm()


@pytest.mark.parametrize("numbers", [[0, 1, 2, 3], [5, 6, 2, 3, 9]])
def test_what_is_made_beside_is_begun_when_the_one_before_is_taken(place, numbers):
    device, _ = place
    begun = []

    def make(number):
        begun.append(number)
        return torch.full((10**4,), number, device=device)

    beside = Beside(make)
    for number in numbers:
        assert beside.take(number).eq(number).all()
        assert begun[-1] == number + 1
    if device == "cpu":
        # nothing is begun before what was launched is done, nor taken before it is made
        current, stream = torch.cuda.current_stream(), beside._stream
        assert current.waited == [stream] * len(numbers)
        assert stream.waited == [current] * len(begun)
    assert len(begun) == len(numbers) + sum(b != a + 1 for a, b in zip([-9, *numbers], numbers, strict=False))
