"""Train a small reference on a sample of the corpus, and measure what it remembers of it.

Architecture and optimiser are in ``core.quality.bootstrap``.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from samplemix_dagster.config.scoring.models import Bootstrap
from samplemix_dagster.core.hashing import id_words
from samplemix_dagster.engine.fitting.writer import FitWriter
from samplemix_dagster.engine.stages import Facts

MOST_TESTED_TEXTS = 500
_FEWEST_OF_SOURCE = 5
_GAP_CHARACTERS = 2_000


def train_bootstrap(
    ids: list[str],
    sources: list[str],
    texts: list[str],
    writer: FitWriter,
    bootstrap: Bootstrap,
    progress: Callable[[int, int], None],
) -> Facts:
    """Train a reference on texts, cross-fitted where it remembers them, and say what is known.

    Args:
        ids: Of the texts of the sample, in its order.
        sources: The source of each.
        texts: Enough of them and :data:`MOST_TESTED_TEXTS` more, or all that there are.
        writer: Fills the folder of the version.
        bootstrap: How it is trained.
        progress: Told how many tokens of how many are there.
    """
    from samplemix_dagster.core.quality.bootstrap import (
        BootstrapRecipe,
        fold_of,
        train_reference,
        train_tokenizer,
    )
    from samplemix_dagster.engine.shards.working.loaded import one_thread
    from samplemix_dagster.storage.models.load import digest_model, save_reference

    one_thread()
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
    from samplemix_dagster.core.quality.loss.token_loss import text_losses

    sides = [np.flatnonzero(is_member == own)[:MOST_TESTED_TEXTS] for own in (True, False)]
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
