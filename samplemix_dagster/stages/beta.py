"""Summarise the (quality, diversity) plane shard by shard, merge, fit the law.

Planes are integers, so merging them in any order gives the same bits. A duplicate occurrence is
not a second document: with ``duplicates: drop`` it counts in no plane.
"""

from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from samplemix_dagster.core.beta.fit import LawFit, fit_law, uniform_law
from samplemix_dagster.core.beta.goodness import goodness_of_fit, warnings
from samplemix_dagster.core.beta.law import BivariateBeta
from samplemix_dagster.core.beta.plane import Plane, merge, plane_of
from samplemix_dagster.engine.fitting.sample import duplicate_rows
from samplemix_dagster.engine.fitting.writer import NEUTRAL, FitWriter
from samplemix_dagster.engine.foundation.corpus import CORPUS
from samplemix_dagster.engine.outcome import Progress
from samplemix_dagster.engine.placed_shard import PlacedShard
from samplemix_dagster.engine.shards.reading import read
from samplemix_dagster.engine.stages import Facts, Fit, Settings
from samplemix_dagster.errors import DegenerateSampleError
from samplemix_dagster.stages.columns import floats, strings
from samplemix_dagster.stages.scores import SCORES

if TYPE_CHECKING:
    from samplemix_dagster.engine.addresses.recipes import Recipes
    from samplemix_dagster.engine.project import Project

_FEWEST_DOCUMENTS = 50
_MOST_PLANES = 32


def counted_shards(
    recipes: "Recipes", *columns: str
) -> Iterator[tuple[PlacedShard, pa.Table, npt.NDArray[np.bool_]]]:
    """Yield each shard with columns of its scores and which of its rows are duplicates."""
    dropped: dict[tuple[str, str], npt.NDArray[np.int64]] = {}
    if recipes.config.corpus.duplicates == "drop":
        dropped = duplicate_rows(recipes)
    wanted = dict.fromkeys(["row", *columns])
    for shard in recipes.project.all_shards():
        table = read(recipes, SCORES, shard, *wanted)
        rows = table.column("row").to_numpy()
        is_duplicate = np.isin(rows, dropped.get((shard.source, shard.digest), np.empty(0)))
        yield shard, table, is_duplicate


class Beta(Fit):
    """The law of the corpus on the (quality, diversity) plane."""

    name = "beta"
    asset = "beta_parameters"
    group = "beta"
    words = (
        "The law of the corpus: beta marginals of quality and diversity with a Gaussian "
        "copula, fitted to a token-weighted histogram, with its standard errors and how "
        "well it describes the corpus."
    )
    is_frozen = False
    can_be_neutral = True

    def needs(self, project: "Project", name: str) -> tuple[str, ...]:
        """Return the scores, and the corpus, which knows duplicates."""
        del project, name
        return (SCORES.asset, CORPUS.asset)

    def settings(self, recipes: "Recipes", name: str) -> Settings:
        """Return the scores, and which documents count."""
        del name
        return {
            "scores": recipes.by_source(SCORES),
            "duplicates": recipes.config.corpus.duplicates,
            "corpus": recipes.fit(CORPUS),
        }

    def make(self, recipes: "Recipes", writer: FitWriter, name: str, progress: Progress) -> Facts:
        """Fit the law of the corpus, and one for each source and language beside it."""
        del name, progress
        return _make(recipes, writer)


BETA = Beta()


def _make(recipes: "Recipes", writer: FitWriter) -> Facts:
    parts: dict[str, list[Plane]] = {}
    for shard, table, is_duplicate in counted_shards(
        recipes, "quality", "diversity", "num_tokens", "language"
    ):
        languages = strings(table, "language")
        own = ~is_duplicate
        plane = _plane(table, own)
        _gather(parts, "", plane)
        _gather(parts, f"source/{shard.source}", plane)
        for language in np.unique(languages[own]):
            chosen = own & (languages == language)
            _gather(parts, f"language/{language}", _plane(table, chosen))
    planes = {name: merge(found) for name, found in parts.items()}
    neutral = None
    try:
        fit = fit_law(planes[""])
    except DegenerateSampleError as error:
        fit = uniform_law(planes[""])
        neutral = f"No law can be fitted to this corpus, so the uniform one stands in: {error}."
    writer.lake.write_arrays("plane.safetensors", planes[""].to_arrays())
    for name, plane in planes.items():
        kind, _, label = name.partition("/")
        if kind == "source":
            writer.lake.write_arrays(f"planes/{label}.safetensors", plane.to_arrays())
    facts = _facts(planes[""], fit)
    if neutral is not None:
        facts |= {NEUTRAL: neutral, "warnings": [neutral]}
    facts["by_group"] = {
        name: group
        for name, plane in sorted(planes.items())
        if name
        if (group := _group_facts(plane)) is not None
    }
    writer.lake.replace_json("law.json", fit.law.to_json())
    return facts


def _gather(parts: dict[str, list[Plane]], name: str, plane: Plane) -> None:
    """Keep a shard's plane for merging; never more than a few, whatever the number of shards."""
    found = parts.setdefault(name, [])
    found.append(plane)
    if len(found) == _MOST_PLANES:
        parts[name] = [merge(found)]


def _plane(table: pa.Table, chosen: npt.NDArray[np.bool_]) -> Plane:
    return plane_of(
        floats(table, "quality")[chosen],
        floats(table, "diversity")[chosen],
        table.column("num_tokens").to_numpy()[chosen],
    )


def _facts(plane: Plane, fit: LawFit) -> Facts:
    goodness = goodness_of_fit(plane, fit.law)
    return {
        "law": {name: round(value, 5) for name, value in fit.law.to_json().items()},
        "standard_errors": {name: round(e, 5) for name, e in fit.standard_errors.items()},
        "num_documents": fit.num_documents,
        "num_tokens": plane.num_tokens,
        "effective_sample_size": round(fit.effective_sample_size, 1),
        "num_squeezed": fit.num_squeezed,
        "mean_quality": round(plane.mean_quality, 5),
        "mean_diversity": round(plane.mean_diversity, 5),
        "goodness": _rounded(asdict(goodness)),
        "warnings": warnings(goodness, fit),
    }


def _group_facts(plane: Plane) -> Facts | None:
    """Return a group's own fit; None where there is too little to fit."""
    if plane.num_documents < _FEWEST_DOCUMENTS:
        return None
    try:
        fit = fit_law(plane)
    except DegenerateSampleError:
        return None
    return _facts(plane, fit)


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _rounded(inner) for name, inner in value.items()}
    return round(value, 5) if isinstance(value, float) else value


def load_law(recipes: "Recipes") -> BivariateBeta:
    """Return the fitted law of the corpus."""
    return BivariateBeta.from_json(recipes.lake.read_json(f"{recipes.fit_key(BETA)}/law.json"))


def load_plane(recipes: "Recipes", source: str | None = None) -> Plane:
    """Return the merged plane of the corpus, or of one source."""
    name = "plane" if source is None else f"planes/{source}"
    return Plane.from_arrays(
        recipes.lake.read_arrays(f"{recipes.fit_key(BETA)}/{name}.safetensors")
    )
