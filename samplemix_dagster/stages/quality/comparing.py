"""What of documents is compared, and with what: their bits, by byte or by letter, within groups."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from samplemix_dagster.config.project import Config
from samplemix_dagster.core.calibration import POOLED, language_length_group
from samplemix_dagster.engine.foundation.documents import DOCUMENTS
from samplemix_dagster.engine.placed_shard import PlacedShard
from samplemix_dagster.engine.shards.reading import read
from samplemix_dagster.engine.stages import Settings, Stage
from samplemix_dagster.stages.columns import floats, strings
from samplemix_dagster.stages.quality.letters import LETTERS

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


def compared_groups(
    recipes: "Recipes", shard: PlacedShard, documents: pa.Table
) -> npt.NDArray[np.str_]:
    """Return the group within which each document is compared."""
    by = recipes.config.quality.calibrate_by
    languages = strings(documents, "language")
    source = shard.source if by in _BY_SOURCE else POOLED
    # With a type of no length, each name would be cut to its first character.
    whole = np.full(documents.num_rows, source)
    if by == "language":
        groups = languages
    elif by == "source_language":
        groups = np.char.add(f"{source}/", languages)
    elif by == "language_length":
        num_bytes = documents.column("num_bytes").to_numpy()
        groups = np.asarray(language_length_group(languages, num_bytes), dtype=np.str_)
    else:
        return whole
    if recipes.config.quality.no_language == "own":
        return groups
    return np.where(np.isin(languages, _NO_LANGUAGE), whole, groups)
