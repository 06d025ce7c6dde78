"""What a name means: one registry for listings, `init` and readers."""

import pytest

from samplemix_dagster.storage.formats.names import (
    COMPRESSIONS,
    FORMATS,
    UNSUPPORTED,
    companions,
    is_data_name,
    named,
    refusal,
)


@pytest.mark.parametrize(
    ("name", "form", "compression"),
    [
        ("a.jsonl", "jsonl", None),
        ("F.JSONL.GZ", "jsonl", "gzip"),
        ("a.jl.xz", "jsonl", "xz"),
        ("a.ndjson.bz2", "jsonl", "bz2"),
        ("a.tsv.zstd", "tsv", "zstd"),
        ("a.b.c.parquet", "parquet", None),
        ("data-00000-of-00002.arrow", "arrow", None),
        ("shard.tgz", "webdataset", "gzip"),
        ("CC-MAIN-1.warc.wet.gz", "warc", "gzip"),
        ("a.wet.gz", "warc", "gzip"),
        ("README", None, None),
        ("SHA256SUMS", None, None),
        (".jsonl", None, None),
        (".hidden.jsonl", "jsonl", None),
        ("a.gz", None, "gzip"),
        ("a.jsonl.gz.gz", None, "gzip"),
        ("a.foo", None, None),
        ("a.", None, None),
        ("", None, None),
    ],
)
def test_a_name_says_format_and_compression(
    name: str, form: str | None, compression: str | None
) -> None:
    found = named(name)
    assert (found.format, found.compression) == (form, compression)
    assert is_data_name(name) == (form is not None)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("a.foo", "ending .foo is not known: state the source's `format:`"),
        ("a.foo.gz", "ending .foo is not known: state the source's `format:`"),
        ("README", "the name has no ending: state the source's `format:`"),
        ("a.zip", ".zip is an archive: unpack it"),
        ("a.jsonl.lz4", ".lz4 is a compression that is not read: pack it as .gz or .zst"),
        ("a.jsonl.Z", ".z is a compression that is not read: pack it as .gz or .zst"),
        ("a.jsonl.gz.gz", ".gz is packed twice: unpack it once"),
    ],
)
def test_a_refusal_says_why_and_what_to_do(name: str, words: str) -> None:
    assert refusal(name) == words


def test_no_ending_is_both_read_and_refused() -> None:
    assert set(FORMATS) & set(UNSUPPORTED) == set()
    assert set(COMPRESSIONS) & {*FORMATS, *UNSUPPORTED} == set()


def test_companions_are_such_only_beside_arrow_files() -> None:
    assert companions(["state.json", "ohio.jsonl"]) == set()
    assert companions(["state.json", "dataset_info.json", "data-00000-of-00001.arrow"]) == {
        "state.json",
        "dataset_info.json",
    }
    assert companions(["dataset_dict.json", "train"]) == {"dataset_dict.json"}


def test_the_labels_of_a_dirty_pool_are_no_data_beside_what_was_asked() -> None:
    assert companions(["labels.parquet", "a.jsonl"]) == set()
    assert companions(["labels.parquet", "dirty.json"]) == {"labels.parquet", "dirty.json"}
