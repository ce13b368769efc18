"""MATLAB files (.mat), read with SciPy."""

import io
import struct
import zlib
from collections.abc import Iterator, Mapping

import numpy as np
from scipy.io import loadmat

from nntrack.readers._format import BEYOND
from nntrack.readers.members import Damaged

_HEADER = 128  # bytes before the first element; its last two tell the byte order
_FLAGS, _MATRIX, _COMPRESSED, _LAST_TYPE = 6, 14, 15, 18
_LARGEST = 1 << 26  # bytes of one element, once it is decompressed


def load_mat(data: bytes, name: str, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, np.ndarray]:
    """The arrays named in ``shapes`` of a MATLAB file, as float64 (Exp_Para is uint8 in places); shapes without ones.

    Raises `Damaged`, naming the member and the key, if one is missing, has another shape, or is not finite.
    """
    try:
        if data[126:128] in (b"IM", b"MI"):  # the others are of an older form, which SciPy reads without that danger
            _check_elements(data[_HEADER:], "<" if data[126:128] == b"IM" else ">")
        content = loadmat(io.BytesIO(data), variable_names=list(shapes))
    # SciPy raises nearly anything on a damaged file
    except Exception as error:
        raise Damaged(f"{name} cannot be read: {error}") from error
    arrays = {}
    for key, shape in shapes.items():
        if key not in content:
            raise Damaged(f"{name} lacks {key}")
        found = content[key]
        # MATLAB has no vectors: (7,) is (1, 7) or (7, 1) there
        fits = isinstance(found, np.ndarray) and tuple(n for n in found.shape if n != 1) == shape
        if not fits or found.dtype.kind not in "fiu":
            kind = getattr(found, "dtype", type(found))
            raise Damaged(f"{name}: {key} is {kind} {np.shape(found)}, expected {shape}")
        with np.errstate(invalid="ignore"):  # a signalling NaN
            arrays[key] = found.reshape(shape).astype(np.float64)
        if not (np.abs(arrays[key]) < BEYOND).all():
            raise Damaged(f"{name}: {key} holds a number that is not finite, or beyond reason")
    return arrays


def _check_elements(data: bytes, order: str) -> None:
    """Raise ValueError if an element is of no known type or ends behind its parent.

    SciPy looks an element's type up in a table without looking whether it is in it: a damaged one ends the process.
    Elements are those of "MAT-File Format", The MathWorks: type, bytes, content.
    """
    for kind, content in _elements(data, order):
        if kind == _COMPRESSED:
            content = zlib.decompressobj().decompress(content, _LARGEST)
            _check_elements(content, order)
        elif kind == _MATRIX:
            first = next(_elements(content, order), None)
            if first and (first[0] != _FLAGS or len(first[1]) != 8):
                raise ValueError("an array does not begin with its flags")
            _check_elements(content, order)
        elif not 1 <= kind <= _LAST_TYPE:
            raise ValueError(f"an element is of type {kind}, which there is not")


def _elements(data: bytes, order: str) -> Iterator[tuple[int, bytes]]:
    """Type and content of every element; raises ValueError for one that is not there as a whole."""
    at = 0
    while at < len(data):
        if at + 8 > len(data):
            raise ValueError("it is cut short")
        kind, size = struct.unpack_from(f"{order}II", data, at)
        if kind >> 16:  # a small one: type and size share four bytes, the content is in the other four
            kind, size = kind & 0xFFFF, kind >> 16
            start, end = at + 4, at + 8
        else:
            start = at + 8
            end = start + size if kind == _COMPRESSED else start + -(-size // 8) * 8
        if start + size > min(end, len(data)):
            raise ValueError("it is cut short")
        yield kind, data[start : start + size]
        at = end
