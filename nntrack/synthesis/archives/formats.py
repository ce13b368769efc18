"""Writes file formats of the archives, zip, JPEG, PNG, .mat, .npz and .avi, with the same bytes every time."""

import io
import struct
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from scipy.io import savemat

Members = list[tuple[str, bytes]]  # path in the archive, content
_DATE = (2016, 1, 1, 0, 0, 0)
# The first 116 bytes of a .mat are text, where SciPy puts the time of writing.
_MAT_TEXT = b"MATLAB 5.0 MAT-file".ljust(116)


class ZipWriter:
    """A zip whose bytes depend on names and contents alone."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._zip = zipfile.ZipFile(path, "w")

    def __enter__(self) -> "ZipWriter":
        return self

    def __exit__(self, *error: object) -> None:
        self._zip.close()

    def add(self, name: str, data: bytes) -> None:
        """Add one member; images and .npz, which are compressed already, are stored as they are."""
        member = zipfile.ZipInfo(name, _DATE)
        member.external_attr = 0x20  # the archive attribute of DOS, as in the originals
        packed = name.endswith((".jpg", ".png", ".npz"))
        self._zip.writestr(member, data, zipfile.ZIP_STORED if packed else zipfile.ZIP_DEFLATED)


def write_zip(path: Path, samples: Iterable[Members]) -> None:
    """Write the members of all samples into one zip."""
    with ZipWriter(path) as archive:
        for members in samples:
            for name, data in members:
                archive.add(name, data)


def jpeg(image: np.ndarray, quality: int) -> bytes:
    """An image (H, W) or (H, W, 3) BGR, uint8, encoded."""
    return cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()


def png(image: np.ndarray) -> bytes:
    """An image (H, W) or (H, W, 3) BGR, uint8, encoded without loss."""
    return cv2.imencode(".png", image)[1].tobytes()


def mat(arrays: Mapping[str, Any]) -> bytes:
    """A MATLAB 5 file."""
    stream = io.BytesIO()
    savemat(stream, dict(arrays))
    return _MAT_TEXT + stream.getvalue()[len(_MAT_TEXT) :]


def npz(arrays: Mapping[str, np.ndarray]) -> bytes:
    """A compressed .npz; quick to write rather than small."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as file:
        for name, value in arrays.items():
            array = io.BytesIO()
            np.lib.format.write_array(array, np.ascontiguousarray(value), allow_pickle=False)
            member = zipfile.ZipInfo(f"{name}.npy", _DATE)
            file.writestr(member, array.getvalue(), zipfile.ZIP_DEFLATED, compresslevel=1)
    return stream.getvalue()


def avi(frames: Sequence[bytes], size: tuple[int, int], fps: int) -> bytes:
    """A video of JPEGs (Motion JPEG); size: height, width in px.

    OpenCV's own writer stops at some noisy images ("put_bits"), and FFmpeg writes the number of its version. OpenCV
    and FFmpeg read it, as any player does. Layout: "AVI RIFF File Reference" of Microsoft.
    """
    height, width = size
    count, largest, has_index = len(frames), max(map(len, frames)), 0x10
    rate = (1_000_000 // fps, largest * fps)  # microseconds of a frame, bytes a second
    main = struct.pack("<10I16x", *rate, 0, has_index, count, 0, 1, largest, width, height)
    stream = struct.pack("<8s10I4H", b"vidsMJPG", 0, 0, 0, 1, fps, 0, count, largest, 2**32 - 1, 0, 0, 0, width, height)
    bitmap = struct.pack("<3I2H4s5I", 40, width, height, 1, 24, b"MJPG", width * height * 3, 0, 0, 0, 0)
    header = _list(b"hdrl", _chunk(b"avih", main) + _list(b"strl", _chunk(b"strh", stream) + _chunk(b"strf", bitmap)))
    chunks = [_chunk(b"00dc", frame) for frame in frames]
    index, place = [], len(b"movi")
    for frame, chunk in zip(frames, chunks, strict=True):
        index.append(struct.pack("<4s3I", b"00dc", has_index, place, len(frame)))
        place += len(chunk)
    body = b"AVI " + header + _list(b"movi", b"".join(chunks)) + _chunk(b"idx1", b"".join(index))
    return _chunk(b"RIFF", body)


def _list(kind: bytes, content: bytes) -> bytes:
    return _chunk(b"LIST", kind + content)


def _chunk(name: bytes, content: bytes) -> bytes:
    return name + struct.pack("<I", len(content)) + content + b"\0" * (len(content) % 2)
