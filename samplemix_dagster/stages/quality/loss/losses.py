"""What a worker does to texts with a reference: their losses, whole or from windows."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from samplemix_dagster import tables
from samplemix_dagster.core.hashing import id_words, round_significant, uniforms
from samplemix_dagster.core.quality.loss.spread_windows import NUM_WINDOWS
from samplemix_dagster.engine.shards.working import loaded
from samplemix_dagster.engine.shards.working.tasks import ModelTask
from samplemix_dagster.engine.stages import Settings
from samplemix_dagster.table_contract import Column, Table

if TYPE_CHECKING:
    from pathlib import Path

    from samplemix_dagster.config.around import TokenizingLibrary
    from samplemix_dagster.core.quality.loss.sampled_loss import SampledLosses
    from samplemix_dagster.engine.addresses.model_recipes import ModelRecipes
    from samplemix_dagster.engine.addresses.recipes import Recipes

SAMPLED = Table(
    tables.PERPLEXITY.name,
    "One row per document of a shard: its loss under a reference, from windows of a long one.",
    (
        *tables.PERPLEXITY.columns,
        Column(
            "bits_per_byte_error",
            pa.float64(),
            "standard error of bits per byte, as those of the whole text; 0: it was scored whole",
        ),
        Column("num_read_tokens", pa.int64(), "tokens that the reference read, context counted"),
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Losses(ModelTask):
    """Score each text with a reference."""

    context_tokens: int
    overlap_tokens: int
    tokens_per_document: int | None = None
    """Most tokens of a long text that are scored; None: all of them."""
    with_error: bool = False
    """Whether the table has the columns of windows where whole texts are scored, too."""

    def run(self, doc_ids: list[str], texts: list[str]) -> pa.Table:
        """Return the ``perplexity`` table of a chunk."""
        from samplemix_dagster.core.quality.bootstrap import fold_of

        reference = loaded.reference(self.folder, self.digest, self.device, self.dtype)
        folds = fold_of(id_words(doc_ids)) % len(reference.models)
        chosen = [np.flatnonzero(folds == fold) for fold in range(len(reference.models))]
        parts = [
            self._columns(reference, model, [doc_ids[n] for n in own], [texts[n] for n in own])
            for model, own in zip(reference.models, chosen, strict=True)
        ]
        order = np.argsort(np.concatenate(chosen))
        is_plain = self.tokens_per_document is None and not self.with_error
        table = tables.PERPLEXITY if is_plain else SAMPLED
        names = [column.name for column in table.columns[1:]]
        columns = {name: np.concatenate([part[name] for part in parts])[order] for name in names}
        return table.make(doc_id=doc_ids, **columns)

    def _columns(
        self, reference: Any, model: Any, doc_ids: list[str], texts: list[str]
    ) -> dict[str, npt.NDArray[Any]]:
        """Return the columns of texts that one model scores."""
        losses = self._losses(reference, model, doc_ids, texts)
        # Where nothing can be scored (one token, no start token), it is charged as a guess.
        guess = losses.num_tokens * math.log(model.config.vocab_size)
        is_scored = losses.num_scored_tokens > 0
        bits = guess / (math.log(2.0) * losses.num_scored_bytes)
        perplexity = np.where(is_scored, losses.perplexity(), model.config.vocab_size)
        found = {
            "nll_nats": np.where(is_scored, losses.nll_nats, guess),
            "bits_per_byte": np.where(
                is_scored, losses.bits_per_byte(losses.num_scored_bytes), bits
            ),
            "perplexity": perplexity,
        }
        return {name: round_significant(values) for name, values in found.items()} | {
            # A difference: of its digits, those are sure that the loss's own last ones leave.
            "bits_per_byte_error": np.round(losses.nats_per_byte_error / math.log(2.0), 4),
            "num_scored_tokens": losses.num_scored_tokens,
            "num_reference_tokens": losses.num_tokens,
            "num_read_tokens": losses.num_read_tokens,
        }

    def _losses(
        self, reference: Any, model: Any, doc_ids: list[str], texts: list[str]
    ) -> "SampledLosses":
        from samplemix_dagster.core.quality.loss.sampled_loss import sampled_losses

        context_tokens = min(self.context_tokens, reference.context_tokens)
        words = id_words(doc_ids)
        luck = [uniforms(words, 0, f"window-{number}") for number in range(NUM_WINDOWS)]
        return sampled_losses(
            model,
            reference.tokenizer,
            texts,
            np.stack(luck, axis=1),
            tokens_per_document=self.tokens_per_document,
            start_token_id=reference.start_token_id,
            context_tokens=context_tokens,
            # A window of a short-sighted model must still move on by half of itself.
            overlap_tokens=min(self.overlap_tokens, context_tokens // 2),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class NgramLosses(ModelTask):
    """Score each text with an n-gram reference, whole, and left out of what was counted."""

    library: "TokenizingLibrary"

    def run(self, doc_ids: list[str], texts: list[str]) -> pa.Table:
        """Return the ``perplexity`` table of a chunk."""
        reference = loaded.ngram_reference(self.folder, self.digest)
        tokens = loaded.ngram_text_ids(self.folder, self.digest, self.library).of(texts)
        nats = reference.nats(id_words(doc_ids)[:, 0], texts, tokens)
        num_tokens = np.array([found.size for found in tokens], dtype=np.int64)
        num_bytes = np.array([len(text.encode()) for text in texts], dtype=np.int64)
        return tables.PERPLEXITY.make(
            doc_id=doc_ids,
            nll_nats=round_significant(nats),
            num_scored_tokens=num_tokens,
            num_reference_tokens=num_tokens,
            bits_per_byte=round_significant(nats / (math.log(2.0) * np.maximum(num_bytes, 1))),
            perplexity=round_significant(np.exp(nats / np.maximum(num_tokens, 1))),
        )


def ngram_losses(models: "ModelRecipes", folder: "Path", digest: str) -> NgramLosses:
    """Return what scores texts with the n-gram reference in a folder."""
    return NgramLosses(
        folder=str(folder),
        digest=digest,
        device="cpu",
        dtype=models.dtype,
        library=models.config.compute.tokenize_with,
    )


def loss_settings(recipes: "Recipes", source: str, name: str) -> Settings:
    """Return what the losses of a source's texts under a reference depend on.

    Of one that counts n-grams no machine and no window is part: it reads whole texts.
    """
    found = {"text": recipes.text(source), "reference": recipes.reference_digest(name)}
    if recipes.counts_ngrams(name):
        return found
    quality = recipes.config.quality
    sampled = quality.tokens_per_document
    return {
        **found,
        "dtype": recipes.dtype,
        "context_tokens": recipes.context_tokens,
        "overlap_tokens": quality.overlap_tokens,
        **({} if sampled is None else {"tokens_per_document": sampled}),
    }


def losses_of_texts(
    models: "ModelRecipes", name: str, folder: "Path", digest: str
) -> Losses | NgramLosses:
    """Return what scores texts with a reference in a folder, of whatever kind it is."""
    if models.counts_ngrams(name):
        return ngram_losses(models, folder, digest)
    return reference_losses(models, folder, digest)


def reference_losses(models: "ModelRecipes", folder: "Path", digest: str) -> Losses:
    """Return what scores texts with the reference in a folder, as the configuration wants it."""
    return Losses(
        folder=str(folder),
        digest=digest,
        device=models.device,
        dtype=models.dtype,
        context_tokens=models.context_tokens,
        overlap_tokens=models.config.quality.overlap_tokens,
        tokens_per_document=models.config.quality.tokens_per_document,
    )
