"""Sources behind URLs that fsspec knows: listed, watched, read, and each failure is a sentence."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import fsspec
import pytest
import yaml
from fsspec.implementations.memory import MemoryFileSystem

from samplemix_dagster.cli.start.init import describe
from samplemix_dagster.cli.start.written import write_config
from samplemix_dagster.config.around import S3
from samplemix_dagster.engine.project import Project
from samplemix_dagster.engine.shards.working.first_reading import run_raw_shards
from samplemix_dagster.engine.watching.looking import look_at
from samplemix_dagster.errors import InputError, UnreachableInputError
from samplemix_dagster.runs.plan.plan import Planner
from samplemix_dagster.stages.diversity.grams.ngrams import GRAMS
from samplemix_dagster.stages.diversity.words import WORDS
from samplemix_dagster.storage.ask.query import query
from samplemix_dagster.storage.corpus.places.files import Files
from samplemix_dagster.storage.corpus.places.remote import RemotePath
from samplemix_dagster.storage.s3.bucket import Connection
from tests.projects import jsonl, packed, parquet, prose

ROWS = [{"id": str(number), "text": prose(f"remote-{number}")} for number in range(12)]


class Store(MemoryFileSystem):  # type: ignore[misc]
    """A store of its own behind ``tst://``, which can fail and can forget to tell things."""

    protocol = "tst"
    store: ClassVar[dict[str, Any]] = {}
    pseudo_dirs: ClassVar[list[str]] = [""]
    failure: ClassVar[Exception | None] = None
    untold: ClassVar[tuple[str, ...]] = ()

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return str(super()._strip_protocol(path.replace("tst://", "memory://", 1)))

    def info(self, path: str, **more: Any) -> dict[str, Any]:
        if self.failure is not None:
            raise self.failure
        found = super().info(path, **more)
        return {key: value for key, value in found.items() if key not in self.untold}

    def ls(self, path: str, detail: bool = True, **more: Any) -> list[Any]:
        if self.failure is not None:
            raise self.failure
        return list(super().ls(path, detail=detail, **more))


@pytest.fixture(autouse=True)
def store() -> Iterator[type[Store]]:
    fsspec.register_implementation("tst", Store, clobber=True)
    yield Store
    Store.store.clear()
    Store.pseudo_dirs[:] = [""]
    Store.failure, Store.untold = None, ()
    Store.clear_instance_cache()


def put(url: str, content: bytes = b"x") -> None:
    fsspec.filesystem("tst").pipe_file(url, content)


def found(*patterns: str, reads_any: bool = False) -> list[str]:
    files = Files(Path(), Connection(S3()))
    return list(files.matching(patterns, reads_any=reads_any).files)


def project(root: Path, path: str = "tst://b/data") -> Project:
    settings = {
        "corpus": {"sources": {"a": {"path": path}}},
        "mixtures": {"m": {"budget_tokens": 100}},
        "compute": {"workers": 1},
    }
    (root / "samplemix.yaml").write_text(yaml.safe_dump(settings))
    return Project.open(root / "samplemix.yaml")


# -- listing ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("tst://b/data", ["a.jsonl", "x/b.jsonl", "x/y/c.txt"]),
        ("tst://b/data/", ["a.jsonl", "x/b.jsonl", "x/y/c.txt"]),
        ("tst://b/data/a.jsonl", ["a.jsonl"]),
        ("tst://b/data/*", ["a.jsonl"]),
        ("tst://b/data/*/*.jsonl", ["x/b.jsonl"]),
        ("tst://b/data/**/*.jsonl", ["a.jsonl", "x/b.jsonl"]),
        ("tst://b/d*/[ax]/?.jsonl", ["x/b.jsonl"]),
        ("tst://b/nowhere", []),
        ("tst://b/nowhere/*", []),
    ],
)
def test_patterns_mean_what_they_mean_on_this_machine(pattern: str, names: list[str]) -> None:
    for name in ("a.jsonl", "x/b.jsonl", "x/y/c.txt", ".hidden.jsonl", ".git/d.jsonl"):
        put(f"tst://b/data/{name}")
    assert found(pattern) == [f"tst://b/data/{name}" for name in names]


def test_files_are_taken_and_told_by_their_names() -> None:
    for name in ("a.jsonl", "b.foo", "README"):
        put(f"tst://b/{name}", b"1234")
    listing = Files(Path(), Connection(S3())).matching(["tst://b"])
    assert list(listing.files) == ["tst://b/a.jsonl"]
    told = {entry.path: entry.num_bytes for entry in listing.unread}
    assert told == {"tst://b/README": 4, "tst://b/b.foo": 4}
    assert len(found("tst://b", reads_any=True)) == 3


def test_a_name_that_is_there_as_written_is_no_pattern() -> None:
    put("tst://b/x[1].jsonl")
    put("tst://b/x1.jsonl")
    assert found("tst://b/x[1].jsonl") == ["tst://b/x[1].jsonl"]


# -- reading ---------------------------------------------------------------------------------------


def test_shards_are_read_and_then_current(tmp_path: Path) -> None:
    put("tst://b/data/a.jsonl.gz", packed(jsonl(ROWS[:4])))
    put("tst://b/data/b.parquet", parquet(ROWS[4:8]))
    put("tst://b/data/lang=xx/c.jsonl", jsonl(ROWS[8:]))
    run_raw_shards(project(tmp_path), "a", "", joining=(GRAMS, WORDS))
    sql = "select shard, metadata from documents order by shard, row"
    rows = query(project(tmp_path).lake, sql).to_pylist()
    assert [row["shard"] for row in rows[::4]] == [
        "tst://b/data/a.jsonl.gz",
        "tst://b/data/b.parquet",
        "tst://b/data/lang=xx/c.jsonl",
    ]
    assert json.loads(rows[-1]["metadata"]) == {"lang": "xx"}
    assert Planner(project(tmp_path)).plan(["raw_shards"]).is_empty


def test_a_rewritten_file_is_a_changed_shard(tmp_path: Path) -> None:
    put("tst://b/data/a.jsonl", jsonl(ROWS))
    run_raw_shards(project(tmp_path), "a", "")
    put("tst://b/data/a.jsonl", jsonl(ROWS[::-1]))
    [shard] = project(tmp_path).scan("a").shards
    assert shard.previous is not None
    look_at(project(tmp_path), "a", now=1e9)
    assert look_at(project(tmp_path), "a", now=2e9).changed == ("tst://b/data/a.jsonl",)


def test_a_file_reads_as_one_in_memory() -> None:
    content = bytes(range(256)) * 20_000
    put("tst://b/a.bin", content)
    with RemotePath("tst://b/a.bin").open() as file:
        assert file.read(10) == content[:10]
        assert file.seek(-5, 2) == len(content) - 5
        assert file.read() == content[-5:]
        assert file.seek(3) == file.tell() == 3
        assert file.read() == content[3:]


def test_a_file_that_changed_since_it_was_listed_is_not_read() -> None:
    put("tst://b/a.jsonl", b"one")
    file = RemotePath("tst://b/a.jsonl", RemotePath("tst://b/a.jsonl").look())
    put("tst://b/a.jsonl", b"other")
    with pytest.raises(InputError, match=r"a.jsonl changed since it was listed"):
        file.open()


def test_a_file_that_is_gone_is_named() -> None:
    with pytest.raises(InputError, match=r"tst://b/a.jsonl is gone"):
        RemotePath("tst://b/a.jsonl").open()


def test_init_looks_into_a_url(tmp_path: Path) -> None:
    put("tst://b/data/en/a.jsonl", jsonl(ROWS))
    put("tst://b/data/x[1]/b.jsonl", jsonl(ROWS))
    shown = describe("tst://b/data", tmp_path)
    write_config(shown, tmp_path / "samplemix.yaml")
    opened = Project.open(tmp_path / "samplemix.yaml")
    paths = {name: opened.scan(name).shards[0].path for name in opened.partitions}
    assert paths == {"en": "tst://b/data/en/a.jsonl", "x_1": "tst://b/data/x[1]/b.jsonl"}


# -- failures --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("file:///data/*", "write a path of this machine without file://"),
        ("s3a://b/data", "write s3:// instead of s3a://"),
        ("nothing://b/data", "no package here knows nothing://"),
        ("zip://x.jsonl::tst://b/a.zip", "a path is one URL"),
        ("tst://*/a.jsonl", "names no bucket or repository"),
    ],
)
def test_a_url_that_cannot_be_read_says_what_to_write(url: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        found(url)


def test_a_protocol_without_its_package_says_what_to_install() -> None:
    fsspec.register_implementation("tstlost", "no_such_package.System")
    with pytest.raises(InputError, match=r"`pip install no_such_package`"):
        found("tstlost://b/data")


def test_a_server_that_fails_is_a_sentence(store: type[Store]) -> None:
    store.failure = RuntimeError("403: no\naccess")
    with pytest.raises(InputError, match=r"tst://b/data cannot be read: RuntimeError: 403: no acc"):
        found("tst://b/data/*")


def test_a_server_that_cannot_be_reached_can_be_asked_again(store: type[Store]) -> None:
    store.failure = ConnectionResetError("reset")
    with pytest.raises(UnreachableInputError):
        found("tst://b/data/*")


def test_a_file_of_which_no_change_can_be_seen_is_refused(store: type[Store]) -> None:
    put("tst://b/a.jsonl")
    store.untold = ("created",)
    with pytest.raises(InputError, match="a change would not be noticed"):
        RemotePath("tst://b/a.jsonl").look()
