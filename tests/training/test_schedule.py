from itertools import pairwise

import pytest

from nntrack.config import Schedule
from nntrack.training.schedule import LAST_FRACTION, RAMP, at_step

SCHEDULE = Schedule(
    batch_size=4, steps=100, warmup_steps=10, weight_decay=0.1, ema_decay=0.9, validate_every=50, losses={"a": 1.0}
)
STEPS = range(1, SCHEDULE.steps + 1)


def test_the_rate_rises_then_falls():
    rates = [at_step(step, SCHEDULE).rate for step in STEPS]
    assert rates[0] == 0.1
    assert max(rates) == rates[9] == 1.0
    assert all(a < b for a, b in pairwise(rates[:10]))
    assert all(a >= b for a, b in pairwise(rates[10:]))
    assert LAST_FRACTION < rates[-1] < 0.02


def test_late_losses_come_in_between_two_times():
    ramps = [at_step(step, SCHEDULE).ramp for step in STEPS]
    start, end = (round(fraction * SCHEDULE.steps) for fraction in RAMP)
    assert ramps[: start - 1] == [0.0] * (start - 1)
    assert ramps[end - 1 :] == [1.0] * (len(ramps) - end + 1)
    assert ramps[(start + end) // 2 - 1] == pytest.approx(0.5)


def test_the_average_moves_ever_slower():
    decays = [at_step(step, SCHEDULE).decay for step in STEPS]
    assert decays[0] == 0.1
    assert all(a <= b for a, b in pairwise(decays))
    assert decays[-1] == SCHEDULE.ema_decay
