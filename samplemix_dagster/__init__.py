"""SampleMix on Dagster: which documents, how often.

The flow, in words, and where each step lives::

    shards -> documents -> perplexity ------------------> quality --+
                        -> embeddings -> clusters --+               +-> beta -> mixture -> export
                        -> grams ------> ownership -+-> diversity --+                   -> report
                        -> words ------> topics ----+

``core`` holds the numbers (no files, no Dagster), ``storage`` opens files, ``engine`` runs a map
over shards and knows what is stale, ``assets`` says it to Dagster, ``cli`` says it to a person.
Import the submodules directly: importing the package is free. ``SampleMixComponent`` and
``build_defs``, for a team's own Dagster, are found when they are asked for.
"""

from typing import Any

__version__ = "0.1.0"

_FOUND_IN = {"SampleMixComponent": "component", "build_defs": "definitions"}


def __getattr__(name: str) -> Any:
    """Return what stands in a module that is imported only now."""
    if name not in _FOUND_IN:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_FOUND_IN[name]}"), name)


def __dir__() -> list[str]:
    """Name also what is found when it is asked for: Dagster's ``dg`` looks for components here."""
    return sorted([*globals(), *_FOUND_IN])
