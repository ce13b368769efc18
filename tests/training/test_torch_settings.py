import os
import platform
import signal
import subprocess
import sys
import time
from contextlib import ExitStack, closing

import cv2
import pytest
import torch
from torch import nn

from nntrack.training import torch_settings

FAULTS = """
import resource, numpy as np
from nntrack import compute
if {keep}: compute.keep_freed_memory()
def use():
    for _ in range(10):
        np.ones(50_000_000, np.uint8)
use()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
use()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(keep):
    run = subprocess.run([sys.executable, "-c", FAULTS.format(keep=keep)], check=True, capture_output=True, text=True)
    return int(run.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc's compute is what is set")
def test_blocks_that_were_freed_need_no_new_pages():
    assert faults(keep=True) < faults(keep=False) / 20


def test_another_c_library_is_left_alone(monkeypatch):
    monkeypatch.setattr(torch_settings.ctypes, "CDLL", lambda name: object())
    assert not torch_settings.keep_freed_memory()


def test_what_was_set_is_put_back():
    def state():
        deterministic = torch.are_deterministic_algorithms_enabled()
        filled = torch.utils.deterministic.fill_uninitialized_memory
        return torch.get_num_threads(), cv2.getNumThreads(), deterministic, filled

    before = state()
    with pytest.raises(KeyError), torch_settings.settings(before[0] + 1):
        assert state() == (before[0] + 1, 1, True, False)
        raise KeyError
    assert state() == before


def test_the_start_depends_on_the_seed_alone():
    torch.manual_seed(5)
    before = torch.get_rng_state()
    one, again, other = (torch_settings.seeded(lambda: nn.Linear(4, 4), seed).weight for seed in (1, 1, 2))
    assert torch.equal(one, again)
    assert not torch.equal(one, other)
    assert torch.equal(torch.get_rng_state(), before)


forking = pytest.mark.skipif(not torch_settings.can_fork(), reason="only on Linux a process is forked")


@pytest.fixture
def workers():
    """Makes some; they end with the test."""
    with ExitStack() as stack:
        yield lambda work, count: stack.enter_context(closing(torch_settings.Workers(work, count)))


@forking
def test_workers_fill_shared_memory_with_what_they_find_in_copies_of_this_process(workers):
    room, found = torch_settings.shared((5, 2), torch.int64), [7] * 5

    def work(item):
        room[item] = torch.tensor([found[item] + item, torch.get_num_threads()])
        found[item] = 0

    with torch_settings.settings(2):
        helpers = workers(work, 2)
        found[3] = 1  # nobody was forked yet
        helpers.each(range(5))
        assert room.tolist() == [[7, 1], [8, 1], [9, 1], [4, 1], [11, 1]]
        assert found == [7, 7, 7, 1, 7]
        assert torch.get_num_threads() == 2


@forking
def test_what_a_worker_raises_is_raised_and_it_goes_on(workers):
    room = torch_settings.shared((1,), torch.float64)

    def work(item):
        room[0] = 1 / item

    helpers = workers(work, 2)
    with pytest.raises(ZeroDivisionError):
        helpers.each([0])
    helpers.each([4])
    assert room.item() == 0.25


@forking
def test_a_worker_that_died_is_told_of(workers):
    with pytest.raises(ChildProcessError, match=r"died.*threads: 1"):
        workers(lambda _: os._exit(1), 2).each(range(2))


@forking
def test_workers_leave_interruptions_to_who_started_them(workers):
    workers(lambda _: os.kill(os.getpid(), signal.SIGINT), 2).each(range(3))


ORPHANS = """
import os, signal, time, torch
from nntrack import compute
room = compute.shared((2,), torch.int64)
def work(item):
    room[item] = os.getpid()
    while not room.all(): time.sleep(0.001)  # until the other worker has its item
workers = compute.Workers(work, 2)
workers.each(range(2))
print(*room.tolist(), flush=True)
{end}
"""


@forking
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
    room = torch_settings.shared((3, 1, 5), dtype)
    assert (room.shape, room.dtype) == ((3, 1, 5), dtype)
    assert not room.any()
    room.fill_(1)
    assert room.all()


@pytest.mark.parametrize("instructions", [*torch_settings._BF16, None])
def test_a_processor_trains_in_bf16_if_it_has_instructions_for_it(instructions, monkeypatch):
    known = dict.fromkeys(["avx2", "avx512_f", *torch_settings._BF16], False) | {"avx2": True, instructions: True}
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: known)
    assert torch_settings.precision(torch.device("cpu")) == ("bf16-mixed" if instructions else "32-true")


@pytest.mark.parametrize("native", [True, False])
def test_a_gpu_trains_in_bf16_if_that_is_not_emulated(native, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: native or including_emulation)
    assert torch_settings.precision(torch.device("cuda")) == ("bf16-mixed" if native else "32-true")
    assert torch_settings.precision(torch.device("mps")) == "32-true"
