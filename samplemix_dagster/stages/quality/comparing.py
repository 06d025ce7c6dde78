"""What of documents is compared, and with what: their bits, by byte or by letter, within groups."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from samplemix_dagster.config.project import Config
from samplemix_dagster.core.calibrating.calibration import (
    POOLED,
    GroupHistograms,
    group_histograms,
    language_length_group,
    with_guests,
)
from samplemix_dagster.engine.foundation.documents import DOCUMENTS
from samplemix_dagster.engine.placed_shard import PlacedShard
from samplemix_dagster.engine.shards.reading import read
from samplemix_dagster.engine.stages import Settings, Stage
from samplemix_dagster.stages.columns import floats, strings
from samplemix_dagster.stages.quality.loss.letters import LETTERS

if TYPE_CHECKING:
    from samplemix_dagster.engine.addresses.recipes import Recipes

_BY_SOURCE = ("source", "source_language")
_NO_LANGUAGE = ("und", "zxx")
"""Nothing can be said of the language (ISO 639: undetermined), or there is none."""


def unit_needs(config: Config) -> tuple[str, ...]:
    """Return the asset of what bits are told by, where that is not the byte."""
    return tuple(stage.asset for stage in LETTERS.stages(config))


def unit_settings(recipes: "Recipes", source: str | None = None) -> Settings:
    """Return what bits are told by: of a source, or of all; nothing where that is the byte."""
    if not LETTERS.stages(recipes.config):
        return {}
    if source is None:
        return {LETTERS.name: recipes.by_source(LETTERS)}
    return {LETTERS.name: recipes.fingerprint(LETTERS, source)}


def group_settings(recipes: "Recipes") -> Settings:
    """Return the groups within which documents are compared."""
    quality = recipes.config.quality
    return {
        "language": recipes.config.corpus.language,
        "by": quality.calibrate_by,
        **({} if quality.no_language == "own" else {"no_language": quality.no_language}),
    }


def source_settings(recipes: "Recipes", source: str) -> Settings:
    """Return the source of documents that are compared within it: another has other groups."""
    is_of_source = recipes.config.quality.calibrate_by in _BY_SOURCE
    return {"source": source if is_of_source else None}


def version_of_groups(settings: Settings) -> int:
    """Return which code told groups apart: the first took of a source's name one character."""
    return 2 if settings["by"] == "source" else 1


def compared_bits(
    recipes: "Recipes", stages: Sequence[Stage], shard: PlacedShard
) -> npt.NDArray[np.float64]:
    """Return the bits of a shard's documents, by byte or by letter.

    Args:
        recipes: The project's recipes.
        stages: The stage of their losses; those of a second are subtracted.
        shard: The shard.
    """
    first, *less = (
        floats(read(recipes, stage, shard, "bits_per_byte"), "bits_per_byte") for stage in stages
    )
    bits = first - less[0] if less else first
    if not LETTERS.stages(recipes.config):
        return bits
    num_bytes = read(recipes, DOCUMENTS, shard, "num_bytes").column("num_bytes").to_numpy()
    letters = read(recipes, LETTERS, shard, "num_letters").column("num_letters").to_numpy()
    by_letter: npt.NDArray[np.float64] = bits * (num_bytes / letters)
    return by_letter


def compared_histograms(
    recipes: "Recipes",
    values_by_shard: Iterable[tuple[PlacedShard, npt.NDArray[np.float64]]],
    tokens_of: Stage,
    bounds: tuple[float, float],
) -> GroupHistograms:
    """Return how values lie in each group, by tokens: what a calibration is fitted to.

    Args:
        recipes: The project's recipes.
        values_by_shard: The values of each shard's documents.
        tokens_of: The stage that says how many tokens the reference read of each.
        bounds: The range of the histograms.
    """
    members, guests = list[GroupHistograms](), list[GroupHistograms]()
    for shard, values in values_by_shard:
        groups, is_guest = _groups_and_guests(recipes, shard)
        counted = read(recipes, tokens_of, shard, "num_reference_tokens")
        tokens = counted.column("num_reference_tokens").to_numpy()
        for parts, chosen in ((members, ~is_guest), (guests, is_guest)):
            parts.append(
                group_histograms(
                    values[chosen], tokens[chosen], groups[chosen], lower=bounds[0], upper=bounds[1]
                )
            )
    return with_guests(members[0].merge(*members[1:]), guests[0].merge(*guests[1:]))


def groups_of(recipes: "Recipes", shard: PlacedShard) -> npt.NDArray[np.str_]:
    """Return the group that each document of a shard is compared with."""
    return _groups_and_guests(recipes, shard)[0]


def _groups_and_guests(
    recipes: "Recipes", shard: PlacedShard
) -> tuple[npt.NDArray[np.str_], npt.NDArray[np.bool_]]:
    """Return the group that each document is compared with, and whether it is not of it.

    Documents of no language are not, where they are told apart.
    """
    documents = read(recipes, DOCUMENTS, shard, "language", "num_bytes")
    quality, languages = recipes.config.quality, strings(documents, "language")
    by = quality.calibrate_by
    # With a type of no length, each name would be cut to its first character.
    whole = np.full(documents.num_rows, shard.source if by in _BY_SOURCE else POOLED)
    is_guest = np.zeros(documents.num_rows, dtype=np.bool_)
    if quality.no_language == "parent":
        is_guest = np.isin(languages, _NO_LANGUAGE)
    if by == "language":
        groups = languages
    elif by == "source_language":
        groups = np.char.add(f"{shard.source}/", languages)
    elif by == "language_length":
        num_bytes = documents.column("num_bytes").to_numpy()
        groups = np.asarray(language_length_group(languages, num_bytes), dtype=np.str_)
    else:
        groups = whole
    return np.where(is_guest, whole, groups), is_guest
