"""One document, explained: where it stands, its scores, what mixtures do with it, and why.

Without a mixture it is looked for in the corpus as it was last read; with one, in that version,
whose shards may have gone since. A rejected row has no id, and is asked for by its place.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pyarrow.compute as pc

from samplemix_dagster import tables
from samplemix_dagster.core.hashing import id_words, uniforms
from samplemix_dagster.core.mixture.strategies.table import STRATEGIES
from samplemix_dagster.engine.addresses.reasons import last_recipe
from samplemix_dagster.engine.places.shard_places import shard_places
from samplemix_dagster.engine.project import Project
from samplemix_dagster.errors import ConfigError, InputError, LakeError
from samplemix_dagster.stages.mixture.drawing.axes import axes_in_words, group_of
from samplemix_dagster.stages.mixture.published.mixture_manifest import read_traced
from samplemix_dagster.stages.scores import scored_stages
from samplemix_dagster.storage.ask.query import query
from samplemix_dagster.storage.corpus.manifest import ledger_file
from samplemix_dagster.storage.corpus.shards import REASONS, Document, read_shard
from samplemix_dagster.storage.lake import keys
from samplemix_dagster.trace.versions import load_manifest, resolve_version

_HEX = frozenset("0123456789abcdef")


def explain_document(project: Project, doc_id: str, mixture: str | None) -> dict[str, Any]:
    """Return all that is known of a document.

    Args:
        project: The project.
        doc_id: Its id, or the start of it.
        mixture: A version, as ``resolve_version`` takes it; None: the current ones.

    Raises:
        ConfigError: The id is malformed, unknown, or the start of several.
    """
    prefix = doc_id.lower()
    if not prefix or len(prefix) > 32 or not set(prefix) <= _HEX:
        raise ConfigError(
            f"a document id has up to 32 hexadecimal digits, not {doc_id!r}; a row is asked for as "
            "PATH#ROW or DIGEST#ROW"
        )
    if mixture is not None:
        return _in_version(project, prefix, mixture)
    found = query(
        project.lake,
        f"select * from documents where starts_with(doc_id, '{prefix}') "
        "order by source, shard, row",
    ).to_pylist()
    identity = _only(prefix, {row["doc_id"] for row in found}, "the corpus")
    scores = query(project.lake, f"select * from scores where doc_id = '{identity}'").to_pylist()
    rows = query(
        project.lake,
        f"select * from ledger where doc_id = '{identity}' order by mixture, shard, row",
    ).to_pylist()
    return {
        "doc_id": identity,
        "occurrences": found,
        "text": _text(project, found[0]),
        "scores": scores[0] if scores else None,
        "recipes": {
            stage.asset: recipe
            for stage in scored_stages(project.config)
            if (recipe := last_recipe(project, stage, found[0]["source"])) is not None
        },
        "mixtures": [
            _explained(load_manifest(project, r["mixture"], r["version"]), r, rows) for r in rows
        ],
    }


def explain_row(project: Project, place: str, mixture: str | None) -> dict[str, Any]:
    """Return all that is known of one row of a shard: a document, or a rejection and its reason.

    Args:
        project: The project.
        place: ``PATH#ROW`` or ``DIGEST#ROW``; rows count from 0.
        mixture: A version, as ``resolve_version`` takes it; None: the current ones.

    Raises:
        ConfigError: There is no such shard or row.
    """
    shard, _, number = place.rpartition("#")
    if not number.isdigit():
        raise ConfigError(f"a row is asked for as PATH#ROW or DIGEST#ROW, not {place!r}")
    quoted = shard.replace("'", "''")
    where = f"(shard = '{quoted}' or shard_digest = '{quoted}') and row = {int(number)}"
    if mixture is None:
        found = query(project.lake, f"select doc_id from documents where {where}").to_pylist()
    else:
        found = list(_rows_at(project, mixture, shard, int(number)))
    if found:
        return explain_document(project, found[0]["doc_id"], mixture)
    rejected = query(
        project.lake,
        f"select * from rejections where (shard = '{quoted}' or shard in (select path from shards "
        f"where digest = '{quoted}')) and row = {int(number)}",
    ).to_pylist()
    if not rejected:
        raise ConfigError(
            f"no row {place!r}: a shard is named by its path as the project has it, or by its "
            "digest, and rows count from 0. `samplemix query 'select * from documents'` shows both."
        )
    first = rejected[0]
    return {"rejected": {**first, "meaning": REASONS.get(first["reason"], "")}}


def _only(prefix: str, ids: set[str], where: str) -> str:
    if not ids:
        raise ConfigError(
            f"no document {prefix!r} in {where}. A rejected row has no id: `samplemix query "
            "'select * from rejections'` shows them, and `samplemix explain PATH#ROW` explains "
            "one. A document that has gone is explained with --mixture VERSION."
        )
    if len(ids) > 1:
        shown = ", ".join(sorted(ids)[:5])
        raise ConfigError(f"{prefix!r} begins {len(ids)} ids: {shown}; be longer")
    return next(iter(ids))


def _text(project: Project, place: Mapping[str, Any]) -> str | None:
    """Return the text at a place, if it is still there."""
    partitions = [p for p in project.partitions if p.split(":")[0] == place["source"]]
    if not partitions:
        return None
    from samplemix_dagster.core.hashing import doc_id

    try:
        for row in read_shard(project.files.at(place["shard"]), project.rules(partitions[0])):
            if isinstance(row, Document) and row.row == place["row"]:
                return row.text if doc_id(row.text) == place["doc_id"] else None
    except InputError:
        return None
    return None


# -- in one version -------------------------------------------------------------------------------


def _in_version(project: Project, prefix: str, mixture: str) -> dict[str, Any]:
    """Explain a document from a version's own ledger and features."""
    name, version = resolve_version(project, mixture)
    manifest = read_traced(project, name, version)
    rows = list(_ledger_rows(project, manifest, lambda t: pc.starts_with(t["doc_id"], prefix)))
    identity = _only(prefix, {row["doc_id"] for row in rows}, f"{name}@{version[:12]}")
    first = next((row for row in rows if row["reason"] != tables.DUPLICATE), rows[0])
    features = manifest["features"][first["source"]]
    documents = [_stored(project, manifest, row, "documents") or {} for row in rows]
    occurrences = [
        {
            "doc_id": identity,
            "source": row["source"],
            "shard": row["shard"],
            "row": row["row"],
            "id": document.get("id"),
            "language": document.get("language"),
            "num_bytes": document.get("num_bytes"),
            "num_tokens": row["num_tokens"],
            "metadata": document.get("metadata"),
            "shard_digest": row["digest"],
        }
        for row, document in zip(rows, documents, strict=True)
    ]
    return {
        "doc_id": identity,
        "occurrences": occurrences,
        "text": _text_today(project, manifest, occurrences),
        "scores": _stored(project, manifest, first, "scores"),
        "recipes": {entry["asset"]: entry["recipe"] for entry in features.values()},
        "mixtures": [_explained(manifest, row, rows) for row in rows],
    }


def _text_today(
    project: Project, manifest: Mapping[str, Any], occurrences: list[dict[str, Any]]
) -> str | None:
    """Return the text from the first of its shards that is still there, under whatever name."""
    places = shard_places(project, manifest)
    for place in occurrences:
        today = {**place, "shard": places[place["source"], place["shard_digest"]][1]}
        text = _text(project, today)
        if text is not None:
            return text
    return None


def _ledger_rows(
    project: Project, manifest: Mapping[str, Any], chosen: Any
) -> Iterator[dict[str, Any]]:
    folder = keys.version_folder(manifest["name"], manifest["version"])
    for shard in manifest["shards"]:
        key = f"{folder}/{ledger_file(shard['source'], shard['digest'])}"
        table = project.lake.read_table(key)
        for row in table.filter(chosen(table)).to_pylist():
            yield {
                "mixture": manifest["name"],
                "version": manifest["version"],
                "source": shard["source"],
                "shard": shard["path"],
                "digest": shard["digest"],
                **row,
            }


def _rows_at(project: Project, mixture: str, shard: str, row: int) -> Iterator[dict[str, Any]]:
    name, version = resolve_version(project, mixture)
    manifest = dict(read_traced(project, name, version))
    manifest["shards"] = [s for s in manifest["shards"] if shard in {s["path"], s["digest"]}]
    return _ledger_rows(project, manifest, lambda table: pc.equal(table["row"], row))


def _stored(
    project: Project, manifest: Mapping[str, Any], row: Mapping[str, Any], stage: str
) -> dict[str, Any] | None:
    """Return a document's row in a stage's table; None when the table is gone."""
    folder = manifest["features"][row["source"]][stage]["folder"]
    try:
        table = project.lake.read_table(f"{folder}/{row['digest']}.parquet")
    except LakeError:
        return None
    found = table.filter(pc.equal(table["row"], row["row"])).to_pylist()
    return dict(found[0]) if found else None


# -- why ------------------------------------------------------------------------------------------


def _explained(
    manifest: Mapping[str, Any], row: Mapping[str, Any], rows: list[dict[str, Any]]
) -> dict[str, Any]:
    """Return a ledger row with its luck, its scale and the reason for its copies in words."""
    settings = manifest["config"]
    luck = float(uniforms(id_words(np.array([row["doc_id"]])), settings["seed"], "draw")[0])
    scale = manifest["scales"].get(group_of(row))
    numbers = {"scale": scale, "luck": luck, "max_copies": settings["max_copies"]}
    if row["reason"] in tables.EXCLUSIONS:
        detail = f" ({row['detail']})" if row.get("detail") else ""
        because = (
            f"no version may draw it: {tables.EXCLUSIONS[row['reason']]}{detail}; its weight would "
            f"be {row['weight']:.4g}"
        )
    elif row["reason"] == tables.DUPLICATE:
        same = (
            r for r in rows if r["reason"] != tables.DUPLICATE and r["version"] == row["version"]
        )
        first = next((r for r in same if r["mixture"] == row["mixture"]), None)
        where = ""
        if first is not None:
            place = f"{first['shard']} row {first['row']}"
            where = f": at {place}, of which {first['copies']} copies are drawn"
        because = (
            "the same text stands earlier in the corpus, and a text is drawn as one document"
            f"{where}"
        )
    elif scale is None:
        group = f"{axes_in_words(settings)} {group_of(row)}"
        because = f"{group} has no share of this mixture, so nothing of it is drawn"
    else:
        because = _because(settings, row, scale, luck)
    return {**row, "consumed": row.get("consumed", 0), **numbers, "because": because}


def _because(settings: Mapping[str, Any], row: Mapping[str, Any], scale: float, luck: float) -> str:
    cap, weight = settings["max_copies"], row["weight"]
    reached = min(float(cap), scale * weight)
    kind = STRATEGIES.get(settings["strategy"])
    made = f"by strategy {settings['strategy']}" if kind is None else kind.in_words(settings, row)
    is_free = settings["shares"] == "free"
    of = "" if is_free else f" of {axes_in_words(settings)} {group_of(row)}"
    capped = f", held at the cap of {cap}" if scale * weight > cap else ""
    consumed = row.get("consumed", 0)
    drawn = max(0, int(reached + luck) - consumed)
    words = (
        f"weight {weight:.4g} ({made}); scale {scale:.4g}{of} x weight = {scale * weight:.4g}"
        f"{capped}; luck {luck:.4f}: floor({reached:.4g} + {luck:.4f}) = {int(reached + luck)}"
    )
    if consumed:
        words += f", of which {consumed} were consumed before: {drawn} more"
    if drawn != row["copies"]:
        words += (
            f", and the cut of the budget, which falls on this document, made it {row['copies']}"
        )
    goes_on = (settings.get("after") or {}).get("tokens", 0) > 0
    known = "by what is known of the luck" if goes_on else "whatever the luck"
    return f"{words}; {known}, {row['expected_copies']:.4g} copies are expected"
