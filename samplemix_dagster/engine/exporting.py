"""Export a mixture version: order its draws, write them, read them back, count.

The ledger says what is drawn; here it becomes files. Every text is counted again in the budget's
tokenizer while it is written, and the files are read back and compared with the ledger before the
export is called done.
"""

import collections
import time
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from samplemix_dagster.core.hashing import doc_id
from samplemix_dagster.engine.export_order import Draws, ledger_key, ordered_draws
from samplemix_dagster.engine.maps import Outcome, Progress, no_progress
from samplemix_dagster.engine.project import Project
from samplemix_dagster.engine.provenance import provenance
from samplemix_dagster.engine.recipes import Recipes
from samplemix_dagster.engine.shard_places import is_of
from samplemix_dagster.engine.shard_rows import rules_as_read
from samplemix_dagster.engine.version_files import check_ledger, export_key, require_export
from samplemix_dagster.errors import CheckFailedError, InputError, LakeError
from samplemix_dagster.storage.exports import Spill, file_name, read_back, write_files
from samplemix_dagster.storage.lake import Lake
from samplemix_dagster.storage.manifest import Shard
from samplemix_dagster.storage.models import load_tokenizer
from samplemix_dagster.storage.rows import Openable
from samplemix_dagster.storage.s3 import SCHEME
from samplemix_dagster.storage.shapes import CONTENT_SEAL, content_digest
from samplemix_dagster.storage.shards import Document, read_shard
from samplemix_dagster.storage.whole_files import digest_file, remove_folder

_TOKENIZED_AT_ONCE = 128


def run_export(
    project: Project, name: str, why: str, run_id: str | None, progress: Progress = no_progress
) -> Outcome:
    """Export a mixture's current version into the lake, in the configured format."""
    began = time.perf_counter()
    version = current_version(project, name)
    settings = project.config.export
    key = export_key(project, name, version)
    manifest = _export(
        project,
        name,
        version,
        form=settings.format,
        num_files=settings.files,
        target=(project.lake, key),
        run_id=run_id,
        progress=progress,
    )
    return Outcome(
        asset=f"export/{name}",
        partition=None,
        why=why,
        data_version=manifest["digest"],
        seconds=time.perf_counter() - began,
        facts={**manifest, "folder": project.lake.place(key)},
    )


def export_into_lake(
    project: Project, name: str, version: str, *, form: str, num_files: int
) -> dict[str, Any]:
    """Export any version into its folder of the lake, unless it stands there."""
    return _export(
        project,
        name,
        version,
        form=form,
        num_files=num_files,
        target=(project.lake, f"exports/{name}/{version}/{form}-{num_files}"),
        run_id=None,
        progress=no_progress,
    )


def current_version(project: Project, name: str) -> str:
    """Return a mixture's current version.

    Raises:
        InputError: It has never been made.
    """
    current = project.lake.read_json(f"mixtures/{name}/current.json")
    if current is None:
        raise InputError(f"mixture {name!r} has not been made; `samplemix run` makes it.")
    return str(current["version"])


def export_version(
    project: Project,
    name: str,
    version: str,
    *,
    form: str,
    num_files: int,
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
    manifest = lake.read_json(f"{key}/manifest.json")
    if manifest is not None:
        manifest = require_export(lake, key, manifest, str(folder))
        there = (manifest["version"], manifest["format"], len(manifest["files"]))
        if there != (version, form, num_files):
            raise InputError(f"{folder} holds another export; choose an empty folder with --to.")
        return manifest
    # On S3, files without a manifest can be those of an upload that broke off.
    is_half_sent = isinstance(folder, str) and folder.startswith(SCHEME)
    own = {file_name(number, form) for number in range(num_files)} if is_half_sent else set()
    if lake.names(key) - own:
        raise InputError(f"{folder} is not empty; choose an empty folder with --to.")
    return _export(
        project,
        name,
        version,
        form=form,
        num_files=num_files,
        target=(lake, key),
        run_id=run_id,
        progress=progress,
    )


def _export(
    project: Project,
    name: str,
    version: str,
    *,
    form: str,
    num_files: int,
    target: tuple[Lake, str],
    run_id: str | None,
    progress: Progress,
) -> dict[str, Any]:
    lake, key = target
    manifest = lake.read_json(f"{key}/manifest.json")
    if manifest is not None:
        return dict(manifest)
    mixture = project.lake.read_json(f"mixtures/{name}/{version}/manifest.json")
    if mixture is None:
        raise LakeError(f"{name}@{version[:12]} is gone from the lake: it cannot be exported.")
    check_ledger(project.lake, mixture)
    with lake.fill_folder(key, "manifest.json") as aside:
        manifest = _write(project, mixture, form, num_files, aside, progress)
        manifest |= provenance(project.root, run_id)
        manifest[CONTENT_SEAL] = content_digest(manifest, CONTENT_SEAL)
        Lake(aside).replace_json("manifest.json", manifest)
    return manifest


def _write(
    project: Project,
    mixture: dict[str, Any],
    form: str,
    num_files: int,
    aside: Path,
    progress: Progress,
) -> dict[str, Any]:
    spilled = aside.parent / f".spill-{aside.name}"
    try:
        spill = Spill(spilled, num_files)
        recipes = Recipes(project)
        _check_tokenizer(recipes, mixture)
        draws = ordered_draws(recipes, mixture, num_files)
        tokens = _spill(recipes, mixture, draws, spill, progress)
        spill.close()
        files = write_files(spill, aside, num_files, form)
    finally:
        remove_folder(spilled)
    _compare(project, mixture, aside, [file.name for file in files], tokens)
    return {
        "schema": 1,
        "name": mixture["name"],
        "version": mixture["version"],
        "format": form,
        "num_draws": sum(file.num_draws for file in files),
        "num_tokens": sum(file.num_tokens for file in files),
        "files": [asdict(file) for file in files],
        "digest": files[0].digest if len(files) == 1 else _joint(file.digest for file in files),
    }


def _check_tokenizer(recipes: Recipes, mixture: dict[str, Any]) -> None:
    """Refuse a version whose tokens were counted by a tokenizer that is no longer named.

    Raises:
        InputError: They were.
    """
    before, now = mixture["fits"]["tokenizer"], recipes.tokenizer_digest
    if before != now:
        raise InputError(
            f"version {mixture['version'][:12]} counted its tokens with another tokenizer "
            f"({before[:8]}, now {now[:8]}); name that one under `tokenizer` to export it."
        )


def _joint(digests: Any) -> str:
    from samplemix_dagster.core.hashing import fingerprint

    return fingerprint(list(digests))


def _spill(
    recipes: Recipes,
    mixture: dict[str, Any],
    draws: Draws,
    spill: Spill,
    progress: Progress,
) -> int:
    """Read each shard with draws once and set its draws aside; return the tokens counted."""
    project = recipes.project
    tokenizer = load_tokenizer(recipes.tokenizer_folder)
    placed = {(one.source, one.digest): one.shard for one in project.all_shards()}
    counted = 0
    by_shard = np.argsort(draws.shard, kind="stable")
    bounds = np.searchsorted(draws.shard[by_shard], np.arange(len(mixture["shards"]) + 1))
    for number, shard in enumerate(mixture["shards"]):
        chosen = by_shard[bounds[number] : bounds[number + 1]]
        if chosen.size == 0:
            continue
        by_row: dict[int, list[int]] = collections.defaultdict(list)
        for draw in chosen:
            by_row[int(draws.row[draw])].append(int(draw))
        key = ledger_key(mixture, shard)
        ledger = recipes.lake.read_table(key, ["row", "doc_id"])
        ids = dict(
            zip(ledger.column("row").to_pylist(), ledger.column("doc_id").to_pylist(), strict=True)
        )
        file = _shard_file(project, shard, placed)
        # The ledger says which rows are documents, also where the rules have moved on since.
        rules = replace(
            rules_as_read(recipes, shard["source"], shard["digest"]),
            min_characters=1,
            max_word_characters=0,
        )
        held: list[Document] = []
        for row in read_shard(file, rules):
            if isinstance(row, Document) and row.row in by_row:
                if doc_id(row.text) != ids[row.row]:
                    raise InputError(
                        f"{file} changed while it was exported; run again. (Or an older reader "
                        f"read row {row.row} otherwise: then a version that is drawn now has it.)"
                    )
                held.append(row)
                if len(held) >= _TOKENIZED_AT_ONCE:
                    counted += _put(held, by_row, ids, shard["source"], draws, spill, tokenizer)
                    held = []
        counted += _put(held, by_row, ids, shard["source"], draws, spill, tokenizer)
        progress(f"export/{mixture['name']}", "", number + 1, len(mixture["shards"]))
    return counted


def _put(
    documents: list[Document],
    by_row: dict[int, list[int]],
    ids: dict[int, str],
    source: str,
    draws: Draws,
    spill: Spill,
    tokenizer: Any,
) -> int:
    counted = 0
    encoded = tokenizer.encode_batch_fast([d.text for d in documents], add_special_tokens=False)
    for document, found in zip(documents, encoded, strict=True):
        num_tokens = len(found.ids)
        for draw in by_row[document.row]:
            counted += num_tokens
            spill.add(
                int(draws.file[draw]),
                {
                    "doc_id": ids[document.row],
                    "source": source,
                    "copy": int(draws.copy[draw]),
                    "num_tokens": num_tokens,
                    "id": document.id,
                    "text": document.text,
                    "position": int(draws.position[draw]),
                },
            )
    return counted


def _shard_file(
    project: Project, shard: dict[str, Any], placed: Mapping[tuple[str, str], Shard]
) -> Openable:
    """Return where a shard's bytes are today.

    Raises:
        InputError: They are gone, or the source is.
    """
    if shard["source"] not in project.config.corpus.sources:
        raise InputError(f"source {shard['source']!r} is no longer in the configuration.")
    here = placed.get((shard["source"], shard["digest"]))
    if here is not None:
        return project.open_shard(here)
    file = project.files.at(shard["path"])
    if file.is_file() and is_of(shard, digest_file(file)):
        return file
    raise InputError(
        f"shard {shard['digest']} of source {shard['source']!r} (was {shard['path']}) is gone or "
        "has changed, so this version cannot be exported any more."
    )


def _compare(
    project: Project, mixture: dict[str, Any], folder: Path, names: list[str], tokens: int
) -> None:
    """Count the files against the ledger.

    Raises:
        CheckFailedError: They differ.
    """
    wanted: collections.Counter[str] = collections.Counter()
    for shard in mixture["shards"]:
        ledger = project.lake.read_table(ledger_key(mixture, shard), ["doc_id", "copies"])
        for identity, copies in zip(
            ledger.column("doc_id").to_pylist(), ledger.column("copies").to_pylist(), strict=True
        ):
            if copies:
                wanted[identity] += copies
    found: collections.Counter[str] = collections.Counter()
    found_tokens = 0
    for row in read_back(folder, names):
        found[row["doc_id"]] += 1
        found_tokens += row["num_tokens"]
        if doc_id(row["text"]) != row["doc_id"]:
            raise CheckFailedError(f"an exported text is not the document {row['doc_id']}")
    realised = mixture["report"]["realised_tokens"]
    if found != wanted or not tokens == found_tokens == realised:
        raise CheckFailedError(
            f"the export has {found.total():,} draws and {found_tokens:,} tokens (counted again: "
            f"{tokens:,}), the ledger {wanted.total():,} and {realised:,}"
        )
