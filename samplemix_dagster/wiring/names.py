"""What a project's definitions are called, so that two projects fit into one code location.

A prefix goes before every asset key, group, job, schedule, sensor and resource; without one every
name is the bare one, which is what ``samplemix ui`` shows. The engine knows bare names only.
"""

import inspect
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import dagster as dg

from samplemix_dagster.errors import ConfigError

PUBLISH, READ_SHARDS = "publish", "read_shards"
"""Jobs that schedules and sensors start."""
_PART = re.compile(r"[A-Za-z][A-Za-z0-9]*(_[A-Za-z0-9]+)*")
_RESOURCE_PARAMETER = "project"
_Function = TypeVar("_Function", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """The names of one project's definitions."""

    key_parts: tuple[str, ...] = ()
    """Parts before those of an asset's own key; joined by ``_``, what is before other names."""
    group_prefix: str = ""
    """What is before a group's name, without the ``_`` between."""

    def key(self, asset: str) -> dg.AssetKey:
        """Return the key of an asset's name: ``mixture/default`` has two parts."""
        return dg.AssetKey([*self.key_parts, *asset.split("/")])

    def asset(self, key: dg.AssetKey) -> str:
        """Return the asset's name of a key."""
        return "/".join(key.path[len(self.key_parts) :])

    def asset_of_step(self, step_key: str | None) -> str:
        """Return the asset that a step of a run makes."""
        parts = (step_key or "").split("__")
        given = len(self.key_parts)
        return "/".join(parts[given:] if tuple(parts[:given]) == self.key_parts else parts)

    def group(self, name: str) -> str:
        """Return what a group is called."""
        return f"{self.group_prefix}_{name}" if self.group_prefix else name

    def of(self, name: str) -> str:
        """Return what a job, an op, a schedule, a sensor or a resource is called."""
        return "_".join([*self.key_parts, name])

    def hand_project(self, function: _Function) -> _Function:
        """Return a function whose parameter ``project`` is called as the project's resource is.

        Dagster finds the resource to hand in by the name of the parameter.
        """
        if not self.key_parts:
            return function
        return _renamed(function, self.of(_RESOURCE_PARAMETER))


PLAIN = Names()
"""The names without a prefix."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Belongings:
    """Which runs of an instance are a project's: others may share the instance, or the location."""

    keys: frozenset[dg.AssetKey]
    jobs: frozenset[str]

    def has(self, run: dg.DagsterRun) -> bool:
        """Whether a run is one of the project's jobs, or makes one of its assets."""
        chosen = run.asset_selection
        if chosen is not None:
            return not self.keys.isdisjoint(chosen)
        return run.job_name in self.jobs or run.job_name.startswith("__")


def names_of(key_prefix: str | Sequence[str] | None, group_prefix: str | None = None) -> Names:
    """Return the names under a prefix.

    Args:
        key_prefix: Parts before every asset key, as a list or joined by ``/``; none when absent.
        group_prefix: What is before each group; the key's parts joined by ``_`` when absent.

    Raises:
        ConfigError: A part is not of letters, digits and single ``_``, beginning with a letter.
    """
    given = key_prefix.split("/") if isinstance(key_prefix, str) else key_prefix
    if given is not None and not isinstance(given, Sequence):
        raise ConfigError(f"key_prefix: a text or a list of texts, not {key_prefix!r}.")
    parts = tuple(given or ())
    before = "_".join(parts) if group_prefix is None else group_prefix
    _check("key_prefix", parts)
    _check("group_prefix", [before] if before else [])
    return Names(key_parts=parts, group_prefix=before)


def _check(argument: str, parts: Iterable[object]) -> None:
    for part in parts:
        if not isinstance(part, str) or not _PART.fullmatch(part):
            raise ConfigError(
                f"{argument}: {part!r} cannot stand before a name; take letters, digits and single "
                "underscores, beginning with a letter."
            )


def _renamed(function: _Function, resource: str) -> _Function:
    def given(kwargs: dict[str, object]) -> dict[str, object]:
        return {_RESOURCE_PARAMETER if name == resource else name: kwargs[name] for name in kwargs}

    def handed(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **given(kwargs))

    def yielded(*args: Any, **kwargs: Any) -> Any:
        yield from function(*args, **given(kwargs))

    # Dagster asks whether a function yields.
    found = yielded if inspect.isgeneratorfunction(function) else handed
    signature = inspect.signature(function)
    parameters = [
        one.replace(name=resource) if name == _RESOURCE_PARAMETER else one
        for name, one in signature.parameters.items()
    ]
    found.__name__, found.__doc__, found.__module__ = (
        function.__name__,
        function.__doc__,
        function.__module__,
    )
    found.__annotations__ = {one.name: one.annotation for one in parameters}
    found.__annotations__["return"] = signature.return_annotation
    found.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    return found  # type: ignore[return-value]
