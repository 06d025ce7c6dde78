"""Judge arms: draw them with their controls, train on each draw, compare, keep what was found."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from samplemix_dagster.config.evaluation import Evaluation
from samplemix_dagster.core.hashing import fingerprint
from samplemix_dagster.core.learners.learner import Learner, NgramLearner
from samplemix_dagster.core.learners.ragged import TokenTexts
from samplemix_dagster.engine.addresses.recipes import Recipes
from samplemix_dagster.engine.outcome import Progress, no_progress
from samplemix_dagster.engine.project import Project
from samplemix_dagster.errors import ConfigError
from samplemix_dagster.storage.lake import keys
from samplemix_dagster.validation.arms import PROPORTIONAL, Arm, arm_of
from samplemix_dagster.validation.corpus import JudgedCorpus, read_corpus
from samplemix_dagster.validation.draws import (
    Design,
    Drawn,
    control_name,
    every_draw,
    names_with_controls,
)
from samplemix_dagster.validation.judgement import (
    JsonObject,
    Judged,
    against_controls,
    domains,
    judgement,
    ranking,
    recovered,
    strength,
)
from samplemix_dagster.validation.labels import CLEAN, read_labels
from samplemix_dagster.validation.overlaps import HeldOut, held_out
from samplemix_dagster.validation.texts import read_texts, texts_digest
from samplemix_dagster.validation.tokenized import TokenSource
from samplemix_dagster.validation.trainings import Training, Trainings

Floats = npt.NDArray[np.float64]
SCHEMA = 1


@dataclass(frozen=True, kw_only=True, eq=False)
class Prepared:
    """An evaluation before anything is trained: what it is made of, and what it costs."""

    settings: Evaluation
    recipes: Recipes
    corpus: JudgedCorpus
    arms: list[Arm]
    design: Design
    judged: HeldOut
    trainings: Trainings
    wanted: list[Training]
    missing: list[Training]
    tokens: TokenSource
    learner: Learner

    @property
    def address(self) -> str:
        """The evaluation's name in the lake: a hash of all that it compares."""
        return fingerprint(
            {
                "schema": SCHEMA,
                "arms": [[arm.name, dict(arm.what)] for arm in self.arms],
                "sets": self.settings.every_set,
                "trainings": [
                    [t.drawn.arm, t.drawn.seed, t.drawn.rung, t.address] for t in self.wanted
                ],
            }
        )

    @property
    def cost(self) -> dict[str, int]:
        """What is to be trained: trainings, and the tokens that they read."""
        return {
            "trainings": len(self.missing),
            "of": len({one.address for one in self.wanted}),
            "tokens": sum(one.drawn.num_tokens for one in self.missing),
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
    texts = read_texts(project, settings)
    corpus = read_corpus(recipes)
    judged = held_out(recipes, corpus, texts, settings.max_overlap, progress)
    arms = _arms(recipes, corpus, words, settings)
    design = _design(settings, arms)
    tokens = TokenSource(recipes)
    pieces = TokenTexts.of(tokens.encode([text.piece for text in judged.texts]))
    learner = NgramLearner(pieces, order=settings.order, vocabulary=tokens.vocabulary)
    trainings = Trainings(
        project.lake,
        learner,
        judged.texts,
        tokens=tokens.digest,
        judged=texts_digest(judged.texts),
    )
    wanted = [trainings.of(drawn) for drawn in every_draw(arms, corpus, design)]
    return Prepared(
        settings=settings,
        recipes=recipes,
        corpus=corpus,
        arms=arms,
        design=design,
        judged=judged,
        trainings=trainings,
        wanted=wanted,
        missing=trainings.missing(wanted),
        tokens=tokens,
        learner=learner,
    )


def _arms(
    recipes: Recipes, corpus: JudgedCorpus, words: Sequence[str], settings: Evaluation
) -> list[Arm]:
    wanted = list(words) or settings.arms or list(recipes.config.mixtures)
    labels = None
    if settings.labels is not None:
        labels = read_labels(recipes, corpus, settings.labels)
        wanted = [CLEAN, *(one for one in wanted if one != CLEAN)]
    wanted = [PROPORTIONAL, *(one for one in wanted if one != PROPORTIONAL)]
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
    _train(prepared, progress)
    found = _found(prepared)
    key = keys.evaluation_result(prepared.address)
    lake = prepared.recipes.lake
    known = lake.read_json(key)
    seconds = time.perf_counter() - began
    if known is None:
        cost = {**prepared.cost, "seconds": round(seconds, 1)}
        known = {**found, "cost": cost}
        lake.replace_json(key, known)
    lake.keep_json(keys.CURRENT_EVALUATION, {"evaluation": prepared.address})
    return dict(known)


def _train(prepared: Prepared, progress: Progress) -> None:
    if not prepared.missing:
        return
    corpus = prepared.corpus
    is_drawn = np.zeros(corpus.ids.size, dtype=bool)
    for one in prepared.missing:
        is_drawn[one.drawn.rows] = True
    rows = np.flatnonzero(is_drawn)
    texts = prepared.tokens.documents(corpus, rows, progress)
    place = np.full(corpus.ids.size, -1, dtype=np.int64)
    place[rows] = np.arange(rows.size)

    def tokens_of(drawn: Drawn) -> TokenTexts:
        return texts.take(place[corpus.pool.order(drawn.rows, drawn.copies, drawn.seed)])

    workers = prepared.recipes.project.num_workers
    prepared.trainings.run(prepared.missing, tokens_of, workers, progress)


def _found(prepared: Prepared) -> JsonObject:
    judged = _judged(prepared)
    names = names_with_controls(prepared.arms, prepared.corpus)
    own = [arm.name for arm in prepared.arms]
    arms = judgement(judged, names, PROPORTIONAL)
    for name in names:
        has_ceiling = CLEAN in own
        gained = recovered(judged, name, PROPORTIONAL, CLEAN) if has_ceiling else None
        arms[name]["recovered"] = gained
    for arm in prepared.arms:
        arms[arm.name] |= _of_arm(prepared, judged, arm)
    design = prepared.design
    return {
        "schema": SCHEMA,
        "evaluation": prepared.address,
        "learner": prepared.learner.name,
        "learner_settings": dict(prepared.learner.recipe),
        "seeds": len(design.seeds),
        "strength": strength(len(design.seeds)),
        "budget_tokens": design.budget,
        "pool": design.pool,
        "ladder": list(design.ladder),
        "baseline": PROPORTIONAL,
        "texts": _texts(prepared),
        "sets": {name: list(groups) for name, groups in prepared.settings.every_set.items()},
        "arms": arms,
        "ranking": ranking(judged, own),
        "undecided": [],
    }


def _of_arm(prepared: Prepared, judged: Judged, arm: Arm) -> JsonObject:
    mine = [one.drawn for one in prepared.wanted if one.drawn.arm == arm.name]
    drawn = [one for one in mine if one.rung == 1.0]
    controls = [control_name(arm.name, name) for name in prepared.corpus.controls]
    is_baseline = arm.name == PROPORTIONAL
    return {
        "what": dict(arm.what),
        "max_copies": arm.max_copies,
        "missing_documents": arm.missing,
        "draws": {
            "tokens": round(float(np.mean([one.num_tokens for one in drawn]))),
            "documents": round(float(np.mean([one.rows.size for one in drawn]))),
        },
        "against_controls": {} if is_baseline else against_controls(judged, arm.name, controls),
        "domains": domains(judged, arm.name, PROPORTIONAL),
    }


def _texts(prepared: Prepared) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for text in prepared.judged.texts:
        entry = found.setdefault(text.group, {"texts": 0, "bytes": 0, "refused": 0})
        entry["texts"] += 1
        entry["bytes"] += text.num_bytes
    for group, count in prepared.judged.refused.items():
        found[group]["refused"] = count
    return found


def _judged(prepared: Prepared) -> Judged:
    nats: dict[tuple[str, float], list[Floats]] = {}
    tokens: dict[tuple[str, float], list[int]] = {}
    known: dict[str, Floats] = {}
    for one in prepared.wanted:
        if one.address not in known:
            known[one.address] = prepared.trainings.losses(one)
        mark = (one.drawn.arm, one.drawn.rung)
        nats.setdefault(mark, []).append(known[one.address])
        tokens.setdefault(mark, []).append(one.drawn.num_tokens)
    seeds = len(prepared.design.seeds)
    texts = prepared.judged.texts
    return Judged(
        groups=np.array([text.group for text in texts]),
        num_bytes=np.array([text.num_bytes for text in texts]),
        # A rung that some seed could not reach says nothing.
        nats={mark: np.stack(rows) for mark, rows in nats.items() if len(rows) == seeds},
        tokens={mark: float(np.mean(counts)) for mark, counts in tokens.items()},
        sets=prepared.settings.every_set,
    )
