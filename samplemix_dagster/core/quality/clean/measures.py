"""All measures of a document, and which documents a corpus is counted by.

Counting a part of a large corpus is enough to know which words meet: the documents with the
smallest hashes, a text once. Who measures a document that was counted leaves it out of the counts.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from samplemix_dagster.core.hashing import id_words, uniforms
from samplemix_dagster.core.quality.clean.company import Counts, company_measures
from samplemix_dagster.core.quality.clean.shape import Parsed, parse, shape_measures

WORDS_BYTES = 32_000_000
RUNS_BYTES = 4_000_000
Arrays = dict[str, npt.NDArray[np.generic]]


@dataclass(frozen=True, slots=True)
class Shares:
    """Shares of a corpus's documents whose words are counted, and whose runs of bytes are."""

    words: float
    runs: float

    @classmethod
    def of(cls, num_bytes: int) -> "Shares":
        """Return those that give 32 MB of words and 4 MB of runs of a corpus of some bytes."""
        total = max(1, num_bytes)
        return cls(min(1.0, WORDS_BYTES / total), min(1.0, RUNS_BYTES / total))

    def counted(self, doc_ids: Sequence[str]) -> tuple[npt.NDArray[np.bool_], ...]:
        """Return whether each of N documents' words are to be counted, and its runs: twice (N,)."""
        luck = uniforms(id_words(doc_ids), 0, "clean")
        return luck < self.words, luck < self.runs


@dataclass(frozen=True, slots=True)
class Company:
    """What is known of a corpus: its counts, and which documents they are of.

    Attributes:
        counts: Of words, pairs, triples, lines and runs of bytes.
        documents: Sorted first halves of the ids of those counted.
        with_runs: Likewise of those whose runs were counted.
    """

    counts: Counts
    documents: npt.NDArray[np.uint64]
    with_runs: npt.NDArray[np.uint64]

    def to_arrays(self) -> Arrays:
        """Return what a file holds."""
        own: Arrays = {"documents": self.documents, "with_runs": self.with_runs}
        return {**self.counts.to_arrays(), **own}

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> "Company":
        """Return what :meth:`to_arrays` was given."""
        found = (arrays[name].astype(np.uint64) for name in ("documents", "with_runs"))
        return cls(Counts.from_arrays(arrays), *found)

    def measures(self, doc_ids: Sequence[str], texts: Sequence[str]) -> list[dict[str, float]]:
        """Return every measure of N texts, by name."""
        names = id_words(doc_ids)[:, 0]
        is_counted = np.isin(names, self.documents)
        has_runs = np.isin(names, self.with_runs)
        return [
            measure(parse(text), self.counts, bool(counted), bool(runs))
            for text, counted, runs in zip(texts, is_counted, has_runs, strict=True)
        ]


class Counting:
    """Counts a corpus document by document, in any order."""

    def __init__(self, num_bytes: int) -> None:
        """Take the bytes of the whole corpus."""
        self._shares = Shares.of(num_bytes)
        self._counts = Counts.none()
        self._documents: set[int] = set()
        self._with_runs: set[int] = set()

    def add(self, doc_ids: Sequence[str], texts: Sequence[str]) -> None:
        """Count those of N documents that belong to the part, a text once."""
        names = id_words(doc_ids)[:, 0].tolist()
        for name, text, in_words, in_runs in zip(
            names, texts, *self._shares.counted(doc_ids), strict=True
        ):
            if not in_words or name in self._documents:
                continue
            self._counts.add(parse(text), with_bytes=bool(in_runs))
            self._documents.add(name)
            if in_runs:
                self._with_runs.add(name)

    def company(self) -> Company:
        """Return what was counted."""
        documents, with_runs = (
            np.array(sorted(names), dtype=np.uint64) for names in (self._documents, self._with_runs)
        )
        return Company(self._counts, documents, with_runs)


def measure(parsed: Parsed, counts: Counts, in_words: bool, in_runs: bool) -> dict[str, float]:
    """Return every measure of a text, by name.

    Args:
        parsed: The text.
        counts: Of the corpus.
        in_words: Whether it is among the documents counted.
        in_runs: Whether its runs of bytes are counted too.
    """
    company = company_measures(parsed, counts, is_counted=in_words, has_bytes=in_runs)
    return {**shape_measures(parsed), **company}
