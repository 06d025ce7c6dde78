"""mixture: copies of each document, drawn from scores and law for a token budget."""

from typing import TYPE_CHECKING

from samplemix_dagster.core.hashing import fingerprint
from samplemix_dagster.engine.foundation.corpus import CORPUS
from samplemix_dagster.engine.stages import FitStage, Settings
from samplemix_dagster.stages.beta import BETA
from samplemix_dagster.stages.exclusions.excluded import EXCLUDED, excluded_digest
from samplemix_dagster.stages.mixture.before import settings_of
from samplemix_dagster.stages.outside.labels import labels_by
from samplemix_dagster.stages.scores import SCORES
from samplemix_dagster.storage.lake import keys

if TYPE_CHECKING:
    from samplemix_dagster.engine.addresses.recipes import Recipes
    from samplemix_dagster.engine.project import Project

REALISED_SCALE = 1
"""The version of a draw whose ledger expects copies at the settled scale, luck and all."""


class Mixture(FitStage):
    """A draw: its versions stand in a room of their own, and are published by their checks."""

    name = "mixture"
    asset = "mixture"
    group = "mixture"
    version = 2
    older: tuple[int, ...] = (REALISED_SCALE,)
    """Versions of the draw that are still drawn, to the byte; one that stands in a lake stays."""
    is_frozen = False
    is_published = True
    marker = "manifest.json"

    @property
    def code_version(self) -> str:
        """The oldest, since versions that were drawn by it stay current."""
        return str(min(self.older))

    def names(self, project: "Project") -> tuple[str, ...]:
        """Return the mixtures that a project names."""
        return tuple(project.config.mixtures)

    def versions_folder(self, name: str = "") -> str:
        """Return the folder of a mixture's versions."""
        return keys.versions_folder(name)

    def node(self, name: str = "") -> str:
        """Return the node that a version's graph of recipes ends in."""
        del name
        return self.name

    def needs(self, project: "Project", name: str) -> tuple[str, ...]:
        """Return law and scores, the corpus, which knows duplicates, what is excluded, and labels.

        Only those labels that its shares are held by.
        """
        excluded = (EXCLUDED.asset,) if EXCLUDED.is_asked(project) else ()
        labels = (stage.asset for stage in labels_by(project.config, name))
        return (BETA.asset, SCORES.asset, CORPUS.asset, *excluded, *labels)

    def settings(self, recipes: "Recipes", name: str) -> Settings:
        """Return what the mixture's own section says, scores, law, labels and what is excluded."""
        excluded = excluded_digest(recipes)
        labels = {
            stage.label: recipes.by_source(stage) for stage in labels_by(recipes.config, name)
        }
        return {
            "mixture": settings_of(recipes.project, name),
            "scores": recipes.by_source(SCORES),
            "duplicates": recipes.config.corpus.duplicates,
            "beta": recipes.fit(BETA),
            **({"excluded": excluded} if excluded else {}),
            **({"labels": labels} if labels else {}),
        }

    def version_by(self, recipes: "Recipes", name: str, settings: Settings) -> int:
        """Return the version of the draw: an older one, where what it drew of this stands.

        As a frozen fit stays while its recipe is today's, so does a mixture that was drawn before
        the draw's code changed what it notes of the same draws.
        """
        inputs = recipes.fit_inputs(self)
        current = (recipes.lake.read_json(keys.current_version(name)) or {}).get("version")
        for older in self.older:
            recipe = {"stage": self.name, "stage_version": older, **settings}
            version = fingerprint({"recipe": recipe, "inputs": inputs})
            if version == current or recipes.lake.exists(keys.manifest(name, version)):
                return older
        return self.version

    def wanted(self, recipes: "Recipes", name: str) -> str:
        """Return the version that a mixture should have.

        It is a hash of the mixture's configuration, of every fit and feature recipe (through the
        beta fit and the scores) and of the shards; not of the mixture's name.
        """
        recipe = recipes.fit_recipe(self, name)
        return fingerprint({"recipe": recipe, "inputs": recipes.fit_inputs(self)})


MIXTURE = Mixture()
