"""Memory settings of glibc's allocator and of oneDNN's kernel caches.

By default glibc asks the system for every large block anew (mmap) and gives the top of its heap
back, so each step pays for fresh, zeroed pages again. oneDNN, with which torch computes on a CPU,
compiles code for every shape of layer and keeps it. Knows the C library and the environment only.
"""

from __future__ import annotations

import ctypes
import os
import platform
import sys

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX = -1, -2, -4  # malloc.h
_SETTINGS = (
    (_MMAP_MAX, 0),  # large blocks come from the heap too
    (_TRIM_THRESHOLD, 2**31 - 1),  # the heap keeps its end
    (_TOP_PAD, 2**26),  # and grows in bytes by this much at once
)
_PRIMITIVES = "256"  # three a convolution, for each size of batch


def keep_memory() -> bool:
    """Make this process reuse freed memory instead of giving it back at once.

    To be called before the first large allocation. The process then holds what it once needed
    until :func:`give_back_memory`. Numbers and results do not change.

    Returns:
        Whether the settings hold; False, and nothing happened, where the C library is not glibc.
    """
    if not _is_glibc():
        return False
    mallopt = ctypes.CDLL(None).mallopt
    return all(mallopt(name, value) == 1 for name, value in _SETTINGS)


def bound_caches() -> None:
    """Let oneDNN keep the code of some three networks, not of hundreds that never come back.

    To be called before the first layer is computed; processes that are started later inherit it.
    Whoever has set the variables keeps what they set.
    """
    for name in ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY"):
        os.environ.setdefault(name, _PRIMITIVES)


def give_back_memory() -> None:
    """Return all free pages to the system, so that it counts them as available (glibc only)."""
    if _is_glibc():
        ctypes.CDLL(None).malloc_trim(0)


def _is_glibc() -> bool:
    return sys.platform == "linux" and platform.libc_ver()[0] == "glibc"
