"""quality: calibrated bits per byte, alone or combined with the signals beside it."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from samplemix_dagster import tables
from samplemix_dagster.config.project import Config
from samplemix_dagster.config.scoring.scores import CLEAN as CLEAN_NAME
from samplemix_dagster.config.scoring.scores import PERPLEXITY as LOSSES
from samplemix_dagster.core.calibrating.calibration import robust_z, score
from samplemix_dagster.core.diversity.combine import combine, gated, logit
from samplemix_dagster.core.hashing import round_significant, round_unit
from samplemix_dagster.engine.fitting.writer import FitWriter
from samplemix_dagster.engine.foundation.documents import DOCUMENTS
from samplemix_dagster.engine.outcome import Progress
from samplemix_dagster.engine.placed_shard import PlacedShard
from samplemix_dagster.engine.shards.reading import read
from samplemix_dagster.engine.stages import Facts, Fit, Maker, Settings, Stage, Task
from samplemix_dagster.stages.columns import floats, lazily
from samplemix_dagster.stages.outside.external import external_signals
from samplemix_dagster.stages.quality.calibration import (
    CALIBRATION,
    LOGITS,
    ComparedSignal,
    direction_of,
    read_calibration,
    write_calibration,
)
from samplemix_dagster.stages.quality.clean import CLEAN
from samplemix_dagster.stages.quality.comparing import (
    compared_bits,
    compared_histograms,
    group_settings,
    groups_of,
    source_settings,
    unit_needs,
    unit_settings,
    version_of_groups,
)
from samplemix_dagster.stages.quality.loss.other_references import compared_signals
from samplemix_dagster.stages.quality.loss.perplexity import PERPLEXITY
from samplemix_dagster.stages.quality.resembles import resembling
from samplemix_dagster.stages.signals import OwnStage, signals_of_quality

if TYPE_CHECKING:
    from samplemix_dagster.engine.addresses.recipes import Recipes
    from samplemix_dagster.engine.project import Project


def has_signals(config: Config) -> bool:
    """Whether the mean of quality is of more than perplexity."""
    return any(name != LOSSES for name in config.quality.weights)


def signal_stages(config: Config) -> dict[str, Stage]:
    """Return the stage of each signal of quality that counts, but for perplexity."""
    own: dict[str, Stage] = {one.name: OwnStage(one) for one in signals_of_quality(config)}
    compared = {one.signal: ComparedSignal(one) for one in compared_signals(config)}
    given = {**external_signals(config), **resembling(config)}
    every = {**own, **given, **compared, CLEAN_NAME: CLEAN}
    return {name: every[name] for name in config.quality.used}


def _gates(config: Config) -> dict[str, float]:
    return {name: power for name, power in config.quality.gates.items() if power > 0}


def _combined_needs(project: "Project") -> tuple[str, ...]:
    signals = signal_stages(project.config)
    own = (signals[name].asset for name in project.config.quality.weights if name in signals)
    return (PERPLEXITY.asset, *unit_needs(project.config), CALIBRATION.asset, *own)


def _direction(recipes: "Recipes") -> object:
    wished = recipes.config.quality.direction
    return wished if isinstance(wished, str) else wished.for_recipe()


def _signal_recipes(recipes: "Recipes", source: str) -> Settings:
    """The signals of quality: the exponent of each, and the recipe of all but perplexity."""
    return _with_recipes(recipes, source, recipes.config.quality.weights)


def _with_recipes(recipes: "Recipes", source: str, exponents: Mapping[str, float]) -> Settings:
    own = signal_stages(recipes.config)
    return {
        name: [exponent, recipes.fingerprint(own[name], source)] if name in own else [exponent]
        for name, exponent in exponents.items()
    }


class QualityCalibration(Fit):
    """Calibrates several signals once more; made only where quality has more than perplexity."""

    name = "quality_calibration"
    asset = "quality_calibration"
    group = "quality"
    words = (
        "Medians and deviations of the signals' combination (as logits) by group, by tokens: "
        "several signals are calibrated once more. Frozen like the others."
    )

    def names(self, project: "Project") -> tuple[str, ...]:
        """Return one, or none where quality has perplexity alone."""
        return ("",) if has_signals(project.config) else ()

    def needs(self, project: "Project", name: str) -> tuple[str, ...]:
        """Return losses, their calibration, and the other signals."""
        del name
        return _combined_needs(project)

    def settings(self, recipes: "Recipes", name: str) -> Settings:
        """Return the signals, their exponents, and the groups within which they are compared."""
        del name
        config = recipes.config
        return {
            "perplexity": recipes.by_source(PERPLEXITY),
            "calibration": recipes.fit(CALIBRATION),
            "direction": _direction(recipes),
            "signals": {s: _signal_recipes(recipes, s) for s in config.corpus.sources},
            **unit_settings(recipes),
            **group_settings(recipes),
        }

    def version_by(self, recipes: "Recipes", name: str, settings: Settings) -> int:
        """Return the version of the code that tells groups apart."""
        del recipes, name
        return version_of_groups(settings)

    def make(self, recipes: "Recipes", writer: FitWriter, name: str, progress: Progress) -> Facts:
        """Fit medians and deviations of the combined signals (as logits) by group, by tokens."""
        del name, progress
        quality = _Parts(recipes)
        logits = (
            (shard, quality.logits(shard, groups_of(recipes, shard)))
            for shard in recipes.project.all_shards()
        )
        found = compared_histograms(recipes, logits, PERPLEXITY, LOGITS)
        by_source = recipes.config.quality.calibrate_by == "source"
        return write_calibration(found, writer, "quality", whole_names=by_source)


QUALITY_CALIBRATION = QualityCalibration()


class Quality(Stage):
    """Quality of each document in (0, 1)."""

    name = "quality"
    asset = "quality_scores"
    group = "quality"
    table = tables.QUALITY
    words = (
        "Quality in (0, 1): calibrated bits per byte, in the direction wished for, and what "
        "other signals stand beside it."
    )
    is_wide = True

    def needs(self, project: "Project") -> tuple[str, ...]:
        """Return losses, signals and their calibrations."""
        again = (QUALITY_CALIBRATION.asset,) if has_signals(project.config) else ()
        signals = signal_stages(project.config)
        gates = (signals[name].asset for name in _gates(project.config))
        return tuple(dict.fromkeys((*_combined_needs(project), *again, *gates)))

    def settings(self, recipes: "Recipes", source: str) -> Settings:
        """Return losses, direction and groups; signals where there are some beside perplexity."""
        return {
            "perplexity": recipes.fingerprint(PERPLEXITY, source),
            **unit_settings(recipes, source),
            "language": recipes.language(source),
            "calibration": recipes.fit(CALIBRATION),
            "direction": _direction(recipes),
            **source_settings(recipes, source),
            **self._combined(recipes, source),
            **self._gated(recipes, source),
        }

    def _combined(self, recipes: "Recipes", source: str) -> Settings:
        if not has_signals(recipes.config):
            return {}
        signals = _signal_recipes(recipes, source)
        return {"signals": signals, "combined": recipes.fit(QUALITY_CALIBRATION)}

    def _gated(self, recipes: "Recipes", source: str) -> Settings:
        gates = _gates(recipes.config)
        return {"gates": _with_recipes(recipes, source, gates)} if gates else {}

    def work(self, recipes: "Recipes", partition: str) -> Task | Maker:
        """Return what turns bits per byte, and the signals beside it, into quality.

        Perplexity alone is its calibrated score. Several signals are combined and calibrated once
        more, as diversity's components are.
        """
        del partition
        return lazily(lambda: _maker(recipes))


QUALITY = Quality()


class _Parts:
    """What quality is made of: perplexity's own score, and the other signals beside it."""

    def __init__(self, recipes: "Recipes") -> None:
        """Take the recipes of a project whose perplexity is calibrated."""
        self.recipes = recipes
        self.calibration = read_calibration(recipes, CALIBRATION)
        self.direction = direction_of(recipes)

    def z(self, shard: PlacedShard, groups: npt.NDArray[np.str_]) -> npt.NDArray[np.float64]:
        """Return the robust z of the bits of a shard's documents."""
        bits = compared_bits(self.recipes, [PERPLEXITY], shard)
        return robust_z(bits, groups, self.calibration)

    def combined(self, shard: PlacedShard, groups: npt.NDArray[np.str_]) -> npt.NDArray[np.float64]:
        """Return the weighted geometric mean of the signals of a shard's documents, in (0, 1)."""
        weights = self.recipes.config.quality.weights
        columns = {}
        for name in weights:
            if name == LOSSES:
                columns[name] = round_unit(score(self.z(shard, groups), self.direction))
            else:
                columns[name] = self._signal(name, shard)
        return np.asarray(combine(columns, weights), dtype=np.float64)

    def logits(self, shard: PlacedShard, groups: npt.NDArray[np.str_]) -> npt.NDArray[np.float64]:
        """Return the logits of :meth:`combined`."""
        return np.asarray(logit(self.combined(shard, groups)), dtype=np.float64)

    def gated(
        self, shard: PlacedShard, quality: npt.NDArray[np.float64]
    ) -> npt.NDArray[np.float64]:
        """Return a shard's calibrated quality times what its gates let pass."""
        gates = _gates(self.recipes.config)
        scores = {name: (self._signal(name, shard), power) for name, power in gates.items()}
        return np.asarray(gated(quality, scores), dtype=np.float64) if scores else quality

    def _signal(self, name: str, shard: PlacedShard) -> npt.NDArray[np.float64]:
        stage = signal_stages(self.recipes.config)[name]
        return floats(read(self.recipes, stage, shard, "score"), "score")


def _maker(recipes: "Recipes") -> Maker:
    parts = _Parts(recipes)
    again = read_calibration(recipes, QUALITY_CALIBRATION) if has_signals(recipes.config) else None

    def make(shard: PlacedShard) -> pa.Table:
        documents, groups = read(recipes, DOCUMENTS, shard, "doc_id"), groups_of(recipes, shard)
        if again is None:
            z = parts.z(shard, groups)
            quality = score(z, parts.direction)
        else:
            z = robust_z(parts.logits(shard, groups), groups, again)
            quality = score(z, "high")
        return tables.QUALITY.make(
            doc_id=documents.column("doc_id"),
            quality_z=round_significant(z),
            quality=round_unit(parts.gated(shard, quality)),
        )

    return make
