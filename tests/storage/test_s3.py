"""Objects of S3: the same bytes whatever goes wrong on the way, whole or absent, one sentence."""

import io
import json
import logging
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from samplemix_dagster.cli.start.init import describe
from samplemix_dagster.config.around import S3
from samplemix_dagster.config.corpus import Corpus, Source
from samplemix_dagster.errors import (
    ConfigError,
    InputError,
    LakeError,
    TransientError,
    UnreachableInputError,
)
from samplemix_dagster.storage.corpus.places.files import Files, matches
from samplemix_dagster.storage.corpus.rows import ReadRules
from samplemix_dagster.storage.corpus.scan import scan
from samplemix_dagster.storage.corpus.shards import Document, read_shard
from samplemix_dagster.storage.s3.bucket import Bucket, Connection, split_url
from samplemix_dagster.storage.s3.errors import LAKE, MIB, SOURCE, pause
from samplemix_dagster.storage.s3.object_file import S3File
from tests import s3_faults
from tests.projects import jsonl, packed, parquet
from tests.s3_faults import Fault, Proxy
from tests.swift import swift_server

MEGABYTES = np.random.default_rng(0).bytes(3 * MIB)


@pytest.fixture
def patch(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    s3_faults.use_credentials(monkeypatch)
    return monkeypatch


@pytest.fixture(params=["moto", pytest.param("swift", marks=pytest.mark.slow)])
def server(request: pytest.FixtureRequest, patch: pytest.MonkeyPatch) -> str:
    """The URL of an S3 server: two, which share no code."""
    return {"moto": s3_faults.moto_server, "swift": swift_server}[request.param]()


@pytest.fixture
def proxy(server: str) -> Iterator[Proxy]:
    with s3_faults.proxy_before(server) as made:
        yield made


@pytest.fixture
def bucket(proxy: Proxy, server: str) -> Bucket:
    """An empty bucket behind the proxy; nobody waits between attempts of a body."""
    name = s3_faults.new_bucket(server)
    return Bucket(s3_faults.connect(proxy.url), name, SOURCE, sleep=lambda _: None)


def lake_bucket(bucket: Bucket) -> Bucket:
    """The same bucket; files of 6 MiB and more are sent in parts."""
    size = 5 * MIB
    return Bucket(bucket.connection, bucket.name, LAKE, multipart_bytes=size, part_bytes=size)


def opened(bucket: Bucket, key: str) -> S3File:
    entry = bucket.head(key)
    assert entry is not None
    return S3File(bucket, key, size=entry.size, etag=entry.etag)


def keys(bucket: Bucket, prefix: str = "") -> list[str]:
    return [entry.key for entry in bucket.below(prefix)]


def unfinished_uploads(bucket: Bucket) -> int:
    found = bucket.connection.client.list_multipart_uploads(Bucket=bucket.name)
    return len(found.get("Uploads", []))


# -- reading ---------------------------------------------------------------------------------------

moves = st.lists(
    st.tuples(st.sampled_from(["read", "read1", "seek"]), st.integers(0, 200_000)), max_size=12
)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(moves=moves)
def test_an_object_reads_as_a_file_in_memory(bucket: Bucket, moves: list[tuple[str, int]]) -> None:
    content = MEGABYTES[:180_000]
    bucket.put("data", content)
    wanted = io.BytesIO(content)
    with opened(bucket, "data") as file:
        for move, number in moves:
            if move == "seek":
                assert file.seek(number) == wanted.seek(number)
            elif move == "read":
                assert file.read(number) == wanted.read(number)
            else:
                piece = file.read1(number)
                assert piece == wanted.read(len(piece))
                assert piece or number == 0 or wanted.tell() >= len(content)
            assert file.tell() == wanted.tell()


@pytest.mark.parametrize("is_reset", [False, True])
def test_a_body_that_is_cut_reads_on_from_where_it_broke_off(
    bucket: Bucket, proxy: Proxy, is_reset: bool
) -> None:
    bucket.put("data", MEGABYTES)
    proxy.faults = [Fault("GET", "/data", times=3, cut_answer=50_000, is_reset=is_reset)]
    with opened(bucket, "data") as file:
        assert file.read() == MEGABYTES
    assert proxy.count("GET", "/data") > 3


def test_a_fetch_that_is_cut_gives_the_whole_file(
    bucket: Bucket, proxy: Proxy, tmp_path: Path
) -> None:
    bucket.put("data", MEGABYTES)
    proxy.faults = [Fault("GET", "/data", times=2, cut_answer=1_000_001)]
    bucket.fetch("data", tmp_path / "data")
    assert (tmp_path / "data").read_bytes() == MEGABYTES
    assert proxy.num_bytes < len(MEGABYTES) * 1.2


def test_each_step_forward_counts_as_a_new_start(bucket: Bucket, proxy: Proxy) -> None:
    bucket.put("data", MEGABYTES[:60_000])
    proxy.faults = [Fault("GET", "/data", times=20, cut_answer=2_000)]
    with opened(bucket, "data") as file:
        assert file.read() == MEGABYTES[:60_000]


def test_a_body_that_never_comes_is_given_up(bucket: Bucket, proxy: Proxy) -> None:
    bucket.put("data", MEGABYTES)
    proxy.faults = [Fault("GET", "/data", times=99, cut_answer=0)]
    with (
        opened(bucket, "data") as file,
        pytest.raises(UnreachableInputError, match=r"data: the connection was cut, 4 times"),
    ):
        file.read()
    assert proxy.count("GET", "/data") == 4


def test_an_object_that_changes_while_it_is_read_is_an_error(bucket: Bucket, proxy: Proxy) -> None:
    bucket.put("data", MEGABYTES)
    with opened(bucket, "data") as file:
        file.read(10)
        bucket.put("data", MEGABYTES[::-1])
        with pytest.raises(InputError, match="changed while it was read; run again"):
            file.read()


def test_a_column_of_a_wide_file_travels_alone(bucket: Bucket, proxy: Proxy) -> None:
    luck = np.random.default_rng(1)
    wide = pa.table({f"c{number}": [luck.bytes(400_000)] for number in range(20)})
    buffer = io.BytesIO()
    pq.write_table(wide, buffer, compression="none")
    bucket.put("wide.parquet", buffer.getvalue())
    before = proxy.num_bytes
    with opened(bucket, "wide.parquet") as file:
        found = pq.ParquetFile(file).read(["c7"])
    assert found.equals(wide.select(["c7"]))
    assert proxy.num_bytes - before < len(buffer.getvalue()) / 8


def test_a_sequential_read_asks_seldom(bucket: Bucket, proxy: Proxy) -> None:
    bucket.put("data", MEGABYTES)
    with opened(bucket, "data") as file:
        while file.read1(8192):
            pass
    assert proxy.count("GET", "/data") <= 5
    assert proxy.num_bytes < len(MEGABYTES) * 1.01


@pytest.mark.parametrize(
    ("name", "pack"),
    [
        ("a.jsonl", jsonl),
        ("a.jsonl.gz", lambda rows: packed(jsonl(rows))),
        ("a.jsonl.zst", lambda rows: pa.Codec("zstd").compress(jsonl(rows), asbytes=True)),
        ("a.parquet", parquet),
    ],
)
def test_a_shard_reads_alike_from_s3_through_cuts_and_from_disk(
    bucket: Bucket, proxy: Proxy, tmp_path: Path, name: str, pack: object
) -> None:
    luck = np.random.default_rng(2)
    rows = [
        {"id": str(n), "text": " ".join(luck.bytes(200).hex(" ", 4).split())} for n in range(800)
    ]
    content = pack(rows)  # type: ignore[operator]
    (tmp_path / name).write_bytes(content)
    bucket.put(name, content)
    rules = ReadRules.of(
        Corpus(
            sources={
                "a": Source(path="a"),
            }
        ),
        Source(path="a"),
    )
    proxy.faults = [Fault("GET", name, times=5, cut_answer=20_000)]
    file = Files(tmp_path, bucket.connection).at(bucket.url(name))
    wanted = list(read_shard(tmp_path / name, rules))
    assert list(read_shard(file, rules)) == wanted
    assert any(isinstance(row, Document) for row in wanted)
    assert all(fault.times < 5 for fault in proxy.faults)


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz", "a.jsonl.zst", "a.parquet"])
def test_a_shard_that_is_gone_raises_from_within_every_reader(
    bucket: Bucket, proxy: Proxy, tmp_path: Path, name: str
) -> None:
    rows = [{"text": np.random.default_rng(n).bytes(300).hex()} for n in range(1500)]
    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), buffer, row_group_size=300)
    content = buffer.getvalue() if name.endswith("parquet") else jsonl(rows)
    content = packed(content) if name.endswith("gz") else content
    if name.endswith("zst"):
        content = pa.Codec("zstd").compress(content, asbytes=True)
    bucket.put(name, content)
    rules = ReadRules.of(Corpus(sources={"a": Source(path="a")}), Source(path="a"))
    file = Files(tmp_path, bucket.connection).at(bucket.url(name))
    found = read_shard(file, rules)
    next(found)
    proxy.faults = [Fault("GET", name, times=99, status=404, code="NoSuchKey")]
    with pytest.raises(InputError, match=rf"{name}: the object is gone"):
        list(found)


# -- what can pass is tried again, what cannot is not ----------------------------------------------


@pytest.mark.parametrize(("status", "code"), [(503, "SlowDown"), (500, "InternalError")])
def test_throttling_and_server_errors_pass(
    bucket: Bucket, proxy: Proxy, status: int, code: str
) -> None:
    bucket.put("data", b"bytes")
    proxy.faults = [
        Fault(method, target, status=status, code=code)
        for method, target in (("GET", "list-type"), ("GET", "/data"), ("PUT", "/data"))
    ]
    assert keys(bucket) == ["data"]
    bucket.put("data", b"other")
    assert bucket.read("data") == b"other"
    assert all(fault.times == 0 for fault in proxy.faults)


def test_more_faults_than_attempts_are_a_sentence(bucket: Bucket, proxy: Proxy) -> None:
    proxy.faults = [Fault("GET", "/data", times=99, status=503, code="SlowDown")]
    with pytest.raises(TransientError, match=r"SlowDown \(as told\), 4 times in a row. Run again"):
        bucket.read("data")
    assert proxy.count("GET", "/data") == 4


@pytest.mark.parametrize(
    ("status", "code", "sentence"),
    [
        (403, "AccessDenied", "access is denied"),
        (403, "InvalidAccessKeyId", "the credentials are not accepted"),
        (404, "NoSuchBucket", "there is no such bucket"),
        (400, "AuthorizationHeaderMalformed", "another region"),
    ],
)
def test_what_cannot_pass_is_tried_once(
    bucket: Bucket, proxy: Proxy, status: int, code: str, sentence: str
) -> None:
    proxy.faults = [Fault("PUT", "/data", times=99, status=status, code=code)]
    with pytest.raises(LakeError, match=sentence) as caught:
        lake_bucket(bucket).put("data", b"bytes")
    assert not isinstance(caught.value, TransientError)
    assert proxy.count("PUT", "/data") == 1


def test_without_credentials_the_ways_to_give_them_are_named(
    bucket: Bucket, proxy: Proxy, patch: pytest.MonkeyPatch
) -> None:
    patch.delenv("AWS_ACCESS_KEY_ID")
    patch.delenv("AWS_SECRET_ACCESS_KEY")
    bare = Bucket(s3_faults.connect(proxy.url), bucket.name, SOURCE)
    with pytest.raises(InputError, match=r"no credentials .* AWS_ACCESS_KEY_ID .* profile .* role"):
        keys(bare)
    assert proxy.requests == []


def test_an_unknown_profile_is_a_sentence(patch: pytest.MonkeyPatch) -> None:
    bucket = Bucket(Connection(S3(profile="nobody")), "bucket", SOURCE)
    with pytest.raises(InputError, match=r"the profile under `s3: profile`"):
        keys(bucket)


def test_a_bucket_that_is_not_there_says_so(bucket: Bucket) -> None:
    missing = Bucket(bucket.connection, "samplemix-missing", SOURCE)
    with pytest.raises(InputError, match=r"s3://samplemix-missing/.*no such bucket"):
        keys(missing)


def test_a_server_that_is_not_there_says_so(patch: pytest.MonkeyPatch) -> None:
    nobody = Bucket(s3_faults.connect("http://127.0.0.1:9", max_attempts=1), "bucket", SOURCE)
    with pytest.raises(TransientError, match="could not be reached"):
        keys(nobody)


@given(failures=st.integers(0, 60))
def test_pauses_are_bounded(failures: int) -> None:
    assert 0 <= pause(failures) <= 20


# -- writing: complete or absent -------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 1000, 6 * MIB, 16 * MIB])
def test_what_was_sent_is_there(bucket: Bucket, tmp_path: Path, size: int) -> None:
    content = (MEGABYTES * 6)[:size]
    (tmp_path / "file").write_bytes(content)
    lake_bucket(bucket).upload(tmp_path / "file", "file")
    assert bucket.read("file") == content
    assert unfinished_uploads(bucket) == 0


def test_a_put_that_is_cut_is_sent_again(bucket: Bucket, proxy: Proxy, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(MEGABYTES)
    proxy.faults = [Fault("PUT", "/file", times=2, cut_request=100_000)]
    bucket.upload(tmp_path / "file", "file")
    assert bucket.read("file") == MEGABYTES
    assert proxy.count("PUT", "/file") == 3


def test_a_put_that_is_always_cut_leaves_nothing(
    bucket: Bucket, proxy: Proxy, tmp_path: Path
) -> None:
    (tmp_path / "file").write_bytes(MEGABYTES)
    proxy.faults = [Fault("PUT", "/file", times=99, cut_request=100_000)]
    with pytest.raises(TransientError, match=r"/file: the connection was cut, 4 times"):
        lake_bucket(bucket).upload(tmp_path / "file", "file")
    assert keys(bucket) == []


@pytest.mark.parametrize(
    "fault",
    [
        Fault("PUT", "partNumber=2", times=99, cut_request=100_000),
        Fault("PUT", "partNumber=2", times=99, status=403, code="AccessDenied"),
        Fault("POST", "uploadId", times=99, status=503, code="SlowDown"),
    ],
)
def test_parts_that_fail_leave_neither_key_nor_upload(
    bucket: Bucket, proxy: Proxy, tmp_path: Path, fault: Fault
) -> None:
    (tmp_path / "file").write_bytes((MEGABYTES * 6)[: 16 * MIB])
    proxy.faults = [fault]
    with pytest.raises((LakeError, TransientError), match="/file: "):
        lake_bucket(bucket).upload(tmp_path / "file", "file")
    assert keys(bucket) == []
    assert unfinished_uploads(bucket) == 0


def test_a_part_that_is_cut_is_sent_again(bucket: Bucket, proxy: Proxy, tmp_path: Path) -> None:
    content = (MEGABYTES * 6)[: 16 * MIB]
    (tmp_path / "file").write_bytes(content)
    proxy.faults = [Fault("PUT", "partNumber=2", times=2, cut_request=100_000)]
    lake_bucket(bucket).upload(tmp_path / "file", "file")
    assert bucket.read("file") == content


# -- listing and globs -----------------------------------------------------------------------------


def test_a_listing_goes_over_all_its_pages(bucket: Bucket, proxy: Proxy) -> None:
    names = [f"many/{number:04d}" for number in range(25)]
    for name in [*names, "manyother"]:
        bucket.put(name, b"")
    assert [entry.key for entry in bucket.below("many/", page=4)] == names
    assert proxy.count("GET", "list-type") == 7


@pytest.mark.slow
def test_a_listing_goes_beyond_a_thousand_keys(bucket: Bucket, server: str) -> None:
    direct = Bucket(s3_faults.connect(server), bucket.name, SOURCE)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: direct.put(f"many/{number:04d}", b""), range(1005)))
    assert len(keys(bucket, "many/")) == 1005


part = st.sampled_from(["a", "b.jsonl", ".h", "ab", "c.txt.gz"])
paths = st.lists(part, min_size=1, max_size=4).map("/".join)
patterns = st.lists(
    st.sampled_from(["a", "*", "**", "*.jsonl", "?", "[ab]*", ".*", "b.jsonl"]),
    min_size=1,
    max_size=4,
).map("/".join)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
@given(chosen=st.sets(paths, max_size=6), pattern=patterns)
def test_globs_choose_keys_as_they_choose_files(
    tmp_path_factory: pytest.TempPathFactory, chosen: set[str], pattern: str
) -> None:
    root = tmp_path_factory.mktemp("tree")
    there = set()
    for path in sorted(chosen):
        file = root / path
        if not file.exists() and not any(parent.is_file() for parent in file.parents):
            file.parent.mkdir(parents=True, exist_ok=True)
            file.touch()
    there = {p.relative_to(root).as_posix() for p in root.rglob("*") if p.is_file()}
    found = Files(root, Connection(S3())).matching([pattern], reads_any=True).files
    folder = root / pattern
    if not folder.is_dir():  # a folder is searched for shards
        assert set(found) == {path for path in there if matches(path, pattern)}


def test_a_prefix_is_searched_for_shards_and_a_key_is_itself(bucket: Bucket) -> None:
    for key in (
        "web/a.jsonl",
        "web/x/b.txt.gz",
        "web/.hidden/c.jsonl",
        "web/d.bin",
        "web2/e.jsonl",
    ):
        bucket.put(key, b"x")
    files = Files(Path(), bucket.connection)
    root = bucket.url("")
    assert list(files.listed([f"{root}web"])) == [f"{root}web/a.jsonl", f"{root}web/x/b.txt.gz"]
    assert list(files.listed([f"{root}web/"])) == list(files.listed([f"{root}web"]))
    assert list(files.listed([f"{root}web/d.bin"])) == []
    assert list(files.listed([f"{root}web/d.bin"], reads_any=True)) == [f"{root}web/d.bin"]
    unread = files.matching([f"{root}web"]).unread
    assert [(entry.path, entry.num_bytes) for entry in unread] == [(f"{root}web/d.bin", 1)]
    assert list(files.listed([f"{root}*/**/*.jsonl"])) == [
        f"{root}web/a.jsonl",
        f"{root}web2/e.jsonl",
    ]


def test_a_url_without_a_bucket_is_refused() -> None:
    for url in ("s3://", "s3:///a", "s3://buck*/a"):
        with pytest.raises(ConfigError, match=r"write s3://bucket/prefix"):
            split_url(url)


# -- scans -----------------------------------------------------------------------------------------


def scanned(bucket: Bucket, *pattern: str, known: object = None) -> object:
    source = Source(path=[bucket.url(one) for one in pattern])
    return scan("a", source, Files(Path(), bucket.connection), known)  # type: ignore[arg-type]


def test_an_unchanged_object_is_not_read_again(bucket: Bucket, proxy: Proxy) -> None:
    bucket.put("a/1.jsonl", b"one")
    bucket.put("a/2.jsonl", b"two")
    first = scanned(bucket, "a/*")
    proxy.requests.clear()
    assert scanned(bucket, "a/*", known=first) == first
    assert [noted.method for noted in proxy.requests] == ["GET"]  # one listing
    bucket.put("a/2.jsonl", b"TWO")
    again = scanned(bucket, "a/*", known=first)
    assert [s.previous for s in again.shards if s.path.endswith("2.jsonl")] == [  # type: ignore[attr-defined]
        s.digest
        for s in first.shards
        if s.path.endswith("2.jsonl")  # type: ignore[attr-defined]
    ]


def test_a_shard_has_the_digest_that_it_has_on_disk(bucket: Bucket, tmp_path: Path) -> None:
    (tmp_path / "1.jsonl").write_bytes(b"one")
    bucket.put("1.jsonl", b"one")
    here = scan("a", Source(path="*.jsonl"), Files(tmp_path, bucket.connection), None)
    there = scanned(bucket, "*.jsonl")
    assert [s.digest for s in here.shards] == [s.digest for s in there.shards]  # type: ignore[attr-defined]


def test_a_key_that_vanishes_after_the_listing_is_named(bucket: Bucket, proxy: Proxy) -> None:
    bucket.put("a/1.jsonl", b"one")
    proxy.faults = [Fault("GET", r"/a/1\.jsonl", times=9, status=404, code="NoSuchKey")]
    with pytest.raises(InputError, match=r"a/1.jsonl: the object is gone"):
        scanned(bucket, "a/*")


def test_nothing_that_matches_is_the_same_sentence_as_on_disk(bucket: Bucket) -> None:
    with pytest.raises(InputError, match=r"source 'a': nothing matches s3://.*\. Correct `path`"):
        scanned(bucket, "a/*")


# -- secrets ---------------------------------------------------------------------------------------


def test_credentials_are_in_no_log_and_no_error(
    bucket: Bucket,
    proxy: Proxy,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level(logging.DEBUG)
    fresh = Bucket(s3_faults.connect(proxy.url, 2), bucket.name, SOURCE)
    fresh.put("data", b"bytes")
    said = "the key AKIAABCDEFGHIJKLMNOP may not"
    proxy.faults = [Fault("GET", "/data", status=403, code="AccessDenied", message=said)]
    with pytest.raises(InputError) as caught:
        fresh.read("data")
    logged = caplog.text + "".join(capfd.readouterr()) + str(caught.value)
    for secret in (s3_faults.ACCESS_KEY, s3_faults.SECRET_KEY, "Signature=", "AKIAABCD"):
        assert secret not in logged
    assert caught.value.__cause__ is None


def test_the_section_s3_holds_no_secret() -> None:
    assert not re.search("secret|token|key", json.dumps(S3().model_dump()))


# -- looking into a prefix -------------------------------------------------------------------------


def test_a_prefix_is_looked_into_as_a_folder_is(
    bucket: Bucket, proxy: Proxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [{"content": f"some text {number}", "uuid": number} for number in range(9000)]
    for name in ("data/web/a.jsonl", "data/web/b.jsonl", "data/books/x/c.parquet", "data/d.txt"):
        content = parquet(rows) if name.endswith("parquet") else jsonl(rows)
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)
        bucket.put(name, content)
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", proxy.url)
    before = proxy.num_bytes
    there = describe(bucket.url("data"), tmp_path).sources
    assert proxy.num_bytes - before < 900_000
    here = describe(str(tmp_path / "data"), tmp_path).sources
    assert sorted((s.name, s.format, s.text, s.id, s.num_files, s.num_bytes) for s in there) == (
        sorted((s.name, s.format, s.text, s.id, s.num_files, s.num_bytes) for s in here)
    )
    assert {s.paths for s in there} == {tuple(map(bucket.url, s.paths)) for s in here}
