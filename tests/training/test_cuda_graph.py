"""Recorded steps, on a GPU if there is one, and on a processor that stands in for it."""

from contextlib import closing, contextmanager

import pytest
import torch
from torch import nn

from nntrack.training import torch_settings
from nntrack.training.cuda_graph import Replay
from nntrack.training.distributed import World
from nntrack.training.loop import Loop
from nntrack.training.optimizer import Muon
from tests import trainings

HERE = torch.cuda.is_available()
pytestmark = pytest.mark.filterwarnings("ignore:.*capturable")  # steps are taken without a recording, too


class Stream:
    """A stream on which nothing runs."""

    def wait_stream(self, other):
        pass


class Graph:
    """The steps made within `recording`, to be replayed."""

    def __init__(self):
        self.steps = []

    def replay(self):
        for step in self.steps:
            step()


def rehearse(monkeypatch):
    """Let the processor stand in for a GPU; returns a function that makes a step recordable."""
    graphs = []

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
        "current_stream": Stream,
        "set_stream": lambda stream: None,
        "stream": within,
        "CUDAGraph": Graph,
        "graph": recording,
    }.items():
        monkeypatch.setattr(torch.cuda, name, stand_in)

    def recordable(step):
        def recorded(batch, numbers):
            outputs = step(batch, numbers)
            for graph in graphs:

                def again():
                    for name, value in step(batch, numbers).items():
                        outputs[name].copy_(value)

                graph.steps.append(again)
            return outputs

        return recorded

    return recordable


@pytest.fixture(params=["rehearsed", pytest.param("real", marks=pytest.mark.skipif(not HERE, reason="no GPU here"))])
def place(request, monkeypatch):
    """A device, and a function that makes a step recordable there."""
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
    device, recordable = place
    plain, other = Learner(device), Learner(device)
    replay = Replay(recordable(other.step), other.changed)
    losses = [(plain.step(*given(device, step))["loss"], replay(*given(device, step))["loss"]) for step in range(1, 8)]
    # each is its own: none was written over by those after it
    assert len({loss.item() for _, loss in losses}) == len(losses)
    for one, two in losses:
        torch.testing.assert_close(one, two)
    assert len(plain.changed()) == len(other.changed()) > 9
    for one, two in zip(plain.changed(), other.changed(), strict=True):
        torch.testing.assert_close(one, two)


def test_steps_before_the_recording_count(place):
    device, recordable = place
    plain, other = Learner(device), Learner(device)
    for learner in (plain, other):
        for step in range(1, 4):
            learner.step(*given(device, step))
    replay = Replay(recordable(other.step), other.changed)
    for step in range(4, 7):
        plain.step(*given(device, step))
        replay(*given(device, step))
    for one, two in zip(plain.changed(), other.changed(), strict=True):
        torch.testing.assert_close(one, two)


def test_a_step_that_waits_is_not_recorded(place, monkeypatch, capsys):
    device, _ = place
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
    err = capsys.readouterr().err
    assert err.count("cannot be recorded") == 1 and "and more" not in err


@pytest.mark.parametrize("net", trainings.NETS)
def test_a_recorded_training_learns_the_same(net, place, tmp_path):
    device, recordable = place
    if device == "cpu" and HERE:
        pytest.skip("a training takes the GPU that is here")
    folder = trainings.write(tmp_path)
    losses, weights = [], []
    for recorded in (False, True):
        task = trainings.of(net, folder)
        with torch_settings.settings(1):
            loop = Loop(task, trainings.RUN, None, None, World(1, 1, "32-true"))
            loop.step = Replay(recordable(loop.train_step), loop.changed) if recorded else loop.train_step
            with closing(loop.batches):
                for step in range(1, 5):
                    loop.learn(step)
                loop.check()
        losses.append(loop.running.take())
        weights.append(torch.cat([value.detach().double().flatten().cpu() for value in loop.changed()]))
    assert losses[1] == pytest.approx(losses[0], rel=1e-4)
    # as a whole: parameters that no loss depends on follow the last bits
    assert torch.dist(*weights) < 1e-4 * weights[0].norm()
