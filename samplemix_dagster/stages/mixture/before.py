"""Which version a mixture goes on from: ``after`` in its settings, found in the lake.

A mixture may name a version that training has consumed, whole or from its first token to some
token. Of the version it needs the ledger, and the scores that its order was made from; so whoever
keeps the one keeps the other. What was consumed of each document is in ``consumed.py``.
"""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from samplemix_dagster.config.mixtures import After
from samplemix_dagster.config.text.reading import line_of
from samplemix_dagster.errors import ConfigError
from samplemix_dagster.storage.lake import keys
from samplemix_dagster.storage.lake.lake import Lake

if TYPE_CHECKING:
    from samplemix_dagster.engine.project import Project

Version = tuple[str, str]
"""A mixture's name, and one of its versions."""


def settings_of(project: "Project", name: str) -> dict[str, object]:
    """Return what of a mixture's settings decides its draws, as a JSON value.

    Of ``after`` that is the whole hash of the version, however it was written.

    Raises:
        ConfigError: There is no such version, several begin so, or it has fewer tokens.
    """
    settings = project.config.mixtures[name]
    found = settings.for_recipe()
    if settings.after is not None:
        _, version = _resolved(project, name, settings.after)
        found["after"] = {"version": version, "tokens": settings.after.tokens}
    return found


def _resolved(project: "Project", name: str, after: After) -> Version:
    lake = project.lake.stored
    mixture, _, prefix = after.version.rpartition("@")
    there = _versions(lake, mixture, prefix)
    where = "version"
    if not there:
        made = ", ".join(f"{one}@{version[:12]}" for one, version in _versions(lake, "")) or "none"
        problem = f"the lake has no version {after.version!r}; there are: {made}"
    elif len({version for _, version in there}) > 1:
        shown = ", ".join(f"{one}@{version[:12]}" for one, version in there)
        problem = f"{after.version!r} is not one version but {len(there)}: {shown}"
    else:
        manifest = lake.read_json(keys.manifest(*there[0]))
        realised = manifest["report"]["realised_tokens"]
        if after.tokens <= realised:
            return there[0]
        where = "tokens"
        problem = (
            f"{there[0][0]}@{there[0][1][:12]} has {realised:,} tokens, so training cannot have "
            f"consumed {after.tokens:,} of it"
        )
    place = line_of(project.config_path, "mixtures", name, "after", where)
    raise ConfigError(f"{place}: {problem}.")


def _versions(lake: Lake, name: str, prefix: str = "") -> list[Version]:
    """Return the versions that begin so, of a mixture or of all, which stand with a manifest."""
    names = [name] if name else sorted(lake.names(keys.MIXTURES))
    return [
        (one, version)
        for one in names
        for version in sorted(lake.names(keys.versions_folder(one)))
        if version.startswith(prefix) and lake.exists(keys.manifest(one, version))
    ]


def found_version(lake: Lake, version: str) -> Version | None:
    """Return a version by its whole hash, under whatever name it stands; None where none does."""
    return next(iter(_versions(lake, "", version)), None)


def versions_before(lake: Lake, settings: Mapping[str, Any]) -> Iterator[Version]:
    """Yield the versions that some settings go on from, the nearest first, as far as they stand.

    Args:
        lake: The lake.
        settings: Settings of a mixture, as its manifest has them.
    """
    after = settings.get("after")
    while after is not None:
        found = found_version(lake, str(after["version"]))
        if found is None:
            return
        yield found
        after = lake.read_json(keys.manifest(*found))["config"].get("after")
