"""Values that a path gives: the folders ``key=value`` that writers of tables split data by.

They count below the part of a pattern that has no wildcard, and only where a source's ``metadata``
or ``corpus.language`` names the key. A shard is its bytes; where its path gives values, it is its
bytes and those values, so that two files with the same bytes under two values are two shards.
"""

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from urllib.parse import unquote

from samplemix_dagster.storage.corpus.places.patterns import WILD, fixed_parts

NULL = "__HIVE_DEFAULT_PARTITION__"
"""What writers put for a value that there is none of."""

Values = tuple[tuple[str, str], ...]
"""(key, value), by key; a null is left out, as an absent field is."""


def folders_below(path: str, patterns: Iterable[str], root: Path) -> tuple[str, ...]:
    """Return the folders of a file below the fixed part of the patterns; the shortest one counts.

    Args:
        path: The file, as a listing has it.
        patterns: The source's patterns.
        root: The folder that local paths are relative to.
    """
    found = [_below(path, pattern, root) for pattern in patterns]
    return max((parts for parts in found if parts is not None), key=len, default=())


def _below(path: str, pattern: str, root: Path) -> tuple[str, ...] | None:
    if ("://" in path) != ("://" in pattern):
        return None
    if "://" in path:
        fixed = _fixed_url(pattern, path)
        return tuple(path.removeprefix(fixed).split("/")[:-1]) if path.startswith(fixed) else None
    whole, file = root / pattern, root / path
    folder = whole if whole.is_dir() else root.joinpath(*fixed_parts(Path(pattern).parts))
    return file.relative_to(folder).parts[:-1] if file.is_relative_to(folder) else None


def _fixed_url(pattern: str, path: str) -> str:
    wild = WILD.search(pattern)
    if pattern == path or wild:
        return pattern[: wild.start() if wild else None].rpartition("/")[0] + "/"
    return pattern.rstrip("/") + "/"


def keys_of(folders: Iterable[str]) -> dict[str, str]:
    """Return the values that folders give, by key; the innermost counts, and a null is none."""
    found: dict[str, str] = {}
    for folder in folders:
        key, equals, value = folder.partition("=")
        if not (key and equals):
            continue
        found.pop(unquote(key), None)
        if value != NULL:
            found[unquote(key)] = unquote(value)
    return found


def values_of(path: str, patterns: Iterable[str], root: Path, wanted: Collection[str]) -> Values:
    """Return the values that a file's path gives to the fields that are wanted."""
    if "=" not in path:
        return ()
    given = keys_of(folders_below(path, patterns, root))
    return tuple(sorted((key, value) for key, value in given.items() if key in wanted))


def named_digest(content: str, values: Values | Mapping[str, str]) -> str:
    """Return a shard's name in the lake: the digest of its bytes, or of that and its values."""
    if not values:
        return content
    text = json.dumps([content, sorted(dict(values).items())], ensure_ascii=True)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
