"""Samples in HDF5 and back.

One file per dataset, one row per sample: ``image`` (N, H, W) uint8, every field of `sample.FIELDS` as float32, the
masks ``has_<name>`` as bool, the strings of `sample.STRINGS` as UTF-8; attributes tell where it comes from. Everything
is contiguous and uncompressed, so that a batch is a gather from a memory map; the same samples give the same bytes.
"""

import errno
import math
import mmap
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import h5py
import numpy as np

from nntrack.data.datasets import RENAMED
from nntrack.data.hdf5_files import NOT_SUPPORTED, check_filters, map_file, opened
from nntrack.data.sample import FIELDS, MASKS, STRINGS, Sample
from nntrack.files import replacing

SCHEMA = 2
_BLOCK = 1 << 22  # bytes copied at a time
_IMAGES_AT = 2048  # bytes: where HDF5 puts the first array of a file, the images
_ROW = np.dtype([(n, "<f4", f.shape) for n, f in FIELDS.items()] + [(f"has_{n}", "?") for n in MASKS])


class Writer:
    """Takes samples one by one and writes them to ``path`` on `finish`; memory does not grow with their number.

    HDF5 cannot shrink a contiguous array, and how many samples survive is known only at the end. So labels and strings
    are spooled, and the images, nearly all of the bytes, are written where they will lie in the finished file; what
    HDF5 puts around them is made in a file with a hole in their place, and copied over.
    """

    def __init__(self, path: Path, spool: Path) -> None:
        self._path = path
        self._spool = spool
        self._stack = ExitStack()
        self._images = self._open(path, 1 << 13)  # less than a image, which then goes past the buffer
        self._images.seek(_IMAGES_AT)
        self._rows = self._open(spool / "rows")
        self._strings = {name: self._open(spool / name) for name in STRINGS}
        self._longest = dict.fromkeys(STRINGS, 1)
        self._image_shape: tuple[int, ...] = ()
        self.count = 0

    def append(self, sample: Sample) -> None:
        """Add one sample. Raises ValueError if its image has another shape than those before it."""
        self._check_image(sample)
        texts = {name: _encode(name, getattr(sample, name)) for name in STRINGS}
        row = np.zeros((), _ROW)
        for name, value in sample.labels.items():
            row[name][tuple(map(slice, np.shape(value)))] = value
        for name in MASKS:
            row[f"has_{name}"] = sample.has(name)
        self._images.write(np.ascontiguousarray(sample.image).data)
        self._rows.write(row.tobytes())
        for name, text in texts.items():
            self._longest[name] = max(self._longest[name], len(text))
            self._strings[name].write(text + b"\n")
        self.count += 1

    def finish(self, attributes: Mapping[str, Any]) -> None:
        """Write the HDF5 file. ``attributes`` are stored in the order of their names."""
        frame = self._spool / "frame.h5"
        images_at = self._write_frame(frame, attributes)
        self._images.flush()
        if images_at in (_IMAGES_AT, None):
            self._copy_around_images(frame)
        else:  # an HDF5 library that begins otherwise: the slow way round
            with open(frame, "r+b") as stream:
                self._images.seek(_IMAGES_AT)
                stream.seek(images_at)
                shutil.copyfileobj(self._images, stream, _BLOCK)
            os.replace(frame, self._path)

    def _write_frame(self, frame: Path, attributes: Mapping[str, Any]) -> int | None:
        """Write an HDF5 file with a hole in the place of the images; returns where that is, None if there are none."""
        _check_room(self._spool, self.count * (_ROW.itemsize + sum(self._longest.values())) + _BLOCK)
        # nobody else knows the file, so no lock is needed, which not every file system has
        with h5py.File(frame, "w", libver="latest", locking=False) as file:
            images_at = _reserve(file, "image", (self.count, *(self._image_shape or (0, 0))))
            self._copy_rows(file)
            for name in STRINGS:
                self._copy_strings(file, name)
            for name, value in sorted({"schema": SCHEMA, **attributes}.items()):
                file.attrs[name] = value
        return images_at

    def _copy_around_images(self, frame: Path) -> None:
        """Copy what stands before and behind the hole of the frame to the file that holds the images."""
        end = _IMAGES_AT + self.count * math.prod(self._image_shape)
        with open(frame, "rb") as stream:
            self._images.seek(0)
            self._images.write(stream.read(_IMAGES_AT))
            stream.seek(end)
            self._images.seek(end)
            shutil.copyfileobj(stream, self._images, _BLOCK)
        self._images.flush()

    def close(self) -> None:
        """Let go of the spooled files."""
        self._stack.close()

    def _open(self, path: Path, buffer: int = 1 << 18) -> BinaryIO:
        return self._stack.enter_context(open(path, "w+b", buffering=buffer))

    def _check_image(self, sample: Sample) -> None:
        if sample.image.dtype != np.uint8 or sample.image.ndim != 2:
            raise ValueError(f"{sample.name}: the image is {sample.image.dtype} {sample.image.shape}, not grey uint8")
        self._image_shape = self._image_shape or sample.image.shape
        if sample.image.shape != self._image_shape:
            raise ValueError(f"{sample.name}: the image is {sample.image.shape}, those before {self._image_shape}")

    def _copy_rows(self, file: h5py.File) -> None:
        kinds = {name: _ROW[name] for name in _ROW.names or ()}
        targets = {name: file.create_dataset(name, (self.count, *k.shape), k.base) for name, k in kinds.items()}
        self._rows.seek(0)
        step = _BLOCK // _ROW.itemsize
        for start in range(0, self.count, step):
            rows = np.frombuffer(self._rows.read(step * _ROW.itemsize), _ROW)
            for name, target in targets.items():
                target[start : start + len(rows)] = rows[name]

    def _copy_strings(self, file: h5py.File, name: str) -> None:
        target = file.create_dataset(name, (self.count,), h5py.string_dtype("utf-8", self._longest[name]))
        self._strings[name].seek(0)
        for start in range(0, self.count, 4096):
            rows = [self._strings[name].readline()[:-1] for _ in range(min(4096, self.count - start))]
            target[start : start + 4096] = np.array(rows, dtype=target.dtype)


def _check_room(folder: Path, size: int) -> None:
    """Raise OSError if ``size`` bytes do not fit on the disk: HDF5 crashes where it cannot write."""
    if hasattr(os, "posix_fallocate"):
        try:
            with tempfile.TemporaryFile(dir=folder) as stream:
                os.posix_fallocate(stream.fileno(), 0, size)
            return
        except OSError as error:
            if error.errno not in (*NOT_SUPPORTED, errno.EINVAL):
                raise
    if shutil.disk_usage(folder).free < size:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _encode(name: str, text: str) -> bytes:
    data = text.encode()
    if b"\n" in data or b"\0" in data:
        raise ValueError(f"{name} {text!r} holds a line break or a NUL")
    return data


def _reserve(file: h5py.File, name: str, shape: tuple[int, ...]) -> int | None:
    """Make an array of bytes that is given its place in the file but not written; returns where, None if empty."""
    how = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    how.set_layout(h5py.h5d.CONTIGUOUS)
    how.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    how.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
    how.set_obj_track_times(False)
    space = h5py.h5s.create_simple(shape)
    made = h5py.h5d.create(file.id, name.encode(), h5py.h5t.NATIVE_UINT8, space, dcpl=how)
    return made.get_offset()


@contextmanager
def writing(path: str | os.PathLike[str]) -> Iterator[Writer]:
    """A `Writer` whose file appears under ``path`` only if the block ends without an error and called ``finish``."""
    with replacing(path) as partial:
        writer = Writer(partial, partial.parent)
        try:
            yield writer
        finally:
            writer.close()


def write(path: str | os.PathLike[str], samples: Iterable[Sample], attributes: Mapping[str, Any]) -> int:
    """Write all samples; returns how many."""
    with writing(path) as writer:
        for sample in samples:
            writer.append(sample)
        writer.finish(attributes)
        return writer.count


def read_attributes(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Where a dataset comes from, without reading its samples. Raises as `Stored`."""
    if not Path(path).exists():
        raise FileNotFoundError(f"{path} does not exist; make it with `dvc repro` or `dvc pull {path}`")
    with opened(path) as file:
        return _attributes(file, path)


def _attributes(file: h5py.File, path: str | os.PathLike[str]) -> dict[str, Any]:
    attributes = dict(file.attrs)
    if (name := attributes.get("reader")) in RENAMED:
        raise ValueError(
            f"{path} is of the dataset {name}, which is called {RENAMED[name]} now: convert the archive again"
        )
    return attributes


class Stored:
    """A dataset in HDF5, opened for reading.

    image: memory map (N, H, W) uint8; see `announce`. labels: every field of the table, float32, in memory. masks:
    every mask of `sample.MASKS`, bool. strings: name, group, sequence, subset as arrays of str. attributes: provenance.

    Raises FileNotFoundError or ValueError, naming the file, if it is absent or not one of ours.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        if not self.path.exists():
            raise FileNotFoundError(f"{self.path} does not exist; make it with `dvc repro` or `dvc pull {self.path}`")
        with opened(self.path) as file:
            self._read(file)

    def _read(self, file: h5py.File) -> None:
        self.attributes = _attributes(file, self.path)
        if self.attributes.get("schema") != SCHEMA:
            check_filters(file, self.path)
            raise ValueError(
                f"{self.path} has schema {self.attributes.get('schema')}, expected {SCHEMA}: convert again"
            )
        self.labels = {name: file[name][:] for name in FIELDS}
        self.masks = {name: file[f"has_{name}"][:] for name in MASKS}
        self.strings = {name: file[name].asstr()[:] for name in STRINGS}
        image = file["image"]
        shape, offset = image.shape, image.id.get_offset()
        if not len(image):
            self.image = np.zeros(shape, np.uint8)
            return
        self._map = map_file(self.path)
        self.image = np.frombuffer(self._map, np.uint8, image.size, offset).reshape(shape)
        self._offset = offset
        if hasattr(mmap, "MADV_RANDOM"):
            self._map.madvise(mmap.MADV_RANDOM)

    def announce(self, rows: np.ndarray) -> None:
        """Tell the system that these images will be looked at soon, so that it can read several at once.

        Left alone it would read megabytes about every first look at a place, or page by page.
        """
        if hasattr(mmap, "MADV_WILLNEED"):
            size = self.image[0].nbytes
            starts = self._offset + rows.astype(np.int64) * size
            pages = starts - starts % mmap.PAGESIZE
            for page, length in zip(pages.tolist(), (starts + size - pages).tolist(), strict=True):
                self._map.madvise(mmap.MADV_WILLNEED, page, length)

    def __len__(self) -> int:
        return len(self.image)

    def sample(self, index: int) -> Sample:
        """One row as the reader gave it (to float32). Raises ValueError if the file was damaged since."""
        labels = {name: value[index] for name, value in self.labels.items() if self.masks[name][index]}
        if "landmarks" in labels and not self.masks["landmarks_depth"][index]:
            labels["landmarks"] = labels["landmarks"][:, :2]
        strings = {name: str(values[index]) for name, values in self.strings.items()}
        try:
            return Sample(image=np.array(self.image[index]), labels=labels, **strings)
        except ValueError as error:
            raise ValueError(f"{self.path}: {error}") from error
