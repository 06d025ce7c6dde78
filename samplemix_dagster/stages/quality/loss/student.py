"""student: a cheap model that learns the reference's losses from a sample, for the rest.

The fit scores a hash sample with the reference and learns from it. How well it agrees is told of
students that had not seen the documents. What it says of a text stands in ``perplexity``.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from samplemix_dagster.core.hashing import id_words, round_significant, uniforms
from samplemix_dagster.core.quality.students.agreement import explained, spearman
from samplemix_dagster.engine.fitting.sample import sample_of, sample_rows
from samplemix_dagster.engine.fitting.writer import FitWriter
from samplemix_dagster.engine.foundation.corpus import CORPUS
from samplemix_dagster.engine.foundation.documents import DOCUMENTS
from samplemix_dagster.engine.foundation.reference import REFERENCE, read_sample
from samplemix_dagster.engine.outcome import Progress
from samplemix_dagster.engine.shards.working import loaded
from samplemix_dagster.engine.shards.working.shard_work import batches
from samplemix_dagster.engine.shards.working.tasks import Chunk, work
from samplemix_dagster.engine.stages import Facts, Fit, Settings
from samplemix_dagster.stages.columns import floats, strings
from samplemix_dagster.stages.quality.loss.losses import SAMPLED, Losses, reference_losses
from samplemix_dagster.storage.models.files import digest_tokenizer
from samplemix_dagster.table_contract import Column, Table

if TYPE_CHECKING:
    from samplemix_dagster.core.quality.students.student import Taught
    from samplemix_dagster.engine.addresses.model_recipes import ModelRecipes
    from samplemix_dagster.engine.addresses.recipes import Recipes
    from samplemix_dagster.engine.project import Project

BY_STUDENT = Table(
    SAMPLED.name,
    "One row per document of a shard: its loss as a student of the reference says it.",
    (
        *SAMPLED.columns,
        Column("is_student", pa.bool_(), "the student said it, not the reference itself"),
    ),
)
Columns = dict[str, npt.NDArray[Any]]
"""Arrays by name."""
LEAST_SPEARMAN = 0.8
"""Rank correlation with the reference, held out, under which a student is no stand-in."""
_FILE = "student.safetensors"
_FEWEST_OF_GROUP = 20
_ERROR_OF_MEAN = float(np.sqrt(np.pi / 2.0))
"""Standard deviation over mean absolute error of a normal law."""


_MOST_NATS = 700.0
"""Of a token, so that a perplexity stays a number."""


class StudentFit(Fit):
    """Learns the reference's losses from a hash sample of the corpus."""

    name = "student"
    asset = "student"
    group = "quality"
    version = 2
    words = (
        "A student of the reference: ridge regression on hashed tokens and measures of a text, "
        "taught on the hash sample that the reference scored. Its agreement is told of documents "
        "that it had not seen. Frozen until its recipe changes or the corpus drifts."
    )
    uses_model = True

    def names(self, project: "Project") -> tuple[str, ...]:
        """Return one, or none where the reference scores every document."""
        return ("",) if project.config.quality.student is not None else ()

    def needs(self, project: "Project", name: str) -> tuple[str, ...]:
        """Return the sample, its documents, and the reference that teaches."""
        del name
        reference = REFERENCE.asset_of(project.config.quality.reference)
        return (DOCUMENTS.asset, CORPUS.asset, reference)

    def settings(self, recipes: "Recipes", name: str) -> Settings:
        """Return how the reference scores, how texts are read, and the size of the sample."""
        del name
        quality, sources = recipes.config.quality, recipes.config.corpus.sources
        return {
            "texts": {source: recipes.text(source) for source in sources},
            "reference": recipes.reference_digest(quality.reference),
            "dtype": recipes.dtype,
            "context_tokens": recipes.context_tokens,
            "overlap_tokens": quality.overlap_tokens,
            "tokens_per_document": quality.tokens_per_document,
            **({} if quality.student is None else quality.student.for_recipe()),
        }

    def make(self, recipes: "Recipes", writer: FitWriter, name: str, progress: Progress) -> Facts:
        """Score the sample with the reference, learn from it, say how well that went."""
        del name
        return _make(recipes, writer, progress)


STUDENT = StudentFit()


def _make(recipes: "Recipes", writer: FitWriter, progress: Progress) -> Facts:
    from samplemix_dagster.core.quality.students.student import teach
    from samplemix_dagster.core.quality.students.student_features import text_features

    settings = recipes.config.quality.student
    if settings is None:
        raise ValueError("there is a student only where the configuration has one")
    sample = sample_of(recipes, settings.sample)
    ids, sources, texts = read_sample(recipes, sample)
    name = recipes.config.quality.reference
    folder = recipes.reference_folder(name)
    losses = reference_losses(recipes, folder, recipes.reference_digest(name))
    task = replace(losses, with_error=True)
    scored = _scored(recipes, task, ids, texts, progress)
    tokenizer = loaded.tokenizer(task.folder, digest_tokenizer(folder))
    encoded = tokenizer.encode_batch_fast(texts, add_special_tokens=False)
    words = id_words(ids)
    taught = teach(
        text_features(texts, [one.ids for one in encoded]),
        floats(scored, "bits_per_byte"),
        uniforms(words, 0, "student-fold"),
    )
    writer.lake.write_arrays(
        _FILE,
        {
            **taught.student.to_arrays(),
            "unsure_above": _bound(taught, settings.rescore_unsure),
            "ids_N2": words,
            **{name: scored.column(name).to_numpy() for name in scored.column_names[1:]},
        },
    )
    languages = strings(sample_rows(recipes, DOCUMENTS, sample, ["language"]), "language")
    return _agreement(taught, floats(scored, "bits_per_byte"), np.array(sources), languages)


def _scored(
    recipes: "Recipes", task: Losses, ids: list[str], texts: list[str], progress: Progress
) -> pa.Table:
    """Return the reference's losses of the sample, in its order."""
    from samplemix_dagster.engine.executors.choice import executor_of

    def chunks() -> Iterator[Chunk]:
        for number, (own, batch) in enumerate(batches(zip(ids, texts, strict=True))):
            yield Chunk(shard=number, doc_ids=own, texts=batch, tasks={SAMPLED.name: task})

    parts, done = [], 0
    for result in executor_of(recipes.project, task.device).map(work, chunks()):
        parts.append(result.tables[SAMPLED.name])
        done += result.num_documents
        progress(STUDENT.asset, "", done, len(ids))
    return pa.concat_tables(parts)


def _bound(taught: "Taught", share: float) -> npt.NDArray[np.float64]:
    """Return how unsure a student must be of a text for the reference to score it, shape (1,)."""
    if share == 0 or not taught.unsure_N.size:
        return np.array([np.inf])
    return round_significant(np.array([np.quantile(taught.unsure_N, 1.0 - share)]))


def _agreement(
    taught: "Taught",
    wanted: npt.NDArray[np.float64],
    sources: npt.NDArray[np.str_],
    languages: npt.NDArray[np.str_],
) -> Facts:
    """Return how held-out documents agree: over all, by source and language, and where unsure."""
    found, off = taught.held_out_N, np.abs(taught.held_out_N - wanted)
    return {
        "num_documents": int(wanted.size),
        "penalty": taught.penalty,
        **_measured(found, wanted),
        "spearman_of_unsure_and_error": _rounded(spearman(taught.unsure_N, off)),
        "by_source": _by_group(found, wanted, sources),
        "by_language": _by_group(found, wanted, languages),
    }


def _by_group(
    found: npt.NDArray[np.float64],
    wanted: npt.NDArray[np.float64],
    groups: npt.NDArray[np.str_],
) -> list[Facts]:
    names, counts = np.unique(groups, return_counts=True)
    kept = [str(name) for name in names[counts >= _FEWEST_OF_GROUP]]
    return [
        {
            "group": name,
            "documents": int((groups == name).sum()),
            **_measured(found[groups == name], wanted[groups == name]),
        }
        for name in kept
    ]


def _measured(found: npt.NDArray[np.float64], wanted: npt.NDArray[np.float64]) -> Facts:
    return {
        "spearman": _rounded(spearman(found, wanted)),
        "r2": _rounded(explained(found, wanted)),
        "mean_absolute_error": _rounded(float(np.abs(found - wanted).mean())),
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def student_losses(models: "ModelRecipes", losses: Losses) -> "StudentLosses":
    """Return what says losses of texts, where the reference would find them by ``losses``."""
    path = models.lake.path(f"{STUDENT.versions_folder()}/{models.fit(STUDENT)}/{_FILE}")
    return StudentLosses(
        folder=losses.folder,
        digest=losses.digest,
        device=losses.device,
        dtype=losses.dtype,
        context_tokens=losses.context_tokens,
        overlap_tokens=losses.overlap_tokens,
        tokens_per_document=losses.tokens_per_document,
        fit=str(path),
        tokenizer_digest=digest_tokenizer(Path(losses.folder)),
        with_error=True,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class StudentLosses(Losses):
    """Say the loss of each text as a student has learnt it, or as the reference found it."""

    fit: str
    """File of what the student has learnt."""
    tokenizer_digest: str

    def run(self, doc_ids: list[str], texts: list[str]) -> pa.Table:
        """Return the ``perplexity`` table of a chunk."""
        arrays = loaded.fitted(self.fit)
        said = self._said(arrays, texts)
        places = _places(arrays["ids_N2"], id_words(doc_ids))
        is_known = places >= 0
        is_unsure = ~is_known & (said.pop("unsure") > arrays["unsure_above"][0])
        for name, column in said.items():
            column[is_known] = arrays[name][places[is_known]]
        again = np.flatnonzero(is_unsure)
        if again.size:
            found = Losses.run(self, [doc_ids[n] for n in again], [texts[n] for n in again])
            for name, column in said.items():
                column[again] = found.column(name).to_numpy()
        is_student = ~(is_known | is_unsure)
        return BY_STUDENT.make(doc_id=doc_ids, is_student=is_student, **said)

    def _said(self, arrays: Columns, texts: list[str]) -> Columns:
        """Return the columns as the student says them, and how unsure it is."""
        from samplemix_dagster.core.quality.students.student import Student
        from samplemix_dagster.core.quality.students.student_features import text_features

        tokenizer = loaded.tokenizer(self.folder, self.tokenizer_digest)
        encoded = tokenizer.encode_batch_fast(texts, add_special_tokens=False)
        tokens = [one.ids for one in encoded]
        bits, unsure = Student.from_arrays(arrays).predict(text_features(texts, tokens))
        num_bytes = np.array([len(text.encode()) for text in texts], dtype=np.int64)
        num_tokens = np.array([len(one) for one in tokens], dtype=np.int64)
        nll = bits * np.log(2.0) * num_bytes
        each = np.minimum(nll / np.maximum(num_tokens, 1), _MOST_NATS)
        zeros = np.zeros(len(texts), dtype=np.int64)
        return {
            "nll_nats": round_significant(nll),
            "num_scored_tokens": zeros,
            "num_reference_tokens": num_tokens,
            "bits_per_byte": round_significant(bits),
            "perplexity": round_significant(np.exp(each)),
            "bits_per_byte_error": np.round(unsure * _ERROR_OF_MEAN, 4),
            "num_read_tokens": zeros.copy(),
            "unsure": unsure,
        }


def _places(
    known_N2: npt.NDArray[np.uint64], wanted_M2: npt.NDArray[np.uint64]
) -> npt.NDArray[np.int64]:
    """Return where each id stands among those that are known, shape (M,); -1 where it does not."""
    order = np.argsort(known_N2[:, 0], kind="stable")
    found = np.searchsorted(known_N2[order, 0], wanted_M2[:, 0])
    places = order[np.minimum(found, order.size - 1)]
    return np.where((known_N2[places] == wanted_M2).all(axis=1), places, -1)
