"""Carry the ids of groups over from one fit to the next, where the groups are the same.

Two fits of the same kind number their groups anew. Each new group takes the id of the old one that
it is most like, one to one, so that the sum of the likenesses is greatest (the assignment problem;
Kuhn 1955); pairs below a floor are not the same group. A new group gets an id that none had before.

Shape letters: A = old groups, B = new groups, E = embedding width, V = words of a vocabulary.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

LEAST_COSINE = 0.8
"""Centroids of clusters below this cosine are not the same cluster."""
LEAST_AFFINITY = 0.6
"""Word distributions below this Bhattacharyya coefficient are not the same topic."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Matching:
    """The ids of B new groups.

    Attributes:
        ids: The id of each new group, all different.
        matched: For each new group the position of its old one, or -1.
        likeness: How like the two are; 0 where there is none.
        next_id: The smallest id that no group has had.
    """

    ids: tuple[int, ...]
    matched: tuple[int, ...]
    likeness: tuple[float, ...]
    next_id: int

    @property
    def num_matched(self) -> int:
        """New groups that are old ones."""
        return sum(old >= 0 for old in self.matched)


def match_groups(
    likeness_AB: FloatArray, old_ids: Sequence[int], next_id: int, *, least: float
) -> Matching:
    """Match new groups to old ones by their likeness.

    Args:
        likeness_AB: How like each old group is to each new one; greater is more.
        old_ids: The ids of the A old groups.
        next_id: The smallest id that no group has had.
        least: Pairs less alike than this are not matched.

    Raises:
        ValueError: The shapes do not fit, an id is not below ``next_id``, or a value is not finite.
    """
    from scipy.optimize import linear_sum_assignment

    num_old, num_new = likeness_AB.shape
    if len(old_ids) != num_old:
        msg = f"{num_old} old groups need as many ids, not {len(old_ids)}"
        raise ValueError(msg)
    if any(not 0 <= identity < next_id for identity in old_ids):
        msg = f"ids run from 0 to {next_id - 1}; there is {max(old_ids)} or one below 0"
        raise ValueError(msg)
    ids, matched = [-1] * num_new, [-1] * num_new
    likeness = [0.0] * num_new
    # What is below the floor counts nothing, or two poor pairs would outweigh a good one.
    floored_AB = np.where(likeness_AB >= least, likeness_AB, 0.0)
    for old, new in zip(*linear_sum_assignment(floored_AB, maximize=True), strict=True):
        if likeness_AB[old, new] >= least:
            ids[new], matched[new] = int(old_ids[old]), int(old)
            likeness[new] = float(likeness_AB[old, new])
    for new in range(num_new):
        if ids[new] < 0:
            ids[new] = next_id
            next_id += 1
    return Matching(
        ids=tuple(ids), matched=tuple(matched), likeness=tuple(likeness), next_id=next_id
    )


def cosines(old_AE: npt.NDArray[np.float32], new_BE: npt.NDArray[np.float32]) -> FloatArray:
    """Return the cosine of each pair of unit vectors: shape (A, B).

    Raises:
        ValueError: The widths differ.
    """
    return np.asarray(old_AE.astype(np.float64) @ new_BE.astype(np.float64).T, dtype=np.float64)


def affinities(
    old_AV: FloatArray, old_words: Sequence[str], new_BV: FloatArray, new_words: Sequence[str]
) -> FloatArray:
    """Return the Bhattacharyya coefficient of each pair of word distributions: shape (A, B).

    It is the sum over words of sqrt(p q), 1 for the same distribution and 0 for disjoint ones
    (Bhattacharyya 1943). Words that only one vocabulary has add nothing.
    """
    place = {word: i for i, word in enumerate(new_words)}
    shared = [(i, place[word]) for i, word in enumerate(old_words) if word in place]
    if not shared:
        return np.zeros((len(old_AV), len(new_BV)))
    old, new = np.array(shared).T
    return np.asarray(np.sqrt(old_AV[:, old]) @ np.sqrt(new_BV[:, new]).T, dtype=np.float64)
