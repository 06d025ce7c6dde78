"""What a worker does to a chunk of texts: one small function a task, tables in, tables out.

A chunk is made inside one shard, so a document's result depends on its own shard at most. Models
stay loaded in the process that used them. Scores are rounded here, once, before anybody sees them.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from samplemix_dagster import tables
from samplemix_dagster.core.hashing import id_words, round_significant
from samplemix_dagster.engine.memory import give_memory_back
from samplemix_dagster.errors import ModelError
from samplemix_dagster.storage.lake.lake import Lake
from samplemix_dagster.storage.models.files import digest_model, digest_tokenizer
from samplemix_dagster.storage.models.tokenizer import is_panic
from samplemix_dagster.tables import Table

_LANGUAGE_CHARACTERS = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class Grams:
    """Hash the n-grams of each text."""

    order: int
    sample_bits: int

    def run(self, doc_ids: list[str], texts: list[str]) -> pa.Table:
        """Return the ``grams`` table of a chunk."""
        from samplemix_dagster.core.diversity.ngrams import document_grams

        grams = document_grams(texts, n=self.order, sample_bits=self.sample_bits)
        offsets = pa.array(grams.offsets.astype(np.int32))
        return tables.GRAMS.make(
            doc_id=doc_ids,
            num_positions=grams.num_positions,
            grams=pa.ListArray.from_arrays(offsets, pa.array(grams.grams)),
            counts=pa.ListArray.from_arrays(offsets, pa.array(grams.counts)),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """Count the words of each text."""

    def run(self, doc_ids: list[str], texts: list[str]) -> pa.Table:
        """Return the ``words`` table of a chunk."""
        from samplemix_dagster.core.diversity.words import count_words

        counted = [count_words(text) for text in texts]
        return tables.WORDS.make(
            doc_id=doc_ids,
            words=[words for words, _ in counted],
            counts=[counts for _, counts in counted],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Losses:
    """Score each text with a reference."""

    folder: str
    digest: str
    device: str
    dtype: str
    context_tokens: int
    overlap_tokens: int

    def run(self, doc_ids: list[str], texts: list[str]) -> pa.Table:
        """Return the ``perplexity`` table of a chunk."""
        from samplemix_dagster.core.quality.bootstrap import fold_of
        from samplemix_dagster.core.quality.token_loss import text_losses

        reference = _reference(self.folder, self.digest, self.device, self.dtype)
        num_bytes = np.array([len(text.encode()) for text in texts], dtype=np.int64)
        context_tokens = min(self.context_tokens, reference.context_tokens)
        # A window of a short-sighted model must still move on by half of itself.
        overlap_tokens = min(self.overlap_tokens, context_tokens // 2)
        folds = fold_of(id_words(doc_ids)) % len(reference.models)
        columns = {name: np.zeros(len(texts)) for name in ("nll", "bits", "perplexity")}
        counts = {name: np.zeros(len(texts), dtype=np.int64) for name in ("scored", "tokens")}
        for fold, model in enumerate(reference.models):
            chosen = np.flatnonzero(folds == fold)
            losses = text_losses(
                model,
                reference.tokenizer,
                [texts[index] for index in chosen],
                start_token_id=reference.start_token_id,
                context_tokens=context_tokens,
                overlap_tokens=overlap_tokens,
            )
            # Where nothing can be scored (one token, no start token), it is charged as a guess.
            guess = losses.num_tokens * math.log(model.config.vocab_size)
            is_scored = losses.num_scored_tokens > 0
            columns["nll"][chosen] = np.where(is_scored, losses.nll_nats, guess)
            bits = guess / (math.log(2.0) * num_bytes[chosen])
            found = losses.bits_per_byte(num_bytes[chosen])
            columns["bits"][chosen] = np.where(is_scored, found, bits)
            perplexity = np.where(is_scored, losses.perplexity(), model.config.vocab_size)
            columns["perplexity"][chosen] = perplexity
            counts["scored"][chosen] = losses.num_scored_tokens
            counts["tokens"][chosen] = losses.num_tokens
        return tables.PERPLEXITY.make(
            doc_id=doc_ids,
            nll_nats=round_significant(columns["nll"]),
            num_scored_tokens=counts["scored"],
            num_reference_tokens=counts["tokens"],
            bits_per_byte=round_significant(columns["bits"]),
            perplexity=round_significant(columns["perplexity"]),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class CountTokens:
    """Count each text's tokens in the budget's tokenizer."""

    tokenizer: str
    digest: str

    def run(self, doc_ids: list[str], texts: list[str]) -> pa.Table:
        """Return the ``tokens`` table of a chunk."""
        tokenizer = _tokenizer(self.tokenizer, self.digest)
        encoded = tokenizer.encode_batch_fast(texts, add_special_tokens=False)
        return tables.TOKENS.make(doc_id=doc_ids, num_tokens=[len(item.ids) for item in encoded])


@dataclass(frozen=True, slots=True, kw_only=True)
class Embed:
    """Embed each text."""

    folder: str
    digest: str
    device: str
    dtype: str
    max_tokens: int

    def run(self, doc_ids: list[str], texts: list[str]) -> pa.Table:
        """Return the ``embeddings`` table of a chunk."""
        from samplemix_dagster.core.diversity.embed import embed_texts

        encoder = _encoder(self.folder, self.digest, self.device, self.dtype)
        embeddings_NE = embed_texts(encoder, texts, max_tokens=self.max_tokens)
        return embeddings_as_table(doc_ids, embeddings_NE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """Score each text with a signal's class."""

    target: str
    table: Table
    root: str
    fit: str | None = None
    """File of what the component was fitted to, for one that is."""

    def run(self, doc_ids: list[str], texts: list[str]) -> pa.Table:
        """Return the signal's table of a chunk."""
        from samplemix_dagster.engine.addresses.metrics import load_metric, metric_scores

        metric = load_metric(self.target, Path(self.root))
        fitted = None if self.fit is None else _fitted(self.fit)
        return self.table.make(doc_id=doc_ids, score=metric_scores(metric, texts, fitted))


Task = Grams | Words | Losses | CountTokens | Embed | Metric


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


def embeddings_as_table(doc_ids: list[str], embeddings_NE: Any) -> pa.Table:
    """Return an ``embeddings`` table."""
    dimensions = int(embeddings_NE.shape[1])
    flat = pa.array(np.ascontiguousarray(embeddings_NE, dtype=np.float16).ravel())
    return tables.embeddings_table(dimensions).make(
        doc_id=doc_ids, embedding=pa.FixedSizeListArray.from_arrays(flat, dimensions)
    )


def embeddings_of_table(table: pa.Table) -> Any:
    """Return the float16 matrix (N, E) of an ``embeddings`` table."""
    column = table.column(tables.EMBEDDING).combine_chunks()
    dimensions = column.type.list_size
    flat = column.flatten().to_numpy(zero_copy_only=False)
    return flat.astype(np.float16).reshape(-1, dimensions)


# The digest is part of the cache's key: a folder whose files changed is another model.
@lru_cache(maxsize=2)
def _reference(folder: str, digest: str, device: str, dtype: str) -> Any:
    from samplemix_dagster.storage.models.load import load_reference

    one_thread()
    model = load_reference(Path(folder), device, dtype)
    _check_model(folder, digest, digest_model(Path(folder)))
    return model


@lru_cache(maxsize=2)
def _encoder(folder: str, digest: str, device: str, dtype: str) -> Any:
    from samplemix_dagster.storage.models.load import load_encoder

    one_thread()
    model = load_encoder(Path(folder), device, dtype)
    _check_model(folder, digest, digest_model(Path(folder)))
    return model


@lru_cache(maxsize=2)
def _tokenizer(path: str, digest: str) -> Any:
    from samplemix_dagster.storage.models.load import load_tokenizer

    tokenizer = load_tokenizer(Path(path))
    _check_model(path, digest, digest_tokenizer(Path(path)))
    return tokenizer


def _check_model(folder: str, expected: str, found: str) -> None:
    """Compare a model that was loaded with the one that the scores are to be filed under.

    Raises:
        ModelError: It was replaced since the run began.
    """
    if found != expected:
        raise ModelError(
            f"{folder} changed while this ran: it was {expected[:8]}, it is {found[:8]}. Nothing "
            "of it is kept; run again to score with what is there."
        )


@lru_cache(maxsize=4)
def _fitted(path: str) -> Any:
    return Lake(Path(path).parent).read_arrays(Path(path).name)


def one_thread() -> None:
    """One thread a process: more cores mean more processes, and the same sums in the same order."""
    import torch
    import transformers

    give_memory_back()
    torch.set_num_threads(1)
    transformers.utils.logging.disable_progress_bar()
    transformers.utils.logging.set_verbosity_error()
