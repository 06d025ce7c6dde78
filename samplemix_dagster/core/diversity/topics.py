"""Find topics in word counts, and score each document by how rare its topics are.

The model is a non-negative factorisation of log(1 + count) under the Kullback-Leibler divergence
(Lee & Seung 2001), which with a document's weights summing to its mass is the likelihood of
probabilistic latent semantic analysis (Gaussier & Goutte 2005).

Not here: what a word is (:mod:`.words`), and which documents the fit should see. Leave
near-duplicates out of it: else templates become topics, and rare ones.

Shape letters: N = documents, K = topics, V = words of the vocabulary, W = those of one document.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from samplemix_dagster.errors import DegenerateSampleError

FloatArray = npt.NDArray[np.float64]

_FIT_STEPS = 60
_APPLY_STEPS = 50
_DOCUMENTS_PER_TOPIC = 20
_FLOOR_MASS = 1e-3
_MARGIN = 1e-5  # outlives rounding to five significant digits


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicModel:
    """A frozen fit: what :func:`apply_topics` needs to know.

    Attributes:
        vocabulary: V words, sorted.
        components_KV: Each topic's distribution over the vocabulary: positive, rows sum to 1.
        shares: Each topic's mean (weighted) membership on the fitting sample, summing to 1: (K,).
            Topic 0 has the greatest.
    """

    vocabulary: tuple[str, ...]
    components_KV: FloatArray
    shares: FloatArray

    @property
    def num_topics(self) -> int:
        """K."""
        return len(self.shares)

    def top_words(self, top: int = 8) -> list[list[str]]:
        """Return each topic's words by p(w|k) log(p(w|k) / p(w)), the greatest first.

        A word's part of the divergence of a topic from the corpus: frequent, and telling.
        """
        overall = self.shares @ self.components_KV
        telling_KV = self.components_KV * np.log(self.components_KV / overall)
        order_KV = np.argsort(-telling_KV, axis=1, kind="stable")[:, :top]
        return [[self.vocabulary[i] for i in row] for row in order_KV]

    def to_arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return the fit but for the vocabulary as named arrays, for a file of arrays."""
        return {"components_KV": self.components_KV, "shares": self.shares}

    @classmethod
    def from_arrays(
        cls, arrays: Mapping[str, npt.NDArray[Any]], vocabulary: Sequence[str]
    ) -> "TopicModel":
        """Return the fit that :meth:`to_arrays` took apart, without loss.

        Raises:
            KeyError: An array is missing.
            ValueError: The vocabulary has not one word for each column.
        """
        components_KV = arrays["components_KV"]
        if components_KV.shape != (len(arrays["shares"]), len(vocabulary)):
            msg = f"{len(vocabulary)} words do not fit components of shape {components_KV.shape}"
            raise ValueError(msg)
        return cls(
            vocabulary=tuple(vocabulary), components_KV=components_KV, shares=arrays["shares"]
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicScores:
    """N documents against a :class:`TopicModel`.

    Attributes:
        membership_NK: How much of a document each topic explains; rows sum to 1.
        topic: The greatest of them, int32.
        entropy: Of the membership, in nats: 0 for one topic, log K for all alike.
        rarity: Strictly inside (0, 1), high for rare topics; see :func:`apply_topics`.
    """

    membership_NK: npt.NDArray[np.float32]
    topic: npt.NDArray[np.int32]
    entropy: FloatArray
    rarity: FloatArray


def fit_topics(
    words_per_document: Sequence[Sequence[str]],
    counts_per_document: Sequence[Sequence[int]],
    *,
    num_topics: int = 32,
    max_vocabulary: int = 8000,
    min_documents: int = 5,
    max_share: float = 0.5,
    weights: FloatArray | None = None,
    seed: int = 0,
) -> TopicModel:
    """Fit topics to a sample; the same documents in the same order give the same model.

    It takes some 3 s for each 1,000 documents of a few kilobytes, on one core: a sample will do.

    A small sample is fitted with less: K is at most one topic for each 20 documents (and at least
    2 if the vocabulary has 2 words), and a word needs at most every hundredth document, but 2.

    Args:
        words_per_document: Distinct words of each of N documents.
        counts_per_document: How often each of them stands in it.
        num_topics: Most topics.
        max_vocabulary: Most words: those in the most documents, ties by spelling.
        min_documents: Words in fewer documents are left out.
        max_share: Words in a greater share of the documents are left out.
        weights: N positive weights (tokens, say) for the mean that ``shares`` are; all 1 if absent.
            The topics themselves do not depend on them.
        seed: Of the initial factorisation.

    Raises:
        ValueError: The sequences differ in length.
        DegenerateSampleError: No word is in enough documents and in not too many.
    """
    num_documents = len(words_per_document)
    if weights is not None and weights.shape != (num_documents,):
        msg = f"{num_documents} documents need as many weights, not {weights.shape}"
        raise ValueError(msg)
    fewest = min(min_documents, max(2, num_documents // 100))
    vocabulary = _vocabulary(words_per_document, fewest, max_share, max_vocabulary)
    if not vocabulary:
        msg = (
            f"topics need words in at least {fewest} and at most a share {max_share} of"
            f" {num_documents} documents; there are none"
        )
        raise DegenerateSampleError(msg)
    mass_NV = _log_counts(words_per_document, counts_per_document, vocabulary)
    most = min(num_topics, max(2, num_documents // _DOCUMENTS_PER_TOPIC), len(vocabulary))
    components_KV = _factorise(mass_NV, most, seed)
    membership_NK = _memberships(mass_NV, components_KV)
    shares = np.average(membership_NK, axis=0, weights=weights)
    order = np.argsort(-shares, kind="stable")
    return TopicModel(
        vocabulary=tuple(vocabulary), components_KV=components_KV[order], shares=shares[order]
    )


def one_topic() -> TopicModel:
    """Return the model of a corpus without topics: everything is one topic, and no rarity."""
    return TopicModel(vocabulary=(), components_KV=np.zeros((1, 0)), shares=np.ones(1))


def apply_topics(
    words_per_document: Sequence[Sequence[str]],
    counts_per_document: Sequence[Sequence[int]],
    model: TopicModel,
) -> TopicScores:
    """Score documents against a fit, each by itself: a fixed number of updates, from even weights.

    With p the membership of a document and s the topics' shares, none below 1 / (10 K):
    r = -sum_k p_k log s_k, and rarity = r / max_k(-log s_k), kept 1e-5 away from 0 and 1. A
    document without a word of the vocabulary has an even membership. With one topic, rarity is 1/2.

    Raises:
        ValueError: The sequences differ in length.
    """
    position = {word: i for i, word in enumerate(model.vocabulary)}
    mass_NV = _log_counts(words_per_document, counts_per_document, position)
    membership_NK = _memberships(mass_NV, model.components_KV)
    surprise = -np.log(np.maximum(model.shares, 1.0 / (10.0 * model.num_topics)))
    if model.num_topics == 1:
        rarity = np.full(len(membership_NK), 0.5)
    else:
        # Row by row, not by matrix product, whose last bits depend on the number of rows.
        rarity = (membership_NK * surprise).sum(axis=1) / surprise.max()
    log_NK = np.log(np.where(membership_NK > 0.0, membership_NK, 1.0))
    return TopicScores(
        membership_NK=membership_NK.astype(np.float32),
        topic=membership_NK.argmax(axis=1).astype(np.int32),
        entropy=-(membership_NK * log_NK).sum(axis=1) + 0.0,
        rarity=np.clip(rarity, _MARGIN, 1.0 - _MARGIN),
    )


def _vocabulary(
    words_per_document: Sequence[Sequence[str]], fewest: int, max_share: float, most: int
) -> dict[str, int]:
    num_documents: Counter[str] = Counter()
    for words in words_per_document:
        num_documents.update(words)
    limit = max_share * len(words_per_document)
    kept = [(-number, word) for word, number in num_documents.items() if fewest <= number <= limit]
    return {word: i for i, word in enumerate(sorted(word for _, word in sorted(kept)[:most]))}


def _log_counts(
    words_per_document: Sequence[Sequence[str]],
    counts_per_document: Sequence[Sequence[int]],
    vocabulary: Mapping[str, int],
) -> sparse.csr_array:
    columns: list[int] = []
    counts: list[int] = []
    offsets = [0]
    for words, times in zip(words_per_document, counts_per_document, strict=True):
        for word, count in zip(words, times, strict=True):
            column = vocabulary.get(word)
            if column is not None:
                columns.append(column)
                counts.append(count)
        offsets.append(len(columns))
    return sparse.csr_array(
        (np.log1p(np.asarray(counts, dtype=np.float64)), columns, offsets),
        shape=(len(words_per_document), len(vocabulary)),
    )


def _factorise(mass_NV: sparse.csr_array, num_topics: int, seed: int) -> FloatArray:
    import warnings

    from sklearn.decomposition import NMF
    from sklearn.exceptions import ConvergenceWarning

    model = NMF(
        n_components=min(num_topics, *mass_NV.shape),
        beta_loss="kullback-leibler",
        solver="mu",
        init="nndsvda",
        max_iter=_FIT_STEPS,
        random_state=seed,
    )
    with warnings.catch_warnings():
        # The number of steps is the budget; topics for a nudge need no better optimum.
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(mass_NV)
    components_KV = np.asarray(model.components_, dtype=np.float64)
    components_KV = components_KV[components_KV.sum(axis=1) > 0.0]
    components_KV /= components_KV.sum(axis=1, keepdims=True)
    # No word is impossible under a topic: else one word would decide a document's membership.
    overall: FloatArray = np.asarray(mass_NV.sum(axis=0), dtype=np.float64)
    mixed_KV = (1.0 - _FLOOR_MASS) * components_KV + _FLOOR_MASS * overall / overall.sum()
    return np.asarray(mixed_KV, dtype=np.float64)


def _memberships(mass_NV: sparse.csr_array, components_KV: FloatArray) -> FloatArray:
    """Return each document's weights of the topics, which sum to 1: shape (N, K), float64.

    The multiplicative update of the weights (Lee & Seung 2001, eq. 5), whose denominator is 1
    because each topic's does sum to 1; a document at a time, on its own words.
    """
    num_topics = len(components_KV)
    membership_NK = np.full((mass_NV.shape[0], num_topics), 1.0 / num_topics)
    components_VK = np.ascontiguousarray(components_KV.T)
    for i in range(len(membership_NK)):
        row = slice(mass_NV.indptr[i], mass_NV.indptr[i + 1])
        mass = mass_NV.data[row]
        if len(mass) == 0:
            continue
        mass = mass / mass.sum()
        words_WK = components_VK[mass_NV.indices[row]]
        weights = membership_NK[i]
        for _ in range(_APPLY_STEPS):
            weights = weights * ((mass / (words_WK @ weights)) @ words_WK)
        membership_NK[i] = weights / weights.sum()
    return membership_NK
