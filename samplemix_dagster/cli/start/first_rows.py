"""Text and id fields of files, read off their first rows."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from samplemix_dagster.config.corpus import Corpus
from samplemix_dagster.storage.corpus.rows import Openable, ReadRules, read_fields

_TEXT_NAMES = ("text", "content", "raw_content", "body", "document", "article", "markdown")
_ID_NAMES = ("id", "doc_id", "uuid", "_id", "url")
SHORTEST: int = Corpus.model_fields["min_characters"].default
"""Characters of the shortest document."""
_LOOKED_AT = 50
_FILES_TRIED = 3


@dataclass(frozen=True, slots=True)
class Fields:
    """What the first rows of a source have."""

    text: str
    """The field of their text."""
    id: str | None
    """The field of their id."""
    mean_bytes: float
    """Of a text."""
    longest: int
    """Characters of the longest text, as a run would count them."""


def fields_of(paths: list[Openable]) -> Fields:
    """Return the fields of a source from first rows of first files.

    Where nothing can be read off them, a run will say why: it counts as text.
    """
    for path in paths[:_FILES_TRIED]:
        rows = list(islice(_rows(path), _LOOKED_AT))
        lengths: dict[str, int] = {}
        for row in rows:
            for name, value in row.items():
                if isinstance(value, str):
                    lengths[name] = lengths.get(name, 0) + len(value.encode(errors="replace"))
        if not lengths:
            continue
        text = next((name for name in _TEXT_NAMES if name in lengths), None)
        if text is None:
            text = max(sorted(lengths), key=lambda name: lengths[name])
        names = {name for row in rows for name in row}
        identity = next((name for name in _ID_NAMES if name in names), None)
        longest = max(len(str(row.get(text) or "").strip()) for row in rows)
        return Fields(text, identity, lengths[text] / len(rows), longest)
    return Fields("text", None, 0.0, SHORTEST)


def _rows(path: Openable) -> Iterator[dict[str, object]]:
    rules = ReadRules(
        format="auto",
        text="text",
        id="id",
        metadata=(),
        split="file",
        min_characters=1,
        max_characters=10_000_000,
        max_word_characters=0,
        every_field=True,
    )
    yield from read_fields(path, rules)
