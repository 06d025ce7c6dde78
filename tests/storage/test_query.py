"""Queries: they read the lake's views and nothing else, and nothing can be written."""

import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from samplemix_dagster.config.around import Query
from samplemix_dagster.errors import ConfigError, SampleMixError
from samplemix_dagster.storage.ask.query import query
from samplemix_dagster.storage.ask.relations.views import VIEWS
from samplemix_dagster.storage.ask.statement import reading_statement
from samplemix_dagster.storage.lake.lake import Lake
from tests.fake_lake import (
    JUDGED_ARMS,
    JUDGED_SEEDS,
    NUM_OCCURRENCES,
    FakeLake,
    make_fake_lake,
)
from tests.sql_writes import campaign, make_ground

# At least these columns are promised (design, section 5).
PROMISED = {
    "documents": "doc_id source shard row id language num_bytes num_tokens metadata",
    "scores": "doc_id bits_per_byte perplexity quality cluster topic diversity num_tokens",
    "rejections": "source shard row reason excerpt num_rows",
    "ledger": "mixture version doc_id source shard row num_tokens quality diversity weight "
    "expected_copies copies reason",
    "mixtures": "name version made_at budget_tokens realised_tokens is_current",
    "duplicates": "doc_id source shard row",
    "exclusions": "doc_id reason detail",
    "labels": "doc_id source shard row name label",
    "contamination": "doc_id source shard evaluation item share num_items snippet",
    "clusters": "cluster name",
    "topics": "topic name",
    "evaluations": "evaluation learner arm group bits_per_byte difference low high needs recovered "
    "verdict",
    "evaluation_losses": "evaluation arm seed rung group doc_id num_bytes nats",
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


def test_losses_are_those_of_each_training_of_the_last_evaluation(fake: FakeLake) -> None:
    found = rows(
        fake,
        'select arm, seed, "group", sum(nats) as nats from evaluation_losses '
        "group by all order by all",
    )
    assert found == [
        {"arm": arm, "seed": seed, "group": "prose", "nats": 10.0 * place + seed + 0.5}
        for place, arm in enumerate(JUDGED_ARMS)
        for seed in range(JUDGED_SEEDS)
    ]


def test_each_arm_of_an_evaluation_has_its_figures_in_every_group(fake: FakeLake) -> None:
    found = rows(fake, 'select arm, "group", verdict, difference from evaluations order by all')
    assert {(row["arm"], row["group"]) for row in found} >= {
        (arm, group) for arm in JUDGED_ARMS for group in ("all", "prose")
    }
    assert {row["verdict"] for row in found if row["arm"] == "mine"} == {"worse"}


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


# -- files of the lake by their keys ---------------------------------------------------------------


def test_tables_of_the_lake_are_read_by_key_with_half_precision_as_floats(tmp_path: Path) -> None:
    path = tmp_path / "features" / "embeddings" / ("a" * 24) / f"{'b' * 32}.parquet"
    path.parent.mkdir(parents=True)
    pq.write_table(pa.table({"e": pa.array([[0.5]], pa.list_(pa.float16(), 1))}), path)
    for name in ("features/embeddings/*/*.parquet", str(path)):
        found = query(Lake(tmp_path), f"select e[1] as e from '{name}'")
        assert found.to_pylist() == [{"e": 0.5}]


@pytest.mark.parametrize("name", ["../secret.parquet", "{root}/secret.parquet", "*/x.parquet"])
def test_nothing_else_is_read_by_key(name: str, fake: FakeLake) -> None:
    secret = fake.lake.root.parent / "secret.parquet"
    pq.write_table(pa.table({"word": ["secret"]}), secret)
    pq.write_table(pa.table({"word": ["secret"]}), fake.lake.root / "fits" / "x.parquet")
    quoted = name.format(root=str(secret.parent).replace("'", "''"))
    with pytest.raises(ConfigError):
        query(fake.lake, f"select * from '{quoted}'")
    secret.unlink()
    (fake.lake.root / "fits" / "x.parquet").unlink()


# -- bounds ----------------------------------------------------------------------------------------

ENDLESS = "select count(*) from range(1000000000000000)"


def test_a_query_that_takes_too_long_is_stopped(fake: FakeLake) -> None:
    began = time.monotonic()
    with pytest.raises(SampleMixError, match=r"stopped after 1 s; .* `query\.timeout`"):
        query(fake.lake, ENDLESS, Query(timeout=1))
    assert time.monotonic() - began < 10


@pytest.mark.parametrize(
    "sql",
    [
        "select range as n from range(100000000000)",
        "select list(range) from range(1000000000)",
        "select range as n from range(1000000000) order by hash(n)",
    ],
)
def test_a_query_that_takes_too_much_memory_is_stopped(sql: str, fake: FakeLake) -> None:
    before = files(fake)
    with pytest.raises(SampleMixError, match=r"0\.1 GB of memory; .* `query\.memory`"):
        query(fake.lake, sql, Query(memory=64_000_000))
    assert files(fake) == before


def test_ctrl_c_stops_a_query_at_once(tmp_path: Path) -> None:
    make_fake_lake(tmp_path)
    code = (
        # A shell ignores SIGINT for what it puts in the background, and children inherit that.
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "import sys, pathlib; from samplemix_dagster.storage.lake.lake import Lake\n"
        "from samplemix_dagster.storage.ask.query import query\n"
        f"print('asks', flush=True); query(Lake(pathlib.Path({str(tmp_path)!r})), {ENDLESS!r})"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as asking:
        assert asking.stdout is not None
        assert asking.stdout.readline() == "asks\n"
        time.sleep(2)
        began = time.monotonic()
        asking.send_signal(signal.SIGINT)
        try:
            _, said = asking.communicate(timeout=30)
        finally:
            asking.kill()
    assert time.monotonic() - began < 3
    assert "KeyboardInterrupt" in said


def test_a_message_is_one_line(fake: FakeLake) -> None:
    for sql in ("select nope\nfrom documents", "selec 1", "from nope", "select 1 +"):
        with pytest.raises(ConfigError) as caught:
            query(fake.lake, sql)
        assert "\n" not in str(caught.value)


# -- writing, in every disguise --------------------------------------------------------------------


def test_no_disguise_makes_a_query_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    found = campaign(make_ground(tmp_path / "ground"), 80, seed=1)
    assert (found["changed_by"], found["told_by"]) == ([], [])
    assert found["statements"] == 80


@pytest.mark.slow
def test_no_disguise_of_thousands_makes_a_query_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    found = campaign(make_ground(tmp_path / "ground"), 3000, seed=2)
    assert (found["changed_by"], found["told_by"]) == ([], [])


@pytest.mark.parametrize(
    ("sql", "text"),
    [
        ("explain /* ( */ analyze -- x\n select 'ü'", "explain analyze select 'ü'"),
        ("EXPLAIN (ANALYZE, FORMAT JSON) from t", "explain (analyze , format json) from t"),
        ("/* explain ( */ explain analyze copy (select 1) to 'x' --*/ select 1", None),
        ("explain create table t as select 1", None),
        ("copy t to 'x'", None),
        ("select 1; select 2", None),
        ("", None),
    ],
)
def test_what_runs_is_what_was_parsed(sql: str, text: str | None) -> None:
    assert reading_statement(sql, duckdb) == text


def test_columns_of_one_name_are_told_apart(fake: FakeLake) -> None:
    assert rows(fake, "select 1 as a, 2 as a, 3 as a_1, 4 as a") == [
        {"a": 1, "a_1": 2, "a_1_1": 3, "a_2": 4}
    ]
