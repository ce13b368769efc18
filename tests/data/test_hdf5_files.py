"""Causes are told by their name, and what the surroundings lack is done without."""

import errno
import mmap
import os

import h5py
import numpy as np
import pytest

from nntrack.data import hdf5, hdf5_files
from tests import stores


@pytest.fixture
def path(tmp_path, rng):
    stores.posed(tmp_path / "x.h5", np.eye(4)[[3, 3]], rng)
    return tmp_path / "x.h5"


def refusing(real, number, text):
    """h5py.File that cannot open as long as it locks."""

    def open_file(path, mode="r", locking=None, **others):
        if locking is False:
            return real(path, mode, locking=locking, **others)
        raise OSError(number, f"[Errno {number}] Unable to synchronously open file ({text})")

    return open_file


def test_a_file_system_without_locks_is_no_hindrance(path, tmp_path, rng, monkeypatch):
    text = "unable to lock file, errno = 37, error message = 'No locks available'"
    monkeypatch.setattr(h5py, "File", refusing(h5py.File, errno.ENOLCK, text))
    assert len(hdf5.Stored(path)) == 2
    assert len(stores.posed(tmp_path / "y.h5", np.eye(4)[[3]], rng)) == 1


@pytest.mark.parametrize(
    ("number", "text", "told"),
    [
        (
            errno.EAGAIN,
            "unable to lock file, errno = 11, error message = 'x'",
            "is open in another program that writes",
        ),
        (errno.EACCES, "unable to open file: errno = 13", "Permission denied: '.*x.h5'"),
        (errno.EIO, "file read failed: errno = 5", "Input/output error: '.*x.h5'"),
    ],
)
def test_causes_have_their_names(number, text, told, path, monkeypatch):
    monkeypatch.setattr(h5py, "File", refusing(h5py.File, number, text))
    for read in (hdf5.Stored, hdf5.read_attributes):
        with pytest.raises(OSError, match=told) as caught:
            read(path)
        assert "not a dataset" not in str(caught.value)


def test_a_file_that_another_program_writes(path):
    file = os.open(path, os.O_RDWR)
    import fcntl

    fcntl.flock(file, fcntl.LOCK_EX)
    try:
        with pytest.raises(OSError, match=r"x\.h5 is open in another program that writes it"):
            hdf5.Stored(path)
    finally:
        os.close(file)


@pytest.mark.parametrize("both", [False, True])
def test_where_shared_maps_are_refused_a_private_one_will_do(both, path, monkeypatch):
    real = mmap.mmap

    def refuse(descriptor, length, *arguments, **options):
        if both or "access" in options:
            raise OSError(errno.ENODEV, os.strerror(errno.ENODEV))
        return real(descriptor, length, *arguments, **options)

    monkeypatch.setattr(hdf5_files.mmap, "mmap", refuse)
    if both:
        with pytest.raises(OSError, match=r"No such device; it must be mapped into memory: .*x\.h5"):
            hdf5.Stored(path)
    else:
        assert hdf5.Stored(path).image.shape == (2, 450, 450)


def test_a_filter_that_is_not_installed_is_named(tmp_path, monkeypatch):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file.create_dataset("images", data=np.zeros((4, 8)), compression="gzip")
    monkeypatch.setattr(hdf5_files.h5py.h5z, "filter_avail", lambda _: False)
    with (
        h5py.File(tmp_path / "x.h5") as file,
        pytest.raises(ValueError, match=r"x\.h5: images is packed by the HDF5 filter deflate \(1\).*hdf5plugin"),
    ):
        hdf5_files.check_filters(file, tmp_path / "x.h5")


@pytest.mark.parametrize("number", [errno.EOPNOTSUPP, errno.EINVAL])
def test_a_file_system_that_reserves_no_room_is_no_hindrance(number, tmp_path, rng, monkeypatch):
    def refuse(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "posix_fallocate", refuse)
    assert len(stores.posed(tmp_path / "y.h5", np.eye(4)[[3]], rng)) == 1
