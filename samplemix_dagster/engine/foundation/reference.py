"""Make a reference: find the one that is named, train a small one on the corpus, or count n-grams.

What it reads is said in ``reference_sample.py``; a few documents more are read to measure what a
trained one remembers of its own. Architecture and optimiser are in ``core.quality.bootstrap``, and
what is counted, in ``ngram_reference.py``.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from samplemix_dagster.config.models import Bootstrap
from samplemix_dagster.config.project import Config
from samplemix_dagster.core.hashing import id_words
from samplemix_dagster.engine.fitting.writer import FitWriter
from samplemix_dagster.engine.foundation.documents import DOCUMENTS
from samplemix_dagster.engine.foundation.ngram_reference import count_reference
from samplemix_dagster.engine.foundation.reference_sample import sample_texts
from samplemix_dagster.engine.outcome import Progress
from samplemix_dagster.engine.project import PlacedShard, Project
from samplemix_dagster.engine.stages import WHOLE_CORPUS, Facts, Fit, Settings

if TYPE_CHECKING:
    from samplemix_dagster.engine.addresses.recipes import Recipes

_TESTED_TEXTS = 500
_FEWEST_OF_SOURCE = 5
_GAP_CHARACTERS = 2_000


class Reference(Fit):
    """A model whose perplexity is quality: named, or made here from the corpus."""

    name = "reference"
    asset = "reference_model"
    group = "reference"
    words = "A reference: a model of text, found where it is named or made here from the corpus."
    by_drift = False
    uses_model = True

    def names(self, project: Project) -> tuple[str, ...]:
        """Return the references that a project names."""
        return tuple(project.config.references)

    def is_used(self, config: Config, name: str) -> bool:
        """Whether it scores, or its tokenizer counts."""
        return name in {config.quality.reference, config.tokenizer.reference}

    def is_given(self, config: Config, name: str) -> bool:
        """Whether it is named, rather than made here."""
        return config.references[name].model is not None

    def needs(self, project: Project, name: str) -> tuple[str, ...]:
        """Return the corpus that it is made from; nothing where it is named."""
        if self.is_given(project.config, name):
            return ()
        return (DOCUMENTS.asset, *WHOLE_CORPUS)

    def waits(self) -> tuple[str, ...]:
        """Return nothing: one that is named can be looked at first."""
        return ()

    def settings(self, recipes: "Recipes", name: str) -> Settings:
        """Return the digest of its files, or how it is made."""
        reference = recipes.config.references[name]
        for key in ("bootstrap", "ngram"):
            if (section := getattr(reference, key)) is not None:
                return {key: section.for_recipe()}
        return {"model": recipes.reference_digest(name)}

    def shards(self, recipes: "Recipes", name: str) -> list[PlacedShard]:
        """Return the shards of the sources that it is made from."""
        if self.is_given(recipes.config, name):
            return []
        _, wanted = recipes.config.references[name].made_from
        every = recipes.project.all_shards()
        return [shard for shard in every if wanted is None or shard.source in wanted]

    def make(self, recipes: "Recipes", writer: FitWriter, name: str, progress: Progress) -> Facts:
        """Make it from the corpus, or say what is known of the one that is named."""
        reference = recipes.config.references[name]

        def report(done: int, total: int) -> None:
            progress(self.asset_of(name), "", done, total)

        if reference.bootstrap is not None:
            return _train(recipes, writer, reference.bootstrap, report)
        if reference.ngram is not None:
            ngram = reference.ngram
            ids, _, texts = sample_texts(recipes, ngram.tokens, ngram.sources, more=0)
            return count_reference(ids, texts, writer, ngram, report)
        return _named_facts(recipes, name)


REFERENCE = Reference()


def made_from(recipe: Settings) -> Mapping[str, Any] | None:
    """Return how a reference was made from the corpus, by its fit's recipe; None: it was named."""
    found: Mapping[str, Any] | None = recipe.get("bootstrap", recipe.get("ngram"))
    return found


def _named_facts(recipes: "Recipes", name: str) -> Facts:
    from samplemix_dagster.storage.models.files import count_parameters

    folder = recipes.reference_folder(name)
    return {
        "kind": "model",
        "model": recipes.config.references[name].model,
        "model_digest": recipes.reference_digest(name),
        "num_parameters": count_parameters(folder),
    }


def _train(
    recipes: "Recipes",
    writer: FitWriter,
    bootstrap: Bootstrap,
    progress: Callable[[int, int], None],
) -> Facts:
    from samplemix_dagster.core.quality.bootstrap import (
        BootstrapRecipe,
        fold_of,
        train_reference,
        train_tokenizer,
    )
    from samplemix_dagster.engine.shards.loaded import one_thread
    from samplemix_dagster.storage.models.load import digest_model, save_reference

    one_thread()
    ids, sources, texts = sample_texts(
        recipes, bootstrap.tokens, bootstrap.sources, more=_TESTED_TEXTS
    )
    recipe = BootstrapRecipe(
        tokens=bootstrap.tokens,
        vocabulary=bootstrap.vocabulary,
        layers=bootstrap.layers,
        width=bootstrap.width,
        context_tokens=bootstrap.context,
        seed=bootstrap.seed,
    )
    tokenizer = train_tokenizer(texts, bootstrap.vocabulary)
    folder = writer.folder / "model"
    facts: Facts = {"kind": "bootstrap", "cross_fit": False}
    is_crossed = bootstrap.cross_fit == "always"
    if not is_crossed:
        model, report = train_reference(texts, tokenizer, recipe, progress=progress)
        gap, error = _gap(model, tokenizer, texts, sources, report.is_member)
        facts |= _report(report) | {
            "memorisation_gap_bits_per_byte": gap,
            "memorisation_gap_standard_error": error,
        }
        is_crossed = bootstrap.cross_fit == "auto" and gap is not None and gap > bootstrap.max_gap
        if not is_crossed:
            save_reference(model, tokenizer, folder)
    if is_crossed:
        folds = fold_of(id_words(ids))
        for fold in (0, 1):
            # The model that scores a fold has only seen the other one.
            half = [text for text, own in zip(texts, folds, strict=True) if own != fold]
            model, report = train_reference(half, tokenizer, recipe, progress=progress)
            save_reference(model, tokenizer, folder / f"fold-{fold}")
            facts |= _report(report)
        facts["cross_fit"] = True
    facts["model_digest"] = digest_model(folder)
    return facts


def _report(report: Any) -> Facts:
    return {
        "num_parameters": report.num_parameters,
        "num_training_tokens": report.num_tokens,
        "num_steps": report.num_steps,
        "num_training_documents": int(report.is_member.sum()),
        "first_bits_per_token": round(report.first_bits_per_token, 4),
        "last_bits_per_token": round(report.last_bits_per_token, 4),
    }


def _gap(
    model: Any,
    tokenizer: Any,
    texts: list[str],
    sources: list[str],
    is_member: npt.NDArray[np.bool_],
) -> tuple[float | None, float | None]:
    """What the model forgives its own texts, and its standard error.

    Members and others are compared inside each source, since sources differ by far more than a
    model remembers; sources are weighed by the smaller of their two sides. (None, None) when it
    has seen every text there is.
    """
    from samplemix_dagster.core.quality.bootstrap import SEPARATOR, memorisation_gap
    from samplemix_dagster.core.quality.token_loss import text_losses

    sides = [np.flatnonzero(is_member == own)[:_TESTED_TEXTS] for own in (True, False)]
    chosen = np.concatenate(sides)
    shown = [texts[index][:_GAP_CHARACTERS] for index in chosen]
    losses = text_losses(
        model,
        tokenizer,
        shown,
        start_token_id=tokenizer.token_to_id(SEPARATOR),
        context_tokens=model.config.max_position_embeddings,
        overlap_tokens=0,
    )
    num_bytes = np.array([len(text.encode()) for text in shown])
    bits = losses.bits_per_byte(num_bytes)
    own = is_member[chosen]
    names = np.array([sources[index] for index in chosen])
    gaps, variances, weights = [], [], []
    for name in np.unique(names):
        left, right = (names == name) & own, (names == name) & ~own
        if left.sum() < _FEWEST_OF_SOURCE or right.sum() < _FEWEST_OF_SOURCE:
            continue
        gaps.append(
            memorisation_gap(
                member_bits_per_byte=bits[left],
                member_bytes=num_bytes[left],
                other_bits_per_byte=bits[right],
                other_bytes=num_bytes[right],
            )
        )
        variances.append(sum(_variance(bits[s], num_bytes[s]) for s in (left, right)))
        weights.append(min(num_bytes[left].sum(), num_bytes[right].sum()))
    if not gaps:
        return None, None
    shares = np.array(weights) / sum(weights)
    error = float(np.sqrt((shares**2 * np.array(variances)).sum()))
    return round(float(shares @ np.array(gaps)), 5), round(error, 5)


def _variance(values: npt.NDArray[np.float64], weights: npt.NDArray[np.int64]) -> float:
    """Return the variance of a weighted mean."""
    shares = weights / weights.sum()
    mean = float(shares @ values)
    return float((shares**2 * (values - mean) ** 2).sum())
