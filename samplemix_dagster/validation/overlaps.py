"""Whether judged texts are held out: how much of each stands in the corpus, by 13-grams of words.

Thirteen words in a row are what Brown et al. (2020), "Language models are few-shot learners",
appendix C, look for. What was found is kept for as long as neither texts nor shards change.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from samplemix_dagster.core.diversity.grams.ngrams import document_grams
from samplemix_dagster.core.hashing import fingerprint
from samplemix_dagster.engine.addresses.recipes import Recipes
from samplemix_dagster.engine.outcome import Progress
from samplemix_dagster.engine.shards.shard_rows import read_documents
from samplemix_dagster.errors import InputError
from samplemix_dagster.storage.lake import keys
from samplemix_dagster.validation.choosing.corpus import JudgedCorpus
from samplemix_dagster.validation.texts import JudgedText, texts_digest
from samplemix_dagster.validation.training.batches import batches

WORDS = 13
_AT_ONCE = 512
_MOST_REFUSED = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldOut:
    """The texts that are judged, and how many were refused."""

    texts: list[JudgedText]
    refused: dict[str, int]
    """Texts of each group, and items of each task, that stand in the corpus; none is left out."""
    overlaps: str
    """Name in the lake of what was found of their overlaps."""


def held_out(
    recipes: Recipes,
    corpus: JudgedCorpus,
    texts: list[JudgedText],
    max_overlap: float,
    progress: Progress,
) -> HeldOut:
    """Return the texts without those that stand in the corpus; an item goes with all its options.

    Args:
        recipes: Of the project.
        corpus: The corpus.
        texts: What is to be judged; of an item, its context and its answer are looked for.
        max_overlap: Share of its 13-grams above which a text is refused.
        progress: Told how many shards were looked through.

    Raises:
        InputError: More than half of a group stands in the corpus: its files are not held out.
    """
    of = {"texts": texts_digest(texts), "corpus": corpus.digest, "words": WORDS}
    shares = _overlaps(recipes, corpus, texts, of, progress)
    standing = {
        text.unit
        for text, share in zip(texts, shares, strict=True)
        if text.is_answer and share > max_overlap
    }
    refused = Counter(name for name, _ in standing)
    for group in dict.fromkeys(text.group for text in texts):
        total = sum(text.group == group for text in texts)
        if refused[group] > _MOST_REFUSED * total:
            raise InputError(
                f"{_words(texts, group, refused[group], total)} stand in the corpus "
                f"({max_overlap:.0%} or more of their {WORDS}-grams), so they are not held out: "
                "judge on other files, or take these out of the sources."
            )
    kept = [text for text in texts if text.unit not in standing]
    return HeldOut(
        texts=kept,
        refused={name: refused[name] for name in sorted(refused)},
        overlaps=fingerprint(of),
    )


def _words(texts: list[JudgedText], group: str, count: int, total: int) -> str:
    is_task = any(text.task == group for text in texts)
    section, things = ("tasks", "items") if is_task else ("texts", "texts")
    return f"evaluation.{section}.{group}: {count} of {total} {things}"


def _overlaps(
    recipes: Recipes,
    corpus: JudgedCorpus,
    texts: list[JudgedText],
    of: Mapping[str, object],
    progress: Progress,
) -> list[float]:
    lake = recipes.lake
    key = keys.evaluation_overlaps(fingerprint(of))
    known = lake.read_json(key)
    if known is None:
        shares = _looked_up(recipes, corpus, texts, progress)
        known = {**of, "shares": [round(float(share), 5) for share in shares]}
        lake.write_json(key, known)
    return [float(share) for share in known["shares"]]


def _looked_up(
    recipes: Recipes, corpus: JudgedCorpus, texts: list[JudgedText], progress: Progress
) -> npt.NDArray[np.float64]:
    wanted = document_grams([text.context + text.piece for text in texts], n=WORDS)
    every = np.unique(wanted.grams)
    is_there = np.zeros(every.size, dtype=bool)
    for number, shard in enumerate(corpus.shards):
        for batch in batches((text.text for text in read_documents(recipes, shard)), _AT_ONCE):
            found = document_grams(batch, n=WORDS).grams
            at = np.minimum(np.searchsorted(every, found), max(every.size - 1, 0))
            if every.size:
                is_there[at[every[at] == found]] = True
        progress("evaluation", "held out?", number + 1, len(corpus.shards))
    hits = is_there[np.searchsorted(every, wanted.grams)] if every.size else np.empty(0, bool)
    sums = np.concatenate([[0.0], np.cumsum(hits * wanted.counts)])
    found = sums[wanted.offsets[1:]] - sums[wanted.offsets[:-1]]
    shares: npt.NDArray[np.float64] = found / np.maximum(wanted.num_positions, 1)
    return shares
