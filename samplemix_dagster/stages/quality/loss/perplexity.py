"""perplexity: the loss of each text under the reference, or what a student of it says."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from samplemix_dagster import tables
from samplemix_dagster.config.project import Config
from samplemix_dagster.engine.foundation.documents import DOCUMENTS
from samplemix_dagster.engine.foundation.reference import REFERENCE
from samplemix_dagster.engine.stages import Member, Settings, Stage, Task
from samplemix_dagster.stages.of_model import ModelStage
from samplemix_dagster.stages.quality.loss.losses import (
    SAMPLED,
    loss_settings,
    losses_of_texts,
    reference_losses,
)
from samplemix_dagster.stages.quality.loss.student import BY_STUDENT, STUDENT, student_losses

if TYPE_CHECKING:
    from samplemix_dagster.engine.addresses.model_recipes import ModelRecipes
    from samplemix_dagster.engine.addresses.recipes import Recipes
    from samplemix_dagster.engine.project import Project


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
        """Return it, with the table that windows or a student give where a project has them."""
        if config.quality.student is not None:
            return (STUDENTS_PERPLEXITY,)
        return (PERPLEXITY if config.quality.tokens_per_document is None else SAMPLED_PERPLEXITY,)

    def members(self, project: "Project") -> Iterable[Member]:
        """Return it, with the table that windows or a student give where a project has them."""
        return ((stage, "") for stage in self.stages(project.config))

    def needs(self, project: "Project") -> tuple[str, ...]:
        """Return the documents, the reference that scores, and its student where there is one."""
        reference = REFERENCE.asset_of(project.config.quality.reference)
        taught = (STUDENT.asset,) if project.config.quality.student is not None else ()
        return (DOCUMENTS.asset, reference, *taught)

    def settings(self, recipes: "Recipes", source: str) -> Settings:
        """Return how texts are read and cut into windows, and the reference."""
        quality = recipes.config.quality
        return {
            **loss_settings(recipes, source, quality.reference),
            **({} if quality.student is None else {"student": recipes.fit(STUDENT)}),
        }

    def found(self, models: "ModelRecipes") -> tuple[Path, str]:
        """Return where the reference lies, and its digest."""
        name = models.config.quality.reference
        return models.reference_folder(name), models.reference_digest(name)

    def scorer(self, models: "ModelRecipes", folder: Path, digest: str) -> Task:
        """Return what scores texts with a reference."""
        quality = models.config.quality
        if quality.student is None:
            return losses_of_texts(models, quality.reference, folder, digest)
        return student_losses(models, reference_losses(models, folder, digest))


class SampledPerplexity(Perplexity):
    """The same of some tokens of a long document, with the error that this leaves."""

    table = SAMPLED
    words = (
        Perplexity.words + " Of a long document some tokens are scored, in windows at its begin, "
        "middle and end; its standard error says how near that comes to the whole."
    )
    counted_column = "num_read_tokens"
    scaled_by: Mapping[str, str] = MappingProxyType({"bits_per_byte_error": "bits_per_byte"})


class StudentsPerplexity(SampledPerplexity):
    """What a student of the reference says, and the reference itself of some documents."""

    table = BY_STUDENT
    words = (
        "Loss of each document as a student of the reference says it, which learnt from a sample "
        "that the reference scored; of that sample, and where the student is unsure and that is "
        "asked for, the reference's own. It measures fluency and domain, not truth or spam."
    )


PERPLEXITY = Perplexity()
SAMPLED_PERPLEXITY = SampledPerplexity()
STUDENTS_PERPLEXITY = StudentsPerplexity()
