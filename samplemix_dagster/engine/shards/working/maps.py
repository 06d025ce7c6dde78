"""Run a per-shard stage over a partition: read, map over chunks, write, say what was done.

A shard whose table stands at its address is skipped. A shard that was rewritten carries over the
rows of documents that it had before, so only new texts are scored. What is computed is said by each
stage's own file.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from samplemix_dagster.core.hashing import doc_id, fingerprint
from samplemix_dagster.engine.addresses.recipes import Recipes
from samplemix_dagster.engine.executors.choice import executor_of
from samplemix_dagster.engine.executors.executor import Executor
from samplemix_dagster.engine.foundation.documents import DOCUMENTS
from samplemix_dagster.engine.outcome import Outcome, Progress, ShardOutcome, no_progress
from samplemix_dagster.engine.placed_shard import PlacedShard
from samplemix_dagster.engine.shards.carrying import carried_rows, record_recipe
from samplemix_dagster.engine.shards.missing import missing_shards
from samplemix_dagster.engine.shards.moves import Moves
from samplemix_dagster.engine.shards.reading import not_of_this_shard
from samplemix_dagster.engine.shards.shard_rows import read_documents, rules_as_read
from samplemix_dagster.engine.shards.working.shard_work import (
    ShardUnit,
    batches,
    on_worker,
    place_of,
    work_on_shard,
)
from samplemix_dagster.engine.shards.working.tasks import Chunk, ChunkResult, ModelTask, work
from samplemix_dagster.engine.stages import Maker, Stage, Task
from samplemix_dagster.errors import InputError

if TYPE_CHECKING:
    from samplemix_dagster.engine.project import Project


def data_version(recipes: Recipes, asset_stages: Sequence[Stage], partition: str) -> str:
    """Return the digest of {shard digest: addresses}: the same content, the same version."""
    shards = recipes.project.shards(partition)
    return fingerprint(
        [
            [shard.digest, *(recipes.feature_folder(stage, shard.source) for stage in asset_stages)]
            for shard in shards
        ]
    )


def check_unchanged(project: "Project", shard: PlacedShard) -> None:
    """Compare a shard's file with what the scan saw of it.

    Raises:
        InputError: It has changed or is gone.
    """
    path = shard.shard.path
    if project.files.look(path) != shard.shard.seen:
        raise InputError(f"{project.files.at(path)} changed while it was read; run again.")


def run_stage(
    project: "Project",
    stage: Stage,
    partition: str,
    why: str,
    progress: Progress = no_progress,
) -> Outcome:
    """Make the tables of a partition's shards that lack them, from texts or from other tables."""
    recipes = Recipes(project)
    work_of = stage.work(recipes, partition)
    if isinstance(work_of, Task):
        return run_text_stage(project, stage, work_of, partition, why, progress)
    return run_table_stage(project, stage, work_of, partition, why, progress)


# -- stages that read text ------------------------------------------------------------------------


def run_text_stage(
    project: "Project",
    stage: Stage,
    task: Task,
    partition: str,
    why: str,
    progress: Progress = no_progress,
) -> Outcome:
    """Score the documents of a partition's new shards from their text."""
    began = time.perf_counter()
    recipes = Recipes(project)
    pending = missing_shards(recipes, stage, partition)
    run = _TextRun(recipes, stage, task, pending)
    total = sum(project.lake.num_rows(recipes.feature_key(DOCUMENTS, shard)) for shard in pending)
    computed: dict[str, int] = {}
    gathered: dict[int, list[pa.Table]] = {}
    done, written = 0, 0
    executor = executor_of(project, task.device if isinstance(task, ModelTask) else "cpu")
    for result in run.results(executor):
        gathered.setdefault(result.shard, []).append(result.tables[stage.name])
        done += result.num_documents
        progress(stage.asset, partition, done, total)
        while written < result.shard:
            computed[pending[written].digest] = run.write(written, gathered.pop(written, []))
            written += 1
    for position in range(written, len(pending)):
        computed[pending[position].digest] = run.write(position, gathered.pop(position, []))
    found = finish(recipes, stage, partition, why, computed, began)
    tokens = {"tokens_computed": run.num_tokens} if run.num_tokens else {}
    return replace(found, facts={**tokens, **executor.lost.facts})


class _TextRun:
    """Cuts shards into chunks of texts that need scoring, and lays results in row order."""

    def __init__(
        self, recipes: Recipes, stage: Stage, task: Task, shards: Sequence[PlacedShard]
    ) -> None:
        self.recipes = recipes
        self.stage = stage
        self.task = task
        self.shards = shards
        self.carried: dict[int, pa.Table] = {}
        self.num_tokens = 0
        """Tokens of the documents that were computed, where the stage counts them."""

    def results(self, executor: Executor) -> Iterator[ChunkResult]:
        """Yield what is made of every shard, in order: of its chunks, or of all of it at once."""
        if executor.reads_shards:
            return executor.map(work_on_shard, self._units())
        return executor.map(work, self._chunks())

    def _units(self) -> Iterator[ShardUnit]:
        for position, shard, known in self._to_read():
            yield ShardUnit(
                shard=position,
                place=place_of(self.recipes.project, shard),
                rules=rules_as_read(self.recipes, shard.source, shard.digest),
                tasks={self.stage.name: on_worker(self.task)},
                known=frozenset(known),
            )

    def _to_read(self) -> Iterator[tuple[int, PlacedShard, set[str]]]:
        """Yield each shard with a text to score, its position, and the ids that have rows."""
        for position, shard in enumerate(self.shards):
            carried = carried_rows(self.recipes, self.stage, shard)
            known: set[str] = set()
            if carried is not None:
                self.carried[position] = carried
                known = set(carried.column("doc_id").to_pylist())
                if known.issuperset(self._document_ids(shard)):
                    continue  # nothing is to be read
            yield position, shard, known

    def _chunks(self) -> Iterator[Chunk]:
        for position, shard, known in self._to_read():
            wanted = (
                (identity, document.text)
                for document in read_documents(self.recipes, shard)
                if (identity := doc_id(document.text)) not in known
            )
            for ids, texts in batches(wanted):
                yield Chunk(
                    shard=position, doc_ids=ids, texts=texts, tasks={self.stage.name: self.task}
                )

    def _document_ids(self, shard: PlacedShard) -> list[str]:
        key = self.recipes.feature_key(DOCUMENTS, shard)
        return list(self.recipes.lake.read_table(key, ["doc_id"]).column("doc_id").to_pylist())

    def write(self, position: int, parts: list[pa.Table]) -> int:
        """Write a shard's table; return how many documents were computed for it."""
        shard = self.shards[position]
        lake = self.recipes.lake
        key = self.recipes.feature_key(DOCUMENTS, shard)
        ids = lake.read_table(key, ["doc_id"]).column("doc_id")
        num_computed = int(sum(part.num_rows for part in parts))
        if counted := self.stage.counted_column:
            self.num_tokens += sum(pc.sum(part.column(counted)).as_py() or 0 for part in parts)
        carried = self.carried.pop(position, None)
        if carried is not None:
            parts = [carried, *parts]
        table = pa.concat_tables(parts) if parts else self.stage.table.schema.empty_table()
        if carried is not None:
            table = table.take(pc.index_in(ids.combine_chunks(), table.column("doc_id")))
        if not table.column("doc_id").equals(ids):
            check_unchanged(self.recipes.project, shard)
            raise lake.damage(key, f"{shard.shard.path} gives other documents")
        contract = self.stage.contract(self.recipes.config, table)
        recipe = self.recipes.recipe(self.stage, shard.source)
        lake.write_table(self.recipes.feature_key(self.stage, shard), table, contract, recipe)
        return num_computed


def _num_new(recipes: Recipes, stage: Stage, shard: PlacedShard, table: pa.Table) -> int:
    """Count the rows that the path's previous table did not have, where a stage carries over."""
    carried = carried_rows(recipes, stage, shard) if stage.carries_over else None
    if carried is None:
        return int(table.num_rows)
    known = set(carried.column("doc_id").to_pylist())
    return sum(identity not in known for identity in table.column("doc_id").to_pylist())


def finish(
    recipes: Recipes,
    stage: Stage,
    partition: str,
    why: str,
    computed: dict[str, int],
    began: float,
) -> Outcome:
    """Return what was done, after the accounting identity was checked for each shard.

    Raises:
        DamagedError: A shard has another number of rows than documents.
    """
    outcomes = []
    for shard in recipes.project.shards(partition):
        num_rows = recipes.lake.num_rows(recipes.feature_key(stage, shard))
        documents = recipes.lake.num_rows(recipes.feature_key(DOCUMENTS, shard))
        if num_rows != documents:
            raise not_of_this_shard(recipes, stage, shard)
        outcomes.append(
            ShardOutcome(
                shard=shard.digest,
                path=shard.shard.path,
                num_documents=documents,
                num_computed=computed.get(shard.digest, 0),
            )
        )
    record_recipe(recipes, stage, partition)
    return Outcome(
        asset=stage.asset,
        partition=partition,
        why=why,
        data_version=data_version(recipes, (stage,), partition),
        seconds=time.perf_counter() - began,
        shards=tuple(outcomes),
    )


def run_table_stage(
    project: "Project",
    stage: Stage,
    make: Maker,
    partition: str,
    why: str,
    progress: Progress = no_progress,
) -> Outcome:
    """Compute a partition's missing tables from tables that are there, shard by shard."""
    began = time.perf_counter()
    recipes = Recipes(project)
    pending = missing_shards(recipes, stage, partition)
    computed: dict[str, int] = {}
    moves = Moves(recipes, stage, partition)
    for number, shard in enumerate(pending):
        table = make(shard)
        moves.count(shard, table)
        recipe = recipes.recipe(stage, shard.source)
        contract = stage.contract(project.config, table)
        project.lake.write_table(recipes.feature_key(stage, shard), table, contract, recipe)
        computed[shard.digest] = _num_new(recipes, stage, shard, table)
        progress(stage.asset, partition, number + 1, len(pending))
    return replace(finish(recipes, stage, partition, why, computed, began), facts=moves.facts)
