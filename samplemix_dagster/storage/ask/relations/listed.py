"""Which mixture versions a lake has, current ones and those before."""

from typing import TypedDict

from samplemix_dagster.storage.lake import keys
from samplemix_dagster.storage.lake.lake import Lake


class ListedVersion(TypedDict):
    """What a list of versions says of one, as a JSON value."""

    name: str
    version: str
    made_at: str
    budget_tokens: int
    realised_tokens: int
    is_current: bool


class ListedShard(TypedDict):
    """What is asked of a shard of a version."""

    source: str
    digest: str
    path: str


class Version(ListedVersion):
    """The same with its shards, of which more is known than is named here."""

    shards: list[ListedShard]


def mixture_versions(lake: Lake) -> list[Version]:
    """Return every mixture version, newest last."""
    found: list[Version] = []
    for name in sorted(lake.names(keys.MIXTURES)):
        current = (lake.read_json(keys.current_version(name)) or {}).get("version")
        for version in sorted(lake.names(keys.versions_folder(name)) - {"current.json"}):
            manifest = lake.read_json(keys.manifest(name, version))
            if manifest is None:
                continue
            found.append(
                {
                    "name": name,
                    "version": version,
                    "made_at": manifest["made_at"],
                    "budget_tokens": manifest["report"]["budget_tokens"],
                    "realised_tokens": manifest["report"]["realised_tokens"],
                    "is_current": version == current,
                    "shards": manifest["shards"],
                }
            )
    return sorted(found, key=lambda entry: (entry["name"], entry["made_at"], entry["version"]))
