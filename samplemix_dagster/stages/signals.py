"""Signals that a class computes: a user's own components of diversity, and quality's signals.

Each has a stage of its own, and a fit of its own where its class is fitted to the corpus.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from samplemix_dagster import tables
from samplemix_dagster.config.project import Config
from samplemix_dagster.engine.addresses.metrics import load_metric, metric_scores
from samplemix_dagster.engine.fitting.writer import FitWriter
from samplemix_dagster.engine.foundation.documents import DOCUMENTS
from samplemix_dagster.engine.outcome import Progress
from samplemix_dagster.engine.placed_shard import PlacedShard
from samplemix_dagster.engine.project import Project
from samplemix_dagster.engine.shards.reading import read
from samplemix_dagster.engine.shards.shard_rows import read_documents
from samplemix_dagster.engine.shards.working import loaded
from samplemix_dagster.engine.shards.working.shard_work import batches
from samplemix_dagster.engine.stages import (
    Facts,
    Fit,
    FitStage,
    Line,
    Maker,
    Member,
    Settings,
    Stage,
    Task,
)
from samplemix_dagster.stages.columns import lazily
from samplemix_dagster.stages.diversity.grams.ngrams import NGRAM_INDEX
from samplemix_dagster.stages.diversity.meaning.embeddings import EMBEDDINGS, embeddings_of_table
from samplemix_dagster.table_contract import Table

if TYPE_CHECKING:
    from samplemix_dagster.engine.addresses.recipes import Recipes

_FILE = "fit.safetensors"


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnSignal:
    """One signal: its name, the coordinate that it belongs to, and the class that computes it."""

    name: str
    coordinate: str
    """``quality`` or ``diversity``."""
    target: str
    """``package.module:Class``."""


def signals_of_quality(config: Config) -> list[OwnSignal]:
    """Return the signals of quality that a class computes."""
    return _signals("quality", config.quality.targets)


def signals_of_diversity(config: Config) -> list[OwnSignal]:
    """Return the components of diversity that a class computes."""
    return _signals("diversity", config.diversity.metrics)


def own_signals(config: Config) -> list[OwnSignal]:
    """Return every signal that a class computes, quality's first."""
    return [*signals_of_quality(config), *signals_of_diversity(config)]


def _signals(coordinate: str, targets: Mapping[str, str]) -> list[OwnSignal]:
    return [
        OwnSignal(name=name, coordinate=coordinate, target=target)
        for name, target in targets.items()
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreTexts:
    """Score each text with a signal's class."""

    target: str
    table: Table
    root: str
    fit: str | None = None
    """File of what the component was fitted to, for one that is."""

    def run(self, doc_ids: list[str], texts: list[str]) -> pa.Table:
        """Return the signal's table of a chunk."""
        metric = load_metric(self.target, Path(self.root))
        fitted = None if self.fit is None else loaded.fitted(self.fit)
        return self.table.make(doc_id=doc_ids, score=metric_scores(metric, texts, fitted))


class OwnStage(Stage):
    """The scores of one signal."""

    carries_over = True
    is_wide = True

    def __init__(self, own: OwnSignal) -> None:
        """Take the signal."""
        kind = "metric" if own.coordinate == "diversity" else "signal"
        self.own = own
        self.name, self.asset = f"{kind}-{own.name}", f"{kind}_{own.name}"
        self.group = own.coordinate
        self.table = tables.METRIC if own.coordinate == "diversity" else tables.SIGNAL
        self.words = _words(own)

    @property
    def fit(self) -> FitStage:
        """What it is fitted by, if its class is fitted."""
        return METRIC_FIT if self.own.coordinate == "diversity" else SIGNAL_FIT

    def is_fitted(self, project: Project) -> bool:
        """Whether its class is fitted to the corpus before it scores."""
        return bool(project.signal_identity(self.name, self.own.target)["is_fitted"])

    def reads_text(self, project: Project) -> bool:
        """Whether its class reads texts, rather than embeddings."""
        return _reads(project.signal_identity(self.name, self.own.target)) is DOCUMENTS

    def needs(self, project: Project) -> tuple[str, ...]:
        """Return what its class reads, and what it was fitted to."""
        identity = project.signal_identity(self.name, self.own.target)
        fitted = (self.fit.asset_of(self.own.name),) if identity["is_fitted"] else ()
        return (_reads(identity).asset, *fitted)

    def waits(self) -> tuple[str, ...]:
        """Return a fit, since it comes after them: what a person wrote may fail."""
        return (NGRAM_INDEX.asset,)

    def settings(self, recipes: "Recipes", source: str) -> Settings:
        """Return what its class reads, what it was fitted to, and what the class is."""
        identity = dict(recipes.project.signal_identity(self.name, self.own.target))
        is_fitted = identity.pop("is_fitted")
        upstream: dict[str, object] = {"text": recipes.text(source)}
        if _reads(identity) is EMBEDDINGS:
            upstream = {"embeddings": recipes.fingerprint(EMBEDDINGS, source)}
        if is_fitted:
            upstream["fit"] = recipes.fit(self.fit, self.own.name)
        return {**upstream, **identity}

    def work(self, recipes: "Recipes", partition: str) -> Task | Maker:
        """Return what scores texts or embeddings with its class."""
        del partition
        identity = recipes.project.signal_identity(self.name, self.own.target)
        if _reads(identity) is EMBEDDINGS:
            return lazily(lambda: self._maker(recipes))
        fit = None
        if identity["is_fitted"]:
            fit = str(recipes.lake.path(f"{recipes.fit_key(self.fit, self.own.name)}/{_FILE}"))
        root = str(recipes.project.root)
        return ScoreTexts(target=self.own.target, table=self.table, root=root, fit=fit)

    def columns(self) -> dict[str, str]:
        """Return the name that its score has in the wide table."""
        return {"score": f"{self.own.name}_score"}

    def _maker(self, recipes: "Recipes") -> Maker:
        metric = load_metric(self.own.target, recipes.project.root)
        fitted = None
        if recipes.project.signal_identity(self.name, self.own.target)["is_fitted"]:
            folder = recipes.fit_key(self.fit, self.own.name)
            fitted = recipes.lake.read_arrays(f"{folder}/{_FILE}")

        def make(shard: PlacedShard) -> pa.Table:
            table = read(recipes, EMBEDDINGS, shard)
            if table.num_rows == 0:
                return self.table.schema.empty_table()
            scores = metric_scores(metric, embeddings_of_table(table), fitted)
            return self.table.make(doc_id=table.column("doc_id"), score=scores)

        return make


def _reads(identity: Settings) -> Stage:
    """Return the stage that a signal's class reads."""
    return EMBEDDINGS if identity["needs"] == "embedding" else DOCUMENTS


def _words(own: OwnSignal) -> str:
    where = {"quality": "signal of quality", "diversity": "component of diversity"}
    whose = "" if own.target.startswith("samplemix_dagster.") else "Your own "
    what = f"{whose}{where[own.coordinate]} {own.name!r}, in (0, 1): {own.target}."
    return what[0].upper() + what[1:]


class OwnFit(Fit):
    """What classes of signals know of the whole corpus: a fit for each that is fitted."""

    words = "What a signal's class knows of the whole corpus."

    def __init__(self, name: str, coordinate: str) -> None:
        """Take the fits' name, and the coordinate that their signals belong to."""
        self.name = self.asset = name
        self.group = coordinate

    def names(self, project: Project) -> tuple[str, ...]:
        """Return the signals of its coordinate whose class is fitted."""
        every = own_signals(project.config)
        return tuple(
            one.name
            for one in every
            if one.coordinate == self.group and OwnStage(one).is_fitted(project)
        )

    def own(self, config: Config, name: str) -> OwnStage:
        """Return the stage of the signal that a fit is made for.

        Raises:
            KeyError: The configuration has no such signal.
        """
        mine = (one for one in own_signals(config) if one.coordinate == self.group)
        return OwnStage({one.name: one for one in mine}[name])

    def needs(self, project: Project, name: str) -> tuple[str, ...]:
        """Return what the class reads."""
        return (_reads(self._identity(project, name)).asset,)

    def settings(self, recipes: "Recipes", name: str) -> Settings:
        """Return what the class reads, and what it is."""
        identity = dict(self._identity(recipes.project, name))
        del identity["is_fitted"]
        if _reads(identity) is EMBEDDINGS:
            return {"embeddings": recipes.by_source(EMBEDDINGS), **identity}
        sources = recipes.config.corpus.sources
        return {"texts": {source: recipes.text(source) for source in sources}, **identity}

    def _identity(self, project: Project, name: str) -> Settings:
        stage = self.own(project.config, name)
        return project.signal_identity(stage.name, stage.own.target)

    def reads_text(self, project: Project, name: str) -> bool:
        """Whether the class reads texts, rather than embeddings."""
        return _reads(self._identity(project, name)) is DOCUMENTS

    def make(self, recipes: "Recipes", writer: FitWriter, name: str, progress: Progress) -> Facts:
        """Fit the class to the summaries of every shard."""
        del progress
        target = self.own(recipes.config, name).own.target
        metric = load_metric(target, recipes.project.root)
        summaries = [metric.summarise(batch) for batch in _batches(recipes, metric.needs)]
        fitted = metric.fit(summaries)
        writer.lake.write_arrays(_FILE, dict(fitted))
        return {"num_summaries": len(summaries), "arrays": sorted(fitted)}


METRIC_FIT = OwnFit("metric_fit", "diversity")
SIGNAL_FIT = OwnFit("signal_fit", "quality")


class Signals(Line):
    """Every signal that a class computes: the fit of each that is fitted, and its stage."""

    def stages(self, config: Config) -> tuple[Stage, ...]:
        """Return the stages of a project's signals."""
        return tuple(OwnStage(own) for own in own_signals(config))

    def kinds(self) -> tuple[FitStage, ...]:
        """Return the kinds of their fits."""
        return (METRIC_FIT, SIGNAL_FIT)

    def members(self, project: Project) -> Iterable[Member]:
        """Return the stages of a project's signals, each after its fit."""
        for own in own_signals(project.config):
            stage = OwnStage(own)
            if stage.is_fitted(project):
                yield stage.fit, own.name
            yield stage, ""


SIGNALS = Signals()


def _batches(recipes: "Recipes", needs: str) -> Iterable[Any]:
    """Yield embeddings of each shard, or texts of parts of one."""
    for shard in recipes.project.all_shards():
        if needs == "embedding":
            table = read(recipes, EMBEDDINGS, shard)
            if table.num_rows:
                yield embeddings_of_table(table)
            continue
        documents = ((item.id or "", item.text) for item in read_documents(recipes, shard))
        yield from (texts for _, texts in batches(documents))


def identity_in(recipe: Settings) -> dict[str, Any] | None:
    """Return what a signal was, from the recipe of its table; None: it is no signal's."""
    if "needs" not in recipe:
        return None
    named = {key: recipe[key] for key in ("name", "version", "code", "needs") if key in recipe}
    return {**named, "is_fitted": "fit" in recipe}
