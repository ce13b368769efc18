"""What changes from step to step by plan: learning rate, late losses, the average's decay."""

import math
from typing import NamedTuple

from nntrack.config import Schedule

LAST_FRACTION = 0.01  # of the learning rate, at the last step
RAMP = (0.3, 0.6)  # fractions of the steps between which late losses come in


class StepSchedule(NamedTuple):
    """The planned numbers of one step.

    rate: factor of the learning rate. ramp: factor of the weights of late losses. decay: factor by which the average
    of the weights (EMA) keeps its old value.
    """

    rate: float
    ramp: float
    decay: float


def at_step(step: int, schedule: Schedule) -> StepSchedule:
    """The planned numbers of a step (1 is the first)."""
    start, end = (schedule.steps * fraction for fraction in RAMP)
    ramp = min(1.0, max(0.0, (step - start) / (end - start)))
    # at first the average moves faster, so that the random start is soon forgotten
    return StepSchedule(_rate(step - 1, schedule), ramp, min(schedule.ema_decay, step / (step + 9)))


def _rate(done: int, schedule: Schedule) -> float:
    """A linear warm-up, then half a cosine down."""
    if done < schedule.warmup_steps:
        return (done + 1) / schedule.warmup_steps
    fraction = (done - schedule.warmup_steps) / max(1, schedule.steps - schedule.warmup_steps)
    return LAST_FRACTION + (1 - LAST_FRACTION) * 0.5 * (1 + math.cos(math.pi * fraction))
