"""The list of what was taken down: its lines, what they name, and what is no line of it."""

import json
import re
import tempfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from samplemix_dagster.core.hashing import doc_id
from samplemix_dagster.errors import InputError
from samplemix_dagster.storage.corpus.shards import Document, read_shard
from samplemix_dagster.storage.takedown_entries import Entry, entries_of
from samplemix_dagster.storage.takedowns import Takedowns, add_takedowns, read_takedowns
from samplemix_dagster.storage.urls import plain_url, spellings_of
from tests.storage.test_shards import rules_of

ONE, TWO = doc_id("one"), doc_id("two")


def documents(*rows: tuple[str, str | None, str | None]) -> pa.Table:
    names = ("doc_id", "id", "url")
    columns = dict(zip(names, zip(*rows, strict=True), strict=True))
    urls = columns.pop("url")
    metadata = [None if url is None else json.dumps({"url": url}) for url in urls]
    return pa.table({**columns, "metadata": metadata})


def named(what: str, value: str, *rows: tuple[str, str | None, str | None]) -> list[str]:
    found = Takedowns((Entry(what, value, "asked", "2026-01-31"),))
    return [identity for identity, _ in found.among(documents(*rows), "web")]


@pytest.mark.parametrize(
    "url",
    [
        "https://example.org/a/b?c=1",
        "http://www.example.org/a/b/?c=1",
        "HTTPS://Example.ORG:443/a/b?c=1#part",
        "https://user@example.org/a/b?c=1",
        "example.org/a/b?c=1",
    ],
)
def test_a_page_has_one_url_however_it_is_written(url: str) -> None:
    assert plain_url(url) == "example.org/a/b?c=1"


@pytest.mark.parametrize("url", ["http://[bad/x", "http://\u2100.example/x", "https://", "//"])
def test_what_is_no_url_names_nothing_and_breaks_nothing(url: str) -> None:
    assert named("domain", "example.org", (ONE, None, url)) == []


@pytest.mark.parametrize("listed", ["zh.example.org/%E7%BB%B4/4", "zh.example.org/\u7ef4/4"])
@pytest.mark.parametrize("written", ["zh.example.org/%e7%bb%b4/4", "zh.example.org/\u7ef4/4"])
def test_a_url_may_be_encoded_or_not_on_either_side(listed: str, written: str) -> None:
    assert named("url", listed, (ONE, None, f"https://{written}")) == [ONE]


@pytest.mark.parametrize("url", ["https://example.org/A/b?c=1", "https://example.org/a/b"])
def test_another_path_or_query_is_another_page(url: str) -> None:
    assert plain_url(url) != "example.org/a/b?c=1"


def test_a_url_names_the_documents_that_have_it() -> None:
    rows = [(ONE, None, "https://www.example.org/a/"), (TWO, None, "https://example.org/b")]
    assert named("url", "example.org/a", *rows) == [ONE]


def test_a_documents_own_id_can_be_its_url() -> None:
    assert named("url", "example.org/a", (ONE, "http://example.org/a", None)) == [ONE]


def test_a_domain_names_what_is_below_it_and_no_other() -> None:
    rows = [
        (ONE, None, "https://news.example.org/x"),
        (TWO, None, "https://notexample.org/x"),
        (doc_id("three"), None, "https://example.org:8080/y"),
    ]
    assert named("domain", "example.org", *rows) == [ONE, doc_id("three")]


def test_an_id_of_a_source_names_only_what_that_source_calls_so() -> None:
    assert named("id", "web:7", (ONE, "7", None)) == [ONE]
    assert named("id", "books:7", (ONE, "7", None)) == []


def test_the_digest_depends_on_what_is_named_and_why_and_on_no_order_or_day() -> None:
    a, b = Entry("id", ONE, "x", "2026-01-31"), Entry("url", "example.org/a", "y", "2026-01-31")
    other_day = Entry("id", ONE, "x", "2026-02-01")
    assert Takedowns((a, b)).digest == Takedowns((b, other_day)).digest
    assert Takedowns((a, b)).digest != Takedowns((a,)).digest
    assert Takedowns((a,)).digest != Takedowns((Entry("id", ONE, "z", "2026-01-31"),)).digest


def test_what_is_added_twice_stands_there_once(tmp_path: Path) -> None:
    file, entry = tmp_path / "takedown.jsonl", Entry("id", ONE, "asked", "2026-01-31")
    again = Entry("text", ONE, "asked again", "2026-02-01")
    assert add_takedowns(file, [entry, again]) == [entry]
    assert add_takedowns(file, [entry]) == []
    assert read_takedowns(file).entries == (entry,)


def test_a_line_that_a_person_wrote_without_its_end_stays_a_line(tmp_path: Path) -> None:
    file = tmp_path / "takedown.jsonl"
    line = {"what": "id", "value": ONE, "reason": "x", "added": "2026-01-31"}
    file.write_text(json.dumps(line), encoding="utf-8")
    add_takedowns(file, [Entry("id", TWO, "y", "2026-01-31")])
    assert [entry.value for entry in read_takedowns(file).entries] == [ONE, TWO]


def test_the_list_never_holds_a_text(tmp_path: Path) -> None:
    (tmp_path / "texts.jsonl").write_text('{"text": "one"}\n{"text": "two"}\n', encoding="utf-8")
    found = entries_of("text", tmp_path / "texts.jsonl", "asked", "2026-01-31")
    assert [entry.value for entry in found] == [ONE, TWO]


@pytest.mark.parametrize(
    ("what", "content", "problem"),
    [
        ("id", "12345\n", "line 1: '12345' is no id"),
        ("domain", "example.org\nexample.org/page\n", "line 2: 'example.org/page' is no domain"),
        ("url", "nonsense\n", "line 1: 'nonsense' is no url"),
        ("url", "\n\n", "names nothing"),
        ("text", "  \n", "names nothing"),
    ],
)
def test_a_line_that_is_none_of_its_kind_is_named(
    what: str, content: str, problem: str, tmp_path: Path
) -> None:
    (tmp_path / "list.txt").write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match=problem):
        entries_of(what, tmp_path / "list.txt", "asked", "2026-01-31")


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("{", "line 1: it is no JSON"),
        ("[]", "line 1: it is no JSON object"),
        ('{"what": "id", "value": "x"}', "line 1: an entry has what, value, reason, added"),
        (
            '{"what": "page", "value": "x", "reason": "y", "added": "z"}',
            "line 1: what is one of id, text, url, domain",
        ),
    ],
)
def test_a_line_of_the_list_that_is_no_entry_is_named(
    line: str, problem: str, tmp_path: Path
) -> None:
    (tmp_path / "takedown.jsonl").write_text(line + "\n", encoding="utf-8")
    with pytest.raises(InputError, match=problem):
        read_takedowns(tmp_path / "takedown.jsonl")


@pytest.mark.parametrize(
    ("what", "value", "problem"),
    [
        ("domain", "EXAMPLE.org", "this domain is written 'example.org' there"),
        ("url", "https://Example.org/a/", "this url is written 'example.org/a' there"),
        ("id", ONE.upper(), f"this id is written '{ONE}' there"),
        ("id", "zz", "'zz' is no id"),
        ("text", "the words themselves", "a text stands there as its document id"),
        ("page", "x", "what is one of id, text, url, domain, not 'page'"),
    ],
)
def test_a_line_written_by_hand_in_another_form_is_an_error_and_names_nothing_in_silence(
    what: str, value: str, problem: str, tmp_path: Path
) -> None:
    file = tmp_path / "takedown.jsonl"
    line = {"what": what, "value": value, "reason": "x", "added": "2026-01-31"}
    file.write_text(json.dumps(line) + "\n", encoding="utf-8")
    with pytest.raises(InputError, match=f"line 1: .*{re.escape(problem)}"):
        read_takedowns(file)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"added": "soon"}, "added is a date, as 2026-01-31, not 'soon'"),
        ({"why": "x"}, "an entry has what, value, reason, added, and no 'why'"),
        ({"reason": 3}, "all of it text"),
    ],
)
def test_what_is_wrong_with_an_entry_is_said(
    change: dict[str, Any], problem: str, tmp_path: Path
) -> None:
    file = tmp_path / "takedown.jsonl"
    line = {"what": "id", "value": ONE, "reason": "x", "added": "2026-01-31", **change}
    file.write_text(json.dumps(line) + "\n", encoding="utf-8")
    with pytest.raises(InputError, match=re.escape(problem)):
        read_takedowns(file)


@pytest.mark.parametrize("what", ["id", "url", "domain"])
@given(line=st.text(min_size=1, max_size=40))
def test_whatever_is_added_can_be_read_again(what: str, line: str) -> None:
    with tempfile.TemporaryDirectory() as made:
        source, file = Path(made, "named.txt"), Path(made, "takedown.jsonl")
        source.write_bytes(line.encode("utf-8", "surrogatepass"))
        try:
            entries = entries_of(what, source, "asked", "2026-01-31")
        except InputError:
            return
        add_takedowns(file, entries)
        assert {one.key for one in read_takedowns(file).entries} == {one.key for one in entries}


@pytest.mark.parametrize("named", ["bücher.example", "xn--bcher-kva.example", "BÜCHER.example"])
@pytest.mark.parametrize("written", ["bücher.example", "xn--bcher-kva.example"])
def test_a_host_beyond_ascii_is_named_in_both_spellings(
    named: str, written: str, tmp_path: Path
) -> None:
    page = tmp_path / "named.txt"
    for what, line in (("domain", named), ("url", f"https://{named}:8080/a?b=ü")):
        page.write_text(f"{line}\n")
        listed = Takedowns(tuple(entries_of(what, page, "asked", "2026-01-31")))
        assert len(listed.entries) == 2
        url = f"https://www.{written}:8080/a?b=ü"
        rows = documents((ONE, None, url), (TWO, None, "https://example.org/"))
        assert [found for found, _ in listed.among(rows, "web")] == [ONE]


@pytest.mark.parametrize("host", ["straße.example", "xn--strae-oqa.example"])
def test_a_sharp_s_is_no_double_s(host: str) -> None:
    assert set(spellings_of(host)) == {"straße.example", "xn--strae-oqa.example"}


@pytest.mark.parametrize(
    "host", ["xn--\xfc.example", "a..b", "-ü.example", "xn--.example", "ü" * 99]
)
def test_a_host_that_cannot_be_spelt_otherwise_has_one_spelling(host: str) -> None:
    assert spellings_of(host) == (host,)


@pytest.mark.parametrize("content", [b"one\r\ntwo\r\n", b"\xef\xbb\xbfone\ntwo", b"one\x0ctwo\r\n"])
def test_a_file_of_one_text_is_the_document_that_a_source_reads(
    content: bytes, tmp_path: Path
) -> None:
    file = tmp_path / "one.txt"
    file.write_bytes(content)
    [document] = read_shard(file, rules_of(min_characters=1))
    assert isinstance(document, Document)
    entries = entries_of("text", file, "asked", "2026-01-31")
    assert doc_id(document.text) in [entry.value for entry in entries]


def test_a_text_of_json_lines_may_hold_what_else_ends_a_line(tmp_path: Path) -> None:
    text = "one\u2028two\x85three"
    file = tmp_path / "texts.jsonl"
    file.write_text(json.dumps({"text": text}, ensure_ascii=False) + "\r\n", encoding="utf-8")
    [entry] = entries_of("text", file, "asked", "2026-01-31")
    assert entry.value == doc_id(text)


def test_a_mark_before_the_first_line_is_no_part_of_a_domain(tmp_path: Path) -> None:
    file = tmp_path / "domains.txt"
    file.write_bytes(b"\xef\xbb\xbfexample.org\r\n")
    assert [entry.value for entry in entries_of("domain", file, "x", "2026-01-31")] == [
        "example.org"
    ]


def test_decomposed_letters_of_a_host_are_named_composed_too() -> None:
    spellings = spellings_of("bu\u0308cher.example")
    assert {"bücher.example", "xn--bcher-kva.example"} < set(spellings)
