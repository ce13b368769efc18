"""How fast a training goes at each of its steps."""

import math
from typing import NamedTuple

from nntrack.config import Schedule

LAST_SHARE = 0.01  # of the learning rate, at the last step
RAMP = (0.3, 0.6)  # shares of the steps between which late losses come in


class Pace(NamedTuple):
    """What a step has of its own, beside its batch.

    rate: share of the learning rate. ramp: share of their weight that late losses have. decay: what the averaged
    weights keep of themselves.
    """

    rate: float
    ramp: float
    decay: float


def pace(step: int, schedule: Schedule) -> Pace:
    """That of a step (1 is the first)."""
    start, end = (schedule.steps * share for share in RAMP)
    ramp = min(1.0, max(0.0, (step - start) / (end - start)))
    # at first the average moves faster, so that the random start is soon forgotten
    return Pace(_rate(step - 1, schedule), ramp, min(schedule.ema_decay, step / (step + 9)))


def _rate(done: int, schedule: Schedule) -> float:
    """A linear rise, then half a cosine down."""
    if done < schedule.warmup_steps:
        return (done + 1) / schedule.warmup_steps
    share = (done - schedule.warmup_steps) / max(1, schedule.steps - schedule.warmup_steps)
    return LAST_SHARE + (1 - LAST_SHARE) * 0.5 * (1 + math.cos(math.pi * share))
