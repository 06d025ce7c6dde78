"""Text and id fields of files, read off their first rows."""

from collections.abc import Iterator
from itertools import islice

from samplemix_dagster.storage.corpus.rows import Openable, ReadRules, read_fields

_TEXT_NAMES = ("text", "content", "raw_content", "body", "document", "article", "markdown")
_ID_NAMES = ("id", "doc_id", "uuid", "_id", "url")
_LOOKED_AT = 50
_FILES_TRIED = 3


def fields_of(paths: list[Openable]) -> tuple[str, str | None, float]:
    """Return the text field, the id field and a text's bytes, from first rows of first files."""
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
        return text, identity, lengths[text] / len(rows)
    return "text", None, 0.0


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
    )
    yield from read_fields(path, rules)
