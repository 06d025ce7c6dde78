"""Keep the blocks that models free at hand: asking the system for them again is dear.

A block that is a mapping of its own goes back when it is freed, and the pages of the next are
asked for and zeroed one by one; glibc maps from 128 kB on, and moves that size, to 32 MB, by what
was freed last. Here the size stands still, above what models need, and the heap keeps what is free
at its end for the next one: scoring and training take six tenths of the time that they take where
each block of 1 MB is mapped, for a tenth to a quarter more memory (``benchmarks/bench_blocks.py``).
No result depends on it.
"""

import ctypes
import functools
import sys

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
"""glibc's numbers for what a heap may keep at its end, and for the size of a mapping (malloc.h)."""
_BLOCK_BYTES = (256 << 20, 32 << 20)
"""What a heap keeps: the first of them that glibc takes; older ones refuse more than the second."""


@functools.cache
def keep_blocks() -> bool:
    """Keep freed blocks for this process, once; return whether it could be (Linux with glibc)."""
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    wanted = (_M_MMAP_THRESHOLD, _M_TRIM_THRESHOLD)
    return any(all(mallopt(what, size) == 1 for what in wanted) for size in _BLOCK_BYTES)
