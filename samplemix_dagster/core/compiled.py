"""One way to compile a loop with numba: kept on disk where that can be, else made in each process.

Imported only where compiled loops are called, because it imports numba.
"""

import contextlib
from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

_Function = TypeVar("_Function", bound=Callable[..., Any])


def compiled(function: _Function) -> _Function:
    """Return the function as numba compiles it when it is first called."""
    try:
        made = numba.njit(cache=True)(function)
    except RuntimeError:  # no folder that a cache could lie in: compile in each process
        made = numba.njit(function)
    return cast("_Function", made)


def keep_compiled(*functions: Any) -> None:
    """Keep on disk what numba compiles of another package's functions, where it can be kept.

    Otherwise each process compiles them anew: ten seconds for those of UMAP.
    """
    for function in functions:
        with contextlib.suppress(RuntimeError):  # as above: no folder for it
            function.enable_caching()
