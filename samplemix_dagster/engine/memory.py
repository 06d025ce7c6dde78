"""Keep a process's memory to what it uses: large blocks go back to the system when they are freed.

glibc raises by itself the size from which a block is a mapping of its own, up to 32 MB. Models make
tensors of ever other sizes, so their blocks then stand scattered over the heap, and what was freed
between them stays with the process: scoring 300 texts with a model of 0.2 MB came to 1.4 GB, and
with a fixed size to 0.6, in the same time. No result depends on it.
"""

import ctypes
import functools
import sys

_M_MMAP_THRESHOLD = -3
"""glibc's number for the size from which a block is a mapping of its own (malloc.h)."""
_BLOCK_BYTES = 1 << 20


@functools.cache
def give_memory_back() -> bool:
    """Fix that size for this process, once; return whether it could be (Linux with glibc)."""
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    return bool(mallopt(_M_MMAP_THRESHOLD, _BLOCK_BYTES))
