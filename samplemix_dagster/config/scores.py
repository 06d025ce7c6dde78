"""What documents are scored by: references, the encoder, the signals of quality and diversity."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from samplemix_dagster.core.quality.spread_windows import FEWEST_TOKENS, most_tokens_read
from samplemix_dagster.section import Section, Seed, Size, check_name


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


class Reference(Section):
    """A reference model: a hub name or folder, or one trained here."""

    model: str | None = None
    """Hub name (``org/name``), folder, GGUF file, or ``package:name/`` and one of these."""
    revision: str | None = None
    """Commit of a hub model. Hub names need one: an unpinned model is another tomorrow."""
    bootstrap: Bootstrap | None = None
    """Train a small one on the corpus instead."""

    @model_validator(mode="after")
    def _one_kind(self) -> "Reference":
        if (self.model is None) == (self.bootstrap is None):
            raise ValueError("a reference has either `model` or `bootstrap`")
        return self


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


class Band(Section):
    """A best band of perplexity, in robust standard deviations around the group's median."""

    centre: float
    """Centre of the band."""
    width: float = Field(gt=0)
    """Half-width of the band."""


class Student(Section):
    """A cheap model that learns a reference's scores from a sample, and scores the rest."""

    of: str = "main"
    """The reference that it learns from: the one that scores."""
    sample: Size = Field(default=5_000, ge=20, le=20_000)
    """Documents (those with the smallest hashes) that the reference scores."""
    rescore_unsure: float = Field(default=0.0, ge=0, le=1)
    """About this share of the documents, where it is most unsure, the reference scores itself."""


PERPLEXITY = "perplexity"
"""The signal of quality that is always computed."""


class Quality(Section):
    """How perplexity, and other signals beside it, become a score in (0, 1)."""

    reference: str = "main"
    """The reference that scores."""
    direction: Literal["low", "high"] | Band = "low"
    """Which perplexity is good: low, high, or a band."""
    calibrate_by: Literal["language", "language_length", "source", "none"] = "language"
    """Groups within which bits per byte are compared."""
    overlap_tokens: int = Field(default=64, ge=0)
    """Tokens of context that a window of a long document shares with the one before."""
    context_tokens: int | None = Field(default=None, ge=16)
    """Window length; the model's own context (at most 1024) when absent."""
    tokens_per_document: Size | None = Field(default=None, ge=FEWEST_TOKENS)
    """Score this many tokens of a long document, in windows; all of them when absent."""
    student: Student | None = None
    """Let a cheap model learn the reference's scores from a sample, and score the rest."""
    signals: dict[str, float] = {"perplexity": 1.0}
    """Exponents of the signals in their geometric mean: `perplexity`, `rules`, your own; 0: out."""
    own: dict[str, str] = {}
    """Your own signals: name -> ``package.module:Class`` (see docs/architecture.md)."""

    LATER: ClassVar[Mapping[str, Any]] = {
        "signals": {"perplexity": 1.0},
        "own": {},
        "tokens_per_document": None,
        "student": None,
    }
    BUILT_IN: ClassVar[Mapping[str, str]] = {"rules": "samplemix_dagster.core.quality.rules:Rules"}
    """Signals that come along, beside perplexity, with what computes them."""

    @model_validator(mode="after")
    def _known_signals(self) -> "Quality":
        known = [PERPLEXITY, *self.BUILT_IN, *self.own]
        for name, weight in self.signals.items():
            if name not in known:
                raise ValueError(f"signals: no signal {name!r}; known: {', '.join(known)}")
            if weight < 0:
                raise ValueError(f"signals: {name} is {weight}; a weight is 0 or more")
        for name in self.own:
            check_name("signal", name)
            if name in {PERPLEXITY, *self.BUILT_IN}:
                raise ValueError(f"own: {name!r} is a signal that comes along")
        if not self.weights:
            raise ValueError("signals: at least one signal needs a weight above 0")
        return self

    @property
    def most_tokens_read(self) -> int | None:
        """The most tokens of a document that the reference reads; None: as many as it has."""
        if self.tokens_per_document is None:
            return None
        return most_tokens_read(self.tokens_per_document, self.overlap_tokens)

    @property
    def weights(self) -> dict[str, float]:
        """The signals that count, with their exponents.

        Perplexity and your own have 1 where none is named, the others 0.
        """
        named = {PERPLEXITY: 1.0, **dict.fromkeys(self.own, 1.0), **self.signals}
        return {name: weight for name, weight in named.items() if weight > 0}

    @property
    def targets(self) -> dict[str, str]:
        """What computes each signal that counts, but for perplexity: ``module:Class`` by name."""
        every = {**self.BUILT_IN, **self.own}
        return {name: every[name] for name in self.weights if name != PERPLEXITY}

    @model_validator(mode="after")
    def _learns_from_the_reference(self) -> "Quality":
        if self.student is not None and self.student.of != self.reference:
            raise ValueError(
                f"student.of is {self.student.of!r}, and the reference that scores is "
                f"{self.reference!r}: a student learns from that one"
            )
        return self

    @property
    def share_read(self) -> float:
        """The share of the documents that the reference reads itself, once a student has learnt."""
        return 1.0 if self.student is None else self.student.rescore_unsure

    @model_validator(mode="after")
    def _windows_move_on(self) -> "Quality":
        if self.context_tokens is not None and self.overlap_tokens >= self.context_tokens:
            raise ValueError(
                f"quality.overlap_tokens: {self.overlap_tokens} tokens of overlap leave nothing of "
                f"a window of {self.context_tokens}"
            )
        return self


class Clusters(Section):
    """Clusters of embeddings."""

    sample: Size = Field(default=20_000, ge=10)
    """Documents (those with the smallest hashes) on which clusters are fitted."""
    micro: int = Field(default=600, ge=10)
    """Micro-centroids that HDBSCAN sees."""
    min_cluster_size: int = Field(default=5, ge=2)
    """Fewest micro-centroids that make a cluster."""
    seed: Seed = 0
    """Seed of k-means and UMAP."""


class Ngram(Section):
    """n-gram overlap."""

    order: int = Field(default=5, ge=1, le=32)
    """Words in an n-gram (characters for scripts without spaces)."""
    sample: Literal["auto"] | int = "auto"
    """Keep one gram in 2^n, by hash. ``auto`` is exact up to 256 MB of text."""
    power: float = Field(default=1.0, gt=0)
    """Exponent on ownership before it is combined."""

    @field_validator("sample")
    @classmethod
    def _sample_bits(cls, sample: str | int) -> str | int:
        if isinstance(sample, int) and not 0 <= sample <= 32:
            raise ValueError(f"a gram in 2^n is kept with n from 0 to 32, not {sample}")
        return sample


class Topics(Section):
    """Topics of words."""

    count: int = Field(default=32, ge=2)
    """Topics to fit."""
    sample: Size = Field(default=20_000, ge=10)
    """Documents (those with the smallest hashes) on which topics are fitted."""
    seed: Seed = 0
    """Seed of the topic model."""


class Refit(Section):
    """When a frozen fit is made again."""

    drift: float = Field(default=0.1, ge=0, le=1)
    """Share of the corpus that may change before fits are made again."""


class Diversity(Section):
    """How distance, novelty and rarity become a score in (0, 1)."""

    weights: dict[str, float] = {"cluster": 1.0, "ngram": 1.0, "topic": 1.0}
    """Exponents of the components in their geometric mean; 0 leaves one out."""
    clusters: Clusters = Clusters()
    """Clusters of embeddings."""
    ngram: Ngram = Ngram()
    """n-gram overlap."""
    topics: Topics = Topics()
    """Topics of words."""
    metrics: dict[str, str] = {}
    """Your own components: name -> ``package.module:Class`` (see docs/architecture.md)."""
    refit: Literal["always", "never"] | Refit = Refit()
    """When clusters, topics, n-gram index and calibrations are fitted again."""

    BUILT_IN: ClassVar[tuple[str, ...]] = ("cluster", "ngram", "topic")

    @model_validator(mode="after")
    def _known_weights(self) -> "Diversity":
        known = [*self.BUILT_IN, *self.metrics]
        for name, weight in self.weights.items():
            if name not in known:
                raise ValueError(f"weights: no component {name!r}; known: {', '.join(known)}")
            if weight < 0:
                raise ValueError(f"weights: {name} is {weight}; a weight is 0 or more")
        if not any(self.weights.get(name, 1.0) > 0 for name in known):
            raise ValueError("weights: at least one component needs a weight above 0")
        for name in self.metrics:
            check_name("metric", name)
            if name in self.BUILT_IN:
                raise ValueError(f"metrics: {name!r} is a built-in component")
        return self

    def weight(self, component: str) -> float:
        """The component's exponent; a component that is not named has weight 1."""
        return self.weights.get(component, 1.0)
