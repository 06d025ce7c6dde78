"""The table of docs/formats.md that says what was read back, made of what the tests measured."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

BEGIN, END = "<!-- what was read back -->\n", "<!-- until here -->\n"
_HEAD = """\
| layout | reader | documents | tokens | MB | written in | read in | read back |
|---|---|--:|--:|--:|--:|--:|---|
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One layout, as it was written and read."""

    layout: str
    reader: str
    """Its name and version."""
    documents: int
    tokens: int
    num_bytes: int
    """Of all files but the manifest."""
    written_in: float
    """Seconds of the export, which reads itself back and counts."""
    read_in: float
    """Seconds of the trainer's reader, with nothing to import."""
    what: str
    """What was compared."""

    @property
    def line(self) -> str:
        """The row as Markdown."""
        cells = (
            f"`{self.layout}`",
            self.reader,
            f"{self.documents:,}",
            f"{self.tokens:,}",
            f"{self.num_bytes / 1e6:.2f}",
            f"{self.written_in:.2f} s",
            f"{self.read_in:.2f} s",
            self.what,
        )
        return f"| {' | '.join(cells)} |\n"


def refresh(page: Path, rows: Sequence[Row]) -> None:
    """Put the rows in the place of those that a page has between its two marks."""
    before, _, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    lines = "".join(row.line for row in rows)
    page.write_text(f"{before}{BEGIN}{_HEAD}{lines}{END}{after}", encoding="utf-8")
