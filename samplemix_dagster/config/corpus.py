"""What is mixed: sources, and how they are read."""

from typing import Literal

from pydantic import Field, field_validator

from samplemix_dagster.section import Section, Size, check_name

MAX_PARTITIONS = 99
"""Dagster loses track of staleness on an edge with 100 or more upstream partitions."""


class Source(Section):
    """A named part of the corpus."""

    path: str | list[str]
    """Glob, folder, file or URL (or a list), relative to this file. ``**`` crosses folders."""
    format: Literal[
        "auto", "jsonl", "parquet", "csv", "tsv", "text", "arrow", "webdataset", "warc"
    ] = "auto"
    """How a shard is read; ``auto`` decides by first bytes and ending, and reads no others."""
    text: str = "text"
    """Field (or column) that holds the text; dots reach into nested fields."""
    id: str = "id"
    """Field that holds the document's own id, kept as given; a shard without one has null ids."""
    metadata: list[str] = ["language", "lang", "url", "license", "licence", "date", "created"]
    """Fields kept beside each document, of rows or of folders ``key=value``; dots reach inside."""
    split: Literal["file", "blank_line"] = "file"
    """Plain text only: a file is one document, or documents are separated by blank lines."""
    parts: int = Field(default=1, ge=1, le=MAX_PARTITIONS)
    """Split a big source into this many partitions, by a hash of each shard's path."""

    @field_validator("path")
    @classmethod
    def _name_files(cls, path: str | list[str]) -> str | list[str]:
        for pattern in [path] if isinstance(path, str) else path:
            if "\0" in pattern:
                raise ValueError(f"no file's name has a NUL character: {pattern!r}")
        return path

    @property
    def paths(self) -> list[str]:
        """The path or paths as a list."""
        return [self.path] if isinstance(self.path, str) else list(self.path)


class Corpus(Section):
    """What is mixed."""

    sources: dict[str, Source] = Field(min_length=1)
    """The named parts of the corpus."""
    duplicates: Literal["drop", "keep"] = "drop"
    """``drop``: a text that occurs many times is drawn as one document. ``keep``: as many."""
    language: str = "detect"
    """``detect``, or the metadata field that holds each document's language code."""
    min_characters: int = Field(default=20, ge=1)
    """Shorter texts (after trimming) are rejected as ``too_short``."""
    max_characters: Size = Field(default=10_000_000, ge=1)
    """Longer texts are rejected as ``too_long``."""
    max_word_characters: int = Field(default=400, ge=0)
    """A text with a longer word is ``binary_like``, but in scripts without spaces; 0: off."""

    warn_rejected: float = Field(default=0.1, ge=0, le=1)
    """Share of a source's rows above which rejected rows are warned of."""
    warn: Literal["say", "fail"] = "say"
    """Whether a run that lost something ends well and says so, or with exit code 3."""

    @field_validator("sources")
    @classmethod
    def _names(cls, sources: dict[str, Source]) -> dict[str, Source]:
        for name in sources:
            check_name("source", name)
        if (count := sum(source.parts for source in sources.values())) > MAX_PARTITIONS:
            raise ValueError(f"at most {MAX_PARTITIONS} sources and parts together, not {count}")
        return sources
