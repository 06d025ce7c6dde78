"""How much a document adds: the components of diversity, and when fits are made again."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from samplemix_dagster.config.scoring.scores import check_exponents
from samplemix_dagster.config.scoring.signals import External
from samplemix_dagster.section import Section, Seed, Size, check_name

COMMONNESS = "commonness"
DENSITY = "density"
NEAR = "near"
"""What the columns of near-duplicates begin with."""


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


class NearPower(Section):
    """How a group of near-duplicates counts beside a text that stands alone."""

    power: float = Field(le=1)
    """A group of n texts counts as n^power: at 1 as each of its texts, at 0 as one text."""


class Duplicates(Section):
    """Groups of texts that are nearly the same. The very same text is `corpus.duplicates`."""

    near: Literal["keep", "first"] | NearPower = "keep"
    """``keep``: groups are told and change nothing. ``first``: of each the first text alone may be
    drawn. ``{power: g}``: diversity is multiplied by size^(g - 1)."""
    similarity: float = Field(default=0.5, gt=0, le=1)
    """The share of their n-grams that near-duplicates have in common, as their sketches say."""

    @property
    def exponent(self) -> float:
        """The exponent on 1 / size that diversity is multiplied by; 0: groups change nothing."""
        return 1.0 - self.near.power if isinstance(self.near, NearPower) else 0.0


class Refit(Section):
    """When a frozen fit is made again."""

    drift: float = Field(default=0.1, ge=0, le=1)
    """Share of the corpus that may change before fits are made again."""


class Diversity(Section):
    """How distance, novelty and rarity become a score in (0, 1)."""

    weights: dict[str, float] = {"cluster": 1.0, "ngram": 1.0, "topic": 1.0}
    """Exponents of the components in their geometric mean; 0 leaves one out. `commonness` and
    `density` are left out unless they are named."""
    gates: dict[str, float] = {}
    """Exponents of components that the calibrated mean is multiplied by: with `ngram`, a text that
    stands elsewhere already comes out near 0."""
    clusters: Clusters = Clusters()
    """Clusters of embeddings."""
    ngram: Ngram = Ngram()
    """n-gram overlap."""
    topics: Topics = Topics()
    """Topics of words."""
    duplicates: Duplicates | None = None
    """Groups of near-duplicates; none are made when absent."""
    metrics: dict[str, str] = {}
    """Your own components: name -> ``package.module:Class`` (see docs/architecture.md)."""
    refit: Literal["always", "never"] | Refit = Refit()
    """When clusters, topics, n-gram index and calibrations are fitted again."""

    external: dict[str, External] = {}
    """Components that another tool gave, by name."""

    LATER: ClassVar[Mapping[str, Any]] = {"gates": {}, "duplicates": None, "external": {}}
    BUILT_IN: ClassVar[tuple[str, ...]] = ("cluster", "ngram", "topic")
    ASKED_FOR: ClassVar[tuple[str, ...]] = (COMMONNESS, DENSITY)
    """Components that come along, too, and count where they are named."""

    @model_validator(mode="after")
    def _known_weights(self) -> "Diversity":
        own = (*self.metrics, *self.external)
        known = list(dict.fromkeys((*self.BUILT_IN, *self.ASKED_FOR, *own)))
        check_exponents("weights", "component", self.weights, known)
        check_exponents("gates", "component", self.gates, known)
        if not any(self.weight(name) > 0 for name in known):
            raise ValueError("weights: at least one component needs a weight above 0")
        for key, names in (("metrics", self.metrics), ("external", self.external)):
            for name in names:
                check_name("metric", name)
                if name in self.BUILT_IN:
                    raise ValueError(f"{key}: {name!r} is a built-in component")
            if self.duplicates is not None and NEAR in names:
                raise ValueError(f"{key}: {NEAR!r} is what groups of near-duplicates are called")
        if both := sorted(self.metrics.keys() & self.external.keys()):
            raise ValueError(f"external: {both[0]!r} is a component of your own, too")
        return self

    def weight(self, component: str) -> float:
        """The component's exponent; where it is not named 1.

        It is 0 then of what is to be asked for, and of an external one that is a gate.
        """
        is_gate = component in self.external and component in self.gates
        is_left_out = is_gate or (component in self.ASKED_FOR and not self._is_own(component))
        return self.weights.get(component, 0.0 if is_left_out else 1.0)

    def counts(self, component: str) -> bool:
        """Whether a component has a weight or is a gate."""
        return self.weight(component) > 0 or self.gates.get(component, 0.0) > 0

    def _is_own(self, component: str) -> bool:
        return component in self.metrics or component in self.external

    @property
    def asked_for(self) -> list[str]:
        """What is computed beside the three components and one's own."""
        near = [] if self.duplicates is None else [NEAR]
        return [*(name for name in self.ASKED_FOR if self.is_used(name)), *near]

    def is_used(self, component: str) -> bool:
        """Whether a component that is to be asked for counts; one's own of its name is another."""
        return self.counts(component) and not self._is_own(component)
