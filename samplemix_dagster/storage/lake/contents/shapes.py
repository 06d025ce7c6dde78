"""What each JSON file of the lake looks like, and the digest by which it knows itself.

A file that parses and has another shape is damaged like one that does not parse. Files that are
replaced carry ``digest``: a hash of their key and content, so that neither a flipped bit nor a
swapped file goes for what was written. Files of older lakes have none; what can be compared inside
them is compared. A fit's manifest and an export's have a digest of their content alone, since they
say themselves what they belong to.
"""

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from pydantic import TypeAdapter, ValidationError

from samplemix_dagster.core.hashing import fingerprint
from samplemix_dagster.export_formats.wanted import Wanted
from samplemix_dagster.storage.lake import keys
from samplemix_dagster.storage.lake.contents.json_forms import (
    EXPORT,
    CurrentFit,
    CurrentMixture,
    Digest,
    Fit,
    Machine,
    Mark,
    MixtureManifest,
    Number,
    Refused,
    Report,
    ShardList,
    State,
)

SEAL = "digest"
"""The key under which a file has its own digest."""
CONTENT_SEAL = "seal"
"""The same, where ``digest`` is already taken."""
_MANIFEST_FORM = 2
_ANY = "*"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of file."""

    key: str
    """The keys that it has, with ``*`` for one part."""
    shape: TypeAdapter[Any]
    is_sealed: bool = False
    """Whether it is written with a digest of its key and content."""
    problem: Callable[[str, dict[str, Any]], str] | None = None
    """Says what does not fit together inside a file, or with its key; empty when all does."""


def _list_problem(key: str, value: dict[str, Any]) -> str:
    folder = key.split("/")[1]
    if str(value["partition"]).replace(":", "-part-") != folder:
        return f"it is the list of {value['partition']!r}"
    bad = [shard for shard in value["shards"] if len(shard["digest"]) != _DIGITS]
    return f"{bad[0]['digest']!r} is no digest" if bad else ""


_DIGITS = 32


def _state_problem(key: str, value: dict[str, Any]) -> str:
    stage = key.split("/")[1]
    wanted = keys.tables_folder(stage, fingerprint(value["recipe"]))
    return "" if value["folder"] == wanted else f"its recipe belongs to {wanted}"


def _current_fit_problem(_key: str, value: dict[str, Any]) -> str:
    stated = value.get("recipe_fingerprint")
    if stated is None or stated == fingerprint(value.get("recipe", {})):
        return ""
    return "its recipe has another fingerprint than the one it names"


def _fit_problem(key: str, value: dict[str, Any]) -> str:
    _, fit, version, _ = key.split("/")
    if value["version"] != version:
        return f"it is that of version {value['version']}"
    stage = value["recipe"].get("stage")
    if stage is not None and stage != fit.partition("-")[0]:
        return f"it is that of {stage}"
    return _seal_problem(value, SEAL)


def _mixture_problem(key: str, value: dict[str, Any]) -> str:
    _, name, version, _ = key.split("/")
    if value.get("version", version) != version or value.get("name", name) != name:
        return f"it is that of {value.get('name')}@{value.get('version')}"
    if value.get("schema") == _MANIFEST_FORM and SEAL not in value:
        return "it has no digest of its own"
    return _seal_problem(value, SEAL)


def _export_problem(key: str, value: dict[str, Any]) -> str:
    _, name, version, folder, _ = key.split("/")
    if (value["name"], value["version"]) != (name, version):
        return f"it is that of {value['name']}@{value['version']}"
    if folder != (own := Wanted.of_manifest(value).folder):
        return f"it is that of {own}"
    return export_problem(value)


def export_problem(value: Mapping[str, Any]) -> str:
    """Say what in an export's manifest does not fit together; empty when all does."""
    for total in ("num_draws", "num_tokens"):
        if value[total] != sum(file[total] for file in value["files"]):
            return f"its files do not add up to its {total}"
    if value["digest"] != joint_digest(value):
        return "its digest is not that of its files"
    return _seal_problem(dict(value), CONTENT_SEAL)


def joint_digest(export: Mapping[str, Any]) -> str:
    """Return the digest of all files of an export, from those in its manifest."""
    digests = [file["digest"] for file in every_file(export)]
    return str(digests[0]) if len(digests) == 1 else fingerprint(digests)


def every_file(export: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return what an export's manifest says of each of its files."""
    return [*export["files"], *export.get("others", [])]


def _seal_problem(value: dict[str, Any], seal: str) -> str:
    """Compare a content with the digest in it, where there is one."""
    if seal not in value:
        return ""
    found = content_digest(value, seal)
    return "" if value[seal] == found else f"its {seal} is {value[seal]}, its content gives {found}"


_KINDS = (
    Kind(
        key=keys.shards_in(_ANY),
        shape=TypeAdapter(ShardList),
        is_sealed=True,
        problem=_list_problem,
    ),
    Kind(key=keys.refused_note(_ANY), shape=TypeAdapter(Refused), is_sealed=True),
    Kind(
        key=keys.done_note(_ANY, _ANY),
        shape=TypeAdapter(State),
        is_sealed=True,
        problem=_state_problem,
    ),
    Kind(
        key=keys.current_fit(_ANY),
        shape=TypeAdapter(CurrentFit),
        is_sealed=True,
        problem=_current_fit_problem,
    ),
    Kind(
        key=keys.fit_note(keys.fit_folder(_ANY, _ANY)),
        shape=TypeAdapter(Fit),
        problem=_fit_problem,
    ),
    Kind(key=keys.names_in(keys.fit_folder(_ANY, _ANY)), shape=TypeAdapter(dict[Number, str])),
    Kind(key=keys.current_version(_ANY), shape=TypeAdapter(CurrentMixture), is_sealed=True),
    Kind(
        key=keys.manifest(_ANY, _ANY),
        shape=TypeAdapter(MixtureManifest),
        problem=_mixture_problem,
    ),
    Kind(
        key=keys.manifest_copy_in(keys.version_folder(_ANY, _ANY)),
        shape=TypeAdapter(MixtureManifest),
        problem=_mixture_problem,
    ),
    Kind(
        key=keys.manifest_in(f"{keys.exports_of(_ANY, _ANY)}/{_ANY}"),
        shape=EXPORT,
        problem=_export_problem,
    ),
    Kind(key=keys.CURRENT_REPORTS, shape=TypeAdapter(Report), is_sealed=True),
    Kind(key=keys.machine(_ANY), shape=TypeAdapter(Machine), is_sealed=True),
    Kind(key=keys.MODEL_DIGESTS, shape=TypeAdapter(dict[Mark, Digest]), is_sealed=True),
)


@functools.lru_cache(maxsize=4096)
def kind_of(key: str) -> Kind | None:
    """Return the kind of a JSON file; None for one without a known shape."""
    parts = key.split("/")
    for kind in _KINDS:
        wanted = kind.key.split("/")
        if len(wanted) == len(parts) and all(
            fnmatchcase(part, form) for part, form in zip(parts, wanted, strict=True)
        ):
            return kind
    return None


def content_digest(value: Mapping[str, Any], seal: str) -> str:
    """Return the digest of a content, without the digest that may be in it."""
    return fingerprint({name: inner for name, inner in value.items() if name != seal})


def sealed(key: str, value: Any) -> Any:
    """Return what is written at a key: with its digest, where its kind has one."""
    kind = kind_of(key)
    if kind is None or not kind.is_sealed or not isinstance(value, dict):
        return value
    return {**value, SEAL: _key_digest(key, value)}


def is_unsealed(key: str, value: Any) -> bool:
    """Whether a file that should have a digest has none: an older version wrote it."""
    kind = kind_of(key)
    return kind is not None and kind.is_sealed and isinstance(value, dict) and SEAL not in value


def opened(key: str, value: Any) -> Any:
    """Return the content of a file as it was read, without its digest.

    Raises:
        ValueError: It is not what was written there; the message says why.
    """
    kind = kind_of(key)
    if kind is None:
        return value
    is_intact = False
    if kind.is_sealed and isinstance(value, dict) and SEAL in value:
        value = dict(value)
        stated, found = value.pop(SEAL), _key_digest(key, value)
        if stated != found:
            raise ValueError(f"its {SEAL} is {stated}, its content and place give {found}")
        is_intact = True
    checked(kind.shape, value)
    if kind.problem is not None and not is_intact and (problem := kind.problem(key, value)):
        raise ValueError(problem)
    return value


def checked(shape: TypeAdapter[Any], value: Any) -> None:
    """Compare a value with a shape.

    Raises:
        ValueError: It has another one; the message names the place.
    """
    try:
        shape.validate_python(value)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "the whole"
        words = "no object" if first["type"] in {"model_type", "dict_type"} else first["msg"]
        raise ValueError(f"it has another shape: {place}: {words}") from None


def _key_digest(key: str, value: Mapping[str, Any]) -> str:
    return fingerprint([key, value])
