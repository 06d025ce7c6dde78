"""Queries: they read the lake's views and nothing else, and nothing can be written."""

from pathlib import Path
from typing import Any

import pytest

from samplemix_dagster.errors import ConfigError
from samplemix_dagster.storage.lake import Lake
from samplemix_dagster.storage.query import query
from samplemix_dagster.storage.views import VIEWS
from tests.fake_lake import NUM_OCCURRENCES, FakeLake, make_fake_lake

# At least these columns are promised (design, section 5).
PROMISED = {
    "documents": "doc_id source shard row id language num_bytes num_tokens metadata",
    "scores": "doc_id bits_per_byte perplexity quality cluster topic diversity num_tokens",
    "rejections": "source shard row reason excerpt num_rows",
    "ledger": "mixture version doc_id source shard row num_tokens quality diversity weight "
    "expected_copies copies reason",
    "mixtures": "name version made_at budget_tokens realised_tokens is_current",
    "duplicates": "doc_id source shard row",
    "clusters": "cluster name",
    "topics": "topic name",
}


@pytest.fixture(scope="module")
def fake(tmp_path_factory: pytest.TempPathFactory) -> FakeLake:
    """A lake whose folder has a quote in its name, with a file beside it that nobody may read."""
    root = tmp_path_factory.mktemp("it's")
    (root / "secret.csv").write_text("word\nsecret\n")
    (root / "lake2").mkdir()
    (root / "lake2/secret.csv").write_text("word\nsecret\n")
    made = make_fake_lake(root / "lake")
    current = {"version": "1", "recipe": {"documents": {"books": "1", "web": "1"}}}
    made.lake.replace_json("fits/corpus/current.json", current)
    return made


def files(fake: FakeLake) -> dict[str, bytes]:
    root = fake.lake.root.parent
    return {str(path): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def rows(fake: FakeLake, sql: str) -> list[dict[str, Any]]:
    return list(query(fake.lake, sql).to_pylist())


# -- what can be asked -----------------------------------------------------------------------------


@pytest.mark.parametrize("view", VIEWS)
def test_a_view_has_the_columns_that_are_promised(view: str, fake: FakeLake) -> None:
    found = query(fake.lake, f"select * from {view}")
    assert set(PROMISED[view].split()) <= set(found.column_names)
    assert found.num_rows > 0


@pytest.mark.parametrize("view", VIEWS)
def test_a_view_of_an_empty_lake_is_empty_and_has_its_columns(view: str, tmp_path: Path) -> None:
    found = query(Lake(tmp_path), f"select * from {view}")
    assert set(PROMISED[view].split()) <= set(found.column_names)
    assert found.num_rows == 0


def test_documents_are_those_that_were_written(fake: FakeLake) -> None:
    found = rows(fake, "select doc_id, source, shard, row, num_tokens from documents")
    names = ("doc_id", "source", "shard", "row", "num_tokens")
    expected = [{name: document[name] for name in names} for document in fake.documents]
    assert len(found) == NUM_OCCURRENCES

    def place(row: dict[str, Any]) -> tuple[str, int]:
        return row["shard"], row["row"]

    assert sorted(found, key=place) == sorted(expected, key=place)


def test_the_ledger_of_a_mixture_adds_up_to_what_its_version_says(fake: FakeLake) -> None:
    [found] = rows(
        fake,
        "select m.realised_tokens, sum(l.copies * l.num_tokens)::bigint as counted "
        "from ledger l join mixtures m on l.mixture = m.name and l.version = m.version "
        "where m.name = 'default' group by all",
    )
    assert found["counted"] == found["realised_tokens"] > 0


@pytest.mark.parametrize(
    "sql",
    [
        "select 1 as a;",
        "with x as (select 1 as a) select * from x",
        "from documents",
        "values (1)",
        "describe documents",
        "summarize ledger",
        "show tables",
        "explain select * from documents",
        "EXPLAIN ANALYZE select count(*) from documents",
        "explain (analyze, format json) select 1",
    ],
)
def test_one_statement_that_reads_is_answered(sql: str, fake: FakeLake) -> None:
    assert query(fake.lake, sql).num_rows > 0


# -- what cannot -----------------------------------------------------------------------------------

READS = [
    "select * from read_csv('{root}/secret.csv')",
    "select * from read_text('{lake}/../secret.csv')",
    "from '{root}/lake2/secret.csv'",
    "select * from read_text('/etc/passwd')",
    "select * from glob('/etc/*')",
    "select * from sniff_csv('/etc/passwd')",
    "select * from read_parquet('s3://bucket/x.parquet')",
    "select * from read_csv('https://example.org/x.csv')",
    "select getenv('HOME')",
    "from query('select * from read_text(''/etc/passwd'')')",
]
WRITES = [
    "copy (select 1) to '{lake}/x.csv'",
    "copy documents to '{root}/x.parquet'",
    "explain analyze copy (select 1) to '{lake}/x.csv'",
    "explain (analyze) copy (select 1) to '{lake}/x.csv'",
    "/* a */ explain analyze copy (select 1) to '{lake}/x.csv'",
    "explain/**/analyze copy (select 1) to '{lake}/x.csv'",
    "export database '{lake}/x'",
    "attach '{lake}/x.db' as x",
    "create table x as select 1",
    "explain analyze create table x as select 1",
    "insert into documents select * from documents",
    "drop view documents",
    "from query('copy (select 1) to ''{lake}/x.csv''')",
    "install httpfs",
    "load httpfs",
    "set memory_limit = '1GB'",
    "set enable_external_access = true",
    "explain analyze set enable_external_access = true",
    "pragma database_list",
    "call pragma_version()",
    "prepare p as select 1",
]


@pytest.mark.parametrize("sql", [*READS, *WRITES])
def test_nothing_else_is_read_or_written(sql: str, fake: FakeLake) -> None:
    quoted = {
        "root": str(fake.lake.root.parent).replace("'", "''"),
        "lake": str(fake.lake.root).replace("'", "''"),
    }
    before = files(fake)
    with pytest.raises(ConfigError, match=r"^query: ") as caught:
        query(fake.lake, sql.format(**quoted))
    assert "root:x:0" not in str(caught.value)
    assert files(fake) == before


@pytest.mark.parametrize(
    "sql", ["", " ; ", "-- words", "select 1; select 2", "select 1; drop view documents"]
)
def test_one_statement_only(sql: str, fake: FakeLake) -> None:
    with pytest.raises(ConfigError, match="one `select` at a time, and nothing that writes"):
        query(fake.lake, sql)


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("select * from nope", "nope does not exist"),
        ("selec 1", 'syntax error at or near "selec"'),
        ("select nope from documents", '"nope" not found'),
    ],
)
def test_a_mistake_is_said_as_duckdb_says_it(sql: str, expected: str, fake: FakeLake) -> None:
    with pytest.raises(ConfigError) as caught:
        query(fake.lake, sql)
    assert expected in str(caught.value)
