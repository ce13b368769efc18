import platform
import subprocess
import sys

import cv2
import pytest
import torch
from torch import nn

from nntrack.training import torch_settings

FAULTS = """
import resource, numpy as np
from nntrack.training import torch_settings
if {keep}: torch_settings.keep_freed_memory()
def use():
    for _ in range(3):
        np.ones(50_000_000, np.uint8)
use()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
use()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(keep):
    run = subprocess.run([sys.executable, "-c", FAULTS.format(keep=keep)], check=True, capture_output=True, text=True)
    return int(run.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc's allocator is what is set")
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
