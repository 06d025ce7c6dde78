"""What a format of exports is: how draws become files, and how they are read back.

A format knows files and nothing of a mixture. Which draws there are, in which order and in which
part, is decided by the export, which also writes down where each draw lies and compares what the
format reads back with the ledger.
"""

import abc
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import pyarrow as pa

Unit = Literal["text", "tokens"]
"""What a draw is in a file: its text, or the ids of its tokens."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Vocabulary:
    """The tokens of an export, for a format of ids."""

    size: int
    """One more than the highest id of the tokenizer."""
    tokenizer: str
    """Digest of the tokenizer."""
    eos: str
    """Where each document has the id of :attr:`eos_id`: ``end``, ``start`` or ``none``."""
    eos_id: int | None
    """The tokenizer's end of a sequence; None where it has none, and then no document has it."""

    @property
    def num_added(self) -> int:
        """How many ids each document has beside those of its text."""
        return 0 if self.eos_id is None or self.eos == "none" else 1

    def laid(self, ids: list[int]) -> list[int]:
        """Return the ids of a document as they lie in a file, with EOS where it was asked for."""
        if self.eos_id is None or self.eos == "none":
            return ids
        return [*ids, self.eos_id] if self.eos == "end" else [self.eos_id, *ids]


@dataclass(frozen=True, slots=True, kw_only=True)
class FilePlan:
    """What is to be written."""

    num_files: int
    """Parts; a part can be empty."""
    options: Mapping[str, str] = field(default_factory=dict)
    """The values of the format's own options."""
    vocabulary: Vocabulary | None = None
    """For a format of ids; None for one of texts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadDraw:
    """A draw as a reader finds it."""

    file: str
    offset: int
    """Where it begins in its file: which row from 0, or which id from 0."""
    num_tokens: int
    """Ids that lie there; of a text, what its row says."""
    digest: str
    """``core.hashing.doc_id`` of the text, or ``core.hashing.tokens_digest`` of the ids."""
    row: Mapping[str, Any] = field(default_factory=dict)
    """What the file says of it beside: any of the columns that were written."""


class Writer(abc.ABC):
    """An export that is being written."""

    @abc.abstractmethod
    def add(self, number: int, draws: "pa.Table") -> None:
        """Write one part; parts come in their order, each once, also those without a draw.

        Args:
            number: Which part, from 0.
            draws: Its draws in their order: ``doc_id``, ``source``, ``copy``, ``num_tokens``,
                ``id``, and ``text``, or ``tokens`` with what EOS adds.
        """

    def close(self) -> None:  # noqa: B027 - most formats have nothing to say of the whole
        """Write what is said once, of all parts."""


class Format(abc.ABC):
    """A format: its names, its writer, and its reader, the consumer's own where there is one."""

    name: str
    """In ``samplemix.yaml`` and in the lake: small letters, digits, ``.`` and ``_``."""
    unit: Unit
    endings: tuple[str, ...]
    """Of the files of each part; the first is that of the draws themselves."""
    others: tuple[str, ...] = ()
    """Names of the files that there are once."""
    options: Mapping[str, tuple[str, ...]] = MappingProxyType({})
    """Keys of ``export`` that it reads, each with its values; they are part of an address."""
    stem: str = "part-"
    """What the names of files begin with; a number of five digits or more follows."""

    def file_names(self, number: int) -> list[str]:
        """Return the names of a part's files; the first has the draws."""
        return [f"{self.stem}{number:05d}{ending}" for ending in self.endings]

    def has_file(self, name: str) -> bool:
        """Whether a file of an export in this format can have the name."""
        endings = "|".join(map(re.escape, self.endings))
        pattern = rf"{re.escape(self.stem)}[0-9]{{5,}}(?:{endings})"
        return name in self.others or re.fullmatch(pattern, name) is not None

    @abc.abstractmethod
    def open(self, folder: Path, plan: FilePlan) -> Writer:
        """Return a writer into an empty folder; the same draws give the same bytes."""

    @abc.abstractmethod
    def read_back(self, folder: Path, plan: FilePlan) -> Iterator[ReadDraw]:
        """Yield every draw in order, as a consumer's reader finds it, in memory for a few.

        Raises:
            ValueError: The files are not of this form.
        """
