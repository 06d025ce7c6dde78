"""Fits over the whole corpus: gather summaries, call ``core``, write a version.

A version is a folder that appears whole: arrays as safetensors, tables as Parquet, numbers as
JSON, and ``fit.json`` saying what it was made from. ``current.json`` beside the versions says
which one is in use. The corpus itself (its set of shards, duplicates and sample) is here; the
reference, the diversity fits and the beta fit have modules of their own.
"""

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from samplemix_dagster import tables
from samplemix_dagster.core.hashing import fingerprint
from samplemix_dagster.engine import stages
from samplemix_dagster.engine.addresses.model_recipes import NotFittedError
from samplemix_dagster.engine.addresses.recipes import Recipes
from samplemix_dagster.engine.fitting.fit_files import sealed_fit
from samplemix_dagster.engine.fitting.hash_sample import HashSample
from samplemix_dagster.engine.project import PlacedShard, Project
from samplemix_dagster.engine.shards.maps import Outcome
from samplemix_dagster.engine.shards.reading import read
from samplemix_dagster.engine.shards.shard_rows import num_rejected
from samplemix_dagster.engine.stages import FitStage
from samplemix_dagster.errors import InputError
from samplemix_dagster.storage.lake import keys
from samplemix_dagster.storage.lake.lake import Lake
from samplemix_dagster.storage.lake.whole_files import digest_file

NEUTRAL = "neutral"
"""Fact of a fit that could not be made and stands in as neutral: why, in a sentence."""
_BASIS = 2048


class FitWriter:
    """Fills the folder of one version through the lake's own writers."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.lake = Lake(folder)


def run_fit(
    project: Project,
    fit: FitStage,
    name: str,
    why: str,
    make: Callable[[Recipes, FitWriter], dict[str, Any]],
) -> Outcome:
    """Make a fit's wanted version unless it is there; say which one is in use.

    Args:
        project: The project.
        fit: The kind of fit.
        name: Which one, where there are several; else empty.
        why: Why it runs, for people.
        make: Fills the version's folder and returns facts about it.
    """
    began = time.perf_counter()
    recipes = Recipes(project)
    lake = project.lake
    version = recipes.wanted_fit(fit, name)
    folder = keys.fits_folder(recipes.fit_name(fit, name))
    recipe = recipes.fit_recipe(fit, name)
    if not lake.exists(f"{folder}/{version}/fit.json"):
        with lake.fill_folder(f"{folder}/{version}", "fit.json") as aside:
            writer = FitWriter(aside)
            stated = {
                "version": version,
                "recipe": recipe,
                "facts": _finite(make(recipes, writer)),
                "files": _file_digests(aside),
            }
            if fit.is_frozen and fit is not stages.REFERENCE:
                stated["basis"] = {
                    "inputs": recipes.inputs_fingerprint(fit, name),
                    "sample": recipes.current_sample[:_BASIS] or None,
                }
            writer.lake.replace_json("fit.json", sealed_fit(stated))
    stated = lake.read_json(f"{folder}/{version}/fit.json")
    # Recipes are read again: a fit that was just made may be the corpus, which holds the sample.
    current = {
        "version": version,
        "recipe": recipe,
        "recipe_fingerprint": fingerprint(recipe),
        "inputs": _fitted_inputs(recipes, fit, name, version),
        "space": recipes.fit_space(fit),
        "sample": _basis(Recipes(project), recipes.current_fit(fit, name), version),
    }
    lake.keep_json(f"{folder}/current.json", current)
    facts = dict(stated["facts"])
    if fit.is_frozen:
        facts["drift"] = Recipes(project).drift(current)
    return Outcome(
        asset=f"{fit.asset}/{name}" if name else fit.asset,
        partition=None,
        why=why,
        data_version=version,
        seconds=time.perf_counter() - began,
        facts=facts,
    )


def _finite(value: Any) -> Any:
    """Return facts with None for a number that is none: nothing could be measured."""
    if isinstance(value, dict):
        return {name: _finite(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _file_digests(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): digest_file(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def _fitted_inputs(recipes: Recipes, fit: FitStage, name: str, version: str) -> str | None:
    """The hash of what this version was fitted on: kept when the version is the one before."""
    before = recipes.current_fit(fit, name)
    if before.get("version") == version and before.get("inputs"):
        return str(before["inputs"])
    return recipes.inputs_fingerprint(fit, name)


def _basis(recipes: Recipes, before: dict[str, Any], version: str) -> list[str] | None:
    """The sample that this version was fitted on: kept when the version is the one before."""
    if before.get("version") == version and before.get("sample"):
        return list(before["sample"])
    return recipes.current_sample[:_BASIS] or None


# -- the corpus -----------------------------------------------------------------------------------


def make_corpus(recipes: Recipes, writer: FitWriter) -> dict[str, Any]:
    """Find duplicates, draw the hash sample, count documents by source and language.

    Raises:
        InputError: The corpus has no document.
    """
    lake = recipes.lake
    shards = recipes.project.all_shards()
    sample_size = recipes.fit_recipe(stages.CORPUS)["sample"]
    counts: dict[str, dict[str, int]] = {}
    languages: dict[str, int] = {}
    sample = HashSample(sample_size)
    for shard in shards:
        documents = lake.read_table(
            recipes.feature_key(stages.DOCUMENTS, shard), ["doc_id", "row", "num_bytes", "language"]
        )
        count = counts.setdefault(
            shard.source, {"shards": 0, "documents": 0, "bytes": 0, "rejected": 0}
        )
        count["shards"] += 1
        count["documents"] += documents.num_rows
        count["bytes"] += int(np.sum(documents.column("num_bytes").to_numpy()))
        count["rejected"] += num_rejected(recipes, shard)
        for entry in documents.column("language").value_counts().to_pylist():
            languages[entry["values"]] = languages.get(entry["values"], 0) + entry["counts"]
        sample.add(shard, documents)
    num_documents = sum(count["documents"] for count in counts.values())
    if num_documents == 0:
        rejected = sum(count["rejected"] for count in counts.values())
        raise InputError(
            f"the corpus has no document: {len(shards)} shards were read and {rejected} rows "
            'rejected. `samplemix query "select reason, sum(num_rows) from rejections group by 1"` '
            "says why; check the `text` field of the sources."
        )
    duplicates = find_duplicates(recipes, shards)
    recipe = recipes.fit_recipe(stages.CORPUS)
    writer.lake.write_table("sample.parquet", sample.table(), tables.SAMPLE, recipe)
    writer.lake.write_table("duplicates.parquet", duplicates, tables.DUPLICATES, recipe)
    return {
        "num_documents": num_documents,
        "num_duplicates": duplicates.num_rows,
        "sources": counts,
        "languages": dict(sorted(languages.items(), key=lambda item: (-item[1], item[0]))),
    }


def find_duplicates(recipes: Recipes, shards: list[PlacedShard]) -> pa.Table:
    """Return every occurrence that is not the first by (source, shard digest, row).

    DuckDB sorts it, since it spills to disk when a corpus outgrows memory.
    """
    import duckdb

    tables_of = [recipes.feature_key(stages.DOCUMENTS, shard) for shard in shards]
    files = [str(path) for path in recipes.lake.paths(tables_of)]
    places = pa.table(
        {
            "file": files,
            "source": [shard.source for shard in shards],
            "shard": [shard.digest for shard in shards],
        }
    )
    with duckdb.connect(":memory:") as connection:
        connection.register("places", places)
        found = connection.sql(
            """
            with occurrences as (
                select d.doc_id, p.source, p.shard, d.row
                from read_parquet(?, filename = true) as d
                inner join places as p on d.filename = p.file
            ),
            ranked as (
                select
                    *,
                    row_number() over (partition by doc_id order by source, shard, row) as place
                from occurrences
            )
            select doc_id, source, shard, row from ranked
            where place > 1
            order by source, shard, row
            """,
            params=[files],
        ).to_arrow_table()
    return found.cast(tables.DUPLICATES.schema)


def duplicate_rows(recipes: Recipes) -> dict[tuple[str, str], npt.NDArray[np.int64]]:
    """Return the rows of each (source, shard digest) that are duplicates of an earlier one."""
    key = f"{recipes.fit_key(stages.CORPUS)}/duplicates.parquet"
    found = recipes.lake.read_table(key)
    rows: dict[tuple[str, str], list[int]] = {}
    for item in found.to_pylist():
        rows.setdefault((item["source"], item["shard"]), []).append(item["row"])
    return {place: np.array(sorted(numbers)) for place, numbers in rows.items()}


def sample_of(recipes: Recipes, size: int) -> pa.Table:
    """Return the first documents of the corpus's hash sample."""
    sample = recipes.lake.read_table(f"{recipes.fit_key(stages.CORPUS)}/sample.parquet")
    return sample.slice(0, size)


def sample_rows(
    recipes: Recipes, stage: stages.Stage, sample: pa.Table, columns: list[str]
) -> pa.Table:
    """Return the rows of a per-shard stage for the documents of a sample, in the sample's order."""
    by_place = {(shard.source, shard.digest): shard for shard in recipes.project.all_shards()}
    wanted: dict[tuple[str, str], list[int]] = {}
    items = sample.select(["source", "shard", "row"]).to_pylist()
    for index, item in enumerate(items):
        wanted.setdefault((item["source"], item["shard"]), []).append(index)
    parts, order = [], []
    for place in sorted(wanted):
        if place not in by_place:
            raise NotFittedError(stages.CORPUS.name)
        shard = by_place[place]
        key = recipes.feature_key(stages.DOCUMENTS, shard)
        rows = recipes.lake.read_table(key, ["row"]).column("row").to_numpy()
        positions = np.searchsorted(rows, [items[index]["row"] for index in wanted[place]])
        table = read(recipes, stage, shard, *columns)
        parts.append(table.take(pa.array(positions)))
        order += wanted[place]
    joined = pa.concat_tables(parts)
    return joined.take(pa.array(np.argsort(order, kind="stable")))
