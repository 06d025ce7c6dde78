"""One document, explained: where it stands, its scores, what mixtures do with it."""

from typing import Any

from samplemix_dagster.engine import stages
from samplemix_dagster.engine.plan import last_recipe
from samplemix_dagster.engine.project import Project
from samplemix_dagster.engine.versions import load_manifest, resolve_version
from samplemix_dagster.errors import ConfigError, InputError
from samplemix_dagster.storage.manifest import ledger_file
from samplemix_dagster.storage.query import query
from samplemix_dagster.storage.shards import Document, read_shard

_HEX = frozenset("0123456789abcdef")
_TEXT_CHARACTERS = 2000
_SCORED = (
    stages.PERPLEXITY,
    stages.TOKENS,
    stages.QUALITY,
    stages.CLUSTERS,
    stages.OWNERSHIP,
    stages.TOPICS,
    stages.DIVERSITY,
)


def explain_document(project: Project, doc_id: str, mixture: str | None) -> dict[str, Any]:
    """Return all that is known of a document.

    Raises:
        ConfigError: The id is malformed, unknown, or the start of several.
    """
    prefix = doc_id.lower()
    if not prefix or len(prefix) > 32 or not set(prefix) <= _HEX:
        raise ConfigError(f"a document id has up to 32 hexadecimal digits, not {doc_id!r}")
    where = f"starts_with(doc_id, '{prefix}')"
    found = query(
        project.lake,
        f"select * from documents where {where} order by source, shard, row",
    ).to_pylist()
    ids = sorted({row["doc_id"] for row in found})
    if not ids:
        raise ConfigError(
            f"no document {doc_id!r} in the corpus. Rejected rows have no id: see "
            "`samplemix query 'select * from rejections'`."
        )
    if len(ids) > 1:
        raise ConfigError(f"{doc_id!r} begins {len(ids)} ids: {', '.join(ids[:5])}; be longer")
    identity = ids[0]
    scores = query(project.lake, f"select * from scores where doc_id = '{identity}'").to_pylist()
    return {
        "doc_id": identity,
        "occurrences": found,
        "text": _text(project, found[0]),
        "scores": scores[0] if scores else None,
        "recipes": _recipes(project, found[0]["source"]),
        "mixtures": _in_mixtures(project, identity, mixture),
    }


def _text(project: Project, place: dict[str, Any]) -> str | None:
    partition = next(p for p in project.partitions if p.split(":")[0] == place["source"])
    try:
        for row in read_shard(project.root / place["shard"], project.rules(partition)):
            if isinstance(row, Document) and row.row == place["row"]:
                return row.text
    except InputError:
        return None
    return None


def _recipes(project: Project, source: str) -> dict[str, Any]:
    return {
        stage.asset: recipe
        for stage in _SCORED
        if (recipe := last_recipe(project, stage, source)) is not None
    }


def _in_mixtures(project: Project, identity: str, mixture: str | None) -> list[dict[str, Any]]:
    if mixture is None:
        rows = query(
            project.lake,
            f"select * from ledger where doc_id = '{identity}' order by mixture, shard, row",
        ).to_pylist()
        return [{**row, "because": _because(project, row)} for row in rows]
    name, version = resolve_version(project, mixture)
    manifest = load_manifest(project, name, version)
    found = []
    for shard in manifest["shards"]:
        key = f"mixtures/{name}/{version}/{ledger_file(shard['source'], shard['digest'])}"
        ledger = project.lake.read_table(key)
        for row in ledger.to_pylist():
            if row["doc_id"] == identity:
                entry = {
                    "mixture": name,
                    "version": version,
                    "source": shard["source"],
                    "shard": shard["path"],
                    **row,
                }
                found.append({**entry, "because": _because(project, entry)})
    return found


def _because(project: Project, row: dict[str, Any]) -> str:
    manifest = load_manifest(project, row["mixture"], row["version"])
    if row["reason"] == "duplicate":
        return "the same text stands earlier in the corpus, and a text is drawn as one document"
    scale = manifest["scales"].get(row["source"], 0.0)
    settings = manifest["config"]
    balance = settings["balance"]
    made = (
        f"quality {row['quality']:.3f}^{balance['quality']:g} x diversity "
        f"{row['diversity']:.3f}^{balance['diversity']:g}, relative to the corpus"
        if settings["strategy"] == "beta"
        else "every document alike"
    )
    luck = "its luck" if row["expected_copies"] % 1 else "no luck needed"
    return (
        f"weight {row['weight']:.4g} ({made}) x scale {scale:.4g} = {row['expected_copies']:.4g} "
        f"expected copies (at most {settings['max_copies']}); {luck} made it {row['copies']}"
    )


def explanation_lines(found: dict[str, Any]) -> list[str]:
    """Return an explanation in words."""
    lines = [f"document {found['doc_id']}"]
    for place in found["occurrences"]:
        given = f", id {place['id']}" if place["id"] else ""
        lines.append(f"  stands in {place['source']}: {place['shard']} row {place['row']}{given}")
    first = found["occurrences"][0]
    lines.append(f"  language {first['language']}, {first['num_bytes']:,} bytes")
    if found["scores"]:
        lines += ["", "scores"]
        skipped = {"doc_id", "source", "shard", "row", "id", "num_bytes", "language"}
        lines += [
            f"  {name:<22} {value}"
            for name, value in found["scores"].items()
            if name not in skipped
        ]
    for row in found["mixtures"]:
        state = f"drawn {row['copies']} times" if row["copies"] else f"not drawn ({row['reason']})"
        if row["copies"] == 1:
            state = "drawn once"
        lines += ["", f"mixture {row['mixture']} {row['version'][:12]}: {state}"]
        lines.append(f"  {row['because']}")
    text = found["text"]
    if text is not None:
        cut = "" if len(text) <= _TEXT_CHARACTERS else f"\n  ... {len(text):,} characters in all"
        lines += ["", "text", *("  " + part for part in text[:_TEXT_CHARACTERS].splitlines()), cut]
    return lines
