"""Arrow, tar and crawls: what their rows are, and what of them is no text."""

import gzip
import io
import random
import tarfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import ipc

from benchmarks.mutation_campaign import is_accounted, mutated, originals
from samplemix_dagster.storage.corpus.shards import Document, Rejection, read_shard
from samplemix_dagster.storage.formats.base import ReadRules
from tests.storage.test_shards import DOC, TEXT, outcomes, read, rules_of

TABLE = pa.table({"text": [TEXT, None, TEXT + " Two."], "id": [1, 2, 3], "url": ["a", "b", "c"]})


def arrow(table: pa.Table, make: Callable[..., Any]) -> bytes:
    sink = pa.BufferOutputStream()
    with make(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=2)
    return bytes(sink.getvalue().to_pybytes())


@pytest.mark.parametrize("make", [ipc.new_stream, ipc.new_file])
@pytest.mark.parametrize("name", ["a.arrow", "a.feather", "a.ipc"])
def test_arrow_is_read_as_file_and_as_stream(
    name: str, make: Callable[..., Any], tmp_path: Path
) -> None:
    found = read(tmp_path, name, arrow(TABLE, make))
    assert outcomes(found) == [DOC, "missing_text", DOC]
    assert isinstance(found[2], Document)
    assert (found[2].id, found[2].metadata) == ("3", {"url": "c"})


def test_an_arrow_stream_that_breaks_off_keeps_its_batches(tmp_path: Path) -> None:
    found = read(tmp_path, "a.arrow", arrow(TABLE, ipc.new_stream)[:-100])
    assert outcomes(found) == [DOC, "missing_text", "truncated"]


def test_offsets_that_lead_outside_an_arrow_file_are_not_followed(tmp_path: Path) -> None:
    offsets = pa.py_buffer(bytes([0, 0, 0, 0, 255, 255, 0, 0, 5, 0, 0, 0]))
    column = pa.StringArray.from_buffers(2, offsets, pa.py_buffer(b"short"))
    batch = pa.RecordBatch.from_arrays([column], ["text"])
    sink = pa.BufferOutputStream()
    with ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    [row] = read(tmp_path, "a.arrow", bytes(sink.getvalue().to_pybytes()))
    assert isinstance(row, Rejection)
    assert (row.reason, row.num_rows) == ("truncated", 2)


def tar(*members: tuple[str, bytes | None], form: int = tarfile.GNU_FORMAT) -> bytes:
    """An archive of files; None is a folder."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form) as archive:
        for name, content in members:
            header = tarfile.TarInfo(name)
            if content is None:
                header.type = tarfile.DIRTYPE
            else:
                header.size = len(content)
            archive.addfile(header, io.BytesIO(content or b""))
    return buffer.getvalue()


@pytest.mark.parametrize("form", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT, tarfile.USTAR_FORMAT])
@pytest.mark.parametrize("name", ["a.tar", "a.tar.gz", "a.tgz"])
def test_members_of_one_name_are_one_row(name: str, form: int, tmp_path: Path) -> None:
    content = tar(
        ("d", None),
        ("d/1.jpg", b"\xff" * 700),
        ("d/1.txt", TEXT.encode()),
        ("d/1.json", b'{"id": 7, "url": "u"}'),
        ("d/" + "long" * 20 + "/2.json", b'{"text": "' + TEXT.encode() + b'"}'),
        ("3.jpg", b"x"),
        form=form,
    )
    content = content if name.endswith("tar") else gzip.compress(content)
    source = {"metadata": ["url", "__key__"]}
    found = read(tmp_path, name, content, source)
    assert outcomes(found) == [DOC, DOC, "no_text_record"]
    assert isinstance(found[0], Document)
    assert (found[0].id, found[0].metadata) == ("7", {"url": "u", "__key__": "d/1"})


def test_junk_inside_a_tar_is_one_rejected_row_and_what_follows_is_read(tmp_path: Path) -> None:
    first, second = (tar((f"{n}.txt", TEXT.encode()))[:1024] for n in "12")
    found = read(tmp_path, "a.tar", first + b"junk" * 256 + second)
    assert outcomes(found) == [DOC, "truncated", DOC]


def test_a_tar_that_breaks_off_says_so(tmp_path: Path) -> None:
    found = read(tmp_path, "a.tar", tar(("1.txt", TEXT.encode()), ("2.txt", b"x" * 600))[:1800])
    assert [row.reason for row in found if isinstance(row, Rejection)][-1] == "truncated"


def test_texts_of_one_name_that_differ_are_rejected(tmp_path: Path) -> None:
    content = tar(("1.txt", TEXT.encode()), ("1.json", b'{"text": "another one"}'))
    assert outcomes(read(tmp_path, "a.tar", content)) == ["duplicate_field"]


def record(kind: str, body: bytes, **headers: str) -> bytes:
    lines = [f"WARC-Type: {kind}", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join(["WARC/1.0", *lines, "", ""]).encode() + body + b"\r\n\r\n"


def response(content_type: str, body: bytes, *more: str) -> bytes:
    head = "\r\n".join(["HTTP/1.1 200 OK", f"Content-Type: {content_type}", *more, "", ""])
    return record("response", head.encode() + body)


def test_a_wet_file_gives_texts_with_their_places(tmp_path: Path) -> None:
    content = record("warcinfo", b"x") + record(
        "conversion", TEXT.encode(), WARC_Target_URI="http://x", WARC_Date="2020-01-01"
    )
    packed = b"".join(gzip.compress(part) for part in (content[:90], content[90:]))
    source = {"metadata": ["url", "date", "WARC-Target-URI"]}
    [row] = read(tmp_path, "a.warc.wet.gz", packed, source)
    assert isinstance(row, Document)
    assert row.text == TEXT
    assert row.metadata == {"url": "http://x", "date": "2020-01-01", "WARC-Target-URI": "http://x"}


def test_of_a_crawl_plain_text_is_read_and_the_rest_is_rejected_by_name(tmp_path: Path) -> None:
    content = b"".join(
        [
            record("request", b"GET"),
            response("text/plain; charset=iso-8859-1", f"{TEXT} \xe9".encode("latin-1")),
            response("text/html", b"<p>"),
            response("text/plain", b"x", "Content-Encoding: gzip"),
            response("text/plain", b"\xff" * 30),
        ]
    )
    found = read(tmp_path, "a.warc", content)
    assert outcomes(found) == [DOC, "no_text_record", "no_text_record", "invalid_utf8"]
    assert isinstance(found[1], Rejection)
    assert found[1].excerpt.startswith("text/html: extract the text first")


def test_what_is_no_record_is_one_rejected_row_and_what_follows_is_read(tmp_path: Path) -> None:
    good = record("conversion", TEXT.encode())
    found = read(tmp_path, "a.wet", good + b"junk\r\nmore\r\n" + good + good[:-30])
    assert outcomes(found) == [DOC, "truncated", DOC, "truncated"]


FILES = originals()


@settings(max_examples=250, deadline=None)
@given(name=st.sampled_from(sorted(FILES)), seed=st.integers(0, 2**32))
def test_of_a_mutated_file_every_row_is_accounted_for(
    name: str, seed: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / f"mutated-{name}"
    path.write_bytes(mutated(FILES[name], random.Random(seed), list(FILES.values())))
    assert is_accounted(path, rules_of())


def read_all(path: Path, rules: ReadRules) -> tuple[list[Document | Rejection], int]:
    """Return what a shard has, and the number of its rows."""
    found, rows = [], read_shard(path, rules)
    while True:
        try:
            found.append(next(rows))
        except StopIteration as end:
            return found, end.value


@settings(max_examples=250, deadline=None)
@given(
    name=st.sampled_from(sorted(FILES)),
    seed=st.integers(0, 2**32),
    one_in=st.sampled_from([1, 2, 5, 100]),
)
def test_rows_that_are_wanted_alone_are_what_they_are_among_all(
    name: str, seed: int, one_in: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / f"wanted-{name}"
    path.write_bytes(mutated(FILES[name], random.Random(seed), list(FILES.values())))
    every, num_rows = read_all(path, rules_of())
    wanted = frozenset(row for row in range(num_rows) if random.Random(row).random() < 1 / one_in)
    found, counted = read_all(path, replace(rules_of(), wanted=wanted))
    assert counted == num_rows
    assert [row for row in found if row.row in wanted and isinstance(row, Document)] == [
        row for row in every if row.row in wanted and isinstance(row, Document)
    ]


@pytest.mark.parametrize("name", sorted(set(FILES) - {"a.foo"}))
def test_of_a_whole_file_no_row_is_lost_to_a_broken_end(name: str, tmp_path: Path) -> None:
    reasons = {r.reason for r in read(tmp_path, name, FILES[name]) if isinstance(r, Rejection)}
    assert reasons <= {"too_short", "stray_quote"}
