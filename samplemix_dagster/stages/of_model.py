"""A stage that a model computes from texts."""

from abc import abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING

from samplemix_dagster.engine.stages import Maker, Stage, Task

if TYPE_CHECKING:
    from samplemix_dagster.engine.addresses.model_recipes import ModelRecipes
    from samplemix_dagster.engine.addresses.recipes import Recipes


class ModelStage(Stage):
    """A stage whose rows a model computes, each from a text: any can be computed again alone."""

    model: str
    """What a version's manifest calls the model: ``reference``, ``encoder`` or ``tokenizer``."""
    is_base = True
    carries_over = True

    @abstractmethod
    def found(self, models: "ModelRecipes") -> tuple[Path, str]:
        """Return where the model lies, and its digest.

        Raises:
            NotFittedError: It is to be trained here and has not been.
            ModelError: It cannot be found.
        """

    @abstractmethod
    def scorer(self, models: "ModelRecipes", folder: Path, digest: str) -> Task:
        """Return what computes rows from texts with the model in a folder."""

    def work(self, recipes: "Recipes", partition: str) -> Task | Maker:
        """Return what computes rows from texts with the model of the project."""
        del partition
        return self.scorer(recipes, *self.found(recipes))
