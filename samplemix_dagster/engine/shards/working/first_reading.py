"""The first reading of a shard: one pass over its text fills every table that joins in.

Identity, language, n-grams and words of each document are found together, so that a text is read
once for all of them.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import pyarrow as pa

from samplemix_dagster import tables
from samplemix_dagster.engine.addresses.recipes import Recipes
from samplemix_dagster.engine.executors.choice import executor_of
from samplemix_dagster.engine.foundation.documents import DOCUMENTS
from samplemix_dagster.engine.outcome import Outcome, Progress, ShardOutcome, no_progress
from samplemix_dagster.engine.placed_shard import PlacedShard
from samplemix_dagster.engine.shards.carrying import record_recipe
from samplemix_dagster.engine.shards.missing import missing_shards
from samplemix_dagster.engine.shards.rejected import num_rejected
from samplemix_dagster.engine.shards.shard_rows import rules_as_read
from samplemix_dagster.engine.shards.working.maps import check_unchanged, data_version
from samplemix_dagster.engine.shards.working.shard_work import (
    DETECT,
    ShardReading,
    ShardUnit,
    batches,
    place_of,
    read_whole_shard,
)
from samplemix_dagster.engine.shards.working.tasks import Chunk, ChunkResult, work
from samplemix_dagster.engine.stages import Stage, Task
from samplemix_dagster.errors import CheckFailedError
from samplemix_dagster.storage.corpus.manifest import (
    Manifest,
    former_manifests,
    manifest_key,
    source_of,
)
from samplemix_dagster.storage.corpus.rows import ReadRules

if TYPE_CHECKING:
    from samplemix_dagster.engine.project import Project


def run_raw_shards(
    project: "Project",
    partition: str,
    why: str,
    progress: Progress = no_progress,
    *,
    joining: Sequence[Stage] = (),
) -> Outcome:
    """Read a partition's new shards once: documents, and what stages that join make of the texts.

    Args:
        project: The project.
        partition: The partition.
        why: Why it runs, for people.
        progress: Told how far it is.
        joining: Stages that are filled in the same pass.

    Raises:
        InputError: Nothing matches the source's path, or a file cannot be read.
    """
    began = time.perf_counter()
    recipes = Recipes(project)
    manifest = project.scan(partition)
    pending = {
        shard.digest: shard
        for stage in (DOCUMENTS, *joining)
        for shard in missing_shards(recipes, stage, partition)
    }
    shards = [pending[digest] for digest in sorted(pending)]
    reader = _FirstReading(recipes, shards, {s: _task(s, recipes, partition) for s in joining})
    computed = reader.run(partition, progress)
    _write_manifest(project, manifest)
    project.keep_looks()
    outcomes = []
    for shard in project.shards(partition):
        key = recipes.feature_key(DOCUMENTS, shard)
        outcomes.append(
            ShardOutcome(
                shard=shard.digest,
                path=shard.shard.path,
                num_documents=project.lake.num_rows(key),
                num_computed=computed.get(shard.digest, 0),
                num_rejected=num_rejected(recipes, shard),
            )
        )
    asset_stages = (DOCUMENTS, *joining)
    for stage in asset_stages:
        record_recipe(recipes, stage, partition)
    return Outcome(
        asset=DOCUMENTS.asset,
        partition=partition,
        why=why,
        data_version=data_version(recipes, asset_stages, partition),
        seconds=time.perf_counter() - began,
        shards=tuple(outcomes),
        facts={"skipped_folders": list(manifest.skipped), **reader.executor.lost.facts},
    )


def _write_manifest(project: "Project", manifest: Manifest) -> None:
    """Record a partition's shards; manifests of the source's former partitions go."""
    own = set(project.partitions)
    for former in former_manifests(project.lake, source_of(manifest.partition), own):
        project.lake.remove(former)
    project.lake.keep_json(manifest_key(manifest.partition), manifest.to_json())


def _task(stage: Stage, recipes: Recipes, partition: str) -> Task:
    """Return what a stage makes of texts.

    Raises:
        TypeError: It makes nothing of them, so it cannot join in a reading.
    """
    found = stage.work(recipes, partition)
    if not isinstance(found, Task):
        raise TypeError(f"{stage.name} reads no text, and its asset is {stage.asset}")
    return found


class _FirstReading:
    """Reads shards and fills their documents, and other tables, in one pass over the text."""

    def __init__(
        self, recipes: Recipes, shards: Sequence[PlacedShard], joining: Mapping[Stage, Task]
    ) -> None:
        self.project = recipes.project
        self.recipes = recipes
        self.shards = shards
        self.joining = joining
        self.tasks = {stage.name: task for stage, task in joining.items()}
        self.executor = executor_of(recipes.project)
        self.readings: dict[int, ShardReading] = {}
        """What was found of each shard beside its texts."""

    def run(self, partition: str, progress: Progress) -> dict[str, int]:
        """Read every shard; return the number of documents by digest."""
        gathered: dict[int, list[ChunkResult]] = {}
        done, written = 0, 0
        counts: dict[str, int] = {}
        for result in self._results():
            gathered.setdefault(result.shard, []).append(result)
            done += result.num_documents
            progress(DOCUMENTS.asset, partition, done, 0)
            # Results come in order, so a later shard's first result closes the earlier ones.
            while written < result.shard:
                counts[self.shards[written].digest] = self._write(written, gathered)
                written += 1
        while written < len(self.shards):
            counts[self.shards[written].digest] = self._write(written, gathered)
            written += 1
        return counts

    def _results(self) -> Iterator[ChunkResult]:
        if not self.executor.reads_shards:
            yield from self.executor.map(work, self._chunks())
            return
        for read in self.executor.map(read_whole_shard, self._units()):
            self.readings[read.result.shard] = read.reading
            yield read.result

    def _units(self) -> Iterator[ShardUnit]:
        for position, shard in enumerate(self.shards):
            yield ShardUnit(
                shard=position,
                place=place_of(self.project, shard),
                rules=self._rules(shard),
                tasks=self.tasks,
                language=self.project.config.corpus.language,
            )

    def _chunks(self) -> Iterator[Chunk]:
        language = self.project.config.corpus.language
        for position, shard in enumerate(self.shards):
            reading = self.readings[position] = ShardReading(language=language)
            file = self.project.open_shard(shard.shard)
            for ids, texts in batches(reading.documents(file, self._rules(shard))):
                yield Chunk(
                    shard=position,
                    doc_ids=ids,
                    texts=texts,
                    tasks=self.tasks,
                    detect_language=language == DETECT,
                )

    def _rules(self, shard: PlacedShard) -> ReadRules:
        rules = rules_as_read(self.recipes, shard.source, shard.digest)
        return replace(rules, given=shard.shard.values)

    def _write(self, position: int, gathered: dict[int, list[ChunkResult]]) -> int:
        """Write the tables of one shard that was read to its end; return its documents.

        Raises:
            InputError: The file is not the one that was scanned, so its digest is another's.
            CheckFailedError: Documents and rejected rows are not the rows of the file.
        """
        shard = self.shards[position]
        check_unchanged(self.project, shard)
        reading = self.readings.pop(position)
        rows, rejected = reading.rows, reading.rejected
        if len(rows) + rejected.num_rows != reading.num_read:
            raise CheckFailedError(
                f"{shard.shard.path}: {len(rows)} documents and {rejected.num_rows} rejected rows "
                "are not the rows that were read. This is a fault of the program; please report it."
            )
        results = gathered.pop(position, [])
        languages = [code for result in results for code in result.languages]
        if not languages:
            languages = [str(row["language"]) for row in rows]
        for stage in self.joining:
            parts = [result.tables[stage.name] for result in results]
            table = pa.concat_tables(parts) if parts else stage.table.schema.empty_table()
            self._put(stage, shard, table)
        self.project.lake.write_table(
            self.recipes.rejections_key(shard),
            rejected.table(),
            tables.REJECTIONS,
            self.recipes.recipe(DOCUMENTS, shard.source),
        )
        columns = ("doc_id", "row", "id", "num_bytes", "metadata")
        documents = tables.DOCUMENTS.make(
            language=languages, **{name: [row[name] for row in rows] for name in columns}
        )
        self._put(DOCUMENTS, shard, documents)
        return len(rows)

    def _put(self, stage: Stage, shard: PlacedShard, table: pa.Table) -> None:
        self.project.lake.write_table(
            self.recipes.feature_key(stage, shard),
            table,
            stage.table,
            self.recipes.recipe(stage, shard.source),
        )
