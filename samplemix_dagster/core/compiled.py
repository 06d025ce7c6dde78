"""One way to compile a loop with numba: kept on disk where that can be, else made in each process.

Imported only by the modules of compiled loops, because it imports numba.
"""

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
