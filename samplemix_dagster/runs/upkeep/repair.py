"""Take damaged files out of the lake, so that the next plan has them made again.

What a run would make is removed with what belongs to it; then it is missing, and what is missing is
planned. A mixture version that no run would make is mended from its own manifest
(``mending.py``). Where only this machine's copy of a file of S3 is damaged, it is fetched again,
and the lake stays as it is. Damage is found by what reads a file, and by ``lake_check.py``.
"""

from collections.abc import Callable
from functools import partial

from samplemix_dagster.engine.addresses.recipes import Recipes
from samplemix_dagster.engine.project import Project
from samplemix_dagster.engine.stages import NotFittedError, Stage
from samplemix_dagster.errors import SampleMixError, UnreachableLakeError
from samplemix_dagster.export_formats.wanted import Wanted
from samplemix_dagster.runs.upkeep.lake_check import FOLDER_DEPTH, check_lake
from samplemix_dagster.runs.upkeep.mending import mend_version, retry_deferred
from samplemix_dagster.stages.export.exporting import export_into_lake
from samplemix_dagster.stages.mixture.drawing.drawn import MIXTURE
from samplemix_dagster.stages.mixture.published.version_files import export_key
from samplemix_dagster.stages.stepping.step import Step
from samplemix_dagster.stages.stepping.steps import build_steps
from samplemix_dagster.storage.lake import keys

__all__ = ["MOST_REPAIRS", "check_lake", "repair", "retry_deferred"]

MOST_REPAIRS = 3
"""Times that one run starts over: damage that comes back is not repaired by trying."""


def repair(project: Project) -> list[str]:
    """Remove every file that was found damaged since the last call; say in words what was done."""
    lake = project.lake
    sentences: list[str] = []
    if not lake.damaged:
        return []
    every = list(dict.fromkeys(lake.damaged))
    damaged = [key for key in every if not _mended_copy(project, key, sentences)]
    of_versions = [key for key in damaged if _folder(key) and key.startswith(f"{keys.MIXTURES}/")]
    for key in damaged:
        if key not in of_versions:
            _remove(project, key)
    lake.damaged.clear()
    project.refresh()
    wanted = _Wanted(project)
    sentences += [_sentence(key, wanted) for key in damaged if key not in of_versions]
    sentences += [_export_again(project, key) for key in _old_exports(damaged, wanted)]
    # They are mended from tables and fits, of which no damaged one is left by now.
    for folder in dict.fromkeys(map(_folder, of_versions)):
        _, name, version = folder.split("/")
        own = [key for key in of_versions if _folder(key) == folder]
        sentences.append(mend_version(project, name, version, own))
    lake.damaged.clear()
    project.refresh()
    return sentences


def _mended_copy(project: Project, key: str, sentences: list[str]) -> bool:
    is_mended = project.lake.mend_copy(key)
    if is_mended:
        sentences.append(f"{key} was damaged on this machine; it is fetched again.")
    return is_mended


def _remove(project: Project, key: str) -> None:
    """Remove a damaged file with what belongs to it."""
    lake, folder = project.lake, _folder(key)
    lake.checked -= {key, folder}
    if folder:
        lake.remove_folder(folder)
        return
    lake.remove(key)
    if key.startswith(keys.TABLES_OF_SHARDS[0]):
        # Documents and rejected rows are one reading of a shard.
        head = key.removesuffix(".parquet").removesuffix(".rejected")
        lake.remove(f"{head}.parquet")
        lake.remove(f"{head}.rejected.parquet")


def _folder(key: str) -> str:
    """Return the folder that is whole or not at all in which a key lies; empty for none."""
    parts = key.split("/")
    depth = FOLDER_DEPTH.get(parts[0], 0)
    return "/".join(parts[:depth]) if depth and len(parts) > depth else ""


def _sentence(key: str, wanted: "_Wanted") -> str:
    folder = _folder(key)
    what = f"{folder} is removed" if folder else "it is removed"
    return f"{key} was damaged; {what} {wanted.end(key, folder)}."


def _old_exports(damaged: list[str], wanted: "_Wanted") -> list[str]:
    """Return the folders of exports that were damaged and that no run would write."""
    folders = {_folder(key) for key in damaged if key.startswith(f"{keys.EXPORTS}/")}
    return sorted(folders - {""} - wanted.keys)


def _export_again(project: Project, folder: str) -> str:
    """Write an export that was removed again, as it was; say whether it could be."""
    _, name, version, form = folder.split("/")
    try:
        export_into_lake(project, name, version, Wanted.of_folder(form))
    except UnreachableLakeError:
        raise
    except (SampleMixError, NotFittedError, ValueError) as error:
        return f"{folder} could not be written again ({error}); `samplemix export` does, if it can."
    return f"{folder} is written again."


class _Wanted:
    """What the next run makes, if it is missing: tables of today's shards, fits, exports."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self.recipes = Recipes(project)
        self.keys: set[str] = set()
        self.is_known = True
        for step in build_steps(project):
            for stage in step.stages:
                self._try(partial(self._tables, stage))
            self._try(partial(self._folders, step))

    def _try(self, look: Callable[[], None]) -> None:
        try:
            look()
        except UnreachableLakeError:
            raise
        except (NotFittedError, SampleMixError):
            self.is_known = False  # it depends on what is to be made again first

    def _tables(self, stage: Stage) -> None:
        for shard in self.project.readable_shards():
            self.keys.add(self.recipes.feature_key(stage, shard))

    def _folders(self, step: Step) -> None:
        if step.is_published:
            version = MIXTURE.wanted(self.recipes, step.name)
            for export in self.project.config.exports_of(step.name):
                self.keys.add(export_key(self.project, step.name, version, export))
        elif step.fit is not None:
            version = self.recipes.wanted_fit(step.fit, step.name)
            self.keys.add(f"{step.fit.versions_folder(step.name)}/{version}")

    def end(self, key: str, folder: str) -> str:
        """Say what becomes of what was removed."""
        kind = key.split("/", 1)[0]
        is_result = bool(folder) or kind in {"documents", "features"}
        name = folder or key.replace(".rejected.parquet", ".parquet")
        if not is_result or name in self.keys or kind == "exports":
            return "and made again"
        if not self.is_known:
            return "and made again where it is needed"
        return (
            "and not made again, since nothing in use needs it: versions that were made from it "
            "are no longer scored again"
        )
