"""What every reader shares: the rules, a row as found, and the count that it must come to."""

from collections.abc import Callable, Collection, Generator
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    from samplemix_dagster.config.corpus import Corpus, Source


BLOCK_BYTES = 1 << 20
EXCERPT_BYTES = 1000
TEXT_VERSION = 1


class Openable(Protocol):
    """What readers need of a file: ``pathlib.Path`` has it, and so has an object of S3."""

    @property
    def name(self) -> str:
        """The last part of its path."""

    @property
    def suffix(self) -> str:
        """Its ending, with the dot."""

    def is_dir(self) -> bool:
        """Whether it is a folder."""

    def is_file(self) -> bool:
        """Whether it is there."""

    def open(self, mode: Any) -> IO[Any]:
        """Open it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadRules:
    """Everything that decides which rows are documents and what their text is."""

    format: str
    text: str
    id: str
    metadata: tuple[str, ...]
    split: str
    min_characters: int
    max_characters: int
    max_word_characters: int
    as_before: bool = False
    """Read lines of JSON and Parquet as the first version did: marks and doubled names stay."""

    every_field: bool = False
    """Read every field there is, whatever they are called: to find out which is the text."""

    given: tuple[tuple[str, str], ...] = ()
    """What the shard's path gives to fields that a row does not have itself."""

    wanted: Collection[int] | None = field(default=None, compare=False)
    """The rows that somebody asks for; others are counted, and a reader may pass them over."""

    @classmethod
    def of(cls, corpus: "Corpus", source: "Source") -> "ReadRules":
        """Return the rules that a configuration states for one source."""
        metadata = list(source.metadata)
        if corpus.language != "detect" and corpus.language not in metadata:
            metadata.append(corpus.language)
        return cls(
            format=source.format,
            text=source.text,
            id=source.id,
            metadata=tuple(metadata),
            split=source.split,
            min_characters=corpus.min_characters,
            max_characters=corpus.max_characters,
            max_word_characters=corpus.max_word_characters,
        )

    def text_recipe(self, readers: dict[str, int] | None = None) -> dict[str, object]:
        """Return what the documents and their texts depend on, beside the shard's bytes.

        Args:
            readers: Readers that the source's files have beyond those of the first version, with
                their versions. A source without any has the recipe that it always had.
        """
        recipe: dict[str, object] = {
            "format": self.format,
            "text": self.text,
            "split": self.split,
            "min_characters": self.min_characters,
            "max_characters": self.max_characters,
            "max_word_characters": self.max_word_characters,
            "version": TEXT_VERSION,
        }
        return {**recipe, "readers": readers} if readers else recipe

    @property
    def limit_bytes(self) -> int:
        """Bytes above which a record is not held: it is longer than any text may be."""
        return 8 * self.max_characters + BLOCK_BYTES


class Row(NamedTuple):
    """A row as found: exactly one of a value (with its fields) or a problem."""

    value: Any = None
    fields: dict[str, object] | None = None
    problem: str | None = None
    excerpt: str = ""
    num_rows: int = 1
    """So many rows of the same content stand here one after the other."""
    num_records: int = 1
    """So many records of the file (lines, say) each of these rows consists of."""
    is_one: bool = False
    """The rows cannot be told apart: one rejection stands for all of them."""
    is_passed: bool = False
    """The rows are not among those that are wanted, and were not looked at."""


Rows = Generator[Row, None, int]
"""Rows, and at the end the number of records that the file has, counted apart from the rows."""

Reader = Callable[..., Rows]


def field_of(fields: dict[str, object], name: str) -> Any:
    """Return a field by name; dots reach into nested fields. None where it is absent."""
    if name in fields:
        return fields[name]
    value: Any = fields
    for part in name.split("."):
        if not isinstance(value, dict) or part not in value:
            return None
        value = value[part]
    return value


def shown(raw: bytes) -> str:
    """Return the beginning of raw bytes as text, for an excerpt."""
    return raw[:EXCERPT_BYTES].decode("utf-8", "replace")


def one(problem: str, excerpt: str) -> Rows:
    """Give a file that is one rejected row."""
    yield Row(problem=problem, excerpt=excerpt)
    return 1


class Doubled(dict[str, object]):
    """Fields of which some name stood there several times: their values are kept as a list."""

    names: frozenset[str] = frozenset()
    """The names that stood there several times with different values."""


def paired(pairs: list[tuple[str, Any]]) -> dict[str, object]:
    """Return fields by name. A name that stands there twice keeps all its values, in order."""
    fields = dict(pairs)
    if len(fields) == len(pairs):
        return fields
    values: dict[str, list[Any]] = {}
    for name, value in pairs:
        known = values.setdefault(name, [])
        if value not in known:
            known.append(value)
    found = Doubled({name: each[0] if len(each) == 1 else each for name, each in values.items()})
    found.names = frozenset(name for name, each in values.items() if len(each) > 1)
    return found


def text_of(fields: dict[str, object], rules: ReadRules) -> Row:
    """Return the row of some fields: its text, or that the text's name stands there twice."""
    problem = _doubled_text(fields, rules.text)
    if problem is not None:
        return Row(problem="duplicate_field", excerpt=problem)
    return Row(value=field_of(fields, rules.text), fields=fields)


def _doubled_text(fields: dict[str, object], name: str) -> str | None:
    place: Any = fields
    for part in (name,) if name in fields else name.split("."):
        if isinstance(place, Doubled) and part in place.names:
            return f"{name!r} stands there more than once: {str(place[part])[:EXCERPT_BYTES]}"
        place = place.get(part) if isinstance(place, dict) else None
    return None
