"""perplexity: the loss of each text under the reference."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from samplemix_dagster import tables
from samplemix_dagster.core.hashing import id_words, round_significant
from samplemix_dagster.engine.foundation.documents import DOCUMENTS
from samplemix_dagster.engine.foundation.reference import REFERENCE
from samplemix_dagster.engine.project import Project
from samplemix_dagster.engine.shards import loaded
from samplemix_dagster.engine.shards.tasks import ModelTask
from samplemix_dagster.engine.stages import Settings, Task
from samplemix_dagster.stages.of_model import ModelStage

if TYPE_CHECKING:
    from samplemix_dagster.engine.addresses.model_recipes import ModelRecipes
    from samplemix_dagster.engine.addresses.recipes import Recipes


@dataclass(frozen=True, slots=True, kw_only=True)
class Losses(ModelTask):
    """Score each text with a reference."""

    context_tokens: int
    overlap_tokens: int

    def run(self, doc_ids: list[str], texts: list[str]) -> pa.Table:
        """Return the ``perplexity`` table of a chunk."""
        from samplemix_dagster.core.quality.bootstrap import fold_of
        from samplemix_dagster.core.quality.token_loss import text_losses

        reference = loaded.reference(self.folder, self.digest, self.device, self.dtype)
        num_bytes = np.array([len(text.encode()) for text in texts], dtype=np.int64)
        context_tokens = min(self.context_tokens, reference.context_tokens)
        # A window of a short-sighted model must still move on by half of itself.
        overlap_tokens = min(self.overlap_tokens, context_tokens // 2)
        folds = fold_of(id_words(doc_ids)) % len(reference.models)
        columns = {name: np.zeros(len(texts)) for name in ("nll", "bits", "perplexity")}
        counts = {name: np.zeros(len(texts), dtype=np.int64) for name in ("scored", "tokens")}
        for fold, model in enumerate(reference.models):
            chosen = np.flatnonzero(folds == fold)
            losses = text_losses(
                model,
                reference.tokenizer,
                [texts[index] for index in chosen],
                start_token_id=reference.start_token_id,
                context_tokens=context_tokens,
                overlap_tokens=overlap_tokens,
            )
            # Where nothing can be scored (one token, no start token), it is charged as a guess.
            guess = losses.num_tokens * math.log(model.config.vocab_size)
            is_scored = losses.num_scored_tokens > 0
            columns["nll"][chosen] = np.where(is_scored, losses.nll_nats, guess)
            bits = guess / (math.log(2.0) * num_bytes[chosen])
            found = losses.bits_per_byte(num_bytes[chosen])
            columns["bits"][chosen] = np.where(is_scored, found, bits)
            perplexity = np.where(is_scored, losses.perplexity(), model.config.vocab_size)
            columns["perplexity"][chosen] = perplexity
            counts["scored"][chosen] = losses.num_scored_tokens
            counts["tokens"][chosen] = losses.num_tokens
        return tables.PERPLEXITY.make(
            doc_id=doc_ids,
            nll_nats=round_significant(columns["nll"]),
            num_scored_tokens=counts["scored"],
            num_reference_tokens=counts["tokens"],
            bits_per_byte=round_significant(columns["bits"]),
            perplexity=round_significant(columns["perplexity"]),
        )


class Perplexity(ModelStage):
    """Nats, bits per byte and perplexity of each document."""

    name = "perplexity"
    asset = "perplexity"
    group = "quality"
    table = tables.PERPLEXITY
    words = (
        "Loss of each document under the reference: nats, scored tokens, bits per byte "
        "(canonical) and perplexity. It measures fluency and domain, not truth or spam."
    )
    is_wide = True
    uses_model = True
    counted_column = "num_reference_tokens"
    model = "reference"

    def needs(self, project: Project) -> tuple[str, ...]:
        """Return the documents and the reference that scores."""
        return (DOCUMENTS.asset, REFERENCE.asset_of(project.config.quality.reference))

    def settings(self, recipes: "Recipes", source: str) -> Settings:
        """Return how texts are read and cut into windows, and the reference."""
        return {
            "text": recipes.text(source),
            "reference": recipes.reference_digest(recipes.config.quality.reference),
            "dtype": recipes.dtype,
            "context_tokens": recipes.context_tokens,
            "overlap_tokens": recipes.config.quality.overlap_tokens,
        }

    def found(self, models: "ModelRecipes") -> tuple[Path, str]:
        """Return where the reference lies, and its digest."""
        name = models.config.quality.reference
        return models.reference_folder(name), models.reference_digest(name)

    def scorer(self, models: "ModelRecipes", folder: Path, digest: str) -> Task:
        """Return what scores texts with a reference."""
        return Losses(
            folder=str(folder),
            digest=digest,
            device=models.device,
            dtype=models.dtype,
            context_tokens=models.context_tokens,
            overlap_tokens=models.config.quality.overlap_tokens,
        )


PERPLEXITY = Perplexity()
