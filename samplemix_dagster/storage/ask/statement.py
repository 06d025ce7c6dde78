"""The one statement of a query that reads, and the names of files in it, by DuckDB's own parser."""

import itertools
from typing import Any


def reading_statement(sql: str, parser: Any) -> str | None:
    """Return the one statement of a text if it selects, or explains one that does; else None.

    What is explained is parsed by itself, and put behind words of our own: what runs is then what
    was parsed, however the text is written.

    Raises:
        duckdb.Error: The text cannot be parsed.
    """
    import duckdb

    statements = parser.extract_statements(sql)
    if len(statements) != 1:
        return None
    kind, text = statements[0].type.name, str(statements[0].query)
    if kind == "SELECT":
        return text
    found = _explained(text) if kind == "EXPLAIN" else None
    if found is None:
        return None
    try:
        inner = parser.extract_statements(found[1])
    except duckdb.Error:
        return None
    if len(inner) != 1 or inner[0].type.name != "SELECT":
        return None
    return f"{found[0]} {inner[0].query}"


def _explained(text: str) -> tuple[str, str] | None:
    """Return (``explain`` with its options, what is explained), by DuckDB's own words."""
    import duckdb

    content = text.encode()  # the places of words are counted in bytes
    found = [*duckdb.tokenize(text), (len(content), None)]
    words = [
        (at, content[at:end].decode(errors="replace").strip().lower())
        for (at, kind), (end, _) in itertools.pairwise(found)
        if kind != duckdb.token_type.comment
    ]
    if not words or words[0][1] != "explain":
        return None
    head, rest = "explain", words[1:]
    if rest and rest[0][1] == "analyze":
        head, rest = "explain analyze", rest[1:]
    elif rest and rest[0][1].startswith("("):
        inside = list(itertools.takewhile(lambda word: not word[1].startswith(")"), rest[1:]))
        options = [word for _, word in inside]
        if all(word.isalpha() or word == "," for word in options):
            head, rest = f"explain ({' '.join(options)})", rest[len(inside) + 2 :]
    return (head, content[rest[0][0] :].decode(errors="replace")) if rest else None


def files_named(text: str, parser: Any) -> list[str]:
    """Return the names in a statement that may be of files; DuckDB's parser finds them."""
    import duckdb

    try:
        names = parser.get_table_names(text)
    except duckdb.Error:
        return []
    return sorted(name for name in names if name.endswith(".parquet"))
