"""Tokens to match: how much of one arm is worth as much as the other.

Both arms are trained at several budgets, the rungs of a ladder. Between two rungs the loss is taken
as linear in the logarithm of the tokens, which it nearly is; beyond the ladder nothing is said.
"""

from collections.abc import Sequence

import numpy as np


def tokens_to_match(budgets: Sequence[int], losses: Sequence[float], wanted: float) -> float | None:
    """Return at which budget an arm reaches a loss.

    Args:
        budgets: The rungs, ascending, in tokens.
        losses: Loss at each rung. Where one is above the one before, its rung taught nothing.
        wanted: The loss to reach.

    Returns:
        Tokens; None where that lies below the first rung or beyond the last.

    Raises:
        ValueError: There are not as many losses as rungs, or rungs do not ascend.
    """
    if len(budgets) != len(losses) or any(np.diff(budgets) <= 0):
        raise ValueError("a ladder has ascending budgets, and a loss for each")
    reached = np.minimum.accumulate(np.asarray(losses, dtype=float))
    if wanted > reached[0] or wanted < reached[-1]:
        return None
    at = int(np.argmax(reached <= wanted))
    if at == 0:
        return float(budgets[0])
    part = (reached[at - 1] - wanted) / (reached[at - 1] - reached[at])
    logs = np.log(np.asarray(budgets, dtype=float))
    return float(np.exp(logs[at - 1] + part * (logs[at] - logs[at - 1])))
