"""Readers: every bad input has one outcome, nothing that a file contains raises, all rows count."""

import base64
import gzip
import io
import json
import random
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from samplemix_dagster.config.corpus import Corpus, Source
from samplemix_dagster.errors import InputError
from samplemix_dagster.storage.corpus.shards import (
    REASONS,
    Document,
    ReadRules,
    Rejection,
    metadata_json,
    read_shard,
)

TEXT = "A plain text with words that is long enough to be kept."
DOC = "document"


def rules_of(source: dict[str, Any] | None = None, **corpus: Any) -> ReadRules:
    described = Source.model_validate({"path": "x", **(source or {})})
    return ReadRules.of(Corpus.model_validate({"sources": {"a": described}, **corpus}), described)


def lines(*rows: object) -> bytes:
    return b"".join(json.dumps(row, ensure_ascii=False).encode() + b"\n" for row in rows)


def texts(*values: object) -> bytes:
    return lines(*({"text": value} for value in values))


def zstd(content: bytes) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(content)
    return bytes(sink.getvalue().to_pybytes())


def parquet(table: pa.Table) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(table, buffer)
    return buffer.getvalue()


def read(
    folder: Path, name: str, content: bytes, source: dict[str, Any] | None = None, **corpus: Any
) -> list[Document | Rejection]:
    path = folder / name
    path.write_bytes(content)
    return list(read_shard(path, rules_of(source, **corpus)))


def outcomes(rows: list[Document | Rejection]) -> list[str]:
    return [row.reason if isinstance(row, Rejection) else DOC for row in rows]


def not_utf8_strings(*values: bytes) -> pa.Array:
    """Bytes that a Parquet file calls a string, whatever they are."""
    raw = pa.array(values, pa.binary())
    return pa.Array.from_buffers(pa.string(), len(values), raw.buffers())


BASE64 = base64.b64encode(random.Random(0).randbytes(600)).decode()
WRAPPED = base64.encodebytes(random.Random(0).randbytes(600)).decode()
CHINESE = "机器学习的数据混合需要质量和多样性。" * 40
MANY = texts(*(f"{TEXT} Number {number * 7919}." for number in range(4000)))
PAIR = texts(TEXT, TEXT + " Two.")

# (name of the file, its bytes, what each of its rows becomes)
BAD: list[tuple[str, bytes, list[str]]] = [
    ("plain_called.jsonl.gz", PAIR, ["unreadable"]),
    ("plain_called.jsonl.zst", PAIR, ["unreadable"]),
    ("gzip_called.jsonl", gzip.compress(PAIR), [DOC, DOC]),
    ("zstd_called.jsonl.gz", zstd(PAIR), [DOC, DOC]),
    ("text_called.parquet", TEXT.encode(), ["unreadable"]),
    ("parquet_called.jsonl", parquet(pa.table({"text": [TEXT]})), [DOC]),
    ("head_only.parquet", b"PAR1" + b"x" * 100, ["truncated"]),
    ("cut.parquet", parquet(pa.table({"text": [TEXT]}))[:-30], ["truncated"]),
    ("no_column.parquet", parquet(pa.table({"body": [TEXT]})), ["unreadable"]),
    ("zero.jsonl", b"", ["empty_file"]),
    ("zero.parquet", b"", ["empty_file"]),
    ("zero.txt", b"", ["empty_file"]),
    ("only_blank_lines.jsonl", b"\n \r\n", ["empty_file"]),
    ("nothing_packed.jsonl.gz", gzip.compress(b""), ["empty_file"]),
    ("only_a_header.csv", b"id,text\n", ["empty_file"]),
    ("no_rows.parquet", parquet(pa.table({"text": pa.array([], pa.string())})), ["empty_file"]),
    ("mark.jsonl", b"\xef\xbb\xbf" + PAIR, [DOC, DOC]),
    ("only_mark.jsonl", b"\xef\xbb\xbf", ["empty_file"]),
    ("only_mark.txt", b"\xef\xbb\xbf", ["empty"]),
    ("crlf.jsonl", PAIR.replace(b"\n", b"\r\n"), [DOC, DOC]),
    ("no_last_newline.jsonl", PAIR.rstrip(), [DOC, DOC]),
    ("nul_escape.jsonl", lines({"text": f"{TEXT}\0"}), ["binary_like"]),
    ("nul_bytes.jsonl", PAIR + b"\0" * 50, [DOC, DOC, "invalid_json"]),
    ("surrogate.jsonl", b'{"text": "' + TEXT.encode() + b' \\ud800"}\n', ["invalid_utf8"]),
    (
        "bytes.jsonl",
        b'{"text": "' + TEXT.encode() + b' \xff"}\n' + PAIR,
        ["invalid_utf8", DOC, DOC],
    ),
    ("broken.jsonl", b'{"text": "half\n' + PAIR, ["invalid_json", DOC, DOC]),
    ("no_object.jsonl", lines([TEXT], TEXT, 12, None), ["invalid_json"] * 4),
    ("deep.jsonl", b'{"text": ' + b"[" * 10**5 + b"]" * 10**5 + b"}", ["invalid_json"]),
    ("huge_number.jsonl", b'{"text": ' + b"1" * 10**4 + b"}", ["invalid_json"]),
    ("nan.jsonl", b'{"text": NaN}\n', ["missing_text"]),
    ("missing.jsonl", lines({"body": TEXT}, {"text": None}), ["missing_text"] * 2),
    ("number.jsonl", texts(12, 1.5, True, [TEXT], {"a": TEXT}), ["not_text"] * 5),
    ("blank.jsonl", texts("", " \n\t "), ["empty", "empty"]),
    ("short.jsonl", texts("nineteen characters", "twenty characters ..."), ["too_short", DOC]),
    ("long.jsonl", texts("word " * 300), ["too_long"]),
    ("blob.jsonl", texts(BASE64, WRAPPED), ["binary_like", "binary_like"]),
    ("chinese.jsonl", texts(CHINESE), [DOC]),
    ("twice.jsonl", texts(TEXT, TEXT), [DOC, DOC]),
    ("blank_lines.jsonl", b"\n\n  \n" + PAIR + b"\n\r\n", [DOC, DOC]),
    ("tail.jsonl.gz", gzip.compress(PAIR) + b"not gzip", [DOC, DOC, "truncated"]),
    ("members.jsonl.gz", gzip.compress(PAIR) * 2, [DOC] * 4),
    ("frames.jsonl.zst", zstd(PAIR) * 2, [DOC] * 4),
    ("no_column.csv", b"id,body\n1,x\n", ["unreadable"]),
    ("short_row.csv", b"id,text\n1\n2," + TEXT.encode() + b"\n", ["missing_text", DOC]),
    ("bytes.csv", b"text\n" + TEXT.encode() + b"\xff\n" + TEXT.encode(), ["invalid_utf8", DOC]),
    ("nul.csv", b"text\n" + TEXT.encode() + b"\0\n", ["binary_like"]),
    ("open_quote.csv", b'id,text\n1,"half\n2,' + TEXT.encode() + b"\n", ["stray_quote", DOC]),
    ("more.csv", b"text,id\n" + TEXT.encode() + b",1,2\n", ["too_many_cells"]),
    ("fewer.csv", b"text,id\n" + TEXT.encode() + b"\n", ["too_few_cells"]),
    ("joined.csv", b"text\n" + TEXT.encode() + b"\ntext\n", [DOC, "repeated_header"]),
    ("unknown.foo", TEXT.encode(), ["unreadable"]),
    ("README", TEXT.encode(), ["unreadable"]),
    ("archive.zip", TEXT.encode(), ["unreadable"]),
    ("no_tar.tar", TEXT.encode(), ["unreadable"]),
    ("no_warc.warc.gz", gzip.compress(TEXT.encode()), ["unreadable"]),
    ("no_arrow.arrow", TEXT.encode() * 20, ["unreadable"]),
    ("twice.parquet", parquet(pa.table([[TEXT], [TEXT]], ["text", "text"])), ["unreadable"]),
    (
        "html.warc",
        b"WARC/1.0\r\nWARC-Type: resource\r\nContent-Type: text/html\r\nContent-Length: 0\r\n\r\n",
        ["no_text_record"],
    ),
    (
        "doubled.jsonl",
        b'{"text": "' + TEXT.encode() + b'", "text": "other"}\n' + PAIR,
        ["duplicate_field", DOC, DOC],
    ),
    ("bytes.txt", TEXT.encode() + b"\xff", ["invalid_utf8"]),
    ("binary.parquet", parquet(pa.table({"text": [TEXT.encode()]})), ["not_text"]),
    (
        "bytes.parquet",
        parquet(pa.table({"text": not_utf8_strings(TEXT.encode(), b"\xff" * 40, TEXT.encode())})),
        [DOC, "invalid_utf8", DOC],
    ),
]
NAMES = [name for name, _, _ in BAD]


@pytest.mark.parametrize(("name", "content", "expected"), BAD, ids=NAMES)
def test_every_row_of_a_bad_file_has_the_outcome_of_this_table(
    name: str, content: bytes, expected: list[str], tmp_path: Path
) -> None:
    assert outcomes(read(tmp_path, name, content, max_characters=1000)) == expected


@pytest.mark.parametrize(("name", "content", "expected"), BAD, ids=NAMES)
def test_rows_are_numbered_from_0_and_excerpts_are_short(
    name: str, content: bytes, expected: list[str], tmp_path: Path
) -> None:
    rows = read(tmp_path, name, content, max_characters=1000)
    assert [row.row for row in rows] == list(range(len(expected)))
    rejected = [row for row in rows if isinstance(row, Rejection)]
    assert all(row.reason in REASONS and len(row.excerpt) <= 200 for row in rejected)
    assert all(row.excerpt.isprintable() for row in rejected)


def test_every_reason_stands_in_the_table() -> None:
    seen = {reason for _, _, expected in BAD for reason in expected} - {DOC}
    assert seen | {"directory"} == set(REASONS)


def test_a_folder_in_place_of_a_shard_is_one_rejected_row(tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").mkdir()
    rows = list(read_shard(tmp_path / "x.jsonl", rules_of()))
    assert rows == [Rejection(row=0, reason="directory", excerpt="x.jsonl")]


@pytest.mark.parametrize(("ending", "pack"), [("gz", gzip.compress), ("zst", zstd)])
def test_a_truncated_shard_keeps_what_came_before(
    ending: str, pack: Callable[[bytes], bytes], tmp_path: Path
) -> None:
    packed = pack(MANY)
    rows = read(tmp_path, f"cut.jsonl.{ending}", packed[: len(packed) // 2])
    *kept, last = outcomes(rows)
    assert last == "truncated"
    assert set(kept) == {DOC}
    assert len(kept) > 1000


def test_a_line_of_50_mb_is_one_rejected_row_and_the_next_is_read(tmp_path: Path) -> None:
    content = b'{"text": "' + b"word " * 10_000_000 + b'"}\n' + PAIR
    found = outcomes(read(tmp_path, "long.jsonl", content, max_characters=1_000_000))
    assert found == ["too_long", DOC, DOC]


def test_a_file_that_is_gone_raises_with_its_path(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cannot read .*gone\.jsonl"):
        list(read_shard(tmp_path / "gone.jsonl", rules_of()))


# -- laws ------------------------------------------------------------------------------------------

FORMATS = ["x.jsonl", "x.csv", "x.txt", "x.parquet", "x.jsonl.gz", "x.jsonl.zst", "x.tsv"]
FORMATS += ["x.arrow", "x.tar", "x.warc", "x.wet.gz", "x.jsonl.xz", "x.csv.bz2", "x.json", "x"]
LINE = st.one_of(
    st.binary(max_size=60),
    st.dictionaries(
        st.sampled_from(["text", "id", "url", "a"]),
        st.none() | st.text(max_size=40) | st.floats() | st.lists(st.integers(), max_size=2),
    ).map(lambda row: json.dumps(row).encode()),
)


def accounted(rows: list[Document | Rejection]) -> bool:
    """Rows count from 0; every document can be stored as UTF-8 and JSON."""
    for row in rows:
        if isinstance(row, Rejection):
            assert row.reason in REASONS
            assert len(row.excerpt.encode()) <= 4 * 200
        else:
            row.text.encode()
            (row.id or "").encode()
            json.loads(metadata_json(row.metadata).encode(), parse_constant=pytest.fail)
    number = 0
    for row in rows:
        assert row.row == number
        number += row.num_rows if isinstance(row, Rejection) else 1
    return True


@settings(max_examples=200, deadline=None)
@given(content=st.binary(max_size=400), name=st.sampled_from(FORMATS))
@example(content=b"PAR1PAR1", name="x.jsonl")
@example(content=b"\x1f\x8b\x08\x00", name="x.jsonl")
@example(content=b"\x28\xb5\x2f\xfd\x00", name="x.csv")
@example(content=b"ARROW1\0\0", name="x.arrow")
@example(content=b"WARC/1.0\r\n", name="x.warc")
@example(content=b"\0" * 400, name="x.tar")
def test_arbitrary_bytes_never_raise_and_every_row_is_accounted_for(
    content: bytes, name: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.getbasetemp()
    assert accounted(read(folder, name, content, min_characters=1))


@settings(max_examples=200, deadline=None)
@given(rows=st.lists(LINE, max_size=8), packed=st.booleans())
def test_jsonl_has_as_many_rows_as_lines_that_are_not_blank(
    rows: list[bytes], packed: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    content = b"\n".join(rows)
    stored = gzip.compress(content) if packed else content
    found = read(tmp_path_factory.getbasetemp(), "y.jsonl", stored, min_characters=1)
    if packed or not content.startswith((b"PAR1", b"\x1f\x8b", b"\x28\xb5\x2f\xfd")):
        unmarked = content.removeprefix(b"\xef\xbb\xbf")
        expected = sum(1 for line in unmarked.split(b"\n") if line.strip())
        assert len(found) == max(1, expected)
        assert expected > 0 or outcomes(found) == ["empty_file"]
    assert accounted(found)


@settings(max_examples=100, deadline=None)
@given(
    values=st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=50), max_size=6),
    ending=st.sampled_from(["jsonl", "parquet", "jsonl.gz", "jsonl.zst"]),
)
def test_every_format_gives_the_same_texts_and_rejections(
    values: list[str], ending: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    pack = {"jsonl": bytes, "jsonl.gz": gzip.compress, "jsonl.zst": zstd}
    content = (
        parquet(pa.table({"text": pa.array(values, pa.string())}))
        if ending == "parquet"
        else pack[ending](lines(*({"text": value} for value in values)) or b"\n")
    )
    found = read(tmp_path_factory.getbasetemp(), f"z.{ending}", content, min_characters=5)
    kept = [row.text for row in found if isinstance(row, Document)]
    assert kept == [text for text in values if len(text.strip()) >= 5 and "\0" not in text]
    assert len(found) == max(1, len(values))


def peak_bytes(path: Path) -> int:
    """The most memory that reading a shard holds at once, Arrow's own included."""
    rules = rules_of(max_word_characters=0)
    before, arrow = pa.total_allocated_bytes(), 0
    tracemalloc.start()
    for _ in read_shard(path, rules):
        arrow = max(arrow, pa.total_allocated_bytes() - before)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak + arrow


@pytest.mark.parametrize("ending", ["jsonl", "jsonl.gz", "jsonl.zst", "parquet", "csv"])
def test_memory_does_not_grow_with_a_shard(ending: str, tmp_path: Path) -> None:
    peaks = []
    for number in (400, 2400):
        values = ["x" * 10_000 + str(index) for index in range(number)]
        if ending == "parquet":
            pq.write_table(pa.table({"text": values}), tmp_path / f"{number}.parquet", 100)
        elif ending == "csv":
            (tmp_path / f"{number}.csv").write_text("text\n" + "\n".join(values))
        else:
            pack = {"jsonl": bytes, "jsonl.gz": gzip.compress, "jsonl.zst": zstd}[ending]
            (tmp_path / f"{number}.{ending}").write_bytes(pack(texts(*values)))
        peaks.append(peak_bytes(tmp_path / f"{number}.{ending}"))
    # The shard is six times as long; a batch or a block is all that may differ.
    assert peaks[1] < 1.5 * peaks[0] + 2**20


def test_200_mb_behind_gzip_are_read_within_8_mb(tmp_path: Path) -> None:
    path = tmp_path / "big.jsonl.gz"
    line = texts("x" * 100_000)
    with gzip.open(path, "wb", compresslevel=1) as file:
        for _ in range(2000):
            file.write(line)
    assert peak_bytes(path) < 8 * 2**20


# -- formats ---------------------------------------------------------------------------------------


def test_csv_keeps_quotes_commas_and_newlines_inside_a_cell(tmp_path: Path) -> None:
    content = b'id,text,url\n7,"She said ""no"", twice,\nand then went home.",u\n'
    [row] = read(tmp_path, "quotes.csv", content)
    assert isinstance(row, Document)
    assert row.text == 'She said "no", twice,\nand then went home.'
    assert (row.id, row.metadata) == ("7", {"url": "u"})


def test_tsv_is_separated_by_tabs(tmp_path: Path) -> None:
    [row] = read(tmp_path, "x.tsv", f"id\ttext\n1\t{TEXT}, with a comma\n".encode())
    assert isinstance(row, Document)
    assert row.text == f"{TEXT}, with a comma"


def test_a_missing_column_is_named_with_those_that_are_there(tmp_path: Path) -> None:
    [row] = read(tmp_path, "x.csv", b"id,body\n1,x\n")
    assert isinstance(row, Rejection)
    assert row.excerpt == "no column 'text'; found: id, body"


def test_plain_text_is_one_document_a_file(tmp_path: Path) -> None:
    [row] = read(tmp_path, "x.txt", f"{TEXT}\n\n{TEXT}\n".encode())
    assert isinstance(row, Document)
    assert row.text == f"{TEXT}\n\n{TEXT}\n"


def test_plain_text_is_split_at_blank_lines_when_asked(tmp_path: Path) -> None:
    content = f"{TEXT}\nline two\r\n\r\n \n{TEXT} Next.\n\nshort".encode()
    rows = read(tmp_path, "x.md", content, {"split": "blank_line"})
    assert outcomes(rows) == [DOC, DOC, "too_short"]
    assert [row.text for row in rows[:2] if isinstance(row, Document)] == [
        f"{TEXT}\nline two",
        f"{TEXT} Next.",
    ]


@pytest.mark.parametrize("ending", ["jsonl", "parquet"])
def test_dots_reach_into_nested_fields(ending: str, tmp_path: Path) -> None:
    row = {"doc": {"body": TEXT, "lang": "en"}, "key": 3}
    content = lines(row) if ending == "jsonl" else parquet(pa.Table.from_pylist([row]))
    source = {"text": "doc.body", "id": "key", "metadata": ["doc.lang", "absent"]}
    [found] = read(tmp_path, f"x.{ending}", content, source)
    assert found == Document(row=0, text=TEXT, id="3", metadata={"doc.lang": "en"})


def test_a_field_whose_name_has_a_dot_comes_before_a_nested_one(tmp_path: Path) -> None:
    content = lines({"doc.body": TEXT, "doc": {"body": "another text that is long enough"}})
    [found] = read(tmp_path, "x.jsonl", content, {"text": "doc.body"})
    assert isinstance(found, Document)
    assert found.text == TEXT


def test_metadata_and_id_are_kept_as_given(tmp_path: Path) -> None:
    row = {"text": TEXT, "id": "a/1", "url": "https://x", "license": ["CC0"], "other": 1}
    [found] = read(tmp_path, "x.jsonl", lines(row))
    expected = {"url": "https://x", "license": ["CC0"]}
    assert found == Document(row=0, text=TEXT, id="a/1", metadata=expected)


def test_nan_in_metadata_counts_as_absent(tmp_path: Path) -> None:
    table = pa.table({"text": [TEXT], "id": [float("nan")], "date": [float("nan")]})
    [found] = read(tmp_path, "x.parquet", parquet(table))
    assert found == Document(row=0, text=TEXT, id=None, metadata={})


def test_lone_surrogates_beside_the_text_become_their_escapes(tmp_path: Path) -> None:
    content = b'{"text": "' + TEXT.encode() + b'", "id": "\\ud800", "url": "u\\udfff"}'
    [found] = read(tmp_path, "x.jsonl", content)
    assert isinstance(found, Document)
    assert found.id == "\\ud800"
    assert json.loads(metadata_json(found.metadata)) == {"url": "u\\udfff"}


@pytest.mark.parametrize(
    ("dates", "shown"),
    [
        (pa.array([1234567890123456789], pa.timestamp("ns")), "2009-02-13 23:31:30.123456789"),
        (pa.array([9 * 10**15], pa.timestamp("ms")), "9000000000000000"),
    ],
    ids=["nanoseconds", "the year 287000"],
)
def test_a_time_that_python_cannot_hold_does_not_cost_the_document(
    dates: pa.Array, shown: str, tmp_path: Path
) -> None:
    [found] = read(tmp_path, "x.parquet", parquet(pa.table({"text": [TEXT], "date": dates})))
    assert isinstance(found, Document)
    assert shown in found.metadata["date"]


def test_the_rules_on_characters_can_be_moved(tmp_path: Path) -> None:
    content = texts("abc", "a" * 30, "x" * 500)
    assert outcomes(
        read(tmp_path, "x.jsonl", content, min_characters=3, max_word_characters=0)
    ) == [DOC, DOC, DOC]
    assert outcomes(read(tmp_path, "x.jsonl", content, max_word_characters=20)) == [
        "too_short",
        "binary_like",
        "binary_like",
    ]


def test_the_format_that_is_named_wins_over_the_ending(tmp_path: Path) -> None:
    [found] = read(tmp_path, "notes.data", lines({"text": TEXT}), {"format": "jsonl"})
    assert isinstance(found, Document)
    assert found.text == TEXT
