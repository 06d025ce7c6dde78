"""Export a mixture version: order its draws, write them, read them back, compare.

The ledger says what is drawn; here it becomes files, which are read back and compared with the
ledger before the export is called done.
"""

import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from samplemix_dagster.engine.addresses.recipes import Recipes
from samplemix_dagster.engine.outcome import Outcome, Progress, no_progress
from samplemix_dagster.engine.project import Project
from samplemix_dagster.engine.provenance import provenance
from samplemix_dagster.errors import InputError, LakeError
from samplemix_dagster.export_formats.format import FilePlan, Vocabulary
from samplemix_dagster.export_formats.wanted import MANIFEST, Wanted
from samplemix_dagster.stages.export.encoding import Encoder
from samplemix_dagster.stages.export.filling import check_tokenizer, fill
from samplemix_dagster.stages.export.order import draws_by_shard
from samplemix_dagster.stages.export.pointers.corpus_array import POOL
from samplemix_dagster.stages.export.pointers.pointing import write_pointers
from samplemix_dagster.stages.export.reading import Found, compare_with_ledger, read_back
from samplemix_dagster.stages.mixture.published.version_files import (
    check_ledger,
    export_asset,
    require_export,
    wanted_export,
)
from samplemix_dagster.storage.exports import ExportedFile, Spill, other_files, write_files
from samplemix_dagster.storage.lake import keys
from samplemix_dagster.storage.lake.contents.shapes import (
    CONTENT_SEAL,
    content_digest,
    joint_digest,
)
from samplemix_dagster.storage.lake.lake import Lake
from samplemix_dagster.storage.lake.whole_files import remove_folder
from samplemix_dagster.storage.s3.bucket import SCHEME


def run_export(
    project: Project,
    name: str,
    export: str,
    *,
    why: str,
    run_id: str | None,
    progress: Progress = no_progress,
) -> Outcome:
    """Export a mixture's current version into the lake, as one of its exports asks."""
    began = time.perf_counter()
    version = current_version(project, name)
    wanted = wanted_export(project, name, export)
    key = _key(name, version, wanted)
    asset = export_asset(name, export)
    manifest = _export(
        project,
        name,
        version,
        wanted,
        target=(project.lake, key),
        run_id=run_id,
        progress=_told(progress, asset),
    )
    return Outcome(
        asset=asset,
        partition=None,
        why=why,
        data_version=manifest["digest"],
        seconds=time.perf_counter() - began,
        facts={**manifest, "folder": project.lake.place(key)},
    )


def _told(progress: Progress, asset: str) -> Progress:
    """Return what tells of shards that were read as an asset's."""
    return lambda _asset, partition, done, total: progress(asset, partition, done, total)


def export_into_lake(project: Project, name: str, version: str, wanted: Wanted) -> dict[str, Any]:
    """Export any version into its folder of the lake, unless it stands there."""
    return _export(
        project,
        name,
        version,
        wanted,
        target=(project.lake, _key(name, version, wanted)),
        run_id=None,
        progress=no_progress,
    )


def _key(name: str, version: str, wanted: Wanted) -> str:
    return f"{keys.exports_of(name, version)}/{wanted.folder}"


def current_version(project: Project, name: str) -> str:
    """Return a mixture's current version.

    Raises:
        InputError: It has never been made.
    """
    current = project.lake.read_json(keys.current_version(name))
    if current is None:
        raise InputError(f"mixture {name!r} has not been made; `samplemix run` makes it.")
    return str(current["version"])


def export_version(
    project: Project,
    name: str,
    version: str,
    wanted: Wanted,
    *,
    folder: Path | str,
    run_id: str | None = None,
    progress: Progress = no_progress,
) -> dict[str, Any]:
    """Write a version's draws to a folder or below an ``s3://`` URL, unless that is already done.

    Raises:
        InputError: A shard has gone or changed since, or the folder holds something else.
        CheckFailedError: What was read back is not what the ledger says.
    """
    lake, key = project.export_target(str(folder))
    _refuse_file(folder)
    manifest = lake.read_json(f"{key}/{MANIFEST}")
    if manifest is not None:
        manifest = require_export(lake, key, manifest, str(folder))
        if (manifest["version"], Wanted.of_manifest(manifest)) != (version, wanted):
            raise InputError(f"{folder} holds another export; choose an empty folder with --to.")
        return manifest
    # On S3, files without a manifest can be those of an upload that broke off.
    is_half_sent = isinstance(folder, str) and folder.startswith(SCHEME)
    own = wanted.file_names() if is_half_sent else set()
    if lake.names(key) - own:
        raise InputError(f"{folder} is not empty; choose an empty folder with --to.")
    return _export(
        project,
        name,
        version,
        wanted,
        target=(lake, key),
        run_id=run_id,
        progress=progress,
    )


def _export(
    project: Project,
    name: str,
    version: str,
    wanted: Wanted,
    *,
    target: tuple[Lake, str],
    run_id: str | None,
    progress: Progress,
) -> dict[str, Any]:
    lake, key = target
    manifest = lake.read_json(f"{key}/{MANIFEST}")
    if manifest is not None:
        return dict(manifest)
    mixture = project.lake.read_json(keys.manifest(name, version))
    if mixture is None:
        raise LakeError(f"{name}@{version[:12]} is gone from the lake: it cannot be exported.")
    check_ledger(project.lake, mixture)
    with lake.fill_folder(key, MANIFEST) as aside:
        is_in_lake = lake is project.lake
        manifest = _write(project, mixture, wanted, aside, progress, is_in_lake=is_in_lake)
        manifest |= provenance(project.root, run_id)
        manifest[CONTENT_SEAL] = content_digest(manifest, CONTENT_SEAL)
        Lake(aside).replace_json(MANIFEST, manifest)
    return manifest


def _write(
    project: Project,
    mixture: Mapping[str, Any],
    wanted: Wanted,
    aside: Path,
    progress: Progress,
    *,
    is_in_lake: bool,
) -> dict[str, Any]:
    recipes = Recipes(project)
    check_tokenizer(recipes, mixture)
    encoder = Encoder.of(recipes, wanted)
    if wanted.form.points_into_corpus(wanted.options) and encoder.vocabulary is not None:
        done = write_pointers(recipes, mixture, wanted, encoder.vocabulary, aside, links=is_in_lake)
        compare_with_ledger(project, mixture, done.found)
        encoder.num_holding = done.num_holding
        manifest = _manifest(mixture, wanted, done.files, aside)
        return {**manifest, POOL: done.pool, **_of_ids(encoder, wanted, done.found)}
    plan = FilePlan(
        num_files=wanted.num_files, options=wanted.options, vocabulary=encoder.vocabulary
    )
    spilled = aside.parent / f".spill-{aside.name}"
    try:
        spill = Spill(spilled, wanted.form.unit)
        held_out = wanted.form.held_out_share(wanted.options)
        aside_draws = spilled / "order"
        with draws_by_shard(
            recipes.lake, mixture, wanted.num_files, held_out, aside_draws
        ) as draws:
            fill(recipes, mixture, draws, spill, encoder, progress)
        spill.close()
        files = write_files(spill, aside, wanted.form, plan)
        found = read_back(aside, wanted, plan, spill)
    finally:
        remove_folder(spilled)
    compare_with_ledger(project, mixture, found)
    manifest = _manifest(mixture, wanted, files, aside)
    return {**manifest, **_of_ids(encoder, wanted, found)}


def _manifest(
    mixture: Mapping[str, Any],
    wanted: Wanted,
    files: list[ExportedFile],
    aside: Path,
) -> dict[str, Any]:
    manifest = {
        "schema": 1,
        "name": mixture["name"],
        "version": mixture["version"],
        "format": wanted.name,
        "num_draws": sum(file.num_draws for file in files),
        "num_tokens": sum(file.num_tokens for file in files),
        "files": [asdict(file) for file in files],
    }
    # A format of texts with nothing beside has the manifest that it always had.
    if others := other_files(aside, files):
        manifest["others"] = [asdict(file) for file in others]
    if wanted.said_options:
        manifest["options"] = dict(wanted.said_options)
    return {**manifest, "digest": joint_digest(manifest)}


def _of_ids(encoder: Encoder, wanted: Wanted, found: Found) -> Mapping[str, Any]:
    """Return what the manifest of an export of ids says beside; nothing for one of texts."""
    vocabulary = encoder.vocabulary
    if vocabulary is None:
        return {}
    said = {
        "num_added_tokens": found.num_ids - found.num_tokens,
        "num_documents_holding_eos": encoder.num_holding["EOS"],
        **_of_pieces(encoder, vocabulary, found),
        "eos_id": vocabulary.eos_id,
        "vocabulary_size": vocabulary.size,
        "dtype": wanted.form.dtype(vocabulary.size),
        "tokenizer": vocabulary.tokenizer,
    }
    if vocabulary.bos != "none":
        said |= {
            "bos_id": vocabulary.bos_id,
            "num_bos_tokens": found.draws.num_draws,
            "num_documents_holding_bos": encoder.num_holding["BOS"],
        }
    return said


def _of_pieces(encoder: Encoder, vocabulary: Vocabulary, found: Found) -> Mapping[str, int]:
    """Return how many documents have words in pieces, and ids more for it; nothing for none."""
    if not encoder.num_escaped:
        return {}
    marks = found.draws.num_draws * len(vocabulary.laid([]))
    return {
        "num_escaped_documents": encoder.num_escaped,
        "num_escape_tokens": found.num_ids - found.num_tokens - marks,
    }


def _refuse_file(folder: Path | str) -> None:
    """Refuse to write below what is no folder.

    Raises:
        InputError: It, or what it would lie in, is a file.
    """
    if isinstance(folder, str) and folder.startswith(SCHEME):
        return
    path = Path(folder)
    for one in (path, *path.parents):
        if one.exists() and not one.is_dir():
            raise InputError(f"{one} is a file; choose an empty folder with --to.")
