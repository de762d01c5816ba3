"""The C library's allocator, set for training on a CPU."""

import ctypes
import platform
from functools import lru_cache

# <malloc.h>
_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
_M_ARENA_MAX = -8


@lru_cache
def keep_freed_memory() -> None:
    """Have glibc keep freed blocks for the next step instead of giving them back to the kernel.

    Activations of tens of megabytes come and go with each layer; by default each is mapped anew, and every page of it
    faults. Keeping them makes a forward pass 1.7 times and a training step 1.4 times as fast. One arena, because those
    of threads are too small for such blocks. Elsewhere than on glibc nothing happens.
    """
    if platform.libc_ver()[0] != "glibc":
        return
    libc = ctypes.CDLL(None)
    libc.mallopt(_M_MMAP_THRESHOLD, 2**30)
    libc.mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)
    libc.mallopt(_M_ARENA_MAX, 1)
