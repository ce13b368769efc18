"""MATLAB files as they are in archives."""

import io
import struct

import numpy as np
import pytest
from scipy.io import savemat

from nntrack.readers._matlab import load_mat
from nntrack.readers.members import Damaged
from tests import archives

NUMBERS = [0, 1, 6, 9, 14, 15, 16, 18, 19, 255, 0x3307, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0x10009, 0x70001]


def test_shapes_are_compared_not_sizes():
    right = np.arange(204.0).reshape(3, 68)
    assert (load_mat(archives.mat(x=right), "m", {"x": (3, 68)})["x"] == right).all()
    for other in (right.T, right.ravel(), right.reshape(2, 102), right[None].repeat(2, 0)):
        with pytest.raises(Damaged, match=r"m: x is float64 .*, expected \(3, 68\)"):
            load_mat(archives.mat(x=other), "m", {"x": (3, 68)})
    for vector in (np.ones((1, 7)), np.ones((7, 1))):
        assert load_mat(archives.mat(x=vector), "m", {"x": (7,)})["x"].shape == (7,)


@pytest.mark.parametrize("compressed", [False, True])
def test_all_kinds_of_content_are_read(compressed):
    stream = io.BytesIO()
    beside = {"c": np.array([1, "two", np.ones(3)], object), "s": {"a": 1.0, "b": "text"}, "t": "word", "e": []}
    savemat(stream, {**beside, "x": np.arange(7), "z": np.ones((2, 2), complex)}, do_compression=compressed)
    assert (load_mat(stream.getvalue(), "m", {"x": (7,)})["x"] == np.arange(7)).all()


@pytest.mark.parametrize("order", ["<", ">"])
def test_an_element_of_no_known_type_is_told(order):
    """SciPy would look the type up where there is none, and end the process."""
    flags = struct.pack(f"{order}IIII", 6, 8, 6, 0)
    shape = struct.pack(f"{order}IIii", 5, 8, 1, 7)
    name = struct.pack(f"{order}II8s", 1, 1, b"x")
    for kind in (0, 19, 0x3307, 0xFFFF):
        rest = flags + shape + name + struct.pack(f"{order}II", kind, 56) + bytes(56)
        head = b"MATLAB".ljust(124) + struct.pack(f"{order}HH", 0x0100, 0x4D49)
        with pytest.raises(Damaged, match=f"m cannot be read: an element is of type {kind}, which there is not"):
            load_mat(head + struct.pack(f"{order}II", 14, len(rest)) + rest, "m", {"x": (7,)})


def test_any_damaged_word_gives_the_array_or_one_clear_error():
    shapes = {"x": (7,), "y": (3, 4)}
    sound = archives.mat(x=np.arange(7.0), y=np.arange(12.0).reshape(3, 4))
    for at in range(124, len(sound), 4):
        for number in NUMBERS:
            damaged = bytearray(sound)
            damaged[at : at + 4] = struct.pack("<I", number)
            try:
                arrays = load_mat(bytes(damaged), "m", shapes)
            except Damaged as error:
                assert str(error).startswith("m")
            else:
                assert {key: value.shape for key, value in arrays.items()} == shapes
