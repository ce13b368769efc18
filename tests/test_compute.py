import platform
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import cv2
import pytest
import torch

from nntrack import compute

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
    monkeypatch.setattr(compute.ctypes, "CDLL", lambda name: object())
    assert not compute.keep_freed_memory()


def test_what_was_set_is_put_back():
    def state():
        deterministic = torch.are_deterministic_algorithms_enabled()
        filled = torch.utils.deterministic.fill_uninitialized_memory
        return torch.get_num_threads(), cv2.getNumThreads(), deterministic, filled

    before = state()
    with pytest.raises(KeyError), compute.settings(before[0] + 1):
        assert state() == (before[0] + 1, 1, True, False)
        raise KeyError
    assert state() == before


@pytest.mark.parametrize("items", [[3], [3, 1, 2]])
def test_side_by_side_is_one_after_the_other(items):
    before = torch.get_num_threads(), sys.getswitchinterval()
    assert compute.side_by_side(lambda item: item**2, items) == [item**2 for item in items]
    assert (torch.get_num_threads(), sys.getswitchinterval()) == before


def test_side_by_side_each_has_a_thread_on_which_torch_has_one():
    with compute.settings(2):
        meeting = threading.Barrier(3)  # nobody passes it before three are there

        def work(item):
            meeting.wait(timeout=60)
            return torch.get_num_threads()

        assert compute.side_by_side(work, range(3)) == [1, 1, 1]
        assert torch.get_num_threads() == 2
        with pytest.raises(KeyError, match="two"):
            compute.side_by_side({"one": 1}.__getitem__, ["one", "two"])
        assert torch.get_num_threads() == 2
        with ThreadPoolExecutor(1) as later:
            assert later.submit(torch.get_num_threads).result() == 2


@pytest.mark.parametrize("instructions", [*compute._BF16, None])
def test_a_processor_trains_in_bf16_if_it_has_instructions_for_it(instructions, monkeypatch):
    known = dict.fromkeys(["avx2", "avx512_f", *compute._BF16], False) | {"avx2": True, instructions: True}
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: known)
    assert compute.precision(torch.device("cpu")) == ("bf16-mixed" if instructions else "32-true")


@pytest.mark.parametrize("native", [True, False])
def test_a_gpu_trains_in_bf16_if_that_is_not_emulated(native, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: native or including_emulation)
    assert compute.precision(torch.device("cuda")) == ("bf16-mixed" if native else "32-true")
    assert compute.precision(torch.device("mps")) == "32-true"
