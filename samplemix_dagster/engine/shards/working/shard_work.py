"""What is done to a whole shard by a worker that opens it: it is sent an address, and no text.

A shard is cut into the same chunks wherever it is read, so its result is the same bytes as that of
chunks which were read in one place and computed in others.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from samplemix_dagster.config.around import S3
from samplemix_dagster.core.hashing import doc_id
from samplemix_dagster.engine.placed_shard import PlacedShard
from samplemix_dagster.engine.shards.working.tasks import Chunk, ChunkResult, ModelTask, work
from samplemix_dagster.engine.stages import Task
from samplemix_dagster.errors import InputError
from samplemix_dagster.storage.corpus.places.files import Files, Seen
from samplemix_dagster.storage.corpus.rejections import Rejections
from samplemix_dagster.storage.corpus.rows import Openable, ReadRules
from samplemix_dagster.storage.corpus.shards import (
    Document,
    Rejection,
    metadata_json,
    read_shard,
    storable,
)
from samplemix_dagster.storage.s3.bucket import Connection

if TYPE_CHECKING:
    from samplemix_dagster.engine.project import Project

DETECT = "detect"
"""The language of each document is found from its text."""
UNDETERMINED = "und"
"""The language of a document whose metadata names none."""
_CHUNK_BYTES = 256_000
_CHUNK_DOCUMENTS = 128


def batches(documents: Iterable[tuple[str, str]]) -> Iterator[tuple[list[str], list[str]]]:
    """Yield (ids, texts) of about a quarter of a megabyte; always cut at the same places."""
    ids: list[str] = []
    texts: list[str] = []
    size = 0
    for identity, text in documents:
        ids.append(identity)
        texts.append(text)
        size += len(text)
        if size >= _CHUNK_BYTES or len(ids) >= _CHUNK_DOCUMENTS:
            yield ids, texts
            ids, texts, size = [], [], 0
    if ids:
        yield ids, texts


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardPlace:
    """Where a shard lies, for a process that knows nothing of the project."""

    root: str
    """The project's folder, from which relative paths count."""
    s3: S3
    path: str
    seen: Seen
    """The file as it was scanned: a file that differs is not the shard."""
    is_listed: bool
    """Whether the store itself told ``seen``, so that it can be opened as that or not at all."""

    def open(self) -> Openable:
        """Return the file.

        Raises:
            InputError: It is not there, or not what was scanned.
        """
        files = Files(Path(self.root), Connection(self.s3))
        found = files.look(self.path)
        if found is None:
            raise InputError(
                f"{files.at(self.path)} is not there for a worker. Workers of a cluster read "
                "shards and models themselves: put them where every machine finds them."
            )
        if found != self.seen:
            raise InputError(f"{files.at(self.path)} changed while it was read; run again.")
        return files.at(self.path, self.seen if self.is_listed else None)


def place_of(project: "Project", shard: PlacedShard) -> ShardPlace:
    """Return where a shard lies."""
    return ShardPlace(
        root=str(project.root),
        s3=project.config.s3,
        path=shard.shard.path,
        seen=shard.shard.seen,
        is_listed=bool(shard.shard.etag),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardUnit:
    """A shard, and what is to be done to its texts."""

    shard: int
    """Position of the shard in the run; carried through to the result."""
    place: ShardPlace
    rules: ReadRules
    tasks: dict[str, Task]
    known: frozenset[str] = frozenset()
    """Ids of documents that need nothing."""
    language: str = ""
    """``detect``, or the metadata that names it; needed by a first reading alone."""


def on_worker(task: Task) -> Task:
    """Return a task for a worker that is shown one GPU: which one, whoever placed it decided."""
    if isinstance(task, ModelTask) and task.device.startswith("cuda:"):
        return replace(task, device="cuda")
    return task


def work_on_shard(unit: ShardUnit) -> ChunkResult:
    """Do the tasks of a shard to every document that needs them.

    Raises:
        InputError: The file cannot be read, or is not what was scanned.
        ModelError: A model cannot be used on a text.
    """
    wanted = (
        (identity, row.text)
        for row in read_shard(unit.place.open(), unit.rules)
        if isinstance(row, Document) and (identity := doc_id(row.text)) not in unit.known
    )
    return _done(unit, wanted)


@dataclass(slots=True, kw_only=True)
class ShardReading:
    """What a first reading finds of a shard beside its texts."""

    language: str
    """``detect``, or the metadata that names it."""
    rows: list[dict[str, object]] = field(default_factory=list)
    rejected: Rejections = field(default_factory=Rejections)
    num_read: int = 0
    """Rows that the shard has, as its reader counted them."""

    def documents(self, file: Openable, rules: ReadRules) -> Iterator[tuple[str, str]]:
        """Yield (id, text) of each document, and note what else its row says."""
        rows = read_shard(file, rules)
        while True:
            try:
                row = next(rows)
            except StopIteration as end:
                self.num_read = end.value
                return
            if isinstance(row, Rejection):
                self.rejected.add(row)
                continue
            identity = doc_id(row.text)
            self.rows.append(
                {
                    "doc_id": identity,
                    "row": row.row,
                    "id": row.id,
                    "num_bytes": len(row.text.encode()),
                    "metadata": metadata_json(row.metadata),
                    "language": self._named(row),
                }
            )
            yield identity, row.text

    def _named(self, row: Document) -> str | None:
        if self.language == DETECT:
            return None
        value = row.metadata.get(self.language)
        return storable(str(value)) if value else UNDETERMINED


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadShard:
    """A shard that a worker has read for the first time."""

    reading: ShardReading
    result: ChunkResult


def read_whole_shard(unit: ShardUnit) -> ReadShard:
    """Read a shard for the first time and do the tasks to every document.

    Raises:
        InputError: The file cannot be read, or is not what was scanned.
    """
    reading = ShardReading(language=unit.language)
    documents = reading.documents(unit.place.open(), unit.rules)
    return ReadShard(result=_done(unit, documents), reading=reading)


def _done(unit: ShardUnit, documents: Iterable[tuple[str, str]]) -> ChunkResult:
    parts = [
        work(
            Chunk(
                shard=unit.shard,
                doc_ids=ids,
                texts=texts,
                tasks=unit.tasks,
                detect_language=unit.language == DETECT,
            )
        )
        for ids, texts in batches(documents)
    ]
    return ChunkResult(
        shard=unit.shard,
        num_documents=sum(part.num_documents for part in parts),
        # A shard without documents has no tables, as it has no chunks.
        tables={
            name: pa.concat_tables([part.tables[name] for part in parts])
            for name in (unit.tasks if parts else ())
        },
        languages=[code for part in parts for code in part.languages],
    )
