"""A proof of absence: a query that anybody can run, which knows nothing of how a version was drawn.

It reads the list, the version's manifest and ledger, and the documents that it was drawn from, and
finds anew what the list names: by its own rules in SQL, not by ours.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from samplemix_dagster.engine.foundation.documents import DOCUMENTS
from samplemix_dagster.engine.project import Project
from samplemix_dagster.stages.exclusions.takedown import takedown_file
from samplemix_dagster.stages.mixture.published.mixture_manifest import read_traced
from samplemix_dagster.storage.ask.sql_text import text
from samplemix_dagster.storage.lake import keys

_QUERY = """\
with named as (
    select
        what,
        case when what = 'url' then coalesce(try(url_decode(value)), value) else value end as value
    from read_json({list}, format = 'newline_delimited',
        columns = {{what: 'varchar', value: 'varchar'}})
),
shards as (
    select unnest(shards, recursive := true)
    from read_json({manifest}, maximum_object_size = 1073741824)
),
ledger as (
    select doc_id, copies from read_parquet({ledger})
),
documents as (
    select s.source, d.doc_id, d.id, d.metadata
    from read_parquet({documents}, filename = true) as d
    inner join (select source, digest from shards) as s
        on split_part(parse_filename(d.filename), '.', 1) = s.digest
),
urls as (
    select
        doc_id,
        unnest(list_concat([id], coalesce(json_extract_string(metadata, '$.*'), []))) as url
    from documents
),
parts as (
    select
        doc_id,
        regexp_replace(
            lower(regexp_extract(url, '(?i)^https?://(?:[^/?#]*@)?(?:www\\.)?([^/?#]*)', 1)),
            ':(80|443)$', '') as host,
        rtrim(regexp_extract(url, '(?i)^https?://[^/?#]*([^?#]*)', 1), '/') as path,
        regexp_extract(url, '(?i)^https?://[^?#]*(\\?[^#]+)', 1) as query
    from (select doc_id, regexp_replace(url, '[ \\t\\r\\n]+$', '') as url from urls)
    where regexp_matches(url, '^https?://', 'i')
),
pages as (
    select
        doc_id,
        host,
        coalesce(try(url_decode(concat(host, path, query))), concat(host, path, query)) as page
    from parts
),
gone as (
    select value as doc_id from named where what in ('id', 'text')
    union
    select d.doc_id from documents as d
    inner join named as n on n.what = 'id' and n.value = concat(d.source, ':', d.id)
    union
    select p.doc_id from pages as p
    inner join named as n on n.what = 'url' and n.value = p.page
    union
    select p.doc_id from pages as p
    inner join named as n on n.what = 'domain'
        and (split_part(p.host, ':', 1) = n.value
            or ends_with(split_part(p.host, ':', 1), concat('.', n.value)))
)
select l.doc_id, sum(l.copies) as copies
from ledger as l
semi join gone as g on l.doc_id = g.doc_id
where l.copies > 0
group by all
order by all"""


def proof(project: Project, name: str, version: str) -> Mapping[str, Any]:
    """Return the query that finds what a version draws although it was taken down, and its answer.

    Raises:
        LakeError: A table that it reads is gone or damaged.
    """
    import duckdb

    manifest = read_traced(project, name, version)
    folder = keys.version_folder(name, version)
    ledger = project.lake.paths([f"{folder}/{key}" for key in manifest["ledger"]])
    tables = project.lake.paths(
        [
            f"{manifest['features'][one['source']][DOCUMENTS.name]['folder']}/{one['digest']}.parquet"
            for one in manifest["shards"]
        ]
    )
    # A shard's rejected rows stand beside its documents, under a longer name.
    folders = sorted({path.parent / f"{'?' * 32}.parquet" for path in tables})
    query = query_of(
        takedown_file(project),
        project.lake.path(keys.manifest_in(folder)),
        sorted({path.parent / "*.parquet" for path in ledger}),
        folders,
    )
    with duckdb.connect(":memory:") as connection:
        rows = connection.sql(query).fetchall()
    return {
        "name": name,
        "version": version,
        "query": query,
        "held": [{"doc_id": doc_id, "copies": int(copies)} for doc_id, copies in rows],
    }


def query_of(named: Path, manifest: Path, ledger: Sequence[Path], documents: Sequence[Path]) -> str:
    """Return the query over a list, a version's manifest, its ledger and its documents.

    Each of the last two is one pattern of files or more.
    """
    return _QUERY.format(
        list=text(str(named)),
        manifest=text(str(manifest)),
        ledger=_listed(ledger),
        documents=_listed(documents),
    )


def _listed(paths: Sequence[Path]) -> str:
    return f"[{', '.join(text(str(path)) for path in paths)}]"
