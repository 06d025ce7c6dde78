"""Tables in files: what the footer says of a table, and reading one only if all of it is so.

Pages carry checksums, which say nothing of the footer, of the pages' own headers, or of whether a
whole file stands where it belongs. So the table of a shard names its key, and its footer holds a
digest of itself, compared at each reading, and one of all bytes before it, compared by who checks
the lake. Ledgers and the tables of fits are known by digests in their manifests instead.

A table that an older version wrote has a recipe only: its hash is that of the folder.
"""

import functools
import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from samplemix_dagster.core.hashing import fingerprint
from samplemix_dagster.storage.lake.contents.contracts import contract_of
from samplemix_dagster.table_contract import Column
from samplemix_dagster.tables import EMBEDDING

RECIPE = b"samplemix.recipe"
KEY = b"samplemix.key"
_BODY = b"samplemix.body"
_CHECK = b"samplemix.check"
_EMPTY = b"0" * 32
# A value follows its name in thrift's compact form: a text field of 32 bytes.
_BEFORE = b"\x18\x20"
_TAIL_BYTES = 8


def write(path: Path, key: str, table: pa.Table, recipe: Mapping[str, Any]) -> None:
    """Write a table as the file of a key."""
    pq.write_table(
        table.replace_schema_metadata(_metadata(key, recipe)),
        path,
        compression="zstd",
        version="2.6",
        # A flipped bit is found when a page is read, wherever the file was copied to.
        write_page_checksum=True,
    )
    if _names_itself(key):
        _stamp(path)


def read(path: Path, key: str, columns: Sequence[str] | None = None) -> pa.Table:
    """Read the table of a key, or some of its columns.

    Raises:
        FileNotFoundError: There is none.
        ValueError: It is not the one that was written there; the message says why.
        ArrowException, OSError, OverflowError: It cannot be read.
    """
    _refuse(_footer_problem(key, path))
    # A file by itself opens in half the time of a data set of one file.
    with pq.ParquetFile(path, page_checksum_verification=True) as file:
        _refuse(_identity_problem(key, file.metadata.metadata))
        _refuse(_schema_problem(key, file.schema_arrow, columns))
        table = file.read(columns)
    _refuse(_null_problem(key, table))
    return table


def read_footer(path: Path, key: str) -> Any:
    """Return the footer of the table of a key, with its count of rows and its metadata.

    Raises:
        FileNotFoundError, ValueError, ArrowException, OSError: As of `read`.
    """
    _refuse(_footer_problem(key, path))
    found = pq.read_metadata(path)
    _refuse(_identity_problem(key, found.metadata))
    return found


def check_body(path: Path) -> None:
    """Compare all bytes before the footer with their digest, where there is one.

    Raises:
        ValueError: They differ.
    """
    footer, start = _read_footer(path)
    place = footer.find(_BODY + _BEFORE)
    if place >= 0:
        place += len(_BODY + _BEFORE)
        is_same = footer[place : place + len(_EMPTY)] == _digest_of(path, start)
        _refuse("" if is_same else "its bytes are not those that were written")


def _refuse(problem: str) -> None:
    if problem:
        raise ValueError(problem)


def _metadata(key: str, recipe: Mapping[str, Any]) -> dict[bytes, bytes]:
    """Return what goes into the footer of the table that is written at a key."""
    found = {RECIPE: json.dumps(recipe, sort_keys=True, default=str).encode()}
    if _names_itself(key):
        found |= {KEY: key.encode(), _BODY: _EMPTY, _CHECK: _EMPTY}
    return found


def _names_itself(key: str) -> bool:
    """Whether the table of a key is one of a shard, which is to say so in its footer."""
    return len(key.split("/")) == {"documents": 3, "features": 4}.get(key.split("/", 1)[0], 0)


def is_named(table: pa.Table) -> bool:
    """Whether a table that was read said where it belongs; one of an older version cannot."""
    return KEY in (table.schema.metadata or {})


def _stamp(path: Path) -> None:
    """Put the digests of a table that was just written into its footer."""
    footer, start = _read_footer(path)
    for name, digest in ((_BODY, _digest_of(path, start)), (_CHECK, b"")):
        place = footer.index(name + _BEFORE + _EMPTY) + len(name + _BEFORE)
        value = digest or _hex(footer)
        footer = footer[:place] + value + footer[place + len(value) :]
    with path.open("r+b") as file:
        file.seek(start)
        file.write(footer)


def _footer_problem(key: str, path: Path) -> str:
    """Say what is wrong with the bytes of a footer, before anything believes them; or nothing."""
    footer, _ = _read_footer(path)
    place = footer.find(_CHECK + _BEFORE)
    if place < 0:
        is_cut = KEY in footer or _BODY in footer
        return "its footer has lost its digest" if is_cut and _names_itself(key) else ""
    place += len(_CHECK + _BEFORE)
    stated = footer[place : place + len(_EMPTY)]
    found = _hex(footer[:place] + _EMPTY + footer[place + len(_EMPTY) :])
    return "" if stated == found else "its footer is not what was written"


def _identity_problem(key: str, stated: Mapping[bytes, bytes] | None) -> str:
    """Say which other table stands at a key, by the metadata in its footer; or nothing."""
    stated = stated or {}
    if _names_itself(key):
        own = stated.get(KEY)
        if own is not None:
            return "" if own == key.encode() else f"it is {own.decode(errors='replace')}"
        made_by = _fingerprint_of(stated.get(RECIPE, b"{}"))
        folder = key.split("/")[-2]
        return "" if made_by == folder else f"it was made by another recipe, {made_by}"
    parts = key.split("/")
    if parts[0] == "mixtures" and len(parts) == 5:
        version = json.loads(stated.get(RECIPE, b"{}")).get("version")
        return "" if version in (None, parts[2]) else f"it is a ledger of version {version}"
    return ""


def _schema_problem(key: str, schema: pa.Schema, columns: Sequence[str] | None) -> str:
    """Say which column a table lacks or has otherwise than its contract; or nothing."""
    contract = contract_of(key)
    there = {field.name: field.type for field in schema}
    owed = [] if contract is None else [c.name for c in contract.columns if not c.came_later]
    for name in owed if columns is None else columns:
        if name not in there:
            return f"it has no column {name!r}"
    for column in contract.columns if contract is not None else ():
        is_read = column.name in (there if columns is None else columns)
        if is_read and not _is_same(there[column.name], column):
            return f"its column {column.name!r} is {there[column.name]}, not {column.type}"
    return ""


def _is_same(found: pa.DataType, column: Column) -> bool:
    if column.name == EMBEDDING:  # its width is the encoder's
        return bool(
            pa.types.is_fixed_size_list(found) and found.value_type == column.type.value_type
        )
    return bool(found == column.type)


def _null_problem(key: str, table: pa.Table) -> str:
    """Say which column of a table has nulls that its contract forbids; or nothing."""
    contract = contract_of(key)
    for column in contract.columns if contract is not None else ():
        if column.nullable or column.name not in table.column_names:
            continue
        if table.column(column.name).null_count:
            return f"its column {column.name!r} has nulls"
    return ""


@functools.lru_cache(maxsize=1024)
def _fingerprint_of(recipe: bytes) -> str:
    return fingerprint(json.loads(recipe))


def _read_footer(path: Path) -> tuple[bytes, int]:
    """Return the footer's bytes and where they begin.

    Raises:
        ValueError: The file does not end as a Parquet file does.
    """
    with path.open("rb") as file:
        end = file.seek(0, os.SEEK_END)
        file.seek(max(0, end - _TAIL_BYTES))
        tail = file.read()
        length = int.from_bytes(tail[:4], "little")
        start = end - _TAIL_BYTES - length
        if tail[4:] != b"PAR1" or start < 4:
            raise ValueError("it does not end as a Parquet file does")
        file.seek(start)
        return file.read(length), start


def _hex(content: bytes) -> bytes:
    return hashlib.blake2b(content, digest_size=16).hexdigest().encode()


def _digest_of(path: Path, num_bytes: int) -> bytes:
    """Return the digest of the first bytes of a file, read in blocks."""
    digest, left = hashlib.blake2b(digest_size=16), num_bytes
    with path.open("rb") as file:
        while left and (block := file.read(min(left, 1 << 20))):
            digest.update(block)
            left -= len(block)
    return digest.hexdigest().encode()
