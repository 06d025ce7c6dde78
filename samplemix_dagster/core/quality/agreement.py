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


def explained(found: npt.NDArray[np.float64], wanted: npt.NDArray[np.float64]) -> float | None:
    """Return R2: the share of the wanted scores' variance that the found ones leave none of.

    At most 1; below 0 where the mean of the wanted ones would be nearer. None without variance.
    """
    variance = float(((wanted - wanted.mean()) ** 2).sum()) if wanted.size else 0.0
    return None if variance == 0 else 1.0 - float(((found - wanted) ** 2).sum()) / variance
