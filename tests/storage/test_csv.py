"""CSV and TSV: no row is fused, swallowed or cut; what cannot be read for certain is rejected."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from samplemix_dagster.storage.corpus.shards import Document, Rejection, read_shard
from tests.storage.test_shards import DOC, outcomes, read, rules_of

A, B, C = (f"A plain text of some length, number {n}." for n in "123")
PLAIN = A.replace(",", "")


def texts(rows: list[Document | Rejection]) -> list[str]:
    return [row.text for row in rows if isinstance(row, Document)]


CASES: list[tuple[str, str, list[str]]] = [
    ("an open quote", f'id,text\n1,"{PLAIN}\n2,{PLAIN}\n3,{PLAIN}\n', ["stray_quote", DOC, DOC]),
    ("a quote closed inside a cell", f'id,text\n1,"A" {PLAIN}\n2,{PLAIN}\n', ["stray_quote", DOC]),
    ("two strays", f'id,text\n1,"{PLAIN}\n2,{PLAIN}"\n3,{PLAIN}\n', ["stray_quote"] * 2 + [DOC]),
    ("a cell over lines", f'id,text\n1,"{A}\n{B}"\n2,{PLAIN}\n', [DOC, DOC]),
    ("commas of a last column", f"id,text\n1,{A}\n", [DOC]),
    ("commas of another column", f"text,id\n{A},1\n{PLAIN},2\n", ["too_many_cells", DOC]),
    ("surplus beside a quoted cell", f'id,text\n1,"{PLAIN}",x\n', ["too_many_cells"]),
    ("fewer cells than columns", f"text,id\n{PLAIN}\n{PLAIN},1\n", ["too_few_cells", DOC]),
    ("no cell for the text", f"id,text\n1\n2,{PLAIN}\n", ["missing_text", DOC]),
    ("carriage returns alone", f"id,text\r1,{PLAIN}\r2,{PLAIN}\r", [DOC, DOC]),
    ("all kinds of line ends", f"id,text\r\n1,{PLAIN}\n2,{PLAIN}\r3,{PLAIN}\n", [DOC] * 3),
    ("a header again", f"id,text\n1,{PLAIN}\n\ufeffid,text\n", [DOC, "repeated_header"]),
    ("a NUL", f"id,text\n1,{PLAIN}\0\n2,{PLAIN}\n", ["binary_like", DOC]),
    ("the text column twice", f"text,text\n{PLAIN},{PLAIN}\n", ["unreadable"]),
    ("blank lines", f"\n\nid,text\n\n1,{PLAIN}\n\n", [DOC]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("content", "expected"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
def test_every_row_of_csv_has_the_outcome_of_this_table(
    content: str, expected: list[str], tmp_path: Path
) -> None:
    assert outcomes(read(tmp_path, "a.csv", content.encode())) == expected


def test_commas_of_a_last_column_are_kept_as_they_stand(tmp_path: Path) -> None:
    text = "One ,two,, three , and no quotes at all,"
    assert texts(read(tmp_path, "a.csv", f"id,text\n1,{text}\n".encode())) == [text]


def test_another_column_that_stands_twice_keeps_both_values(tmp_path: Path) -> None:
    [row] = read(tmp_path, "a.csv", f"url,text,url\nu,{PLAIN},v\n".encode())
    assert isinstance(row, Document)
    assert row.metadata == {"url": ["u", "v"]}


def test_an_overlong_cell_does_not_end_the_file(tmp_path: Path) -> None:
    long = "x y\n" * 300_000
    content = f'id,text\n1,{PLAIN}\n2,"{long}"\n3,{PLAIN}\n'.encode()
    found = outcomes(read(tmp_path, "a.csv", content, max_characters=5000))
    assert found == [DOC, "too_long", DOC]


def test_a_line_above_the_limit_does_not_end_the_file(tmp_path: Path) -> None:
    content = f"id,text\n1,{PLAIN}\n2,{'x' * 1_200_000}\n3,{PLAIN}\n".encode()
    found = outcomes(read(tmp_path, "a.csv", content, max_characters=5000))
    assert found == [DOC, "too_long", DOC]


def test_tsv_whose_quotes_are_strays_is_read_as_it_stands(tmp_path: Path) -> None:
    rows = [f"{n}\t{chr(34) if n % 5 == 2 else ''}{A} {n}\n" for n in range(40)]
    found = read(tmp_path, "a.tsv", ("id\ttext\n" + "".join(rows)).encode())
    assert texts(found) == [row.split("\t")[1].rstrip("\n") for row in rows]


def test_tsv_that_is_quoted_is_unquoted(tmp_path: Path) -> None:
    content = f'id\ttext\n1\t"{A}\t""quoted"""\n2\t"{A}\n{B}"\n3\t{C}\n'
    found = read(tmp_path, "a.tsv", content.encode())
    assert texts(found) == [f'{A}\t"quoted"', f"{A}\n{B}", C]


def test_tsv_rows_that_two_quotes_could_join_stay_apart(tmp_path: Path) -> None:
    content = f'id\ttext\n1\t"{A}\n2\t{B}"\n3\t{C}\n'
    assert texts(read(tmp_path, "a.tsv", content.encode())) == [f'"{A}', f'{B}"', C]


def test_tabs_separate_whatever_the_name_where_the_format_says_tsv(tmp_path: Path) -> None:
    found = read(tmp_path, "a.data", f"id\ttext\n1\t{A}\n".encode(), {"format": "tsv"})
    assert texts(found) == [A]


CELL = st.text(st.sampled_from('ab ,"\n\r\t;\u00e9'), max_size=12)


@settings(max_examples=150, deadline=None)
@given(cells=st.lists(st.tuples(CELL, CELL), max_size=6), separator=st.sampled_from(",\t"))
def test_what_is_written_by_the_rules_comes_back(
    cells: list[tuple[str, str]], separator: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    quoted = [[f'"{cell.replace(chr(34), chr(34) * 2)}"' for cell in row] for row in cells]
    content = "\n".join(["id" + separator + "text", *map(separator.join, quoted)])
    path = tmp_path_factory.getbasetemp() / "written.csv"
    path.write_bytes(content.encode())
    source = {"format": "tsv" if separator == "\t" else "csv"}
    rows = list(read_shard(path, rules_of(source, min_characters=1, max_word_characters=0)))
    kept = [row for row in cells if row[1].strip()]
    assert texts(rows) == [text for _, text in kept]
    assert len(rows) == max(1, len(cells))


@settings(max_examples=150, deadline=None)
@given(content=st.text(st.sampled_from('a1 ,"\n\r\t'), max_size=80))
def test_no_character_of_an_accepted_text_is_made_up(
    content: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "odd.csv"
    path.write_bytes(f"id,text\n{content}".encode())
    for text in texts(list(read_shard(path, rules_of(min_characters=1, max_word_characters=0)))):
        assert text in content or text.replace('"', '""') in content
