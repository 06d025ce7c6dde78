"""Paired differences between two arms, with intervals over seeds and over judged texts.

Both arms were trained with the same seeds (initial weights, luck, order) and judged on the same
texts, so their difference in bits per byte is taken seed by seed and text by text. Its variance has
two crossed parts, seeds and texts, and what is peculiar to a seed and a text together stands in
both, once too often (Owen 2007, "The pigeonhole bootstrap", section 3). The interval is Student's,
with the degrees of freedom of Satterthwaite (1946): percentiles of a bootstrap over eight seeds
would be too narrow.

Shape letters: S = seeds, D = texts, G = groups of texts.
"""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

FEWEST_PAIRS = 8
"""Pairs of seeds that a claim needs; fewer are a look."""
_MOST_EXACT = 14
_BITS = float(np.log(2.0))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class GroupLosses:
    """What an arm lost on one group of texts.

    Attributes:
        nats_SD: Loss of each seed's learner on each text.
        bytes_D: UTF-8 bytes of each text, above 0.
    """

    nats_SD: Floats
    bytes_D: Integers

    @property
    def by_seed(self) -> Floats:
        """Bits per byte of the group, by seed: (S,)."""
        found: Floats = self.nats_SD.sum(axis=1) / (_BITS * self.bytes_D.sum())
        return found

    @property
    def bits_per_byte(self) -> float:
        """Bits per byte of the group, over all seeds."""
        return float(self.by_seed.mean())


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """An arm's bits per byte less the baseline's: below 0, the arm teaches more.

    Attributes:
        value: The mean over seeds and texts.
        low: Lower end of the 95 % interval; -inf where there is one seed.
        high: Its upper end.
        p_value: Of sign flips over seeds, two-sided; 1 where there is one seed.
        pairs: Seeds.
    """

    value: float
    low: float
    high: float
    p_value: float
    pairs: int

    @property
    def is_claim(self) -> bool:
        """Whether there are pairs enough to claim something."""
        return self.pairs >= FEWEST_PAIRS

    @property
    def verdict(self) -> str:
        """``better``, ``worse`` or ``undecided``; fewer pairs than a claim needs decide nothing."""
        if not self.is_claim:
            return "undecided"
        if self.high < 0.0:
            return "better"
        return "worse" if self.low > 0.0 else "undecided"


def paired_difference(
    arm: Mapping[str, GroupLosses], baseline: Mapping[str, GroupLosses], groups: Sequence[str]
) -> Difference:
    """Return the mean of the differences of some groups, each group counting alike.

    Args:
        arm: Losses of one arm by group.
        baseline: Those of the other; the same seeds and texts.
        groups: Which groups; one, or several of a set.

    Raises:
        ValueError: The two have other seeds or texts.
    """
    parts = [_parts(arm[name], baseline[name]) for name in groups]
    by_seed = np.mean([part.by_seed for part in parts], axis=0)
    value, pairs = float(by_seed.mean()), by_seed.size
    if pairs < 2:
        return Difference(value=value, low=-np.inf, high=np.inf, p_value=1.0, pairs=pairs)
    of_seeds = float(by_seed.var(ddof=1)) / pairs
    of_texts = sum(part.of_texts for part in parts) / len(parts) ** 2
    of_both = sum(part.of_both for part in parts) / len(parts) ** 2
    variance = max(of_seeds + of_texts - of_both, of_seeds, of_texts)
    half = _student(variance, of_seeds, pairs - 1, of_texts, sum(part.freedom for part in parts))
    return Difference(
        value=value,
        low=value - half,
        high=value + half,
        p_value=sign_flips(by_seed),
        pairs=pairs,
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Parts:
    by_seed: Floats
    of_texts: float
    of_both: float
    freedom: int


def _parts(arm: GroupLosses, baseline: GroupLosses) -> _Parts:
    if arm.nats_SD.shape != baseline.nats_SD.shape or (arm.bytes_D != baseline.bytes_D).any():
        raise ValueError("only arms of the same seeds and texts can be paired")
    difference_SD = (arm.nats_SD - baseline.nats_SD) / _BITS
    num_seeds, num_texts = difference_SD.shape
    total = float(arm.bytes_D.sum())
    by_seed = difference_SD.sum(axis=1) / total
    # Of a ratio of sums: what a text adds beyond its bytes' part of the mean.
    beyond_SD = difference_SD - by_seed.mean() * arm.bytes_D
    of_text_D = beyond_SD.mean(axis=0)
    spread = num_texts / max(num_texts - 1, 1) / total**2
    own_SD = beyond_SD - of_text_D - (by_seed - by_seed.mean())[:, None] * arm.bytes_D
    pairs = max(num_seeds * (num_seeds - 1), 1)
    return _Parts(
        by_seed=by_seed,
        of_texts=float((of_text_D**2).sum()) * spread,
        of_both=float((own_SD**2).sum()) * spread / pairs,
        freedom=max(num_texts - 1, 1),
    )


def _student(variance: float, of_seeds: float, seeds: int, of_texts: float, texts: int) -> float:
    """Return half the width of the 95 % interval."""
    from scipy.stats import t

    if variance <= 0.0:
        return 0.0
    freedom = variance**2 / max(of_seeds**2 / seeds + of_texts**2 / texts, 1e-300)
    return float(t.ppf(0.975, max(freedom, 1.0)) * np.sqrt(variance))


def sign_flips(differences: Floats) -> float:
    """Return the two-sided p-value of paired differences under flips of their signs.

    Exact for up to 14 pairs, by 2^14 hashed flips beyond that. With n pairs it is never below
    2^(1 - n): five pairs cannot reach .05.
    """
    n = differences.size
    if n < 2:
        return 1.0
    if n <= _MOST_EXACT:
        signs = np.array(list(itertools.product((-1.0, 1.0), repeat=n)))
    else:
        signs = np.random.default_rng(n).choice((-1.0, 1.0), size=(2**_MOST_EXACT, n))
    sums = np.abs(signs @ differences)
    # A sum of the same numbers in another order differs in its last bits.
    return float((sums >= abs(differences.sum()) * (1 - 1e-9)).mean())
