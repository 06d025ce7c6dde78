"""The table of what was read back: rows in the place of others, and nothing else of a page."""

from pathlib import Path

from tests.readers.formats_table import BEGIN, END, Row, refresh

PAGE = Path(__file__).parents[2] / "docs" / "formats.md"


def row(layout: str) -> Row:
    return Row(
        layout=layout,
        reader="reader 1.0",
        documents=1234,
        tokens=56_789,
        num_bytes=1_500_000,
        written_in=1.234,
        read_in=0.5,
        what="all",
    )


def test_a_table_is_replaced_and_what_stands_around_it_stays(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before\n{BEGIN}old\n{END}after\n")
    for _ in range(2):
        refresh(page, [row("a"), row("b")])
    lines = page.read_text().splitlines()
    assert (lines[0], lines[-1]) == ("before", "after")
    assert lines[4:6] == [
        f"| `{name}` | reader 1.0 | 1,234 | 56,789 | 1.50 | 1.23 s | 0.50 s | all |"
        for name in "ab"
    ]
    assert "old" not in page.read_text()


def test_the_page_has_one_place_for_the_table() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert text.count(BEGIN) == text.count(END) == 1
    assert text.index(BEGIN) < text.index(END)
