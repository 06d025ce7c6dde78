"""What a worker does to a chunk of texts: every task that it is given, a table each.

A chunk is made inside one shard, so a document's result depends on its own shard at most. What is
computed is said by each stage's own file.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from samplemix_dagster.engine.stages import Task
from samplemix_dagster.errors import ModelError
from samplemix_dagster.storage.models.tokenizer import is_panic

_LANGUAGE_CHARACTERS = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelTask:
    """What a worker does to texts with a model."""

    folder: str
    """Where the model's files lie."""
    digest: str
    """The digest of those files: scores are filed under it."""
    device: str
    dtype: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """Some texts of one shard, and what is to be done to them."""

    shard: int
    """Position of the shard in the run; carried through to the result."""
    doc_ids: list[str]
    texts: list[str]
    tasks: dict[str, Task]
    detect_language: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkResult:
    """What became of a chunk: a table for each task, and languages when they were asked for."""

    shard: int
    num_documents: int
    tables: dict[str, pa.Table]
    languages: list[str]


def work(chunk: Chunk) -> ChunkResult:
    """Do every task of a chunk.

    Raises:
        ModelError: A tokenizer panicked; the message names the first document on which it does.
    """
    return ChunkResult(
        shard=chunk.shard,
        num_documents=len(chunk.texts),
        tables={name: _done(name, task, chunk) for name, task in chunk.tasks.items()},
        languages=identify_languages(chunk.texts) if chunk.detect_language else [],
    )


def _done(name: str, task: Task, chunk: Chunk) -> pa.Table:
    """Do one task; a panic of a library, which would pass every handler, becomes an error."""
    try:
        return task.run(chunk.doc_ids, chunk.texts)
    except BaseException as error:
        if not is_panic(error):
            raise
        where = getattr(task, "folder", None) or getattr(task, "tokenizer", name)
        document = _first_that_panics(task, chunk)
        words = str(error).splitlines()[0][:200] if str(error) else "a panic"
        msg = (
            f"{where}: the tokenizer breaks on document {document} ({words}). Its tokenizer.json "
            "has a rule that cannot be carried out on such a text; name another model, or leave "
            "the document out."
        )
        raise ModelError(msg) from None


def _first_that_panics(task: Task, chunk: Chunk) -> str:
    for identity, text in zip(chunk.doc_ids, chunk.texts, strict=True):
        try:
            task.run([identity], [text])
        except BaseException as error:
            if not is_panic(error):
                raise
            return identity
    return "of this chunk"


def identify_languages(texts: Sequence[str]) -> list[str]:
    """Return each text's language code, from its first 2,000 characters."""
    import py3langid

    return [str(py3langid.classify(text[:_LANGUAGE_CHARACTERS])[0]) for text in texts]
