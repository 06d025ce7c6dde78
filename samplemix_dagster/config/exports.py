"""Files for trainers: one export of every mixture, or a list of them."""

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Discriminator, Field, Tag, WithJsonSchema, model_validator

from samplemix_dagster.errors import ConfigError
from samplemix_dagster.export_formats.table import FORMATS
from samplemix_dagster.export_formats.wanted import MOST_FILES, Wanted
from samplemix_dagster.section import Section, check_name, check_one_of


def _is_format(name: str) -> str:
    return check_one_of("format", name, FORMATS)


_Format = Annotated[
    str,
    AfterValidator(_is_format),
    WithJsonSchema({"type": "string", "enum": list(FORMATS)}),
]


class ExportKeys(Section):
    """What every export may say; a format reads those of the last keys that it knows."""

    LATER: ClassVar[Mapping[str, Any]] = {
        "eos": None,
        "eos_inside": None,
        "materialise": None,
        "array": None,
        "sequence": None,
        "bos": None,
    }

    files: int = Field(default=4, ge=1, le=MOST_FILES)
    """Files of near-equal size."""
    eos: Literal["end", "start", "none"] | None = None
    """Where each document has the tokenizer's EOS; read by formats of ids. What the format's own
    trainer expects when absent: nearly always `end`."""
    eos_inside: Literal["refuse", "escape", "keep"] | None = None
    """What becomes of a text that gives the id of EOS (or of BOS, where that is written): an error,
    its words in pieces, or nothing. When absent `refuse`, and `keep` for `tokens`, whose ends tell
    documents apart."""
    bos: Literal["none", "start"] | None = None
    """Whether each document begins with the tokenizer's BOS; read by formats of ids. When absent,
    `none`."""

    sequence: int | None = Field(default=None, ge=1)
    """Ids of a training sequence, for `litdata` (whose blocks have one more) and `mds`. When
    absent, 2048."""
    held_out: int | None = Field(default=None, ge=1, le=50)
    """Percent of the documents that stand in the last file of `nanochat`, which validates, and in
    no other. When absent, 1."""
    materialise: bool | None = None
    """Whether `megatron` writes each copy of a document out, for tools that read slices; else its
    index points to one. When absent, false."""

    array: Literal["own", "corpus"] | None = None
    """What the index of `megatron` points into: an array of the export's own, or one of the whole
    corpus, which exports of that corpus share in a lake in a folder. When absent, its own."""

    @model_validator(mode="after")
    def _can_be(self) -> "ExportKeys":
        try:
            _ = self.wanted
        except ConfigError as error:
            raise ValueError(str(error)) from None
        return self

    @property
    def format_name(self) -> str:
        """The name of its format."""
        raise NotImplementedError

    @property
    def wanted(self) -> Wanted:
        """What it asks for."""
        said = {key: _in_words(value) for key, value in self if value is not None}
        return Wanted.of(self.format_name, self.files, said)


def _in_words(value: object) -> str:
    """Return a value as the options of formats spell it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


class Export(ExportKeys):
    """Files for trainers: one export of every mixture."""

    format: _Format = next(iter(FORMATS))
    """File format: texts, or the ids of the budget's tokenizer."""

    @property
    def format_name(self) -> str:
        """The name of its format."""
        return self.format


class ListedExport(ExportKeys):
    """One of several exports: a list here gives each mixture as many."""

    to: _Format
    """File format: texts, or the ids of the budget's tokenizer."""
    name: str | None = None
    """What its asset is called, `export/<mixture>/<name>`; the format's name when absent."""
    mixtures: list[str] | None = None
    """Which mixtures have it; all of them when absent."""

    @model_validator(mode="after")
    def _name_is_one(self) -> "ListedExport":
        check_name("listed export", self.called)
        if "__" in self.called:
            raise ValueError(f"name: an export's name has no two _ in a row, not {self.called!r}")
        return self

    @property
    def format_name(self) -> str:
        """The name of its format."""
        return self.to

    @property
    def called(self) -> str:
        """Its name; dots are no part of an asset's."""
        return self.name if self.name is not None else self.to.replace(".", "_")


def _differ(exports: list[ListedExport]) -> list[ListedExport]:
    counts = Counter(one.called for one in exports)
    twice = [name for name, count in counts.items() if count > 1]
    if twice:
        raise ValueError(f"two exports are called {twice[0]!r}; give one of them another `name`")
    if not exports:
        raise ValueError("a list of exports has at least one")
    return exports


_ONE, _LIST = "Export", "ListedExport"


def _form_of(value: Any) -> str:
    return _LIST if isinstance(value, list | tuple) else _ONE


if TYPE_CHECKING:
    Exports = Export | list[ListedExport]
else:
    Exports = Annotated[
        Annotated[Export, Tag(_ONE)]
        | Annotated[list[ListedExport], AfterValidator(_differ), Tag(_LIST)],
        Discriminator(_form_of),
    ]
"""One export, or a list of them."""
