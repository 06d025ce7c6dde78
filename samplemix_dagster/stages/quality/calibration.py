"""calibration: medians and deviations of bits per byte, by group; and what calibrations share.

Each signal that compares texts by references has a calibration of its own, and is scored here.
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

import pyarrow as pa

from samplemix_dagster import tables
from samplemix_dagster.config.project import Config
from samplemix_dagster.core.calibrating.calibration import (
    Band,
    Calibration,
    Direction,
    GroupHistograms,
    fit_calibration,
    neutral_calibration,
    robust_z,
    score,
)
from samplemix_dagster.core.hashing import round_unit
from samplemix_dagster.engine.fitting.writer import NEUTRAL, FitWriter
from samplemix_dagster.engine.foundation.documents import DOCUMENTS
from samplemix_dagster.engine.outcome import Progress
from samplemix_dagster.engine.placed_shard import PlacedShard
from samplemix_dagster.engine.shards.reading import read
from samplemix_dagster.engine.stages import (
    Facts,
    Fit,
    FitStage,
    Line,
    Maker,
    Member,
    Settings,
    Stage,
    Task,
)
from samplemix_dagster.errors import DegenerateSampleError
from samplemix_dagster.stages.columns import lazily
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
from samplemix_dagster.stages.quality.loss.other_references import (
    Compared,
    compared_signals,
    other_losses,
)
from samplemix_dagster.stages.quality.loss.perplexity import PERPLEXITY

if TYPE_CHECKING:
    from samplemix_dagster.engine.addresses.recipes import Recipes
    from samplemix_dagster.engine.project import Project

_FILE = "calibration.json"
_NAMES, _WHOLE = "names", "whole"
LOGITS = (-16.0, 16.0)
"""The range of logits of a combined score whose histogram is taken."""


class CalibrationFit(Fit):
    """Medians and deviations of bits per byte by group, token-weighted."""

    name = "calibration"
    asset = "calibration"
    group = "quality"
    words = (
        "Medians and deviations of bits per byte by group (by default language), by tokens; "
        "small groups shrunk to the rest. Frozen until its recipe changes or the corpus drifts."
    )
    can_be_neutral = True

    def names(self, project: "Project") -> tuple[str, ...]:
        """Return that of perplexity, which has no name, and of each other signal of references."""
        return ("", *(one.label for one in compared_signals(project.config)))

    def needs(self, project: "Project", name: str) -> tuple[str, ...]:
        """Return the losses of all documents."""
        losses = (stage.asset for stage in losses_under(project.config, name))
        return (*losses, *unit_needs(project.config))

    def settings(self, recipes: "Recipes", name: str) -> Settings:
        """Return the losses, what they are told by, and the groups of those compared."""
        stages = losses_under(recipes.config, name)
        return {
            **{stage.name: recipes.by_source(stage) for stage in stages},
            **({"signal": name} if name else {}),
            **unit_settings(recipes),
            **group_settings(recipes),
        }

    def version_by(self, recipes: "Recipes", name: str, settings: Settings) -> int:
        """Return the version of the code that tells groups apart."""
        del recipes, name
        return version_of_groups(settings)

    def make(self, recipes: "Recipes", writer: FitWriter, name: str, progress: Progress) -> Facts:
        """Fit medians and deviations of bits per byte by group, token-weighted."""
        del progress
        stages = losses_under(recipes.config, name)
        bits = (
            (shard, compared_bits(recipes, stages, shard)) for shard in recipes.project.all_shards()
        )
        bounds = (0.0 if len(stages) == 1 else -16.0, 16.0)
        found = compared_histograms(recipes, bits, stages[0], bounds)
        by_source = recipes.config.quality.calibrate_by == "source"
        return write_calibration(found, writer, "quality", whole_names=by_source)


CALIBRATION = CalibrationFit()


def losses_under(config: Config, label: str) -> list[Stage]:
    """Return the stages of losses that a calibration reads; the second's are subtracted.

    Args:
        config: The configuration.
        label: Of a signal of references; empty for perplexity.
    """
    [main], others = PERPLEXITY.stages(config), other_losses(config)
    if not label:
        return [main]
    by_label = {one.label: one for one in compared_signals(config)}
    return [others.get(name, main) for name in by_label[label].references]


def direction_of(recipes: "Recipes") -> Direction:
    """Return which bits per byte are good."""
    wished = recipes.config.quality.direction
    return wished if isinstance(wished, str) else Band(**dict(wished))


class ComparedSignal(Stage):
    """The score of a signal that compares texts by references: calibrated, in (0, 1)."""

    group = "quality"
    table = tables.SIGNAL
    is_wide = True

    def __init__(self, compared: Compared) -> None:
        """Take the signal."""
        self.compared = compared
        label = compared.label
        self.name, self.asset = f"signal-{label}", f"signal_{label.replace('-', '_', 1)}"
        under = f"bits per byte under {compared.under!r}"
        what = f"{under}, less those under {compared.less!r}" if compared.less else under
        self.words = f"Signal of quality {compared.signal!r}, in (0, 1): calibrated {what}."

    def needs(self, project: "Project") -> tuple[str, ...]:
        """Return losses, documents and calibration."""
        label = self.compared.label
        losses = (stage.asset for stage in losses_under(project.config, label))
        units = unit_needs(project.config)
        return (*losses, *units, DOCUMENTS.asset, CALIBRATION.asset_of(label))

    def settings(self, recipes: "Recipes", source: str) -> Settings:
        """Return losses, calibration, direction and groups."""
        label, wished = self.compared.label, recipes.config.quality.direction
        stages = losses_under(recipes.config, label)
        return {
            **{stage.name: recipes.fingerprint(stage, source) for stage in stages},
            **unit_settings(recipes, source),
            "language": recipes.language(source),
            "calibration": recipes.fit(CALIBRATION, label),
            "direction": self._direction or (wished if isinstance(wished, str) else dict(wished)),
            **source_settings(recipes, source),
        }

    @property
    def _direction(self) -> Direction | None:
        """What is good of a difference is no matter of taste: the higher."""
        return "high" if self.compared.less else None

    def work(self, recipes: "Recipes", partition: str) -> Task | Maker:
        """Return what turns bits per byte into scores."""
        del partition
        return lazily(lambda: self._maker(recipes))

    def columns(self) -> dict[str, str]:
        """Return the name that its score has in the wide table."""
        return {"score": f"{self.compared.label.replace('-', '_', 1)}_score"}

    def _maker(self, recipes: "Recipes") -> Maker:
        label = self.compared.label
        stages = losses_under(recipes.config, label)
        calibration = read_calibration(recipes, CALIBRATION, label)
        direction = self._direction or direction_of(recipes)

        def make(shard: PlacedShard) -> pa.Table:
            documents = read(recipes, DOCUMENTS, shard, "doc_id")
            bits = compared_bits(recipes, stages, shard)
            z = robust_z(bits, groups_of(recipes, shard), calibration)
            scores = round_unit(score(z, direction))
            return tables.SIGNAL.make(doc_id=documents.column("doc_id"), score=scores)

        return make


class ComparedSignals(Line):
    """Every signal that compares texts by references and that counts."""

    def stages(self, config: Config) -> tuple[Stage, ...]:
        """Return a stage for each."""
        return tuple(ComparedSignal(one) for one in compared_signals(config))

    def members(self, project: "Project") -> Iterable[Member]:
        """Return the same."""
        return ((stage, "") for stage in self.stages(project.config))


COMPARED = ComparedSignals()


def read_calibration(recipes: "Recipes", fit: FitStage, name: str = "") -> Calibration:
    """Return a fitted calibration.

    An older one by source has one character of each source's name, and is read as what it meant.
    """
    stated = recipes.lake.read_json(f"{recipes.fit_key(fit, name)}/{_FILE}")
    found = Calibration.from_json(stated)
    is_by_source = recipes.config.quality.calibrate_by == "source" and fit.group == "quality"
    if not is_by_source or stated.get(_NAMES) == _WHOLE:
        return found
    groups = {source: found.lookup(source[:1]) for source in recipes.config.corpus.sources}
    return replace(found, groups={**found.groups, **groups})


def write_calibration(
    merged: GroupHistograms, writer: FitWriter, scores: str, *, whole_names: bool = False
) -> Facts:
    """Fit a calibration to histograms and write it; return its groups.

    Args:
        merged: The histograms of all shards.
        writer: Fills the fit's folder.
        scores: What the documents have, for the sentence where they all have the same.
        whole_names: Whether groups are sources, by the whole of their names; older ones were not.
    """
    neutral = {}
    try:
        calibration = fit_calibration(merged)
    except DegenerateSampleError as error:
        calibration = neutral_calibration(merged)
        neutral = {NEUTRAL: f"All documents have one {scores}: {error}"}
    stated = {**calibration.to_json(), _NAMES: _WHOLE} if whole_names else calibration.to_json()
    writer.lake.replace_json(_FILE, stated)
    groups = {name or "all": group for name, group in calibration.groups.items()}
    return {
        "groups": {
            name: {
                "median": round(group.median, 5),
                "scale": round(group.scale, 5),
                "num_documents": group.num_documents,
            }
            for name, group in groups.items()
        },
        **neutral,
    }
