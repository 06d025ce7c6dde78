"""How long a first run may take, before anything was measured: from bytes and two seconds of trial.

Two numbers of this machine are measured: how fast one core reads text (grams, words, language) and
how fast it multiplies matrices. The rest is arithmetic: a model's cost is its parameters times the
tokens (2 operations to score, 6 to train: Kaplan et al. 2001.08361, section 2.1). A guess is to say
whether it is minutes or hours, and is called one wherever it is shown.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from samplemix_dagster.config.scoring.models import Bootstrap
from samplemix_dagster.core.diversity.grams.ngrams import document_grams
from samplemix_dagster.core.diversity.words import count_words
from samplemix_dagster.engine.addresses.recipes import Recipes
from samplemix_dagster.engine.project import Project
from samplemix_dagster.engine.stages import NotFittedError
from samplemix_dagster.errors import SampleMixError
from samplemix_dagster.stages.quality.loss.other_references import OtherPerplexity
from samplemix_dagster.storage.models.files import count_parameters

if TYPE_CHECKING:
    from samplemix_dagster.runs.plan.planned import Task


_TRIAL_SECONDS = 1.0
_MATRIX = 384
_BYTES_PER_TOKEN = 4
_TEXT_PER_PACKED_BYTE = 3
_TOKENS_OF_A_DOCUMENT = 1000
"""Where nothing says how long a document of a sample is."""
_MODEL_EFFICIENCY = 0.4
"""Of the matrix product's rate: what scoring reaches (docs/performance.md)."""
_TRAINING_EFFICIENCY = 0.25
_LANGUAGE_SHARE = 2.0
"""Times as long as grams and words alone, once each text's language is found, too."""
_NGRAM_TIMES = 8.0
"""Times as long as grams and words alone: an n-gram reference makes tokens and looks them up."""
_START_SECONDS = {"perplexity": 6.0, "embeddings": 8.0, "clusters": 30.0, "topics": 3.0}
"""Models that are loaded, code that is compiled."""
_SECONDS_PER_DOCUMENT = 2e-4
_WORDS = (
    "The harbour master wrote that a storm had taken three boats from the island before dawn and "
    "that nobody knew where their captains were until the tide came back with two of them. "
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What one core does."""

    text_bytes_per_second: float
    operations_per_second: float
    num_workers: int


def try_machine(num_workers: int) -> Machine:
    """Measure this machine for about two seconds."""
    texts = [_WORDS * 12] * 16
    num_bytes = sum(len(text) for text in texts)

    def read() -> None:
        document_grams(texts, n=5, sample_bits=0)
        for text in texts:
            count_words(text)

    square = np.ones((_MATRIX, _MATRIX), dtype=np.float32)
    return Machine(
        text_bytes_per_second=num_bytes * _per_second(read) / _LANGUAGE_SHARE,
        operations_per_second=2.0 * _MATRIX**3 * _per_second(lambda: square @ square),
        num_workers=num_workers,
    )


def _per_second(action: Callable[[], object]) -> float:
    action()  # what is compiled or loaded at the first time is not counted
    began, count = time.perf_counter(), 0
    while (seconds := time.perf_counter() - began) < _TRIAL_SECONDS:
        action()
        count += 1
    return count / seconds


class FirstGuess:
    """Guesses for the tasks of one project."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self.recipes = Recipes(project)
        self.machine = try_machine(project.num_workers)

    def seconds(self, task: "Task") -> float:
        """Return the seconds that a task may take."""
        work = {
            "raw_shards": self._reading,
            "perplexity": self._scoring,
            "student": self._teaching,
            "embeddings": self._embedding,
            "reference_model": self._training,
        }.get(task.step.asset.partition("/")[0], self._rest)
        if self._other_reference(task):
            work = self._scoring
        start = _START_SECONDS.get(task.step.asset, 0.5)
        return round(start + work(task), 2)

    def _text_bytes(self, task: "Task") -> float:
        return _unpacked(self.project, task.partition, task.num_bytes)

    def _reading(self, task: "Task") -> float:
        rate = self.machine.text_bytes_per_second * self.machine.num_workers
        return self._text_bytes(task) / rate

    def _scoring(self, task: "Task") -> float:
        name = self._other_reference(task) or self._reference
        if self.project.config.references[name].ngram is not None:
            return self._reading(task) * _NGRAM_TIMES
        tokens = scored_tokens(self.project, task, self._text_bytes(task))
        return self._model_seconds(2.0 * self._reference_parameters(name) * tokens)

    @staticmethod
    def _other_reference(task: "Task") -> str:
        """The reference of a task that scores with one beside the one that scores; or empty."""
        named = (s.reference for s in task.step.stages if isinstance(s, OtherPerplexity))
        return next(named, "")

    def _teaching(self, task: "Task") -> float:
        """What the reference takes for the sample that a student learns from, at most."""
        del task
        student, most = self.project.config.quality.student, self._most_tokens_read
        if student is None:
            return 0.0
        tokens = min(self._corpus_bytes() / _BYTES_PER_TOKEN, float(student.sample * most))
        return self._model_seconds(2.0 * self._reference_parameters(self._reference) * tokens)

    @property
    def _most_tokens_read(self) -> int:
        return self.project.config.quality.most_tokens_read or _TOKENS_OF_A_DOCUMENT

    def _reference_parameters(self, name: str) -> float:
        settings = self.project.config.references[name]
        if settings.bootstrap is not None:
            return bootstrap_parameters(settings.bootstrap)
        return self._parameters(lambda: self.recipes.reference_folder(name))

    def _corpus_bytes(self) -> float:
        return sum(
            _unpacked(self.project, shard.partition, shard.shard.size)
            for shard in self.project.readable_shards()
        )

    @property
    def _reference(self) -> str:
        return self.project.config.quality.reference

    def _embedding(self, task: "Task") -> float:
        read = self.project.config.encoder.max_tokens
        tokens = min(self._text_bytes(task) / _BYTES_PER_TOKEN, float(read * task.num_documents))
        parameters = self._parameters(lambda: self.recipes.encoder_folder)
        # Of a small encoder about half are its vocabulary, which is looked up and not multiplied.
        return self._model_seconds(parameters * tokens)

    def _training(self, task: "Task") -> float:
        reference = self.project.config.references[task.step.name]
        bootstrap, ngram = reference.bootstrap, reference.ngram
        if ngram is not None:
            num_bytes = min(float(ngram.tokens * _BYTES_PER_TOKEN), self._corpus_bytes())
            return num_bytes * _NGRAM_TIMES / self.machine.text_bytes_per_second
        if bootstrap is None:
            return 0.0
        tokens = min(bootstrap.tokens, self._corpus_bytes() / _BYTES_PER_TOKEN)
        operations = 6.0 * bootstrap_parameters(bootstrap) * tokens
        return operations / (self.machine.operations_per_second * _TRAINING_EFFICIENCY)

    def _rest(self, task: "Task") -> float:
        return task.num_documents * _SECONDS_PER_DOCUMENT

    def _model_seconds(self, operations: float) -> float:
        rate = self.machine.operations_per_second * _MODEL_EFFICIENCY
        return operations / (rate * self.machine.num_workers)

    @staticmethod
    def _parameters(find: Callable[[], object]) -> float:
        try:
            return float(count_parameters(find()))  # type: ignore[arg-type]
        except (SampleMixError, NotFittedError, OSError):
            return 0.0


def scored_tokens(project: Project, task: "Task", text_bytes: float) -> float:
    """Return about how many tokens the reference reads of a task's documents.

    Windows are counted, and what a student leaves to the reference.
    """
    quality, every = project.config.quality, text_bytes / _BYTES_PER_TOKEN
    most = quality.most_tokens_read
    read = every if most is None else min(every, float(most * task.num_documents))
    return read * quality.share_read


def bootstrap_parameters(settings: Bootstrap) -> float:
    """Return the parameters of a reference that is trained here: layers, and tied embeddings."""
    return float(settings.layers * 12 * settings.width**2 + settings.vocabulary * settings.width)


def _unpacked(project: Project, partition: str, num_bytes: int) -> float:
    """Return about how many bytes of text stand in so many bytes of a source's shards."""
    paths = project.source(partition).paths if partition else []
    is_packed = any(path.endswith((".gz", ".zst", ".parquet", ".bz2", ".xz")) for path in paths)
    return float(num_bytes) * (_TEXT_PER_PACKED_BYTE if is_packed else 1)
