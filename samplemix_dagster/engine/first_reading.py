"""The first reading of a shard: one pass over its text fills every table that needs no model.

Identity, language, n-grams and words of each document are found together, so that a text is read
once for all of them. What is computed from a chunk is in ``tasks.py``.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import pyarrow as pa

from samplemix_dagster import tables
from samplemix_dagster.core.hashing import doc_id
from samplemix_dagster.engine import stages
from samplemix_dagster.engine.carrying import record_recipe
from samplemix_dagster.engine.maps import (
    Outcome,
    Progress,
    ShardOutcome,
    batches,
    check_unchanged,
    data_version,
    missing_shards,
    no_progress,
)
from samplemix_dagster.engine.project import PlacedShard, Project
from samplemix_dagster.engine.recipes import Recipes
from samplemix_dagster.engine.shard_rows import num_rejected, rules_as_read
from samplemix_dagster.engine.stages import Stage
from samplemix_dagster.engine.tasks import Chunk, ChunkResult, Grams, Task, Words, work
from samplemix_dagster.engine.workers import map_chunks
from samplemix_dagster.errors import CheckFailedError
from samplemix_dagster.storage.manifest import (
    Manifest,
    former_manifests,
    manifest_key,
    source_of,
)
from samplemix_dagster.storage.rejections import Rejections
from samplemix_dagster.storage.shards import (
    Document,
    Rejection,
    metadata_json,
    read_shard,
    storable,
)


def run_raw_shards(
    project: Project, partition: str, why: str, progress: Progress = no_progress
) -> Outcome:
    """Read a partition's new shards once: identity, language, n-grams and words of each document.

    Raises:
        InputError: Nothing matches the source's path, or a file cannot be read.
    """
    began = time.perf_counter()
    recipes = Recipes(project)
    manifest = project.scan(partition)
    pending = {
        shard.digest: shard
        for stage in (stages.DOCUMENTS, stages.GRAMS, stages.WORDS)
        for shard in missing_shards(recipes, stage, partition)
    }
    reader = _FirstReading(project, recipes, [pending[digest] for digest in sorted(pending)])
    computed = reader.run(partition, progress)
    _write_manifest(project, manifest)
    project.keep_looks()
    outcomes = []
    for shard in project.shards(partition):
        key = recipes.feature_key(stages.DOCUMENTS, shard)
        outcomes.append(
            ShardOutcome(
                shard=shard.digest,
                path=shard.shard.path,
                num_documents=project.lake.num_rows(key),
                num_computed=computed.get(shard.digest, 0),
                num_rejected=num_rejected(recipes, shard),
            )
        )
    asset_stages = (stages.DOCUMENTS, stages.GRAMS, stages.WORDS)
    for stage in asset_stages:
        record_recipe(recipes, stage, partition)
    return Outcome(
        asset="raw_shards",
        partition=partition,
        why=why,
        data_version=data_version(recipes, asset_stages, partition),
        seconds=time.perf_counter() - began,
        shards=tuple(outcomes),
        facts={"skipped_folders": list(manifest.skipped)},
    )


def _write_manifest(project: Project, manifest: Manifest) -> None:
    """Record a partition's shards; manifests of the source's former partitions go."""
    own = set(project.partitions)
    for former in former_manifests(project.lake, source_of(manifest.partition), own):
        project.lake.remove(former)
    project.lake.keep_json(manifest_key(manifest.partition), manifest.to_json())


UNDETERMINED = "und"
"""The language of a document whose metadata names none."""


class _FirstReading:
    """Reads shards and fills their documents, grams and words tables in one pass over the text."""

    def __init__(self, project: Project, recipes: Recipes, shards: Sequence[PlacedShard]) -> None:
        self.project = project
        self.recipes = recipes
        self.shards = shards
        self.rows: dict[int, list[dict[str, Any]]] = {}
        self.rejected: dict[int, Rejections] = {}
        self.num_read: dict[int, int] = {}
        """Rows that each shard has, as its reader counted them."""

    def run(self, partition: str, progress: Progress) -> dict[str, int]:
        """Read every shard; return the number of documents by digest."""
        gathered: dict[int, list[ChunkResult]] = {}
        done, written = 0, 0
        counts: dict[str, int] = {}
        for result in map_chunks(work, self._chunks(), self.project.num_workers):
            gathered.setdefault(result.shard, []).append(result)
            done += result.num_documents
            progress("raw_shards", partition, done, 0)
            # Results come in order, so a later shard's first result closes the earlier ones.
            while written < result.shard:
                counts[self.shards[written].digest] = self._write(written, gathered)
                written += 1
        while written < len(self.shards):
            counts[self.shards[written].digest] = self._write(written, gathered)
            written += 1
        return counts

    def _chunks(self) -> Iterator[Chunk]:
        ngram = self.project.config.diversity.ngram
        tasks: dict[str, Task] = {
            "grams": Grams(order=ngram.order, sample_bits=self.recipes.gram_sample_bits),
            "words": Words(),
        }
        is_detected = self.project.config.corpus.language == "detect"
        for position, shard in enumerate(self.shards):
            self.rows[position], self.rejected[position] = [], Rejections()
            documents = self._documents(position, shard)
            for ids, texts in batches(documents):
                yield Chunk(
                    shard=position,
                    doc_ids=ids,
                    texts=texts,
                    tasks=tasks,
                    detect_language=is_detected,
                )

    def _documents(self, position: int, shard: PlacedShard) -> Iterator[tuple[str, str]]:
        file = self.project.open_shard(shard.shard)
        rules = rules_as_read(self.recipes, shard.source, shard.digest)
        rows = read_shard(file, replace(rules, given=shard.shard.values))
        while True:
            try:
                row = next(rows)
            except StopIteration as end:
                self.num_read[position] = end.value
                return
            if isinstance(row, Rejection):
                self.rejected[position].add(row)
                continue
            identity = doc_id(row.text)
            self.rows[position].append(
                {
                    "doc_id": identity,
                    "row": row.row,
                    "id": row.id,
                    "num_bytes": len(row.text.encode()),
                    "metadata": metadata_json(row.metadata),
                    "language": self._named_language(row),
                }
            )
            yield identity, row.text

    def _named_language(self, row: Document) -> str | None:
        named = self.project.config.corpus.language
        if named == "detect":
            return None
        value = row.metadata.get(named)
        return storable(str(value)) if value else UNDETERMINED

    def _write(self, position: int, gathered: dict[int, list[ChunkResult]]) -> int:
        """Write the tables of one shard that was read to its end; return its documents.

        Raises:
            InputError: The file is not the one that was scanned, so its digest is another's.
            CheckFailedError: Documents and rejected rows are not the rows of the file.
        """
        shard = self.shards[position]
        check_unchanged(self.project, shard)
        rows, rejected = self.rows.pop(position), self.rejected.pop(position)
        if len(rows) + rejected.num_rows != self.num_read.pop(position):
            raise CheckFailedError(
                f"{shard.shard.path}: {len(rows)} documents and {rejected.num_rows} rejected rows "
                "are not the rows that were read. This is a fault of the program; please report it."
            )
        results = gathered.pop(position, [])
        languages = [code for result in results for code in result.languages]
        if not languages:
            languages = [row["language"] for row in rows]
        for stage in (stages.GRAMS, stages.WORDS):
            parts = [result.tables[stage.name] for result in results]
            table = pa.concat_tables(parts) if parts else stage.table.schema.empty_table()
            self._put(stage, shard, table)
        self.project.lake.write_table(
            self.recipes.rejections_key(shard),
            rejected.table(),
            tables.REJECTIONS,
            self.recipes.recipe(stages.DOCUMENTS, shard.source),
        )
        columns = ("doc_id", "row", "id", "num_bytes", "metadata")
        documents = tables.DOCUMENTS.make(
            language=languages, **{name: [row[name] for row in rows] for name in columns}
        )
        self._put(stages.DOCUMENTS, shard, documents)
        return len(rows)

    def _put(self, stage: Stage, shard: PlacedShard, table: pa.Table) -> None:
        self.project.lake.write_table(
            self.recipes.feature_key(stage, shard),
            table,
            stage.table,
            self.recipes.recipe(stage, shard.source),
        )
