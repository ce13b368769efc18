"""Samples in HDF5 and back.

One file per dataset, one row per sample: ``image`` (N, H, W) uint8, every field of `sample.FIELDS` as float32, the masks
``has_<name>`` as bool, the strings of `sample.STRINGS` as UTF-8; attributes tell where it comes from. Everything is
stored contiguous and uncompressed, so that a batch is a gather from a memory map, and the same samples give the same bytes.
"""

import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import h5py
import numpy as np

from nntrack.sample import FIELDS, MASKS, STRINGS, Sample

SCHEMA = 1
_BLOCK = 1 << 24  # bytes copied at a time


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A temporary name beside ``path``; what was written there takes the final name only if no error came."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as folder:
        partial = Path(folder) / path.name
        yield partial
        os.replace(partial, path)


class Writer:
    """Takes samples one by one and writes them to ``path`` on `close`; memory does not grow with their number.

    HDF5 cannot shrink a contiguous array, and how many samples survive is known only at the end; so each column is
    spooled to a raw file first and copied over block by block.
    """

    def __init__(self, path: Path, spool: Path) -> None:
        self._path = path
        self._spool = spool
        self._stack = ExitStack()
        self._files: dict[str, BinaryIO] = {}
        self._longest = dict.fromkeys(STRINGS, 1)
        self._image_shape: tuple[int, ...] | None = None
        self.count = 0

    def append(self, sample: Sample) -> None:
        """Add one sample. Raises ValueError if its image has another shape than those before it."""
        self._check_image(sample)
        self._raw("image").write(np.ascontiguousarray(sample.image).tobytes())
        for name, row in FIELDS.items():
            value = np.zeros(row.shape, np.float32)
            if name in sample.labels:
                given = np.asarray(sample.labels[name], np.float32)
                value[tuple(slice(n) for n in given.shape)] = given
            self._raw(name).write(value.tobytes())
        for name in MASKS:
            self._raw(f"has_{name}").write(bytes([sample.has(name)]))
        for name in STRINGS:
            text = getattr(sample, name).encode()
            if b"\n" in text or b"\0" in text:
                raise ValueError(f"{name} {text!r} holds a line break or a NUL")
            self._longest[name] = max(self._longest[name], len(text))
            self._raw(name).write(text + b"\n")
        self.count += 1

    def finish(self, attributes: Mapping[str, Any]) -> None:
        """Write the HDF5 file. ``attributes`` are stored in the order of their names."""
        for stream in self._files.values():
            stream.flush()
        with h5py.File(self._path, "w", libver="latest") as file:
            shape = self._image_shape or (0, 0)
            self._copy(file, "image", shape, np.dtype(np.uint8))
            for name, row in FIELDS.items():
                self._copy(file, name, row.shape, np.dtype(np.float32))
            for name in MASKS:
                self._copy(file, f"has_{name}", (), np.dtype(np.bool_))
            for name in STRINGS:
                self._copy_strings(file, name)
            for name, value in sorted({"schema": SCHEMA, **attributes}.items()):
                file.attrs[name] = value

    def close(self) -> None:
        """Let go of the spooled files."""
        self._stack.close()

    def _raw(self, column: str) -> BinaryIO:
        if column not in self._files:
            self._files[column] = self._stack.enter_context(open(self._spool / column, "w+b", buffering=1 << 18))
        return self._files[column]

    def _check_image(self, sample: Sample) -> None:
        if sample.image.dtype != np.uint8 or sample.image.ndim != 2:
            raise ValueError(f"{sample.name}: the image is {sample.image.dtype} {sample.image.shape}, not grey uint8")
        if self._image_shape is None:
            self._image_shape = sample.image.shape
        if sample.image.shape != self._image_shape:
            raise ValueError(f"{sample.name}: the image is {sample.image.shape}, those before {self._image_shape}")

    def _copy(self, file: h5py.File, name: str, shape: tuple[int, ...], dtype: np.dtype) -> None:
        target = file.create_dataset(name, (self.count, *shape), dtype)
        if not self.count:
            return
        source = np.memmap(self._spool / name, dtype, "r", shape=(self.count, *shape))
        step = max(1, _BLOCK // max(1, source[0].nbytes))
        for start in range(0, self.count, step):
            target[start : start + step] = source[start : start + step]

    def _copy_strings(self, file: h5py.File, name: str) -> None:
        target = file.create_dataset(name, (self.count,), h5py.string_dtype("utf-8", self._longest[name]))
        if not self.count:
            return
        self._raw(name).seek(0)
        for start in range(0, self.count, 4096):
            rows = [self._raw(name).readline()[:-1] for _ in range(min(4096, self.count - start))]
            target[start : start + 4096] = np.array(rows, dtype=target.dtype)


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


class Stored:
    """A dataset in HDF5, opened for reading.

    image: memory map (N, H, W) uint8. labels: every field of the table, float32, in memory. masks: every mask of
    `sample.MASKS`, bool. strings: name, group, sequence, subset as arrays of str. attributes: provenance.

    Raises FileNotFoundError or ValueError, naming the file, if it is absent or not one of ours.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        if not self.path.exists():
            raise FileNotFoundError(f"{self.path} does not exist; make it with `dvc repro` or `dvc pull {self.path}`")
        try:
            with h5py.File(self.path, "r") as file:
                self._read(file)
        except (OSError, KeyError) as error:
            raise ValueError(f"{self.path} is not a dataset of this project: {error}") from error

    def _read(self, file: h5py.File) -> None:
        self.attributes: dict[str, Any] = dict(file.attrs)
        if self.attributes.get("schema") != SCHEMA:
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
        else:
            self.image = np.memmap(self.path, np.uint8, "r", offset=offset, shape=shape)

    def __len__(self) -> int:
        return len(self.image)

    def sample(self, index: int) -> Sample:
        """One row as the reader gave it (to float32)."""
        labels = {name: value[index] for name, value in self.labels.items() if self.masks[name][index]}
        if "landmarks" in labels and not self.masks["landmarks_depth"][index]:
            labels["landmarks"] = labels["landmarks"][:, :2]
        strings = {name: str(values[index]) for name, values in self.strings.items()}
        return Sample(image=np.array(self.image[index]), labels=labels, **strings)
