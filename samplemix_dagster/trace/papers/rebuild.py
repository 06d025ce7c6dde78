"""A version without its texts: ids, digests and draws, from which others rebuild its files.

Whoever has the same shards and the same tokenizer gets the same bytes, and is told if not. The
folder of a recipe holds ``recipe.json``, the version's manifest and ledger as they are, and of each
scored document the cluster, which decides the order.
"""

import contextlib
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from samplemix_dagster.engine.project import Project
from samplemix_dagster.errors import CheckFailedError, InputError
from samplemix_dagster.export_formats.wanted import MANIFEST, Wanted
from samplemix_dagster.stages.export.exporting import export_version
from samplemix_dagster.stages.mixture.published.mixture_manifest import read_traced
from samplemix_dagster.stages.mixture.published.version_files import check_ledger
from samplemix_dagster.storage.corpus.manifest import ledger_file
from samplemix_dagster.storage.lake import keys
from samplemix_dagster.storage.lake.lake import Lake
from samplemix_dagster.storage.lake.whole_files import digest_file
from samplemix_dagster.table_contract import Table
from samplemix_dagster.tables import CLUSTERS, DOC_ID
from samplemix_dagster.trace.remade.pinned import scratch_over
from samplemix_dagster.trace.takedown import exports_of

_RECIPE = "recipe.json"
_SCHEMA = 1
_CLUSTER = Table("cluster", "One row per document of a shard: its cluster.", CLUSTERS.columns[:2])
"""The columns of scores that an order is made from; quality stands in the ledger."""


def write_recipe(project: Project, name: str, version: str, to: Path) -> Mapping[str, Any]:
    """Write what others need to rebuild the exports of a version; return ``recipe.json``.

    Raises:
        InputError: The folder holds something, or the version has no export in the lake.
        LakeError: A table of the version is gone or damaged.
    """
    if to.exists() and (not to.is_dir() or any(to.iterdir())):
        raise InputError(f"{to} is not an empty folder; choose one with --to.")
    manifest = read_traced(project, name, version)
    exports = {
        folder: dict(exported.manifest)
        for folder, exported in exports_of(project, {"name": name, "version": version})
        if not exported.wanted.form.points_into_corpus(exported.wanted.options)
    }
    if not exports:
        raise InputError(
            f"{name}@{version[:12]} has no export of its own files; `samplemix run` writes them."
        )
    check_ledger(project.lake, manifest)
    folder, out = keys.version_folder(name, version), Lake(to)
    out.write_bytes(MANIFEST, project.lake.path(keys.manifest_in(folder)).read_bytes())
    for shard in manifest["shards"]:
        file = ledger_file(shard["source"], shard["digest"])
        out.write_bytes(file, project.lake.path(f"{folder}/{file}").read_bytes())
        table = project.lake.read_table(_scores_key(manifest, shard), _names())
        out.write_table(_cluster_file(shard), table.select(_names()), _CLUSTER, {})
    files = sorted(path for path in to.rglob("*") if path.is_file())
    recipe = {
        "schema": _SCHEMA,
        "name": name,
        "version": version,
        "tokenizer": manifest["fits"]["tokenizer"],
        "exports": exports,
        "files": {path.relative_to(to).as_posix(): digest_file(path) for path in files},
    }
    out.replace_json(_RECIPE, recipe)
    return recipe


def rebuild(project: Project, folder: Path, to: Path) -> list[Mapping[str, Any]]:
    """Write every export of a recipe from the shards of a project; return their manifests.

    Raises:
        InputError: The folder holds no whole recipe, a shard is not there, or the tokenizer is
            another.
        CheckFailedError: A file has other bytes than the recipe says.
    """
    recipe = _read_recipe(folder)
    name, version = str(recipe["name"]), str(recipe["version"])
    manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    found: list[Mapping[str, Any]] = []
    own = project.lake
    with scratch_over(project) as lake, contextlib.ExitStack() as after:
        after.callback(setattr, project, "lake", own)
        place = keys.version_folder(name, version)
        for file in (MANIFEST, *(one for one in recipe["files"] if one.startswith("ledger/"))):
            target = lake.top.path(f"{place}/{file}")
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(folder / file, target)
        for shard in manifest["shards"]:
            table = Lake(folder).read_table(_cluster_file(shard))
            lake.top.write_table(_scores_key(manifest, shard), table, _CLUSTER, {})
        project.lake = lake
        for export, stated in recipe["exports"].items():
            wanted = Wanted.of_manifest(stated)
            done = export_version(project, name, version, wanted, folder=to / export)
            _compare(export, stated, done)
            found.append(done)
    return found


def _names() -> list[str]:
    return [DOC_ID.name, "cluster"]


def _scores_key(manifest: Mapping[str, Any], shard: Mapping[str, Any]) -> str:
    folder = manifest["recipe"]["scores"][shard["source"]]
    return f"{keys.features_folder('scores', folder)}/{shard['digest']}.parquet"


def _cluster_file(shard: Mapping[str, Any]) -> str:
    return f"clusters/{shard['source']}-{shard['digest']}.parquet"


def _read_recipe(folder: Path) -> Mapping[str, Any]:
    file = folder / _RECIPE
    try:
        recipe = json.loads(file.read_text(encoding="utf-8"))
        files = {str(name): str(digest) for name, digest in recipe["files"].items()}
        if recipe["schema"] != _SCHEMA:
            raise InputError(f"{file} has form {recipe['schema']}; this version reads {_SCHEMA}.")
        for name, digest in files.items():
            if digest_file(folder / name) != digest:
                raise InputError(f"{folder / name} is not what the recipe says; get it again.")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{folder} holds no whole recipe: {error}") from error
    return dict(recipe)


def _compare(export: str, stated: Mapping[str, Any], done: Mapping[str, Any]) -> None:
    wanted = {file["name"]: file["digest"] for file in stated["files"]}
    found = {file["name"]: file["digest"] for file in done["files"]}
    other = sorted(name for name in {*wanted, *found} if wanted.get(name) != found.get(name))
    if other:
        raise CheckFailedError(
            f"{export}: {len(other)} of {len(wanted)} files have other bytes than in the recipe "
            f"({', '.join(other[:3])}). The draws are the same, as the ledger was compared; files "
            "can differ with the versions of the packages that write them: "
            + ", ".join(f"{name} {number}" for name, number in stated.get("packages", {}).items())
        )
