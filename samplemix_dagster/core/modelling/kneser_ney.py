"""The discounts of modified Kneser-Ney smoothing.

Chen & Goodman (1999), "An empirical study of smoothing techniques for language modeling", equation
17. What is counted, and how counts become probabilities, is in ``core/quality/ngram`` (a reference)
and in ``core/learners/ngram.py`` (a learner that judges draws).
"""


def discounts(n1: int, n2: int, n3: int, n4: int) -> tuple[float, float, float]:
    """Return D1, D2, D3+: what is taken from a count of one, of two, of more.

    Each lies between 5 and 95 % of the count that it is taken from, whatever the texts are.

    Args:
        n1: Distinct grams that were counted once; likewise ``n2``, ``n3``, ``n4``.
        n2: See ``n1``.
        n3: See ``n1``.
        n4: See ``n1``.
    """
    share = n1 / (n1 + 2 * n2) if n1 else 0.5

    def discount(times: int, these: int, next_ones: int) -> float:
        found = times - (times + 1) * share * next_ones / these if these else times * share
        return min(max(found, 0.05 * times), 0.95 * times)

    return discount(1, n1, n2), discount(2, n2, n3), discount(3, n3, n4)
