"""resembles: how much a document is like good examples that were given as files.

It is aimed at what its examples are, and says nothing of anything else: so each has a name.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from samplemix_dagster import tables
from samplemix_dagster.config.corpus import Source
from samplemix_dagster.config.project import Config
from samplemix_dagster.config.scoring.signals import Resembles
from samplemix_dagster.core.hashing import doc_id, id_words, round_significant, round_unit
from samplemix_dagster.core.quality.bootstrap_recipe import fold_of
from samplemix_dagster.core.quality.students.agreement import area_under_curve
from samplemix_dagster.engine.fitting.sample import sample_of
from samplemix_dagster.engine.fitting.writer import FitWriter
from samplemix_dagster.engine.foundation.corpus import CORPUS
from samplemix_dagster.engine.foundation.documents import DOCUMENTS
from samplemix_dagster.engine.foundation.reference import read_sample
from samplemix_dagster.engine.outcome import Progress
from samplemix_dagster.engine.shards.working import loaded
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
from samplemix_dagster.errors import InputError
from samplemix_dagster.storage.corpus.rows import ReadRules
from samplemix_dagster.storage.corpus.shards import Document, read_shard
from samplemix_dagster.storage.lake.whole_files import digest_file

if TYPE_CHECKING:
    from samplemix_dagster.engine.addresses.recipes import Recipes
    from samplemix_dagster.engine.project import Project

_FILE = "resemblance.safetensors"


def example_files(project: "Project", name: str) -> list[Path]:
    """Return the files of a signal's examples.

    Raises:
        InputError: One is not there.
    """
    files = [project.root / file for file in project.config.quality.resembles[name].like]
    for file in files:
        if not file.is_file():
            raise InputError(
                f"quality.resembles.{name}: there is no file {file}. Name one, or take the signal "
                "out."
            )
    return files


def _examples(project: "Project", name: str) -> Iterator[str]:
    settings = project.config.quality.resembles[name]
    source = Source(path=list(settings.like), text=settings.text)
    rules = ReadRules.of(project.config.corpus, source)
    for file in example_files(project, name):
        for row in read_shard(file, rules):
            if isinstance(row, Document):
                yield row.text


class ResemblesFit(Fit):
    """Learns to tell a signal's examples from a hash sample of the corpus."""

    name = "resembles"
    asset = "resembles"
    group = "quality"
    words = (
        "What tells good examples from a sample of the corpus: logistic regression on hashed words "
        "and pairs, learned twice, so that no text is scored by a model that saw it."
    )

    def names(self, project: "Project") -> tuple[str, ...]:
        """Return the signals of examples that count."""
        return tuple(resembling(project.config))

    def needs(self, project: "Project", name: str) -> tuple[str, ...]:
        """Return the sample and its documents."""
        del project, name
        return (DOCUMENTS.asset, CORPUS.asset)

    def settings(self, recipes: "Recipes", name: str) -> Settings:
        """Return the digests of the examples, and how texts are read."""
        settings = recipes.config.quality.resembles[name].for_recipe()
        del settings["like"]
        sources = recipes.config.corpus.sources
        digests = recipes.project.stated_files(self.folder(name))
        if digests is None:
            digests = [
                _digest(file, file.stat().st_size, file.stat().st_mtime_ns)
                for file in example_files(recipes.project, name)
            ]
        return {
            "texts": {source: recipes.text(source) for source in sources},
            "like": sorted(digests),
            **settings,
        }

    def reads_text(self, project: "Project", name: str) -> bool:
        """It reads text."""
        del project, name
        return True

    def make(self, recipes: "Recipes", writer: FitWriter, name: str, progress: Progress) -> Facts:
        """Learn from the examples and the sample, and say how well that went on unseen halves."""
        del progress
        return _make(recipes, writer, name)


RESEMBLES_FIT = ResemblesFit()


@lru_cache(maxsize=256)
def _digest(file: Path, size: int, changed: int) -> str:
    """Return a file's digest; one whose size and time are as they were is not read again."""
    del size, changed
    return digest_file(file)


def _make(recipes: "Recipes", writer: FitWriter, name: str) -> Facts:
    from samplemix_dagster.core.quality.resemblance import (
        Resemblance,
        TooFewExamplesError,
        learn_resemblance,
        resemblance_features,
    )

    settings = recipes.config.quality.resembles[name]
    examples = {doc_id(text): text for text in _examples(recipes.project, name)}
    ids, _, texts = read_sample(recipes, sample_of(recipes, settings.against))
    # A document that is an example itself is no counter-example.
    others = {one: text for one, text in zip(ids, texts, strict=True) if one not in examples}
    every = [*sorted(examples), *sorted(others)]
    features = resemblance_features([{**others, **examples}[one] for one in every])
    is_example = np.arange(len(every)) < len(examples)
    folds = fold_of(id_words(every))
    try:
        learned = learn_resemblance(features, is_example, folds)
    except TooFewExamplesError as error:
        raise InputError(
            f"quality.resembles.{name}: {error}. Name more files in `like`, or take the signal out."
        ) from None
    scores = learned.scores(features, folds)
    rounded = round_significant(learned.weights.astype(np.float64)).astype(np.float32)
    stored = Resemblance(rounded, round_significant(learned.biases))
    writer.lake.write_arrays(_FILE, stored.to_arrays())
    return {
        "num_examples": len(examples),
        "num_others": len(others),
        "held_out_auc": round(area_under_curve(scores[is_example], scores[~is_example]), 4),
        "mean_of_examples": round(float(scores[is_example].mean()), 4),
        "mean_of_others": round(float(scores[~is_example].mean()), 4),
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreResemblance:
    """Score each text by the model that has not seen its half."""

    fit: str
    """File of what was learned."""

    def run(self, doc_ids: list[str], texts: list[str]) -> pa.Table:
        """Return the signal's table of a chunk."""
        from samplemix_dagster.core.quality.resemblance import resemblance_features

        folds = fold_of(id_words(doc_ids))
        scores = _learned(self.fit).scores(resemblance_features(texts), folds)
        return tables.SIGNAL.make(doc_id=doc_ids, score=round_unit(scores))


@lru_cache(maxsize=4)
def _learned(path: str) -> Any:
    from samplemix_dagster.core.quality.resemblance import Resemblance

    return Resemblance.from_arrays(loaded.fitted(path))


class ResemblesStage(Stage):
    """How much each document is like the examples of one signal."""

    group = "quality"
    table = tables.SIGNAL
    carries_over = True
    is_wide = True

    def __init__(self, signal: str, settings: Resembles) -> None:
        """Take its name and its examples."""
        self.signal = signal
        self.name, self.asset = f"signal-{signal}", f"signal_{signal}"
        files = ", ".join(settings.like[:3]) + ("" if len(settings.like) < 4 else ", ...")
        self.words = (
            f"Signal of quality {signal!r}, in (0, 1): how like the texts of {files} a document "
            "is, rather than like the corpus."
        )

    def needs(self, project: "Project") -> tuple[str, ...]:
        """Return documents, and what was learned."""
        del project
        return (DOCUMENTS.asset, RESEMBLES_FIT.asset_of(self.signal))

    def settings(self, recipes: "Recipes", source: str) -> Settings:
        """Return how texts are read, and what was learned."""
        learned = recipes.fit(RESEMBLES_FIT, self.signal)
        return {"text": recipes.text(source), "resembles": learned}

    def work(self, recipes: "Recipes", partition: str) -> Task | Maker:
        """Return what scores texts."""
        del partition
        folder = recipes.fit_key(RESEMBLES_FIT, self.signal)
        return ScoreResemblance(fit=str(recipes.lake.path(f"{folder}/{_FILE}")))

    def reads_text(self, project: "Project") -> bool:
        """It reads text."""
        del project
        return True

    def columns(self) -> dict[str, str]:
        """Return the name that its score has in the wide table."""
        return {"score": f"{self.signal}_score"}


class ResemblesLine(Line):
    """Every signal of examples that counts: its fit, and its stage."""

    def stages(self, config: Config) -> tuple[Stage, ...]:
        """Return the stages of a project's signals of examples."""
        return tuple(resembling(config).values())

    def kinds(self) -> tuple[FitStage, ...]:
        """Return the kind of their fits."""
        return (RESEMBLES_FIT,)

    def members(self, project: "Project") -> Iterable[Member]:
        """Return the stages of a project's signals of examples, each after its fit."""
        for name, stage in resembling(project.config).items():
            yield RESEMBLES_FIT, name
            yield stage, ""


RESEMBLES = ResemblesLine()


def resembling(config: Config) -> dict[str, ResemblesStage]:
    """Return the stage of each signal of examples that counts, by its name."""
    every = config.quality.resembles
    return {
        name: ResemblesStage(name, every[name]) for name in config.quality.used if name in every
    }
