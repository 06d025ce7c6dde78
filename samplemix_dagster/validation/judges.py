"""Who judges: the learners that an evaluation trains, and what each is trained on."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from samplemix_dagster.config.evaluation import Evaluation
from samplemix_dagster.core.learners.learner import Learner, NgramLearner
from samplemix_dagster.core.learners.ragged import TokenTexts
from samplemix_dagster.core.learners.sizes import SIZES, SMALL_RATE
from samplemix_dagster.engine.addresses.recipes import Recipes
from samplemix_dagster.validation.decays import Sweep, sweep_of
from samplemix_dagster.validation.texts import JudgedText, texts_digest
from samplemix_dagster.validation.training.tokenized import TokenSource
from samplemix_dagster.validation.training.trainings import Training, Trainings

if TYPE_CHECKING:
    from samplemix_dagster.validation.choosing.draws import Drawn


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Judge:
    """A learner with the trainings that are asked of it."""

    learner: Learner
    trainings: Trainings
    wanted: list[Training]
    sweep: Sweep | None = None
    """Which weight decay suits arms that repeat; their trainings are wanted at what it chose."""

    @property
    def every(self) -> list[Training]:
        """What is wanted, and before it what the sweep tries."""
        return [*(self.sweep.wanted if self.sweep else []), *self.wanted]

    @property
    def missing(self) -> list[Training]:
        """Those that are not in the lake."""
        return self.trainings.missing(self.every)

    @property
    def missing_of_sweep(self) -> list[Training]:
        """Those that are tried and not in the lake."""
        return self.sweep.missing if self.sweep else []

    def settled(self) -> "Judge":
        """Return the judge with each training at the weight decay that the sweep chooses."""
        if self.sweep is None:
            return self
        decays = self.sweep.chosen()
        wanted = [self.trainings.of(one.drawn, decays.get(one.drawn.arm)) for one in self.wanted]
        return replace(self, wanted=wanted)

    @property
    def flops(self) -> int | None:
        """Operations that the missing ones take; None where that is not how it is counted."""
        size = SIZES.get(str(self.learner.recipe.get("size")))
        if size is None:
            return None
        vocabulary, length = (int(str(self.learner.recipe[k])) for k in ("vocabulary", "length"))
        per_token = size.flops_per_token(vocabulary, length)
        return per_token * sum(one.drawn.num_tokens for one in self.missing)


def judges(
    recipes: Recipes,
    settings: Evaluation,
    tokens: TokenSource,
    texts: Sequence[JudgedText],
    draws: "Sequence[Drawn]",
    tried: "Sequence[Drawn]",
    arms: Sequence[str],
) -> list[Judge]:
    """Return the judge whose figures are reported, then the one that it must agree with, if any.

    Args:
        recipes: Of the project.
        settings: Which learner.
        tokens: The tokenizer.
        texts: What is judged; options of tasks are the last.
        draws: Everything that was drawn; a second judge has the arms at the full budget alone.
        tried: A draw of each arm and control on which weight decays are tried.
        arms: The arms' names, without controls.
    """
    pieces = tokens.judged([text for text in texts if text.task is None])
    of_tasks = [text for text in texts if text.task is not None]
    options = tokens.options(of_tasks) if of_tasks else None
    found = []
    for number, learner in enumerate(_learners(recipes, settings, tokens, pieces, options)):
        trainings = Trainings(
            recipes.lake, learner, texts, tokens=tokens.digest, judged=texts_digest(texts)
        )
        own = [one for one in draws if number == 0 or (one.arm in arms and one.rung == 1.0)]
        # At the small rate of the second judge weights hardly decay, so that it has nothing to try.
        sweep = sweep_of(trainings, settings, texts, tried) if number == 0 else None
        wanted = [trainings.of(one) for one in own]
        judge = Judge(learner=learner, trainings=trainings, wanted=wanted, sweep=sweep)
        found.append(judge.settled())
    return found


def _learners(
    recipes: Recipes,
    settings: Evaluation,
    tokens: TokenSource,
    pieces: TokenTexts,
    options: TokenTexts | None,
) -> Iterator[Learner]:
    if settings.learner == "ngram":
        yield NgramLearner(
            pieces, order=settings.order, vocabulary=tokens.vocabulary, options=options
        )
        return
    from samplemix_dagster.core.learners.transformer import TransformerLearner

    rates = (
        (settings.learning_rate, SMALL_RATE) if settings.second_judge else (settings.learning_rate,)
    )
    for rate in rates:
        yield TransformerLearner(
            pieces,
            size=settings.size,
            vocabulary=tokens.vocabulary,
            options=options,
            device=recipes.device,
            dtype=recipes.dtype,
            learning_rate=rate,
            weight_decay=settings.weight_decay,
            length=settings.context_tokens,
        )
