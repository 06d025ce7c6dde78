"""What a stage is: all that is asked of one, so that nobody asks which one it is.

A stage's own file has its name, its table or its files, what it needs, its settings, its numbers
and its words. ``version`` is raised when a stage's code changes what it computes; it is part of
every recipe, so that raising it recomputes the stage and what depends on it, and nothing else.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import pyarrow as pa

from samplemix_dagster.storage.lake import keys
from samplemix_dagster.table_contract import Table

if TYPE_CHECKING:
    from samplemix_dagster.config.project import Config
    from samplemix_dagster.engine.addresses.recipes import Recipes
    from samplemix_dagster.engine.fitting.writer import FitWriter
    from samplemix_dagster.engine.outcome import Progress
    from samplemix_dagster.engine.placed_shard import PlacedShard
    from samplemix_dagster.engine.project import Project

Settings = Mapping[str, Any]
"""JSON values by name."""
Facts = dict[str, Any]
"""Numbers and short texts for people, by name."""
Maker = Callable[["PlacedShard"], pa.Table]
"""Makes a shard's table from tables that are there."""

WHOLE_CORPUS = ("corpus",)
"""What is waited for by whatever is not to begin before the corpus is known whole."""
IDS_FILE = "ids.json"
"""The file of a fit of groups that says which id and name each of them has."""


@runtime_checkable
class Task(Protocol):
    """What a worker does to some texts; it is sent to other processes, so it is plain data."""

    def run(self, doc_ids: list[str], texts: list[str]) -> pa.Table:
        """Return the table of N texts: a row each, in their order."""


class NotFittedError(Exception):
    """A recipe depends on a fit that has not been made yet."""

    def __init__(self, fit: "FitStage", name: str = "") -> None:
        super().__init__(f"{fit.folder(name)} has not been fitted yet")
        self.asset = fit.asset_of(name)
        """The asset that makes it."""


Member = tuple["Stage | FitStage", str]
"""A stage with the name of one of several (a reference, a mixture); empty where it is the only."""


class Line(ABC):
    """A line of the flow: a stage, or a family of which a project has as many as it names."""

    def stages(self, config: "Config") -> "tuple[Stage, ...]":
        """Return its per-shard stages."""
        del config
        return ()

    def kinds(self) -> "tuple[FitStage, ...]":
        """Return its kinds of fits."""
        return ()

    @abstractmethod
    def members(self, project: "Project") -> Iterable[Member]:
        """Return all that a project has of it."""


class Stage(Line):
    """A per-shard stage: documents of a shard in, a table of them out, a row each."""

    name: str
    """Its name in the lake."""
    asset: str
    """Its asset; stages that are filled in one pass share one."""
    group: str
    """The word by which ``--select`` takes it."""
    table: Table
    version: int = 1
    words: str = ""
    """What a person reads of it, in a sentence."""
    carries_over: bool = False
    """Whether a rewritten shard keeps the rows of documents that it had before."""
    is_base: bool = False
    """Whether it reads text or runs a model: what it computed is stored, and costs the most."""
    is_wide: bool = False
    """Whether its columns stand in the wide table of scores, so that mixtures are made from it."""
    feeds: bool = False
    """Whether a stage or fit that mixtures are made from is made from it, if it is not wide."""
    uses_model: bool = False
    """Whether a model computes it, so that it has its turn on the device."""
    endings: tuple[str, ...] = (".parquet",)
    """Endings of the files of a shard, without which it is not whole."""
    lists_documents: bool = False
    """Whether its rows say which documents a shard has: other tables are held against it."""
    counted_column: str = ""
    """The column of the tokens that a model read, for who measures how fast that goes."""
    group_column: str = ""
    """The column of the group of each document, if a refit can move it to another."""
    scaled_by: Mapping[str, str] = MappingProxyType({})
    """Columns that say how far another may be off, with that one: it is their scale, too."""
    tolerance: float | None = None
    """Largest relative difference when it is computed again; None: that of the number format."""

    def stages(self, config: "Config") -> "tuple[Stage, ...]":
        """Return itself."""
        del config
        return (self,)

    def members(self, project: "Project") -> Iterable[Member]:
        """Return itself."""
        del project
        return ((self, ""),)

    @property
    def title(self) -> str:
        """What people call it: its asset, with its own name where that is another one."""
        return self.asset if self.name == self.asset else f"{self.asset} ({self.name})"

    @abstractmethod
    def needs(self, project: "Project") -> tuple[str, ...]:
        """Return the assets whose results it reads."""

    def waits(self) -> tuple[str, ...]:
        """Return assets that are to be complete before it runs, though it may not read them."""
        return WHOLE_CORPUS

    @abstractmethod
    def settings(self, recipes: "Recipes", source: str) -> Settings:
        """Return everything that its table depends on, beside the shard and its version.

        What is left out here is a bug that shows as a stale result.

        Raises:
            NotFittedError: It depends on a fit that has not been made.
        """

    @abstractmethod
    def work(self, recipes: "Recipes", partition: str) -> Task | Maker:
        """Return what computes it for a partition: from texts, or from tables that are there."""

    def reads_text(self, project: "Project") -> bool:
        """Whether it reads text or runs a model: it is stored then, or cannot be had."""
        del project
        return self.is_base

    def columns(self) -> dict[str, str]:
        """Return the columns that it gives to the wide table, with the names they have there."""
        return {column.name: column.name for column in self.table.columns[1:]}

    def contract(self, config: "Config", made: pa.Table | None = None) -> Table:
        """Return the contract of its table, where the configuration or what was made decides it."""
        del config, made
        return self.table

    def lake_folder(self, recipe: str) -> str:
        """Return the folder of the tables that were made by a recipe."""
        return keys.features_folder(self.name, recipe)


class FitStage(Line):
    """A fit over the whole corpus: shards in, one folder of small files out."""

    name: str
    """Its name in the lake."""
    asset: str
    group: str
    version: int = 1
    words: str = ""
    """What a person reads of it, in a sentence."""
    is_frozen: bool = True
    """Whether it is kept while its recipe stays, although the corpus may have changed."""
    can_be_neutral: bool = False
    """Whether it stands in as neutral where there is nothing to tell apart, which is told."""
    by_drift: bool = True
    """Whether a frozen one is made again when the corpus has drifted."""
    least_likeness: float | None = None
    """How like a group must be to one before to keep its id and name; None: it has no groups."""
    is_published: bool = False
    """Whether a version becomes current only when its checks hold."""
    uses_model: bool = False
    """Whether a model is trained in it."""
    named_by_content: bool = False
    """Whether a recipe names what it holds, so that another fit that holds the same is as good."""
    marker: str = "fit.json"
    """The file of a version that says that it is whole."""

    def kinds(self) -> "tuple[FitStage, ...]":
        """Return itself."""
        return (self,)

    def names(self, project: "Project") -> tuple[str, ...]:
        """Return the names of those that a project has; one alone has none."""
        del project
        return ("",)

    def members(self, project: "Project") -> Iterable[Member]:
        """Return each of it that a project has."""
        return ((self, name) for name in self.names(project))

    def is_used(self, config: "Config", name: str) -> bool:
        """Whether a mixture is made from it."""
        del config, name
        return True

    @property
    def code_version(self) -> str:
        """What Dagster is told: versions that were made by this or later code stay current."""
        return str(self.version)

    def asset_of(self, name: str = "") -> str:
        """Return the asset of one fit: ``run --refit`` takes it."""
        return f"{self.asset}/{name}" if name else self.asset

    def folder(self, name: str = "") -> str:
        """Return what one is called in the lake: the stage, with a name where there are several."""
        return f"{self.name}-{name}" if name else self.name

    def versions_folder(self, name: str = "") -> str:
        """Return the folder of the versions of one fit, and of the note of the one in use."""
        return keys.fits_folder(self.folder(name))

    def node(self, name: str = "") -> str:
        """Return its node in a version's graph of recipes."""
        return f"fit/{self.folder(name)}"

    def is_given(self, config: "Config", name: str) -> bool:
        """Whether it stands somewhere already, and is only looked at."""
        del config, name
        return False

    @abstractmethod
    def needs(self, project: "Project", name: str) -> tuple[str, ...]:
        """Return the assets whose results it reads."""

    def waits(self) -> tuple[str, ...]:
        """Return assets that are to be complete before it runs, though it may not read them."""
        return WHOLE_CORPUS

    @abstractmethod
    def settings(self, recipes: "Recipes", name: str) -> Settings:
        """Return everything that it depends on, beside the shards and its version.

        Raises:
            NotFittedError: It depends on a fit that has not been made.
        """

    def reads_text(self, project: "Project", name: str) -> bool:
        """Whether it reads texts: it is stored then, or cannot be had."""
        del project, name
        return False

    def version_by(self, recipes: "Recipes", name: str, settings: Settings) -> int:
        """Return the version of the code by which it is made of some settings."""
        del recipes, name, settings
        return self.version

    def shards(self, recipes: "Recipes", name: str) -> "list[PlacedShard]":
        """Return the shards that it reads."""
        del name
        return recipes.project.all_shards()

    def space(self, recipes: "Recipes") -> str:
        """Return what two fits must have in common for their groups to be compared."""
        del recipes
        return ""


class Fit(FitStage):
    """A fit whose files a run writes into a folder of a version, which appears whole."""

    @abstractmethod
    def make(
        self, recipes: "Recipes", writer: "FitWriter", name: str, progress: "Progress"
    ) -> Facts:
        """Fill the folder of a version, and return facts about it.

        Raises:
            NotFittedError: It reads a fit that has not been made.
        """
