"""The ids of a whole corpus in one array, which exports that point into it share."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from samplemix_dagster.core.hashing import fingerprint
from samplemix_dagster.engine.addresses.recipes import Recipes
from samplemix_dagster.engine.placed_shard import PlacedShard
from samplemix_dagster.export_formats.format import Vocabulary
from samplemix_dagster.export_formats.ids.arrays import little
from samplemix_dagster.export_formats.wanted import MANIFEST
from samplemix_dagster.stages.export.token_ids import TOKEN_IDS
from samplemix_dagster.storage.lake import keys
from samplemix_dagster.storage.lake.lake import Lake
from samplemix_dagster.storage.lake.whole_files import digest_file
from samplemix_dagster.storage.s3.bucket import SCHEME

POOL = "corpus_ids"
"""The key of an export's manifest that says of which shards its array is, and how they lie."""
Integers = npt.NDArray[np.int64]


def pool_name(
    recipes: Recipes, placed: list[PlacedShard], vocabulary: Vocabulary, dtype: str
) -> str:
    """Return a hash of all that an array depends on: shards in their order, EOS, BOS, width."""
    shards = [recipes.feature_key(TOKEN_IDS, one) for one in placed]
    bos = [] if vocabulary.bos == "none" else [vocabulary.bos, vocabulary.bos_id]
    return fingerprint([shards, vocabulary.eos, vocabulary.eos_id, dtype, *bos])


def linked(lake: Lake, pool: str, path: Path) -> str | None:
    """Link to the array that an export in the lake has; return its digest, or None where none has.

    One whose bytes are not those of its manifest is not taken. On S3 there are no links, and the
    lake is told where the bytes of the array stand that is to be made: it copies them from there.
    """
    is_on_s3 = lake.place("").startswith(SCHEME)
    for key, digest in _arrays(lake, pool):
        if is_on_s3:
            lake.expect(path, key)
            return None
        array = lake.path(key)
        if array.is_file() and digest_file(array) == digest:
            with contextlib.suppress(OSError):
                os.link(array, path)
                return digest
    return None


def _arrays(lake: Lake, pool: str) -> Iterator[tuple[str, str]]:
    """Yield key and digest of the array of each export in the lake that is of a pool."""
    for folder in _folders(lake):
        manifest = lake.read_json_as_is(f"{folder}/{MANIFEST}") or {}
        if manifest.get(POOL) == pool:
            first = manifest["files"][0]
            yield f"{folder}/{first['name']}", str(first["digest"])


def _folders(lake: Lake) -> Iterator[str]:
    for mixture in sorted(lake.names(keys.EXPORTS)):
        for version in sorted(lake.names(keys.exports_folder(mixture))):
            above = keys.exports_of(mixture, version)
            yield from (f"{above}/{name}" for name in sorted(lake.names(above)))


def link(array: Path, path: Path) -> None:
    """Let a file have the bytes of another, where the file system can."""
    try:
        os.link(array, path)
    except OSError:
        path.write_bytes(array.read_bytes())


def write_array(
    recipes: Recipes,
    placed: list[PlacedShard],
    vocabulary: Vocabulary,
    dtype: str,
    lengths: Integers,
    path: Path,
) -> None:
    """Write the ids of every document, each with EOS and BOS as asked for.

    Raises:
        DamagedError: The stored ids are not those that were counted.
    """
    first = 0
    with path.open("wb") as file:
        for shard in placed:
            key = recipes.feature_key(TOKEN_IDS, shard)
            ids = recipes.lake.read_table(key, ["ids"]).column("ids").combine_chunks()
            flat, ends = ids.flatten().to_numpy(), np.cumsum(ids.value_lengths().to_numpy())
            starts = ends - ids.value_lengths().to_numpy()
            laid = [vocabulary.laid(flat[a:b]) for a, b in zip(starts, ends, strict=True)]
            wanted = lengths[first : first + len(laid)]
            if [one.size for one in laid] != wanted.tolist():
                raise recipes.lake.damage(key, "its ids are not as many as were counted")
            for one in laid:
                file.write(one.astype(little(dtype)).tobytes())
            first += len(laid)
