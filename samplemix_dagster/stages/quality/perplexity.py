"""perplexity: the loss of each text under the reference, whole or from windows of a long one."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from samplemix_dagster import tables
from samplemix_dagster.config.project import Config
from samplemix_dagster.core.hashing import id_words, round_significant, uniforms
from samplemix_dagster.core.quality.spread_windows import NUM_WINDOWS
from samplemix_dagster.engine.foundation.documents import DOCUMENTS
from samplemix_dagster.engine.foundation.reference import REFERENCE
from samplemix_dagster.engine.project import Project
from samplemix_dagster.engine.shards import loaded
from samplemix_dagster.engine.shards.tasks import ModelTask
from samplemix_dagster.engine.stages import Member, Settings, Stage, Task
from samplemix_dagster.stages.of_model import ModelStage
from samplemix_dagster.tables import Column, Table

if TYPE_CHECKING:
    from samplemix_dagster.core.quality.sampled_loss import SampledLosses
    from samplemix_dagster.engine.addresses.model_recipes import ModelRecipes
    from samplemix_dagster.engine.addresses.recipes import Recipes

_SAMPLED = Table(
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
        table = tables.PERPLEXITY if self.tokens_per_document is None else _SAMPLED
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
        from samplemix_dagster.core.quality.sampled_loss import sampled_losses

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

    def stages(self, config: Config) -> tuple[Stage, ...]:
        """Return it, with the table that windows give where a project has them."""
        return (PERPLEXITY if config.quality.tokens_per_document is None else SAMPLED_PERPLEXITY,)

    def members(self, project: Project) -> Iterable[Member]:
        """Return it, with the table that windows give where a project has them."""
        return ((stage, "") for stage in self.stages(project.config))

    def needs(self, project: Project) -> tuple[str, ...]:
        """Return the documents and the reference that scores."""
        return (DOCUMENTS.asset, REFERENCE.asset_of(project.config.quality.reference))

    def settings(self, recipes: "Recipes", source: str) -> Settings:
        """Return how texts are read and cut into windows, and the reference."""
        quality = recipes.config.quality
        sampled = quality.tokens_per_document
        return {
            "text": recipes.text(source),
            "reference": recipes.reference_digest(quality.reference),
            "dtype": recipes.dtype,
            "context_tokens": recipes.context_tokens,
            "overlap_tokens": quality.overlap_tokens,
            **({} if sampled is None else {"tokens_per_document": sampled}),
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
            tokens_per_document=models.config.quality.tokens_per_document,
        )


class SampledPerplexity(Perplexity):
    """The same of some tokens of a long document, with the error that this leaves."""

    table = _SAMPLED
    words = (
        Perplexity.words + " Of a long document some tokens are scored, in windows at its begin, "
        "middle and end; its standard error says how near that comes to the whole."
    )
    counted_column = "num_read_tokens"
    scaled_by: Mapping[str, str] = MappingProxyType({"bits_per_byte_error": "bits_per_byte"})


PERPLEXITY = Perplexity()
SAMPLED_PERPLEXITY = SampledPerplexity()
