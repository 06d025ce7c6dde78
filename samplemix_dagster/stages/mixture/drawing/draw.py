"""A mixture in the making: weights and luck of each shard, the exact scale, and copies."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from samplemix_dagster.core.hashing import id_words, uniforms
from samplemix_dagster.core.mixture.groups import Groups, Rows
from samplemix_dagster.core.mixture.scale.expectation import Before, copies_after, expected_copies
from samplemix_dagster.core.mixture.scale.settle import copies
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
from samplemix_dagster.stages.mixture.drawing.axes import Axes
from samplemix_dagster.stages.mixture.drawing.drawn import MIXTURE, REALISED_SCALE
from samplemix_dagster.stages.mixture.drawing.drawn_ledger import Scales
from samplemix_dagster.stages.mixture.drawing.kept import KEPT, gate_columns, kept_parts
from samplemix_dagster.stages.mixture.drawing.settling import settled_scales

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
    groups: Groups
    """By which shares are held: the shard's source, unless the mixture says otherwise."""
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
        self.axes = Axes(recipes, name)
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
                groups=self.axes.groups(shard, table),
                may_be_drawn=may_be_drawn,
                tokens=tokens,
                own_weights=own,
                weights=np.where(may_be_drawn, own, 0.0),
                words_N2=words_N2,
                luck=uniforms(words_N2, self.settings.seed, "draw"),
                before=None if self.consumed is None else self.consumed.of(words_N2),
            )

    def scales(self) -> Scales:
        """Return the scales of each group; with free shares they are the same for all.

        Raises:
            InfeasibleMixtureError: No such mixture exists; the message says which is nearest.
            ConfigError: Shares are given of a group that is not there.
        """
        return settled_scales(self)

    def counted(self, part: Part) -> npt.NDArray[np.int64]:
        """Return what each document of a shard counts where shares are held."""
        if self.settings.shares != KEPT:
            return part.tokens
        return kept_parts(part.table, part.tokens, gate_columns(self.recipes.config))

    def drawn(self, part: Part, scales: Scales) -> tuple[Any, Any]:
        """Return a shard's copies and expected copies; without a scale a group draws nothing."""
        drawn, expected = np.zeros(len(part.tokens), dtype=np.int32), np.zeros(len(part.tokens))
        for name, rows in part.groups.parts():
            if name in scales.settled:
                drawn[rows], expected[rows] = self._of_group(part, rows, scales, name)
        return drawn, expected

    def _of_group(self, part: Part, rows: Rows, scales: Scales, name: str) -> tuple[Any, Any]:
        scale, cap = scales.settled[name], self.settings.max_copies
        weights, words_N2 = part.weights[rows], part.words_N2[rows]
        before = None if part.before is None else part.before.of(rows)
        consumed = None if before is None else before.consumed
        drawn = copies(weights, part.luck[rows], words_N2, scale, cap, consumed)
        if before is not None:
            return drawn, copies_after(weights, scale.value, cap, before)
        is_older = self.version == REALISED_SCALE
        expects_at = scale.value if is_older else scales.design[name]
        return drawn, expected_copies(weights, expects_at, cap)
