import numpy as np
import pytest
import torch

from nntrack.geometry.arrays import constant_like

VALUES = ((1, 2, 3), (4, 5, 6))


@pytest.mark.parametrize("array", [np.zeros(2, np.float32), np.zeros(2), torch.zeros(2), torch.zeros(2).double()])
def test_a_constant_has_type_and_dtype_of_the_array(array):
    found = constant_like(array, VALUES)
    assert type(found) is type(array)
    assert found.dtype == array.dtype
    assert found.tolist() == [list(row) for row in VALUES]


def test_it_is_made_once_for_each_device_and_dtype():
    here, there = torch.zeros(2), torch.zeros(2, device="meta")
    assert constant_like(here, VALUES) is constant_like(torch.ones(5), VALUES)
    assert constant_like(there, VALUES) is constant_like(there, VALUES)
    assert constant_like(there, VALUES).device == there.device
    assert constant_like(here, VALUES, torch.int64).dtype == torch.int64
    assert constant_like(here, VALUES).dtype == torch.float32
