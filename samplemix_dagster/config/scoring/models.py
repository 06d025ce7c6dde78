"""The models that documents are scored by: references, their students, tokenizers, the encoder."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from samplemix_dagster.core.quality.ngram.model import check_order
from samplemix_dagster.section import Section, Size


class Bootstrap(Section):
    """A small reference, trained here on a hash sample of the corpus."""

    tokens: Size = Field(default=2_000_000, ge=1_000)
    """Tokens of the corpus to train on, once each."""
    vocabulary: int = Field(default=4096, ge=300, le=65_536)
    """Size of the byte-level BPE vocabulary."""
    layers: int = Field(default=2, ge=1, le=200)
    """Transformer layers."""
    width: int = Field(default=128, ge=32, le=16_384)
    """Model width; a multiple of 32."""
    context: int = Field(default=256, ge=16, le=131_072)
    """Context length in tokens."""
    seed: int = Field(default=0, ge=-(1 << 63), lt=1 << 63)
    """Seed of the weights and of the order of training."""
    sources: list[str] | None = None
    """Sources to train on; all of them when absent. Quality then means "like those"."""
    cross_fit: Literal["auto", "always", "never"] = "auto"
    """Train two references on two halves, each scoring the documents that it has not seen."""
    max_gap: float = Field(default=0.1, gt=0)
    """Bits per byte by which it may know its own documents better before ``auto`` cross-fits."""

    @field_validator("width")
    @classmethod
    def _width(cls, width: int) -> int:
        if width % 32:
            raise ValueError(f"a width is a multiple of 32, not {width}")
        return width


class NgramReference(Section):
    """A reference that counts grams of tokens, here, on a hash sample of the corpus."""

    order: int = Field(default=3, ge=2, le=5)
    """Tokens of the longest gram."""
    tokens: Size = Field(default=10_000_000, ge=1_000)
    """Tokens of the corpus that are counted. They bound its memory: some 8 bytes for each at order
    3, 30 at order 4."""
    vocabulary: int = Field(default=4096, ge=300, le=65_536)
    """Size of the byte-level BPE vocabulary."""
    sources: list[str] | None = None
    """Sources to count; all of them when absent. Quality then means "like those"."""
    near: Literal["keep", "once"] = "keep"
    """``keep``: every text of a group of near-duplicates is counted. ``once``: one is, and each of
    them is scored without it, so that copies make no text easy."""

    LATER: ClassVar[Mapping[str, Any]] = {"near": "keep"}

    @model_validator(mode="after")
    def _grams_fit(self) -> "NgramReference":
        check_order(self.order, self.vocabulary)
        return self


class Reference(Section):
    """A reference model: a hub name or folder, or one made here from the corpus."""

    model: str | None = None
    """Hub name (``org/name``), folder, GGUF file, or ``package:name/`` and one of these."""
    revision: str | None = None
    """Commit of a hub model. Hub names need one: an unpinned model is another tomorrow."""
    bootstrap: Bootstrap | None = None
    """Train a small one on the corpus instead."""
    ngram: NgramReference | None = None
    """Count n-grams of the corpus instead: the fastest."""

    LATER: ClassVar[Mapping[str, Any]] = {"ngram": None}

    @model_validator(mode="after")
    def _one_kind(self) -> "Reference":
        if sum(kind is not None for kind in (self.model, self.bootstrap, self.ngram)) != 1:
            raise ValueError("a reference has one of `model`, `bootstrap` or `ngram`")
        return self

    @property
    def made_from(self) -> tuple[str, list[str] | None]:
        """The key that makes it from the corpus, and the sources that it names; empty: none."""
        if self.bootstrap is not None:
            return "bootstrap", self.bootstrap.sources
        return ("", None) if self.ngram is None else ("ngram", self.ngram.sources)


class Tokenizer(Section):
    """What counts the budget."""

    reference: str | None = None
    """A reference's own tokenizer."""
    model: str | None = None
    """Hub name or folder."""
    revision: str | None = None
    """Commit of a hub tokenizer."""
    file: str | None = None
    """A ``tokenizer.json``."""

    @model_validator(mode="after")
    def _one_kind(self) -> "Tokenizer":
        if sum(kind is not None for kind in (self.reference, self.model, self.file)) != 1:
            raise ValueError("a tokenizer has one of `reference`, `model` or `file`")
        return self


class Encoder(Section):
    """The sentence-embedding model."""

    model: str
    """Hub name, folder, or ``package:name/folder`` (a folder inside an installed package)."""
    revision: str | None = None
    """Commit of a hub model."""
    max_tokens: int = Field(default=256, ge=8)
    """Tokens of each document that are embedded. Another number is another embedding."""


class Student(Section):
    """A cheap model that learns a reference's scores from a sample, and scores the rest."""

    of: str = "main"
    """The reference that it learns from: the one that scores."""
    sample: Size = Field(default=5_000, ge=20, le=20_000)
    """Documents (those with the smallest hashes) that the reference scores."""
    rescore_unsure: float = Field(default=0.0, ge=0, le=1)
    """About this share of the documents, where it is most unsure, the reference scores itself."""
