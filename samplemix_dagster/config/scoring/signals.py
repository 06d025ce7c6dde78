"""Signals of quality that have settings of their own: two references, examples, other tools."""

from typing import Annotated

from pydantic import BeforeValidator, Field, model_validator

from samplemix_dagster.core.values import spelt
from samplemix_dagster.section import Section, Size

Label = Annotated[str, BeforeValidator(spelt), Field(min_length=1)]
"""A label as a file may have it: true, false and numbers are text here."""


class Contrast(Section):
    """Two references: what costs less under the one than under the other is wanted."""

    good: str
    """The reference of what is wanted."""
    bad: str
    """The reference of the rest: bits per byte under it less those under `good` are the signal."""

    @model_validator(mode="after")
    def _are_two(self) -> "Contrast":
        if self.good == self.bad:
            raise ValueError(f"good and bad are both {self.good!r}: nothing lies between them")
        return self


class Resembles(Section):
    """Good examples, which a signal tells documents of the corpus by."""

    like: list[str] = Field(min_length=1)
    """Files of examples, relative to the configuration; of any format that a source may have."""
    text: str = "text"
    """Field of their text."""
    against: Size = Field(default=5_000, ge=20, le=100_000)
    """Documents of the corpus (those with the smallest hashes) that examples are told from."""


class Joined(Section):
    """A column that another tool gave, joined to documents by a key."""

    file: str
    """Parquet, CSV, TSV or JSON, relative to the configuration; a row for each document."""
    key: str = "id"
    """Column of the file that names documents."""
    by: str = "id"
    """What it names them by: ``id`` (the document's own; with a column ``source`` beside it only
    in that source), ``doc_id`` (the digest of the text), or a field of the metadata, as ``url``."""
    column: str = "score"
    """Column of the score or label."""


class Labels(Joined):
    """A label of each document that another tool gave: what mixtures may hold shares of."""

    column: str = "label"
    """Column of the label."""
    unknown: str = Field(default="unknown", min_length=1)
    """What documents are called that the file does not name, or whose label is empty."""


class External(Joined):
    """Scores or labels that another tool gave, joined to documents by a key."""

    low: float = 0.0
    """The score that becomes 0; what lies below is 0 too."""
    high: float = 1.0
    """The score that becomes 1; below `low` where a low score is good."""
    values: dict[Label, float] = {}
    """For labels: the score, from 0 to 1, of each. A label that is not named is missing."""
    missing: float = Field(default=0.5, ge=0, le=1)
    """The score, from 0 to 1, of a document that the file does not name."""

    @model_validator(mode="after")
    def _has_a_range(self) -> "External":
        if self.low == self.high:
            raise ValueError(f"low and high are both {self.low:g}: no score lies between them")
        for label, value in self.values.items():
            if not 0 <= value <= 1:
                raise ValueError(f"values: {label!r} is {value:g}; a score lies from 0 to 1")
        return self
