"""A mixture in the making: weights and luck of each shard, the exact scale, and copies."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from samplemix_dagster.core.hashing import id_words, uniforms
from samplemix_dagster.core.mixture.activation import (
    ActivationHistogram,
    Activations,
    activation_histogram,
    boundary_activations,
    boundary_bins,
    join_activations,
    merge_histograms,
)
from samplemix_dagster.core.mixture.expectation import (
    Before,
    WeightHistogram,
    copies_after,
    design_scale,
    expected_copies,
    merge_weights,
    weight_histogram,
)
from samplemix_dagster.core.mixture.settle import copies, settle
from samplemix_dagster.core.mixture.shares import held_shares, settle_sources, source_budgets
from samplemix_dagster.core.mixture.strategies.strategy import (
    ScoreColumns,
    Strategy,
    weights_from_logs,
)
from samplemix_dagster.core.mixture.strategies.table import make_strategy
from samplemix_dagster.engine.addresses.recipes import Recipes
from samplemix_dagster.engine.placed_shard import PlacedShard
from samplemix_dagster.stages.beta import counted_shards, load_law, load_plane
from samplemix_dagster.stages.columns import floats
from samplemix_dagster.stages.exclusions.excluded import LeftOut, left_out_of, read_excluded
from samplemix_dagster.stages.mixture.consumed import consumed_before
from samplemix_dagster.stages.mixture.drawn import MIXTURE, REALISED_SCALE
from samplemix_dagster.stages.mixture.drawn_ledger import Scales
from samplemix_dagster.stages.mixture.kept import KEPT, gate_columns, kept_parts

_SCORE_COLUMNS = (
    "doc_id",
    "num_tokens",
    "quality",
    "diversity",
    "language",
    "cluster",
    "topic",
    "ngram_overlap",
    "ngram_ownership",
)
_MOST_KEPT_DOCUMENTS = 1_000_000
"""Documents that are kept in memory from pass to pass, some 200 bytes each; more are read again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One shard's documents, ready to be drawn from; what may not be drawn has weight 0."""

    shard: PlacedShard
    table: pa.Table
    is_duplicate: npt.NDArray[np.bool_]
    left_out: LeftOut
    """Why documents may not be drawn."""
    tokens: npt.NDArray[np.int64]
    own_weights: npt.NDArray[np.float64]
    weights: npt.NDArray[np.float64]
    words_N2: npt.NDArray[np.uint64]
    luck: npt.NDArray[np.float64]
    may_be_drawn: npt.NDArray[np.bool_]
    before: Before | None
    """What was consumed of them before; None where nothing was."""

    @property
    def consumed(self) -> npt.NDArray[np.int64] | None:
        """Copies that were consumed before."""
        return None if self.before is None else self.before.consumed


class Draw:
    """One mixture in the making."""

    def __init__(self, recipes: Recipes, name: str) -> None:
        self.recipes = recipes
        self.name = name
        self.settings = recipes.config.mixtures[name]
        self.plane = load_plane(recipes)
        self.strategy: Strategy = make_strategy(
            self.settings.strategy, self.plane, load_law(recipes), self.settings.options
        )
        recipe: Mapping[str, Any] = recipes.fit_recipe(MIXTURE, name)
        self.version = int(recipe["stage_version"])
        """The version of the draw: what the ledger's expected copies are."""
        self.excluded = read_excluded(recipes)
        self.after: Mapping[str, Any] = recipe["mixture"]
        self.consumed = consumed_before(recipes, self.after)
        self._kept: list[Part] | None = None

    def parts(self) -> Iterator[Part]:
        """Yield every shard with its documents' weights and luck; a small corpus is read once."""
        if self._kept is not None:
            yield from self._kept
            return
        kept: list[Part] = []
        num_documents = 0
        for part in self._read_parts():
            num_documents += part.table.num_rows
            if num_documents <= _MOST_KEPT_DOCUMENTS:
                kept.append(part)
            else:
                kept.clear()
            yield part
        if num_documents <= _MOST_KEPT_DOCUMENTS:
            self._kept = kept

    def _read_parts(self) -> Iterator[Part]:
        gates = gate_columns(self.recipes.config) if self.settings.shares == KEPT else ()
        names = dict.fromkeys((*_SCORE_COLUMNS, *gates))
        for shard, table, is_duplicate in counted_shards(self.recipes, *names):
            tokens = table.column("num_tokens").to_numpy()
            columns = ScoreColumns(
                quality=floats(table, "quality"),
                diversity=floats(table, "diversity"),
                num_tokens=tokens,
                source=np.full(table.num_rows, shard.source),
            )
            own = weights_from_logs(self.strategy.log_weights(columns))
            ids = table.column("doc_id").to_numpy(zero_copy_only=False).astype("S32")
            words_N2 = id_words(ids)
            left_out = left_out_of(self.excluded, ids, is_duplicate)
            may_be_drawn = left_out.reasons.is_null().to_numpy(zero_copy_only=False)
            yield Part(
                shard=shard,
                table=table,
                is_duplicate=is_duplicate,
                left_out=left_out,
                may_be_drawn=may_be_drawn,
                tokens=tokens,
                own_weights=own,
                weights=np.where(may_be_drawn, own, 0.0),
                words_N2=words_N2,
                luck=uniforms(words_N2, self.settings.seed, "draw"),
                before=None if self.consumed is None else self.consumed.of(words_N2),
            )

    def scales(self) -> Scales:
        """Return the scales of each source; with free shares they are the same for all.

        Raises:
            InfeasibleMixtureError: No such mixture exists; the message says which is nearest.
        """
        cap, budget = self.settings.max_copies, self.settings.budget_tokens
        by_source: dict[str, ActivationHistogram] = {}
        by_weight: dict[str, WeightHistogram] = {}
        corpus_tokens: dict[str, int] = dict.fromkeys(self.recipes.config.corpus.sources, 0)
        for part in self.parts():
            source = part.shard.source
            found = activation_histogram(part.weights, part.luck, part.tokens, cap, part.consumed)
            before = by_source.get(source)
            by_source[source] = merge_histograms([before, found] if before else [found])
            weighed = weight_histogram(part.weights, part.tokens)
            known = [by_weight[source]] if source in by_weight else []
            by_weight[source] = merge_weights([*known, weighed])
            corpus_tokens[source] += int(self.counted(part)[part.may_be_drawn].sum())
        shares = held_shares(self.settings.shares, corpus_tokens)
        if shares is None:
            histogram = merge_histograms(by_source.values())
            bins = boundary_bins(histogram, budget)
            at_boundary = self._boundary(dict.fromkeys(by_source, bins))
            joined = join_activations(at_boundary.values())
            scale = settle(histogram, bins, joined, budget)
            design = design_scale(merge_weights(by_weight.values()), budget, cap)
            settled = dict.fromkeys(by_source, scale)
            return Scales(settled=settled, design=dict.fromkeys(by_source, design))
        budgets = source_budgets(budget, shares, by_source)
        activations = self._boundary({name: held.bins for name, held in budgets.items()})
        return Scales(
            settled=settle_sources(budgets, by_source, activations),
            design={
                name: design_scale(by_weight[name], float(shares[name] * budget), cap)
                for name in by_source
            },
        )

    def counted(self, part: Part) -> npt.NDArray[np.int64]:
        """Return what each document of a shard counts where its source's share is held."""
        if self.settings.shares != KEPT:
            return part.tokens
        return kept_parts(part.table, part.tokens, gate_columns(self.recipes.config))

    def _boundary(self, bins: dict[str, Any]) -> dict[str, Activations]:
        found: dict[str, list[Activations]] = {name: [] for name in bins}
        for part in self.parts():
            if part.shard.source in bins:
                found[part.shard.source].append(
                    boundary_activations(
                        part.weights,
                        part.luck,
                        part.tokens,
                        part.words_N2,
                        max_copies=self.settings.max_copies,
                        bins=bins[part.shard.source],
                        consumed=part.consumed,
                    )
                )
        return {name: join_activations(parts) for name, parts in found.items()}

    def drawn(self, part: Part, scales: Scales) -> tuple[Any, Any]:
        """Return a shard's copies and expected copies; without a scale its source draws nothing."""
        source, cap = part.shard.source, self.settings.max_copies
        scale = scales.settled.get(source)
        if scale is None:
            zeros = np.zeros(len(part.tokens))
            return zeros.astype(np.int32), zeros
        drawn = copies(part.weights, part.luck, part.words_N2, scale, cap, part.consumed)
        if part.before is not None:
            return drawn, copies_after(part.weights, scale.value, cap, part.before)
        is_older = self.version == REALISED_SCALE
        expects_at = scale.value if is_older else scales.design[source]
        return drawn, expected_copies(part.weights, expects_at, cap)
