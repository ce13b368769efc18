import os
import signal
import subprocess
import sys
import time
from contextlib import ExitStack, closing

import pytest
import torch

from nntrack.training.torch_settings import settings
from nntrack.training.workers import Workers, can_fork, shared

pytestmark = pytest.mark.skipif(not can_fork(), reason="only on Linux a process is forked")


@pytest.fixture
def workers():
    """Makes some; they end with the test."""
    with ExitStack() as stack:
        yield lambda work, count: stack.enter_context(closing(Workers(work, count)))


def test_workers_fill_shared_memory_with_what_they_find_in_copies_of_this_process(workers):
    memory, found = shared((5, 2), torch.int64), [7] * 5

    def work(item):
        memory[item] = torch.tensor([found[item] + item, torch.get_num_threads()])
        found[item] = 0

    with settings(2):
        made = workers(work, 2)
        found[3] = 1  # nothing was forked yet
        made.start(range(5))()
        assert memory.tolist() == [[7, 1], [8, 1], [9, 1], [4, 1], [11, 1]]
        assert found == [7, 7, 7, 1, 7]
        assert torch.get_num_threads() == 2


def test_what_a_worker_raises_is_raised_and_it_continues(workers):
    memory = shared((1,), torch.float64)

    def work(item):
        memory[0] = 1 / item

    made = workers(work, 2)
    with pytest.raises(ZeroDivisionError):
        made.start([0])()
    made.start([4])()
    assert memory.item() == 0.25


def test_the_death_of_a_worker_is_an_error(workers):
    made = workers(lambda _: os._exit(1), 2)
    for _ in range(2):
        with pytest.raises(ChildProcessError, match=r"died.*threads: 1"):
            made.start(range(2))()


def test_workers_ignore_interruptions(workers):
    workers(lambda _: os.kill(os.getpid(), signal.SIGINT), 2).start(range(3))()


ORPHANS = """
import os, signal, time, torch
from nntrack.training.workers import Workers, shared
memory = shared((2,), torch.int64)
def work(item):
    memory[item] = os.getpid()
    while not memory.all(): time.sleep(0.001)  # until the other worker has its item
workers = Workers(work, 2)
workers.start(range(2))()
print(*memory.tolist(), flush=True)
{end}
"""


@pytest.mark.parametrize("end", ["os.kill(os.getpid(), signal.SIGKILL)", "workers.close()", ""])
def test_no_worker_is_left(end):
    run = subprocess.run([sys.executable, "-c", ORPHANS.format(end=end)], capture_output=True, text=True)
    pids = [int(pid) for pid in run.stdout.split()]
    assert len(pids) == len(set(pids)) == 2 and not run.stderr
    deadline = time.monotonic() + 30
    while left := [pid for pid in pids if alive(pid)]:
        assert time.monotonic() < deadline, left
        time.sleep(0.05)


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize("dtype", [torch.uint8, torch.bool, torch.float32, torch.int64])
def test_shared_memory_is_a_tensor_of_zeros(dtype):
    memory = shared((3, 1, 5), dtype)
    assert (memory.shape, memory.dtype) == ((3, 1, 5), dtype)
    assert not memory.any()
    memory.fill_(1)
    assert memory.all()
