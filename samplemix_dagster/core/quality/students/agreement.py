"""How well one score stands for another: share of the variance, and order.

Shape letter: N = documents.
"""

import numpy as np
import numpy.typing as npt


def spearman(found: npt.NDArray[np.float64], wanted: npt.NDArray[np.float64]) -> float | None:
    """Return the correlation of ranks of two scores of N documents; None where one has no ranks.

    Equal values share the mean of their ranks.
    """
    from scipy.stats import rankdata

    if found.size < 2 or np.ptp(found) == 0 or np.ptp(wanted) == 0:
        return None
    return float(np.corrcoef(rankdata(found), rankdata(wanted))[0, 1])


def area_under_curve(good: npt.NDArray[np.float64], bad: npt.NDArray[np.float64]) -> float:
    """Return P(good > bad) + P(good = bad) / 2 of scores of both, neither empty: 1/2 says nothing.

    The area under the curve of Mann and Whitney.
    """
    from scipy.stats import rankdata

    ranks = rankdata(np.concatenate([good, bad]))[: good.size]
    above = float(ranks.sum()) - good.size * (good.size + 1) / 2
    return above / (good.size * bad.size)


def explained(found: npt.NDArray[np.float64], wanted: npt.NDArray[np.float64]) -> float | None:
    """Return R2: the share of the wanted scores' variance that the found ones leave none of.

    At most 1; below 0 where the mean of the wanted ones would be nearer. None without variance.
    """
    variance = float(((wanted - wanted.mean()) ** 2).sum()) if wanted.size else 0.0
    return None if variance == 0 else 1.0 - float(((found - wanted) ** 2).sum()) / variance
