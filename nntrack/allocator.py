"""The C library's memory allocator, set for programs that ask for the same large blocks again and again."""

import ctypes

# of glibc's malloc.h
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX = -1, -2, -4
_NEVER = 2**31 - 1
_PAD = 64 * 2**20  # bytes that the heap grows by at least


def keep_freed_memory() -> bool:
    """Let freed memory stay with this process; returns whether the allocator could be told.

    glibc gives blocks above 32 MB, and the free end of its heap, back to the system, so that every training step would
    have its pages faulted in and zeroed anew: a fifth of the time. Another C library is left as it is.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # TypeError: Windows has no handle of the program itself
        return False
    wanted = {_MMAP_MAX: 0, _TRIM_THRESHOLD: _NEVER, _TOP_PAD: _PAD}
    return all([mallopt(ctypes.c_int(key), ctypes.c_int(value)) for key, value in wanted.items()])
