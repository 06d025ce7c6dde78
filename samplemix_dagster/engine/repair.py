"""Take damaged files out of the lake, so that the next plan has them made again.

Every file but the shards' can be made again from what it was made from. A damaged one is removed
with what belongs to it; then it is missing, and what is missing is planned. Tables carry checksums
and are checked whenever they are read; fits and ledgers are known by digests. Where only this
machine's copy of a file of S3 is damaged, it is fetched again, and the lake stays as it is.
"""

import contextlib

from samplemix_dagster.engine import stages
from samplemix_dagster.engine.flow import build_steps
from samplemix_dagster.engine.model_recipes import NotFittedError
from samplemix_dagster.engine.project import PlacedShard, Project
from samplemix_dagster.engine.recipes import Recipes
from samplemix_dagster.errors import DamagedError

_FOLDER_DEPTH = {"fits": 3, "mixtures": 3, "exports": 4}
"""Parts of the key of a folder that is whole or not at all, by where it stands."""
MOST_REPAIRS = 3
"""Times that one run starts over: damage that comes back is not repaired by trying."""


def repair(project: Project) -> list[str]:
    """Remove every file that was found damaged since the last call; say in words what was done."""
    lake, sentences = project.lake, []
    if not lake.damaged:
        return []
    for key in dict.fromkeys(lake.damaged):
        parts = key.split("/")
        depth = _FOLDER_DEPTH.get(parts[0], 0)
        if lake.mend_copy(key):
            sentences.append(f"{key} was damaged on this machine; it is fetched again.")
            continue
        if depth and len(parts) > depth:
            folder = "/".join(parts[:depth])
            lake.remove_folder(folder)
            lake.checked.discard(folder)
            sentences.append(f"{key} was damaged; {folder} is removed and made again.")
            continue
        lake.remove(key)
        if parts[0] == "documents":
            # Documents and rejected rows are one reading of a shard.
            head = key.removesuffix(".parquet").removesuffix(".rejected")
            lake.remove(f"{head}.parquet")
            lake.remove(f"{head}.rejected.parquet")
        sentences.append(f"{key} was damaged; it is removed and made again.")
    lake.damaged.clear()
    project.refresh()
    return sentences


def check_lake(project: Project) -> int:
    """Read every table, fit and ledger in use, so that damage is known; return how many are good.

    What is damaged is noted by the lake, and the next run makes it again. Of a lake on S3, the
    objects are checked, not this machine's copies of them.
    """
    project.lake.checked.clear()
    with project.lake.afresh():
        return _check_files(project)


def _check_files(project: Project) -> int:
    recipes, lake, good = Recipes(project), project.lake, 0
    shards: list[PlacedShard] = []
    with contextlib.suppress(DamagedError):
        shards = project.readable_shards()
    for step in build_steps(project):
        for stage in step.stages:
            for shard in shards:
                with contextlib.suppress(NotFittedError, DamagedError):
                    key = recipes.feature_key(stage, shard)
                    if lake.exists(key):
                        lake.read_table(key)
                        good += 1
        if step.fit is stages.MIXTURE:
            with contextlib.suppress(DamagedError):
                good += _check_ledgers(project, step.name)
        elif step.fit is not None:
            with contextlib.suppress(NotFittedError, DamagedError):
                recipes.fit_key(step.fit, step.name)
                good += 1
    return good


def _check_ledgers(project: Project, name: str) -> int:
    lake = project.lake
    current = lake.read_json(f"mixtures/{name}/current.json")
    if current is None:
        return 0
    folder = f"mixtures/{name}/{current['version']}"
    ledger = (lake.read_json(f"{folder}/manifest.json") or {"ledger": {}})["ledger"]
    for file, digest in ledger.items():
        key = f"{folder}/{file}"
        if not lake.exists(key) or lake.digest(key) != digest:
            raise lake.damage(key, "its bytes are not those that were written")
    return len(ledger)
