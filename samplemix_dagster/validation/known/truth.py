"""What scores and a draw are worth where it is known which documents are junk: numbers alone.

Documents count alike in areas and means, and by their tokens in shares. Which file says what is
junk, and where a version's scores lie, is said in ``labelled.py``.

Shape letters: N = documents.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

from samplemix_dagster.core.junk.table import CLEAN

JUNK = "junk"
"""All kinds of junk together."""

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Labelled:
    """N documents of a mixture version whose kind is known.

    Attributes:
        kind: ``clean`` or a kind of junk: (N,).
        num_tokens: Tokens of each, in the budget's tokenizer: (N,).
        copies: How often each is drawn: (N,).
        scores: Scores by name, NaN where a document has none: (N,) each.
        num_unlabelled: Documents of the version that no label names; they are not among the N.
    """

    kind: npt.NDArray[np.str_]
    num_tokens: npt.NDArray[np.int64]
    copies: npt.NDArray[np.int64]
    scores: Mapping[str, Floats]
    num_unlabelled: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """How far scores and a draw tell clean documents from junk.

    Attributes:
        auc: By score, then by kind of junk and ``junk`` for all of it: the chance that a clean
            document scores above one of the kind, ties counted half. None without a clean document
            or one of the kind that has the score.
        mean: By score, then by kind: the mean over documents; None where none has the score.
        num_documents: By kind.
        share_of_pool: By kind: the share of all labelled tokens.
        share_of_mixture: By kind: the share of drawn labelled tokens; None where nothing is drawn.
        num_unlabelled: Documents that no label names, which nothing here counts.
    """

    auc: Mapping[str, Mapping[str, float | None]]
    mean: Mapping[str, Mapping[str, float | None]]
    num_documents: Mapping[str, int]
    share_of_pool: Mapping[str, float]
    share_of_mixture: Mapping[str, float | None]
    num_unlabelled: int

    def to_json(self) -> dict[str, object]:
        """Return it as a JSON value."""
        return asdict(self)


def truth_of(labelled: Labelled) -> Truth:
    """Return what labels say of scores and of a draw; ``clean`` comes first, then kinds by name."""
    kinds = sorted(set(labelled.kind.tolist()), key=lambda kind: (kind != CLEAN, kind))
    are = {kind: labelled.kind == kind for kind in kinds}
    clean = labelled.kind == CLEAN
    against = {kind: is_kind for kind, is_kind in are.items() if kind != CLEAN} | {JUNK: ~clean}
    pool = _shares(are, labelled.num_tokens)
    return Truth(
        auc={
            name: {kind: auc(values[clean], values[junk]) for kind, junk in against.items()}
            for name, values in labelled.scores.items()
        },
        mean={
            name: {kind: _mean(values[is_kind]) for kind, is_kind in are.items()}
            for name, values in labelled.scores.items()
        },
        num_documents={kind: int(is_kind.sum()) for kind, is_kind in are.items()},
        share_of_pool={kind: share or 0.0 for kind, share in pool.items()},
        share_of_mixture=_shares(are, labelled.num_tokens * labelled.copies),
        num_unlabelled=labelled.num_unlabelled,
    )


def auc(good: Floats, bad: Floats) -> float | None:
    """Return P(good > bad) + P(good = bad) / 2, the area under the curve of Mann and Whitney.

    Args:
        good: Scores of some documents; NaN is left out.
        bad: Scores of others.

    Returns:
        A number in [0, 1], ½ where the score says nothing; None where one side is empty.
    """
    good, bad = good[~np.isnan(good)], bad[~np.isnan(bad)]
    if not good.size or not bad.size:
        return None
    ranks = rankdata(np.concatenate([good, bad]))[: good.size]
    above = float(ranks.sum()) - good.size * (good.size + 1) / 2
    return above / (good.size * bad.size)


def _mean(values: Floats) -> float | None:
    found = values[~np.isnan(values)]
    return float(found.mean()) if found.size else None


def _shares(
    are: Mapping[str, npt.NDArray[np.bool_]], tokens: npt.NDArray[np.int64]
) -> dict[str, float | None]:
    total = int(tokens.sum())
    return {kind: int(tokens[own].sum()) / total if total else None for kind, own in are.items()}
