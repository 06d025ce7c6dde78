"""Judge arms: draw them with their controls, train on each draw, compare, keep what was found."""

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from samplemix_dagster.config.evaluation import Evaluation
from samplemix_dagster.core.hashing import fingerprint
from samplemix_dagster.core.junk.table import CLEAN
from samplemix_dagster.core.learners.ragged import TokenTexts
from samplemix_dagster.engine.addresses.recipes import Recipes
from samplemix_dagster.engine.outcome import Progress, no_progress
from samplemix_dagster.engine.project import Project
from samplemix_dagster.errors import ConfigError
from samplemix_dagster.storage.lake import keys
from samplemix_dagster.validation.choosing.arms import PROPORTIONAL, Arm, arm_of
from samplemix_dagster.validation.choosing.corpus import JudgedCorpus, read_corpus
from samplemix_dagster.validation.choosing.draws import Design, Drawn, every_draw
from samplemix_dagster.validation.judges import Judge, judges
from samplemix_dagster.validation.known.labels import CorpusLabels, labels_of
from samplemix_dagster.validation.overlaps import HeldOut, held_out
from samplemix_dagster.validation.tasks.figures import counts_of_tasks
from samplemix_dagster.validation.tasks.reading import Task, read_tasks
from samplemix_dagster.validation.texts import read_texts
from samplemix_dagster.validation.training.tokenized import TokenSource
from samplemix_dagster.validation.training.trainings import Training
from samplemix_dagster.validation.verdicts.found import SCHEMA, found_of
from samplemix_dagster.validation.verdicts.judgement import JsonObject


@dataclass(frozen=True, kw_only=True, eq=False)
class Prepared:
    """An evaluation before anything is trained: what it is made of, and what it costs."""

    settings: Evaluation
    recipes: Recipes
    corpus: JudgedCorpus
    arms: list[Arm]
    labels: CorpusLabels | None
    design: Design
    draws: list[Drawn]
    tasks: list[Task]
    judged: HeldOut
    rejected: Mapping[str, int]
    """Rows of the judged files that are no texts, by group."""
    tokens: TokenSource
    judges: list[Judge]

    @property
    def wanted(self) -> list[Training]:
        """Every training that is compared, of every judge."""
        return [one for judge in self.judges for one in judge.wanted]

    @property
    def missing(self) -> list[Training]:
        """Those that are not in the lake."""
        return [one for judge in self.judges for one in judge.missing]

    @property
    def address(self) -> str:
        """The evaluation's name in the lake: a hash of all that it compares."""
        return fingerprint(
            {
                "schema": SCHEMA,
                "arms": [[arm.name, dict(arm.what)] for arm in self.arms],
                "labels": self.labels.digest if self.labels else None,
                "sets": self.settings.every_set,
                **({"tasks": counts_of_tasks(self)} if self.tasks else {}),
                "trainings": [_named(training) for training in self.wanted],
            }
        )

    @property
    def cost(self) -> dict[str, int]:
        """What is to be trained: trainings, the tokens that they read, operations where counted."""
        missing = self.missing
        flops = sum(judge.flops or 0 for judge in self.judges)
        return {
            "trainings": len(missing),
            "of": len({one.address for judge in self.judges for one in judge.every}),
            "tokens": sum(one.drawn.num_tokens for one in missing),
            **({"flops": flops} if flops else {}),
        }


def _named(training: Training) -> list[object]:
    drawn = training.drawn
    return [drawn.arm, drawn.seed, drawn.rung, training.address]


def prepare(
    project: Project,
    words: Sequence[str],
    settings: Evaluation,
    progress: Progress = no_progress,
) -> Prepared:
    """Return an evaluation that is ready to be run.

    Args:
        project: The project, whose corpus has been scored.
        words: The arms (:func:`.arms.arm_of`); ``proportional`` is added, with labels ``clean``.
        settings: How they are judged.
        progress: Told how far looking for overlaps is.

    Raises:
        InputError: The corpus is not scored, there is no text to judge on, an arm is not made.
        ConfigError: There is no such arm, or two have one name.
        InfeasibleMixtureError: An arm has too few tokens.
    """
    recipes = Recipes(project)
    rejected = Counter[str]()
    texts = read_texts(project, settings, rejected)
    tasks = read_tasks(project, settings)
    options = [option for task in tasks for option in task.options()]
    corpus = read_corpus(recipes)
    labels = labels_of(recipes, corpus, settings.labels) if settings.labels else None
    judged = held_out(recipes, corpus, [*texts, *options], settings.max_overlap, progress)
    arms = _arms(recipes, corpus, words or settings.arms or list(project.config.mixtures), labels)
    design = _design(settings, arms)
    tokens = TokenSource(recipes)
    draws = list(every_draw(arms, corpus, design))
    return Prepared(
        settings=settings,
        recipes=recipes,
        corpus=corpus,
        arms=arms,
        labels=labels,
        design=design,
        draws=draws,
        tasks=tasks,
        judged=judged,
        rejected=rejected,
        tokens=tokens,
        judges=judges(
            recipes,
            settings,
            tokens,
            judged.texts,
            draws,
            _tried(arms, corpus, design, settings),
            [arm.name for arm in arms],
        ),
    )


def _tried(
    arms: Sequence[Arm], corpus: JudgedCorpus, design: Design, settings: Evaluation
) -> list[Drawn]:
    """Return a draw of each arm and control of the next seed: weight decays are tried on it."""
    if settings.learner == "ngram":
        return []
    further = replace(design, seeds=[design.seeds[-1] + 1], ladder=[])
    return list(every_draw(arms, corpus, further))


def settled(prepared: Prepared) -> Prepared:
    """Return an evaluation whose arms that repeat have the weight decay that suits them."""
    return replace(prepared, judges=[judge.settled() for judge in prepared.judges])


def _arms(
    recipes: Recipes, corpus: JudgedCorpus, words: Sequence[str], labels: CorpusLabels | None
) -> list[Arm]:
    """Return the arms, the baseline first and then the ceiling, where there is one."""
    first = [PROPORTIONAL] if labels is None else [PROPORTIONAL, CLEAN]
    wanted = [*first, *(one for one in words if one not in first)]
    arms = [arm_of(recipes, corpus, one, labels) for one in wanted]
    names = [arm.name for arm in arms]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ConfigError(f"two arms are called {twice!r}; NAME=... before one calls it otherwise.")
    odd = next((name for name in names if "~" in name), None)
    if odd is not None:
        raise ConfigError(f"an arm's name has no ~, which marks controls: {odd!r}.")
    return arms


def _design(settings: Evaluation, arms: Sequence[Arm]) -> Design:
    seeds = range(settings.seed, settings.seed + settings.seeds)
    pool = settings.pool
    if pool == "auto":
        real = next((arm.real_budget for arm in arms if arm.real_budget), None)
        pool = 1.0 if real is None else min(1.0, settings.budget_tokens / real)
    return Design(
        budget=settings.budget_tokens, seeds=list(seeds), ladder=settings.ladder, pool=float(pool)
    )


def run(prepared: Prepared, progress: Progress = no_progress) -> JsonObject:
    """Train what is missing, and return what was found; it is kept in the lake."""
    began = time.perf_counter()
    cost = prepared.cost
    _train(
        prepared,
        [judge.sweep.missing if judge.sweep else [] for judge in prepared.judges],
        progress,
    )
    prepared = settled(prepared)
    _train(prepared, [judge.missing for judge in prepared.judges], progress)
    lake, key = prepared.recipes.lake, keys.evaluation_result(prepared.address)
    if not lake.exists(key):
        seconds = round(time.perf_counter() - began, 1)
        found = found_of(prepared)
        lake.replace_json(key, {**found, "cost": {**cost, "seconds": seconds}})
    lake.keep_json(keys.CURRENT_EVALUATION, {"evaluation": prepared.address})
    # What was just written is read, too: its keys stand in the same order whoever asks.
    known = dict(lake.read_json(key))
    arms = dict.fromkeys(one["arm"] for one in known["trainings"])
    return {**known, "arms": {arm: known["arms"][arm] for arm in arms}}


def _train(prepared: Prepared, missing: Sequence[Sequence[Training]], progress: Progress) -> None:
    """Make trainings, those of each judge."""
    if not any(missing):
        return
    corpus = prepared.corpus
    is_drawn = np.zeros(corpus.ids.size, dtype=bool)
    for one in (one for of_judge in missing for one in of_judge):
        is_drawn[one.drawn.rows] = True
    rows = np.flatnonzero(is_drawn)
    texts = prepared.tokens.documents(corpus, rows, progress)
    place = np.full(corpus.ids.size, -1, dtype=np.int64)
    place[rows] = np.arange(rows.size)

    def tokens_of(drawn: Drawn) -> TokenTexts:
        return texts.take(place[corpus.pool.order(drawn.rows, drawn.copies, drawn.seed)])

    workers = prepared.recipes.project.num_workers
    for judge, of_judge in zip(prepared.judges, missing, strict=True):
        judge.trainings.run(of_judge, tokens_of, workers, progress)
