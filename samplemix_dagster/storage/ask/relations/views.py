"""DuckDB's views on the lake: the tables that a person asks, made from what is current.

Views are SQL over the lake's Parquet files; there is no database file. The same statements serve
``samplemix query`` and dbt. Which tables are current is read from the manifests and the state that
each stage leaves when it has finished, not from the configuration: what was computed last can be
asked about even while the configuration has moved on.
"""

from collections.abc import Iterable, Sequence

from samplemix_dagster.storage.ask.relations.judged_views import JUDGED_VIEWS, judged_statements
from samplemix_dagster.storage.ask.relations.listed import ListedShard, Version, mixture_versions
from samplemix_dagster.storage.ask.relations.shard_tables import labels, located
from samplemix_dagster.storage.ask.sql_text import (
    Reader,
    identifier,
    relation,
    text,
    union,
    values,
)
from samplemix_dagster.storage.corpus.manifest import Manifest, ledger_file, source_of
from samplemix_dagster.storage.lake import keys
from samplemix_dagster.storage.lake.lake import Lake

VIEWS: dict[str, str] = {
    "documents": "One row per document occurrence: where it stands, what is known of it.",
    "scores": "One row per document occurrence, with every score.",
    "rejections": "One row per row of a shard that is no document, or for many of one reason.",
    "duplicates": "One row per occurrence of a text that stands earlier in the corpus too.",
    "labels": "One row per document occurrence and label that another tool gave.",
    "contamination": "One row per document occurrence that holds text of an evaluation.",
    "exclusions": "One row per document that no version may draw, with the reason.",
    "ledger": "One row per document of each mixture's current version, drawn or not.",
    "mixtures": "One row per mixture version.",
    "clusters": "One row per cluster, with its name.",
    "topics": "One row per topic, with its name.",
    **JUDGED_VIEWS,
}
"""The views, and the grain of each."""

_DUPLICATE_COLUMNS = "doc_id varchar, source varchar, shard varchar, row bigint"
_LEDGER_COLUMNS = (
    "doc_id varchar, row bigint, num_tokens bigint, quality double, diversity double, "
    "weight double, expected_copies double, copies integer, reason varchar, detail varchar, "
    "consumed integer, share_group varchar"
)
_EXCLUSION_COLUMNS = "doc_id varchar, reason varchar, detail varchar"


REJECTED_ENDING = ".rejected.parquet"
"""Ending of tables of which the first version lacks a column."""


def read_in_place(files: Sequence[str], is_named: bool) -> str:
    """Return what reads Parquet files where they lie; a column that some of them lack is null."""
    listed = ", ".join(text(file) for file in files)
    options = ", filename = true" if is_named else ""
    if any(file.endswith(REJECTED_ENDING) for file in files):
        options += ", union_by_name = true"
    return f"read_parquet([{listed}]{options})"


def view_statements(lake: Lake, reader: Reader = read_in_place) -> list[str]:
    """Return the statements that make every view, in order."""
    manifests = current_lists(lake)
    # Two partitions of a source may hold the same bytes: they are one shard.
    paths = {
        (source_of(manifest.partition), shard.digest): shard.path
        for manifest in manifests
        for shard in manifest.shards
    }
    places = [(source, digest, path) for (source, digest), path in sorted(paths.items())]
    skipped = [
        (source_of(manifest.partition), path) for manifest in manifests for path in manifest.skipped
    ]
    versions = mixture_versions(lake)
    current = [entry for entry in versions if entry["is_current"]]
    return [
        relation("shards", ("source varchar", "digest varchar", "path varchar"), places),
        relation("skipped_folders", ("source varchar", "path varchar"), skipped),
        f"create or replace view all_documents as {located(lake, places, 'documents', reader)}",
        f"create or replace view all_scores as {located(lake, places, 'scores', reader)}",
        _DOCUMENTS_VIEW,
        _SCORES_VIEW,
        f"create or replace view all_rejections as {located(lake, places, 'rejections', reader)}",
        _REJECTIONS_VIEW,
        f"create or replace view all_duplicates as {_duplicates(lake, reader)}",
        _DUPLICATES_VIEW,
        f"create or replace view all_labels as {labels(lake, places, reader)}",
        _LABELS_VIEW,
        f"create or replace view all_contamination as "
        f"{located(lake, places, 'contamination', reader)}",
        _CONTAMINATION_VIEW,
        f"create or replace view exclusions as {_exclusions(lake, reader)}",
        f"create or replace view all_ledgers as {_ledgers(lake, current, reader)}",
        _LEDGER_VIEW,
        relation(
            "mixtures",
            (
                "name varchar",
                "version varchar",
                "made_at varchar",
                "budget_tokens bigint",
                "realised_tokens bigint",
                "is_current boolean",
            ),
            [tuple(map(dict(entry).get, _MIXTURE_COLUMNS)) for entry in versions],
        ),
        relation("clusters", ("cluster integer", "name varchar"), _names(lake, "cluster_fit")),
        relation("topics", ("topic integer", "name varchar"), _names(lake, "topic_fit")),
        *judged_statements(lake, reader),
    ]


def report_statements(lake: Lake, reader: Reader = read_in_place) -> list[str]:
    """Return the statements that offer each report model as a view."""
    names = sorted(name for name in lake.names(keys.REPORTS) if name.endswith(".parquet"))
    return [
        f"create or replace view {identifier(name.removesuffix('.parquet'))} as "
        f"select * from {reader([str(lake.path(f'{keys.REPORTS}/{name}'))], False)}"
        for name in names
    ]


_MIXTURE_COLUMNS = (
    "name",
    "version",
    "made_at",
    "budget_tokens",
    "realised_tokens",
    "is_current",
)

_DOCUMENTS_VIEW = """
create or replace view documents as
select
    d.doc_id, d.source, p.path as shard, d.row, d.id, d.language, d.num_bytes, s.num_tokens,
    d.metadata, d.digest as shard_digest
from all_documents as d
inner join shards as p on d.source = p.source and d.digest = p.digest
left join all_scores as s on d.source = s.source and d.digest = s.digest and d.row = s.row
"""

_SCORES_VIEW = """
create or replace view scores as
select
    s.doc_id, s.source, p.path as shard, s.row, d.id, d.num_bytes,
    s.* exclude (doc_id, source, digest, row)
from all_scores as s
inner join shards as p on s.source = p.source and s.digest = p.digest
inner join all_documents as d on s.source = d.source and s.digest = d.digest and s.row = d.row
"""

_REJECTIONS_VIEW = """
create or replace view rejections as
select
    r.source, p.path as shard, r.row, r.reason, r.excerpt, coalesce(r.num_rows, 1) as num_rows
from all_rejections as r
inner join shards as p on r.source = p.source and r.digest = p.digest
union all by name
select source, path as shard, 0 as row, 'directory' as reason, '' as excerpt, 1 as num_rows
from skipped_folders
"""

_DUPLICATES_VIEW = """
create or replace view duplicates as
select d.doc_id, d.source, p.path as shard, d.row
from all_duplicates as d
inner join shards as p on d.source = p.source and d.shard = p.digest
"""

_LABELS_VIEW = """
create or replace view labels as
select l.doc_id, l.source, p.path as shard, l.row, l.name, l.label
from all_labels as l
inner join shards as p on l.source = p.source and l.digest = p.digest
"""

_CONTAMINATION_VIEW = """
create or replace view contamination as
select c.doc_id, c.source, p.path as shard, c.evaluation, c.item, c.share, c.num_items, c.snippet
from all_contamination as c
inner join shards as p on c.source = p.source and c.digest = p.digest
where c.evaluation is not null
"""

_LEDGER_VIEW = """
create or replace view ledger as
select
    l.mixture, l.version, l.doc_id, l.source, coalesce(p.path, l.path) as shard, l.row,
    l.num_tokens, l.quality, l.diversity, l.weight, l.expected_copies, l.copies, l.reason,
    l.detail,
    coalesce(l.consumed, 0) as consumed,
    l.share_group
from all_ledgers as l
left join shards as p on l.source = p.source and l.digest = p.digest
"""


def current_lists(lake: Lake) -> list[Manifest]:
    """Return the manifests of the sources that the corpus has; of all before it is complete."""
    corpus = lake.read_json(keys.current_fit("corpus"))
    sources = (corpus or {}).get("recipe", {}).get("documents")
    found = []
    for folder in sorted(lake.names(keys.SHARDS)):
        value = lake.read_json(keys.shards_in(folder))
        if value is None:
            continue
        manifest = Manifest.from_json(value)
        if sources is None or source_of(manifest.partition) in sources:
            found.append(manifest)
    return found


def _names(lake: Lake, fit: str) -> list[tuple[int, str]]:
    current = lake.read_json(keys.current_fit(fit))
    if current is None:
        return []
    names = lake.read_json(keys.names_in(keys.fit_folder(fit, current["version"])), {})
    return sorted((int(identity), name) for identity, name in names.items())


def _duplicates(lake: Lake, reader: Reader) -> str:
    current = lake.read_json(keys.current_fit("corpus"))
    if current is None:
        return union([], _DUPLICATE_COLUMNS)
    path = lake.path(keys.duplicates(current["version"]))
    return f"select * from {reader([str(path)], False)}"


def _exclusions(lake: Lake, reader: Reader) -> str:
    current = lake.read_json(keys.current_fit("exclusions"))
    if current is None:
        return union([], _EXCLUSION_COLUMNS)
    return f"select * from {reader([str(lake.path(keys.excluded(current['version'])))], False)}"


def _ledgers(lake: Lake, current: Iterable[Version], reader: Reader) -> str:
    """Select the ledgers of versions, each row with its source, shard digest and former path."""
    parts = []
    for entry in current:
        folder = keys.version_folder(entry["name"], entry["version"])
        by_source: dict[str, list[ListedShard]] = {}
        for shard in entry["shards"]:
            by_source.setdefault(shard["source"], []).append(shard)
        for source, shards in sorted(by_source.items()):
            tables_of = [f"{folder}/{ledger_file(source, shard['digest'])}" for shard in shards]
            paths = lake.paths(tables_of)
            files = reader([str(path) for path in paths], True)
            pairs = zip(paths, shards, strict=True)
            rows = [(path.name, shard["digest"], shard["path"]) for path, shard in pairs]
            parts.append(
                f"select {text(entry['name'])} as mixture, {text(entry['version'])} as version, "
                f"{text(source)} as source, f.digest, f.path, l.* exclude (filename) "
                f"from {files} as l inner join {values(rows)} as f (name, digest, path) "
                "on parse_filename(l.filename) = f.name"
            )
    head = "mixture varchar, version varchar, source varchar, digest varchar, path varchar"
    # Few versions have details and what was consumed; an empty relation brings the columns.
    return union([*parts, union([], f"{head}, {_LEDGER_COLUMNS}")], "")
