"""Statements that try to write: forms of writing x ways to wrap them x ways to hide them.

Each is put to ``query`` beside a small lake, and the files of a whole folder are compared before
and after: of the lake, beside it, of the working folder and of the home folder.
"""

import itertools
import os
import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from samplemix_dagster.config.around import Query
from samplemix_dagster.errors import SampleMixError
from samplemix_dagster.storage.ask.query import query
from tests.fake_lake import make_fake_lake

FORMS = (
    "copy (select 1 as a) to '{new}'",
    "copy (select 1 as a) to '{old}'",
    "copy (select 1 as a) to '{old}' (format csv, header false)",
    "copy (select 1 as a) to '{out}' (format parquet)",
    "copy (select 1 as a) to '{out}' (format json)",
    "copy (select 1 as a, 2 as b) to '{folder}' (format parquet, partition_by (a))",
    "copy (select 1 as a) to '{folder}' (format csv, per_thread_output)",
    "copy (select 1 as a) to '{new}' (use_tmp_file false)",
    "copy documents to '{new}'",
    "copy documents from '{old}'",
    "copy from database memory to memory",
    "export database '{folder}'",
    "export database '{folder}' (format parquet)",
    "import database '{folder}'",
    "attach '{new}' as other",
    "attach '{out}' as other (type duckdb)",
    "attach 'file:{new}' as other (read_only false)",
    "detach memory",
    "use other",
    "install httpfs",
    "force install httpfs",
    "install '{out}'",
    "load httpfs",
    "load '{old}'",
    "set temp_directory = '{folder}'",
    "set enable_external_access = true",
    "set lock_configuration = false",
    "set disabled_filesystems = ''",
    "set allowed_directories = ['/']",
    "set global home_directory = '{folder}'",
    "reset lock_configuration",
    "set variable a = 1",
    "pragma temp_directory='{folder}'",
    "pragma enable_profiling='json'",
    "pragma profile_output='{new}'",
    "pragma database_list",
    "set profile_output = '{new}'",
    "call enable_logging(storage = 'file', storage_path = '{folder}')",
    "select * from enable_logging(storage = 'file', storage_config = {{'path': '{folder}'}})",
    "select * from checkpoint()",
    "call force_checkpoint()",
    "checkpoint",
    "vacuum analyze",
    "create table a as select 1 as b",
    "create or replace view documents as select 1 as a",
    "create temp table a as select 1 as b",
    "create secret a (type s3, key_id 'x', secret 'y')",
    "create persistent secret a (type s3, key_id 'x', secret 'y')",
    "create function a(b) as b + 1",
    "create type a as enum ('b')",
    "create sequence a",
    "create schema a",
    "drop view documents",
    "drop table documents",
    "alter view documents rename to other",
    "insert into documents select * from documents",
    "insert into documents by name select 1 as doc_id returning *",
    "update documents set doc_id = 'x'",
    "delete from documents",
    "truncate documents",
    "merge into documents using scores on false when not matched then insert values (1)",
    "begin",
    "commit",
    "rollback",
    "prepare a as copy (select 1) to '{new}'",
    "execute a",
    "deallocate a",
    "select * from read_csv('{old}', store_rejects = true)",
    "select write_log('x')",
    "select * from query('copy (select 1) to ''{new}''')",
    "select * from query_table('{new}')",
    "select * from read_text('{secret}')",
    "select * from read_blob('{secret}')",
    "select * from glob('{folder}/*')",
    "select * from '{secret}'",
    "select * from read_json('{secret}')",
    "select * from sqlite_scan('{new}', 'a')",
    "select * from parquet_metadata('{old}')",
    "select getenv('HOME')",
)
WRAPS = (
    "{0}",
    "explain {0}",
    "explain analyze {0}",
    "explain (analyze) {0}",
    "explain (analyze, format json) {0}",
    "explain explain analyze {0}",
    "/* explain ( */ explain analyze {0} --*/ select 1",
    "select 1; {0}",
    "{0}; select 1",
    "with a as ({0}) select * from a",
    "with a as materialized ({0} returning *) select * from a",
    "select * from ({0})",
    "select ({0})",
    "({0})",
    "prepare b as {0}",
    "from query($${0}$$)",
    "create macro b() as table {0}",
    "select 1 where exists ({0})",
    "describe {0}",
    "summarize {0}",
)
HIDES = (
    "plain",
    "upper",
    "comments",
    "lines",
    "tail",
    "odd spaces",
    "mixed",
)
_COMMENTS = ("/**/", "/* select 1 */", "/* ' */", "/*--*/", '/* " */', "--x\n", "-- select 1;\n")
_SPACES = ("\t", "\n", "\r\n", "\f", "\v", "  ", "\u00a0", "\u2003")


def hidden(sql: str, how: str, luck: random.Random) -> str:
    """Return a statement in another spelling; quoted words stay as they are."""
    if how == "tail":
        return f"{luck.choice(_COMMENTS)} {sql} ;;{luck.choice(_COMMENTS)}"
    pieces = sql.split("'")
    for number in range(0, len(pieces), 2):  # what stands outside of quotes
        pieces[number] = _spelt(pieces[number], how, luck)
    return "'".join(pieces)


def _spelt(words: str, how: str, luck: random.Random) -> str:
    if how in {"upper", "mixed"}:
        words = "".join(luck.choice((c.upper(), c)) if how == "mixed" else c.upper() for c in words)
    between = {"comments": _COMMENTS, "mixed": _COMMENTS, "lines": ("\n",), "odd spaces": _SPACES}
    if how not in between:
        return words
    return "".join(luck.choice(between[how]) if c == " " else c for c in words)


def statements(places: dict[str, str], seed: int = 0) -> Iterator[str]:
    """Yield every statement, in an order of luck: any first part of them has some of each kind."""
    luck = random.Random(seed)
    every = list(itertools.product(FORMS, WRAPS, HIDES))
    luck.shuffle(every)
    for form, wrap, how in every:
        yield hidden(wrap.replace("{0}", form.format(**places)), how, luck)


@dataclass(frozen=True)
class Ground:
    """A folder with a lake, a home and a working folder in it."""

    root: Path
    lake: Any
    places: dict[str, str]

    def seen(self) -> dict[str, tuple[int, int, bytes]]:
        """Return every name below the folder, with time, size and bytes of each file."""
        found = {}
        for path in sorted(self.root.rglob("*")):
            status = path.lstat()
            content = path.read_bytes() if path.is_file() else b""
            found[str(path)] = (status.st_mtime_ns, status.st_size if content else 0, content)
        return found


def make_ground(root: Path) -> Ground:
    """Make the folders, and go there: ``HOME`` and the working folder are of this process."""
    made = make_fake_lake(root / "lake")
    for name in ("home", "here"):
        (root / name).mkdir()
    (root / "secret.csv").write_text("word\nsecret word\n")
    os.environ["HOME"] = str(root / "home")
    os.chdir(root / "here")
    old = next(path for path in sorted((root / "lake").rglob("*.parquet")))
    places = {
        "new": f"{root}/lake/new.csv",
        "old": str(old),
        "out": f"{root}/out.csv",
        "folder": f"{root}/lake/folder",
        "secret": f"{root}/secret.csv",
    }
    return Ground(root, made.lake, places)


def campaign(ground: Ground, count: int, seed: int = 0) -> dict[str, Any]:
    """Put statements to the lake; return how many there were, and which changed a file."""
    limits = Query(timeout=10, memory=200_000_000)
    before, changed, told = ground.seen(), [], []
    ends: Counter[str] = Counter()
    for sql in itertools.islice(statements(ground.places, seed), count):
        try:
            table = query(ground.lake, sql, limits)
            ends["answered"] += 1
            if "secret word" in str(table.to_pylist()):
                told.append(sql)
        except SampleMixError as error:
            ends[type(error).__name__] += 1
        after = ground.seen()
        if after != before:
            changed.append(sql)
            before = after
    return {
        "statements": ends.total(),
        "ends": dict(ends),
        "files_changed": len(changed),
        "secrets_told": len(told),
        "changed_by": changed,
        "told_by": told,
    }
