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
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa

    from samplemix_dagster.export_formats.launch import Fragment, Launch

Unit = Literal["text", "tokens"]
"""What a draw is in a file: its text, or the ids of its tokens."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """A key of ``export`` that a format reads; its value is part of an export's address."""

    default: str
    """Its value where none is given."""
    values: tuple[str, ...] = ()
    """What it can be; a whole number from 1 where there are none."""
    is_named: bool = True
    """Whether a folder's name has it at its default, too."""

    @property
    def pattern(self) -> str:
        """A regular expression of its values."""
        return "|".join(map(re.escape, self.values)) or "[1-9][0-9]*"

    @property
    def words(self) -> str:
        """What it can be, for a sentence."""
        return " or ".join(self.values) or "a whole number from 1"

    def allows(self, value: str) -> bool:
        """Whether it can have the value."""
        return re.fullmatch(self.pattern, value) is not None


def readings_of_texts() -> "tuple[Reading, ...]":
    """Return how trainers cut texts that they tokenize themselves, with EOS or BOS at each."""
    return (
        Reading(words="documents joined, then cut", by_file=False, adds=1),
        Reading(words="a document a row, cut", kind="one_a_row", adds=1),
    )


def options_of_ids(eos: str = "end", inside: str = "refuse") -> Mapping[str, Option]:
    """Return the options of every format of ids.

    Args:
        eos: Where a document has EOS, if nobody says.
        inside: What becomes of a text that gives the id of EOS, if nobody says.
    """
    return MappingProxyType(
        {
            "eos": Option(default=eos, values=("end", "start", "none")),
            "eos_inside": Option(
                default=inside, values=("refuse", "escape", "keep"), is_named=False
            ),
            "bos": Option(default="none", values=("none", "start"), is_named=False),
        }
    )


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
    inside: str = "keep"
    """What becomes of a text that gives one of :attr:`marks`: ``refuse``, ``escape``, ``keep``."""
    bos: str = "none"
    """Where each document has the id of :attr:`bos_id`: ``start`` or ``none``."""
    bos_id: int | None = None
    """The tokenizer's beginning of a sequence; None where it has none."""

    @property
    def front(self) -> list[int]:
        """The ids before those of a document's text: none or one."""
        marks = ((self.bos, self.bos_id), (self.eos, self.eos_id))
        return [mark for place, mark in marks if place == "start" and mark is not None]

    @property
    def back(self) -> list[int]:
        """The ids behind those of a document's text: none or one."""
        return [self.eos_id] if self.eos == "end" and self.eos_id is not None else []

    @property
    def marks(self) -> Mapping[str, int]:
        """The ids by which a reader may tell documents apart: of EOS, and of BOS if written."""
        found = {"EOS": self.eos_id, "BOS": self.bos_id if self.bos == "start" else None}
        return {name: mark for name, mark in found.items() if mark is not None}

    def laid(self, ids: "npt.ArrayLike") -> "npt.NDArray[np.uint32]":
        """Return the ids of a document as they lie in a file, with EOS and BOS as asked for."""
        import numpy as np

        parts = (self.front, ids, self.back)
        return np.concatenate([np.asarray(part, dtype=np.uint32) for part in parts])


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """How a trainer cuts an export into sequences of L ids."""

    words: str
    """What it does, in a few words."""
    kind: Literal["windows", "best_fit", "one_a_row"] = "windows"
    """Which function of ``core.layouts`` simulates it."""
    more: int = 0
    """Ids that a sequence has beyond L."""
    step_more: int = 0
    """Ids by which the next sequence begins beyond L."""
    by_file: bool = True
    """Whether a sequence ends with its file."""
    pads: bool = False
    """Whether what is left over is filled up."""
    adds: int = 0
    """Ids that the trainer puts to each document."""
    keeps_order: bool = True
    """Whether it can be told to take sequences in the order of the files."""


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
                ``id``, and ``text``, or ``tokens`` with what EOS adds, and ``num_ids``, their
                number.
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
    options: Mapping[str, Option] = MappingProxyType({})
    """Keys of ``export`` that it reads."""
    needs_eos: bool = False
    """Whether its readers tell documents apart by EOS, so that a tokenizer must have it."""
    least_files: int = 1
    """Files that it needs."""
    most_ids: int | None = None
    """The largest vocabulary that it can hold; None where there is no bound."""
    readings: tuple[Reading, ...] = ()
    """How its trainers cut it into sequences."""
    joins_files: bool = False
    """Whether a document may go on in the next file."""
    stem: str = "part-"
    """What the names of files begin with; a number follows."""
    digits: int = 5
    """The least digits of that number."""

    def file_names(self, number: int) -> list[str]:
        """Return the names of a part's files; the first has the draws."""
        return [f"{self.stem}{number:0{self.digits}d}{ending}" for ending in self.endings]

    def has_file(self, name: str) -> bool:
        """Whether a file of an export in this format can have the name."""
        endings = "|".join(map(re.escape, self.endings))
        pattern = rf"{re.escape(self.stem)}[0-9]{{{self.digits},}}(?:{endings})"
        return name in self.others or re.fullmatch(pattern, name) is not None

    def held_out_share(self, options: Mapping[str, str]) -> float:
        """Return the share of documents that stand in the last part and in no other; in [0, 1)."""
        del options
        return 0.0

    def conflict(self, options: Mapping[str, str]) -> str:
        """Say which options cannot be had together; empty where all can."""
        if options.get("bos") == options.get("eos") == "start":
            return "`bos: start` and `eos: start` both stand first; say `eos: end` or `eos: none`"
        return ""

    def fragments(self, launch: "Launch") -> "tuple[Fragment, ...]":
        """Return what is typed so that its trainers take an export as it is."""
        del launch
        return ()

    def points_into_corpus(self, options: Mapping[str, str]) -> bool:
        """Whether draws are pointers into the stored ids of the whole corpus."""
        del options
        return False

    def dtype(self, size: int) -> str:
        """Return NumPy's name of the type of an id, for a vocabulary of some size."""
        raise NotImplementedError(f"{self.name} holds no ids of {size:,}")

    def refusal(self, vocabulary: Vocabulary) -> str:
        """Say why ids of a vocabulary cannot be written so; empty where they can."""
        if self.needs_eos and vocabulary.eos != "none" and vocabulary.eos_id is None:
            return (
                "the tokenizer names no EOS (`eos_token` in its tokenizer_config.json), and "
                "readers find documents by it; name it there, or export with `eos: none`"
            )
        if vocabulary.bos == "start" and vocabulary.bos_id is None:
            return (
                "the tokenizer names no BOS (`bos_token` in its tokenizer_config.json); name it "
                "there, or leave `bos` out"
            )
        if self.most_ids is not None and vocabulary.size > self.most_ids:
            return (
                f"it holds ids below {self.most_ids:,}, and the tokenizer has {vocabulary.size:,}"
            )
        return ""

    @abc.abstractmethod
    def open(self, folder: Path, plan: FilePlan) -> Writer:
        """Return a writer into an empty folder; the same draws give the same bytes.

        Raises:
            InputError: The draws do not fit into the format's files.
        """

    @abc.abstractmethod
    def read_back(self, folder: Path, plan: FilePlan) -> Iterator[ReadDraw]:
        """Yield every draw in order, as a consumer's reader finds it, in memory for a few.

        Raises:
            ValueError: The files are not of this form.
        """
