"""Exported files: what goes in comes back, in the order asked for, in every format."""

import gzip
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from samplemix_dagster.core.hashing import doc_id, tokens_digest
from samplemix_dagster.export_formats.format import FilePlan, ReadDraw, Vocabulary
from samplemix_dagster.export_formats.table import FORMATS
from samplemix_dagster.storage import exports
from samplemix_dagster.storage.exports import SCHEMA, ExportedFile, Spill, write_files
from samplemix_dagster.storage.lake.whole_files import digest_file

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
DRAWS = st.lists(st.tuples(TEXT, st.integers(0, 2), st.none() | TEXT), max_size=30)


VOCABULARY = Vocabulary(size=1 << 16, tokenizer="x", eos="none", eos_id=None)


def ids(text: str) -> "np.ndarray[Any, np.dtype[np.uint32]]":
    """Return stand-in tokens of a text: its code points, as far as every format holds them."""
    return np.array([min(ord(sign), VOCABULARY.size - 1) for sign in text], dtype=np.uint32)


def draw(text: str, position: int, copy: int = 0, identity: str | None = None) -> dict[str, Any]:
    return {
        "doc_id": doc_id(text),
        "source": "web",
        "copy": copy,
        "num_tokens": len(text),
        "id": identity,
        "text": text,
        "position": position,
        "tokens": ids(text),
        "num_ids": len(text),
        "digest": tokens_digest(ids(text)),
    }


def digest_of(form: str, row: dict[str, Any]) -> str:
    """Return what a reader of the format should find of a draw."""
    return str(row["doc_id"] if FORMATS[form].unit == "text" else row["digest"])


def plan_of(form: str, num_files: int) -> FilePlan:
    is_text = FORMATS[form].unit == "text"
    options = {key: option.default for key, option in FORMATS[form].options.items()}
    vocabulary = None if is_text else VOCABULARY
    return FilePlan(num_files=num_files, options=options, vocabulary=vocabulary)


def written(
    folder: Path, draws: list[tuple[int, dict[str, Any]]], num_files: int, form: str
) -> list[ExportedFile]:
    """Write draws in a format into a folder."""
    spill = spilled(folder, draws, num_files, form)
    return write_files(spill, folder, FORMATS[form], plan_of(form, num_files))


def found(folder: Path, num_files: int, form: str) -> list[ReadDraw]:
    """Return what the format's reader finds."""
    return list(FORMATS[form].read_back(folder, plan_of(form, num_files)))


def spilled(
    folder: Path, draws: list[tuple[int, dict[str, Any]]], num_files: int, form: str
) -> Spill:
    spill = Spill(folder / "spill", FORMATS[form].unit)
    for file, row in draws:
        spill.add(file, row)
    spill.close()
    return spill


@pytest.fixture
def few_open_files() -> Iterator[None]:
    """Let this process open some 60 files more than it has open now."""
    resource = pytest.importorskip("resource", reason="there is no such limit to set here")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    descriptor = os.open(os.devnull, os.O_RDONLY)
    os.close(descriptor)
    resource.setrlimit(resource.RLIMIT_NOFILE, (descriptor + 60, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.usefixtures("few_open_files")
def test_more_files_can_be_written_and_read_than_may_be_open(
    form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exports, "_SPILL_BYTES", 1)  # so that each draw is set aside by itself
    rows = [draw(f"{place} " * 700, place, 0, str(place)) for place in range(200)]
    arriving = [(row["position"] // 2, row) for row in rows]

    files = written(tmp_path, [*arriving[1::2], *arriving[::2]], 100, form)

    assert len(files) == 100
    back = [one.digest for one in found(tmp_path, 100, form)]
    assert back == [digest_of(form, row) for row in rows]


@pytest.mark.parametrize("form", FORMATS)
@settings(max_examples=25, deadline=None)
@given(drawn=DRAWS, num_files=st.integers(1, 4), luck=st.randoms(use_true_random=False))
def test_draws_come_back_in_the_order_of_their_positions(
    form: str, drawn: Any, num_files: int, luck: Any, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("export")
    rows = [draw(text, place, copy, own) for place, (text, copy, own) in enumerate(drawn)]
    arriving = [(row["position"] * num_files // max(1, len(rows)), row) for row in rows]
    luck.shuffle(arriving)
    files = written(folder, arriving, num_files, form)
    back = found(folder, num_files, form)
    assert [one.digest for one in back] == [digest_of(form, row) for row in rows]
    assert [one.num_tokens for one in back] == [row["num_tokens"] for row in rows]
    in_files = [sum(one.file == file.name for one in back) for file in files]
    # Where a document may go on in the next file, it may begin in the one before, too.
    assert FORMATS[form].joins_files or in_files == [file.num_draws for file in files]
    assert sum(in_files) == len(rows)


@pytest.mark.parametrize("form", [name for name in FORMATS if FORMATS[name].unit == "text"])
def test_a_text_comes_back_with_all_that_is_said_of_it(form: str, tmp_path: Path) -> None:
    rows = [draw(f"text {n}", n, copy=n % 2, identity=f"own {n}") for n in range(300)]
    written(tmp_path, [(0, row) for row in rows], 1, form)
    back = found(tmp_path, 1, form)
    assert [dict(one.row) for one in back] == [{k: row[k] for k in SCHEMA.names} for row in rows]
    assert [one.offset for one in back] == list(range(300))


@pytest.mark.parametrize("form", FORMATS)
def test_a_file_says_what_it_holds(form: str, tmp_path: Path) -> None:
    draws = [(0, draw("one", 0)), (2, draw("three", 1)), (2, draw("five!", 2))]
    files = written(tmp_path, draws, 3, form)
    assert [file.name for file in files] == [FORMATS[form].file_names(n)[0] for n in range(3)]
    assert [(file.num_draws, file.num_tokens) for file in files] == [(1, 3), (0, 0), (2, 10)]
    for file in files:
        assert file.digest == digest_file(tmp_path / file.name)
        assert file.num_bytes == (tmp_path / file.name).stat().st_size


@pytest.mark.parametrize("form", FORMATS)
def test_the_same_draws_give_the_same_bytes_whatever_order_they_come_in(
    form: str, tmp_path: Path
) -> None:
    draws = [(0, draw(f"text {number}", number)) for number in range(600)]
    digests = []
    for name, arriving in (("one", draws), ("two", draws[::-1])):
        (tmp_path / name).mkdir()
        written(tmp_path / name, arriving, 1, form)
        files = sorted(path for path in (tmp_path / name).iterdir() if path.is_file())
        digests.append([(path.name, digest_file(path)) for path in files])
    assert digests[0] == digests[1]
    assert len(digests[0]) == len(FORMATS[form].endings) + len(FORMATS[form].others)


@pytest.mark.parametrize("form", FORMATS)
def test_texts_with_every_kind_of_newline_come_back(form: str, tmp_path: Path) -> None:
    text = "a\nb\r\nc\rd\u2028e\u0085f\x0bg\x00h\ufeff😀"
    written(tmp_path, [(0, draw(text, 0))], 1, form)
    [back] = found(tmp_path, 1, form)
    assert back.digest == digest_of(form, draw(text, 0))


def test_a_parquet_file_has_the_schema_that_is_promised(tmp_path: Path) -> None:
    written(tmp_path, [(0, draw("x", 0))], 2, "parquet")
    for number in range(2):
        assert pq.read_schema(tmp_path / f"part-0000{number}.parquet").equals(SCHEMA)


def test_a_jsonl_file_is_read_by_any_zstd_line_by_line(tmp_path: Path) -> None:
    import pyarrow as pa

    draws = [(0, draw(f"text {number}", number)) for number in range(700)]
    [file] = written(tmp_path, draws, 1, "jsonl.zst")
    with pa.CompressedInputStream(str(tmp_path / file.name), "zstd") as stream:
        lines = stream.read().decode().splitlines()
    assert [json.loads(line)["text"] for line in lines] == [f"text {n}" for n in range(700)]


@pytest.mark.parametrize("form", FORMATS)
def test_every_file_that_a_format_writes_has_a_name_that_it_knows(
    form: str, tmp_path: Path
) -> None:
    written(tmp_path, [(0, draw("one", 0)), (1, draw("two", 1))], 2, form)
    names = {path.name for path in tmp_path.iterdir() if path.is_file()}
    assert all(FORMATS[form].has_file(name) for name in names)
    assert names == {*FORMATS[form].others, *FORMATS[form].file_names(0)} | set(
        FORMATS[form].file_names(1)
    )
    assert not FORMATS[form].has_file("part-1.txt")


@pytest.mark.parametrize(
    ("form", "opened"),
    [("jsonl", Path.read_bytes), ("jsonl.gz", lambda path: gzip.decompress(path.read_bytes()))],
)
def test_json_lines_are_read_by_the_standard_library(
    form: str, opened: Any, tmp_path: Path
) -> None:
    [file] = written(tmp_path, [(0, draw(f"text {n}", n)) for n in range(700)], 1, form)
    lines = opened(tmp_path / file.name).splitlines()
    assert [json.loads(line)["text"] for line in lines] == [f"text {n}" for n in range(700)]


def test_gzip_says_neither_when_nor_where_it_was_written(tmp_path: Path) -> None:
    [file] = written(tmp_path, [(0, draw("x", 0))], 1, "jsonl.gz")
    head = (tmp_path / file.name).read_bytes()[:10]
    assert head[:4] == b"\x1f\x8b\x08\x00"
    assert head[4:8] == b"\x00\x00\x00\x00"


def test_a_line_that_was_cut_off_is_no_draw(tmp_path: Path) -> None:
    [file] = written(tmp_path, [(0, draw("x", 0)), (0, draw("y", 1))], 1, "jsonl")
    path = tmp_path / file.name
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ValueError, match="has no end"):
        found(tmp_path, 1, "jsonl")


@pytest.mark.parametrize(
    ("size", "dtype"), [(255, "<u2"), (65_535, "<u2"), (65_536, "<u2"), (65_537, "<u4")]
)
def test_ids_are_as_wide_as_the_vocabulary_needs(size: int, dtype: str, tmp_path: Path) -> None:
    row = draw("x", 0)
    row["tokens"] = np.array([0, 1, size - 1], dtype=np.uint32)
    vocabulary = Vocabulary(size=size, tokenizer="x", eos="none", eos_id=None)
    spill = spilled(tmp_path, [(0, row)], 1, "tokens")
    write_files(spill, tmp_path, FORMATS["tokens"], FilePlan(num_files=1, vocabulary=vocabulary))
    assert np.fromfile(tmp_path / "part-00000.bin", dtype).tolist() == [0, 1, size - 1]
    contents = json.loads((tmp_path / "contents.json").read_text())
    assert np.dtype(contents["dtype"]) == np.dtype(dtype)


def test_many_documents_lie_end_to_end(tmp_path: Path) -> None:
    rows = [draw(f"text {number}" * (number % 3), number) for number in range(700)]
    written(tmp_path, [(0, row) for row in rows], 1, "tokens")
    back = found(tmp_path, 1, "tokens")
    assert [one.digest for one in back] == [row["digest"] for row in rows]
    assert [one.offset for one in back[1:]] == np.cumsum([len(r["text"]) for r in rows]).tolist()[
        :-1
    ]


def test_documents_of_no_token_have_ends_too(tmp_path: Path) -> None:
    written(
        tmp_path,
        [(0, draw(text, n)) for n, text in enumerate(["", "ab", "", "c", ""])],
        1,
        "tokens",
    )
    assert np.load(tmp_path / "part-00000.ends.npy").tolist() == [0, 2, 2, 3, 3]
    assert [one.num_tokens for one in found(tmp_path, 1, "tokens")] == [0, 2, 0, 1, 0]


def test_ends_that_are_not_those_of_the_ids_are_no_export(tmp_path: Path) -> None:
    written(tmp_path, [(0, draw("abc", 0))], 1, "tokens")
    with (tmp_path / "part-00000.bin").open("ab") as file:
        file.write(b"\0\0\0\0")
    with pytest.raises(ValueError, match="documents end elsewhere"):
        found(tmp_path, 1, "tokens")
