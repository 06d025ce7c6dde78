"""A stage with a fit of its own: a project has both where its configuration asks for them."""

from abc import abstractmethod
from collections.abc import Iterable
from typing import TYPE_CHECKING

from samplemix_dagster.config.project import Config
from samplemix_dagster.engine.stages import Fit, FitStage, Member, Stage

if TYPE_CHECKING:
    from samplemix_dagster.engine.project import Project


class OptionalFit(Fit):
    """A fit that is made where somebody asks for it."""

    @abstractmethod
    def is_asked(self, config: Config) -> bool:
        """Whether a project asks for it, and for what is made from it."""

    def names(self, project: "Project") -> tuple[str, ...]:
        """Return the only one, or none where nobody asks for it."""
        return ("",) if self.is_asked(project.config) else ()


class OptionalStage(Stage):
    """A stage that is there where its fit is."""

    fit: OptionalFit

    def stages(self, config: Config) -> tuple[Stage, ...]:
        """Return itself where it is asked for."""
        return (self,) if self.fit.is_asked(config) else ()

    def kinds(self) -> tuple[FitStage, ...]:
        """Return its fit."""
        return (self.fit,)

    def members(self, project: "Project") -> Iterable[Member]:
        """Return its fit and itself, where they are asked for."""
        return ((self.fit, ""), (self, "")) if self.fit.is_asked(project.config) else ()
