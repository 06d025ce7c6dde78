"""Losses under references beside the one that scores, and the signals that compare texts by them.

``perplexity:NAME`` is bits per byte under another reference; ``contrast``, those under one less
those under another. How they become scores is in ``stages/quality/calibration.py``.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from samplemix_dagster import tables
from samplemix_dagster.config.project import Config
from samplemix_dagster.config.scoring.scores import CONTRAST, UNDER
from samplemix_dagster.engine.foundation.documents import DOCUMENTS
from samplemix_dagster.engine.foundation.reference import REFERENCE
from samplemix_dagster.engine.stages import Line, Member, Settings, Stage, Task
from samplemix_dagster.stages.of_model import ModelStage
from samplemix_dagster.stages.quality.loss.losses import (
    SAMPLED,
    loss_settings,
    losses_of_texts,
)

if TYPE_CHECKING:
    from samplemix_dagster.engine.addresses.model_recipes import ModelRecipes
    from samplemix_dagster.engine.addresses.recipes import Recipes
    from samplemix_dagster.engine.project import Project


class OtherPerplexity(ModelStage):
    """Nats, bits per byte and perplexity of each document under another reference."""

    group = "quality"
    is_wide = True
    uses_model = True

    def __init__(self, reference: str, *, in_windows: bool) -> None:
        """Take the reference's name, and whether it scores windows of long documents."""
        self.reference = reference
        self.name, self.asset = f"perplexity-{reference}", f"perplexity_{reference}"
        self.model = f"reference:{reference}"
        self.table = SAMPLED if in_windows else tables.PERPLEXITY
        self.counted_column = "num_read_tokens" if in_windows else "num_reference_tokens"
        self.scaled_by = {"bits_per_byte_error": "bits_per_byte"} if in_windows else {}
        self.words = f"Loss of each document under the reference {reference!r}."

    def needs(self, project: "Project") -> tuple[str, ...]:
        """Return the documents and the reference."""
        del project
        return (DOCUMENTS.asset, REFERENCE.asset_of(self.reference))

    def settings(self, recipes: "Recipes", source: str) -> Settings:
        """Return how texts are read and cut into windows, and the reference."""
        return loss_settings(recipes, source, self.reference)

    def found(self, models: "ModelRecipes") -> tuple[Path, str]:
        """Return where the reference lies, and its digest."""
        return models.reference_folder(self.reference), models.reference_digest(self.reference)

    def scorer(self, models: "ModelRecipes", folder: Path, digest: str) -> Task:
        """Return what scores texts with it."""
        return losses_of_texts(models, self.reference, folder, digest)

    def columns(self) -> dict[str, str]:
        """Return the name that its bits per byte have in the wide table."""
        return {"bits_per_byte": f"bits_per_byte_{self.reference}"}


class OtherReferences(Line):
    """The losses under each reference that a signal reads, beside the one that scores."""

    def stages(self, config: Config) -> tuple[Stage, ...]:
        """Return a stage for each of them."""
        return tuple(other_losses(config).values())

    def members(self, project: "Project") -> Iterable[Member]:
        """Return the same."""
        return ((stage, "") for stage in self.stages(project.config))


OTHER_REFERENCES = OtherReferences()


def other_losses(config: Config) -> dict[str, OtherPerplexity]:
    """Return the stage of each reference beside the one that scores, by the reference's name."""
    windows = config.quality.tokens_per_document is not None
    return {
        name: OtherPerplexity(name, in_windows=windows and config.references[name].ngram is None)
        for name in config.quality.other_references
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """A signal that compares texts by bits per byte.

    Attributes:
        signal: Its name.
        under: The reference under which texts cost their bits per byte.
        less: The reference whose bits per byte are subtracted; empty: none.
    """

    signal: str
    under: str
    less: str = ""

    @property
    def label(self) -> str:
        """Its name in the lake."""
        return self.signal.replace(":", "-")

    @property
    def references(self) -> tuple[str, ...]:
        """The references that it reads."""
        return (self.under, self.less) if self.less else (self.under,)


def compared_signals(config: Config) -> Iterator[Compared]:
    """Yield the signals that count and compare texts by references beside the one that scores."""
    contrast = config.quality.contrast
    for signal in config.quality.weights:
        if signal.startswith(UNDER):
            yield Compared(signal=signal, under=signal.removeprefix(UNDER))
        elif signal == CONTRAST and contrast is not None:
            yield Compared(signal=signal, under=contrast.bad, less=contrast.good)
