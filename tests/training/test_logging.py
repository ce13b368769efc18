import errno
import os

import pytest
import torch
from dvclive import Live
from torch import nn

from nntrack.training import logging
from nntrack.training.logging import Best, Curves, LossMonitor, RunningMean


class Names:
    def names(self, index):
        return [f"sample {number}" for number in index.tolist()]


def check(values):
    monitor = LossMonitor(Names())
    for step, value in enumerate(values, 1):
        monitor.add(step, torch.tensor(value), torch.tensor([step]))
    monitor.check()


def test_a_loss_that_is_not_finite_is_an_error():
    with pytest.raises(ValueError, match=r"the loss became inf at step 2; .*: sample 2$"):
        check([1.0, float("inf"), 1.0])


def test_an_exploded_loss_is_an_error_and_an_outlier_is_not():
    high = 2 * logging.EXPLODED
    check([1.0, *[high] * (logging.PATIENCE - 1), 1.0, *[high] * (logging.PATIENCE - 1)])
    check([high, *[2 * high] * 100])  # a loss that is great by nature
    with pytest.raises(
        ValueError, match=f"became 2000 at step {1 + logging.PATIENCE}; .*sample {1 + logging.PATIENCE}"
    ):
        check([1.0, *[high] * 100])


def test_the_monitor_continues_from_its_state():
    begun, again = LossMonitor(Names()), LossMonitor(Names())
    begun.add(1, torch.tensor(1.0), torch.tensor([1]))
    begun.check()
    again.load_state_dict(begun.state_dict())
    for monitor in (begun, again):
        assert monitor.calm
        monitor.add(2, torch.tensor(2 * logging.EXPLODED), torch.tensor([2]))
        monitor.check()
        assert not monitor.calm


def running(values, mean=lambda values: values, before=None):
    running = RunningMean(mean)
    if before is not None:
        running.load_state_dict(before)
    for value in values:
        running.add({"a": torch.tensor(value), "b": torch.tensor(-1.0)})
    return running


def test_means_are_of_the_steps_since_they_were_taken():
    taken = running([1.0, 2.0, 6.0])
    assert taken.take() == {"a": 3.0, "b": -1.0}
    assert taken.take() == {}
    taken.add({"a": torch.tensor(5.0), "b": torch.tensor(0.0)})
    assert taken.take() == {"a": 5.0, "b": 0.0}


def test_means_are_of_all_processes():
    assert running([1.0, 3.0], lambda own: (own + 2 * own) / 2).take() == {"a": 3.0, "b": -1.5}


def test_means_continue_from_their_state():
    values = [0.1 * number for number in range(7)]
    for split in range(7):
        begun = running(values[:split]).state_dict()
        assert running(values[split:], before=begun).take() == running(values).take()


def files(folder):
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def curves(folder, first, last, before=None):
    with Live(str(folder), save_dvc_exp=False, dvcyaml=None, report=None) as live:
        curves = Curves(live)
        if before is not None:
            curves.load_state_dict(before)
        for step in range(first, last):
            curves.log(step, "train", {"a": step / 7, "b": -step})
            if step % 2:
                curves.log(step, "valid", {"a": step / 3})
    return curves.state_dict()


def test_curves_are_written_again(tmp_path):
    curves(tmp_path / "whole", 1, 9)
    curves(tmp_path / "rest", 5, 9, curves(tmp_path / "begun", 1, 5))
    assert files(tmp_path / "rest") == files(tmp_path / "whole") != files(tmp_path / "begun")
    assert len(files(tmp_path / "whole")) == 4


def test_an_error_of_a_full_disk_names_the_folder(tmp_path):
    with (
        pytest.raises(OSError, match=f"No space left.*{tmp_path}/curves"),
        logging.live_logger(tmp_path / "curves"),
    ):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_the_best_weights_are_a_copy():
    net, best = nn.Linear(2, 2), Best()
    best.offer(2.0, net)
    first = best.weights["weight"].clone()
    with torch.no_grad():
        net.weight.zero_()
    best.offer(3.0, net)
    assert best.score == 2.0
    assert torch.equal(best.weights["weight"], first)
    again = Best()
    again.load_state_dict(best.state_dict())
    again.offer(1.0, net)
    assert again.score == 1.0
    assert not again.weights["weight"].any()
