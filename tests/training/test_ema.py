import torch
from torch import nn

from nntrack.config import Schedule
from nntrack.training.ema import Ema
from nntrack.training.schedule import at_step

SCHEDULE = Schedule(
    batch_size=4, steps=100, warmup_steps=10, weight_decay=0.1, ema_decay=0.999, validate_every=50, losses={"a": 1.0}
)


def test_the_average_follows_parameters_and_buffers():
    net = nn.BatchNorm1d(2)
    ema = Ema(net)
    with torch.no_grad():
        net.weight.fill_(3.0)
    net(torch.randn(8, 2))
    ema.update(net, 0.75)
    assert ema.net.weight.tolist() == [1.5, 1.5]
    for _ in range(200):
        ema.update(net, 0.9)
    torch.testing.assert_close(ema.net.weight, net.weight)
    torch.testing.assert_close(ema.net.running_mean, net.running_mean)
    assert ema.net.num_batches_tracked == net.num_batches_tracked
    assert not ema.net.training


def test_the_average_soon_forgets_the_start():
    net = nn.Linear(1, 1)
    ema = Ema(net)
    with torch.no_grad():
        net.weight.fill_(5.0)
    for step in range(1, 21):
        ema.update(net, at_step(step, SCHEDULE).decay)
    assert ema.net.weight.item() > 4.9
