"""HDF5 files opened for reading: an error says whether it is the file's fault or that of its surroundings."""

import errno
import importlib
import mmap
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import h5py

# Errors of file systems that lack what others have.
NOT_SUPPORTED = (errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK)
_BEGIN = b"\x89HDF\r\n\x1a\n"


def is_hdf5(path: Path) -> bool:
    """Whether a file begins as HDF5 files do."""
    if not path.is_file():
        return False
    with open(path, "rb") as stream:
        return stream.read(len(_BEGIN)) == _BEGIN


@contextmanager
def opened(path: str | os.PathLike[str], what: str = "a dataset of this project") -> Iterator[h5py.File]:
    """An HDF5 file, opened for reading.

    Raises OSError, with the way out, for what is not the file's fault, be it on opening it or within the context:
    another program writes it, it may not be read, the disk fails. Raises ValueError, that the file is not ``what``, for
    other errors of h5py: the file is another's, cut short or damaged.
    """
    try:
        with _open(path) as file:
            yield file
    except OSError as error:
        if "already open for write" in str(error) or (error.errno == errno.EAGAIN and "lock" in str(error)):
            raise OSError(
                f"{path} is open in another program that writes it, or was when that program crashed: close it there"
                " (`h5clear -s FILE` removes the trace of a crash)"
            ) from error
        if error.errno in (None, errno.EINVAL):  # EINVAL: where a forged number points
            raise ValueError(f"{path} is not {what}: {error}") from error
        if error.filename is not None:
            raise
        raise OSError(error.errno, os.strerror(error.errno), os.fspath(path)) from error
    except (KeyError, RuntimeError) as error:
        raise ValueError(f"{path} is not {what}: {error}") from error


def _open(path: str | os.PathLike[str]) -> h5py.File:
    try:
        return h5py.File(path, "r")
    except OSError as error:
        if error.errno in NOT_SUPPORTED and "lock" in str(error):  # a file system without locks: nobody has one
            return h5py.File(path, "r", locking=False)
        raise


def check_filters(file: h5py.File, path: str | os.PathLike[str]) -> None:
    """Raise ValueError if an array is packed by a filter that HDF5 has neither built in nor as a plugin here."""
    packed = {number: name for name in file for number in _missing_filters(file, name)}
    if packed:
        with suppress(ImportError):
            importlib.import_module("hdf5plugin")  # brings the usual ones if it is installed
    for name in packed.values():
        for number, title in _missing_filters(file, name).items():
            raise ValueError(
                f"{path}: {name} is packed by the HDF5 filter {title} ({number}), which is not installed here:"
                " `pip install hdf5plugin`, or pack it anew with `h5repack -f GZIP=4 FILE NEW`"
            )


def _missing_filters(file: h5py.File, name: str) -> dict[int, str]:
    """Number and name of the filters of an array that cannot be used."""
    if not isinstance(file.get(name, getlink=True), h5py.HardLink) or not isinstance(file[name], h5py.Dataset):
        return {}
    how = file[name].id.get_create_plist()
    filters = [how.get_filter(i) for i in range(how.get_nfilters())]
    return {f[0]: f[3].decode("utf-8", "replace") for f in filters if not h5py.h5z.filter_avail(f[0])}


def map_file(path: Path) -> mmap.mmap:
    """A file's bytes as a memory map. Some file systems refuse shared maps, but not private ones."""
    with open(path, "rb") as stream:
        try:
            return mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
        except OSError:
            try:
                return mmap.mmap(stream.fileno(), 0, mmap.MAP_PRIVATE, mmap.PROT_READ)
            except OSError as error:
                hint = f"{error.strerror}; it must be mapped into memory: copy it to a local disk (or see `ulimit -v`)"
                raise OSError(error.errno, hint, os.fspath(path)) from error
