"""Cut token sequences into windows that fit a context, each token scored exactly once.

Shape letters: N = sequences, W = windows.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Windows:
    """W windows over N sequences; window w feeds inputs ``starts[w] : stops[w]`` of its sequence.

    Attributes:
        sequences: The sequence of each window, shape (W,), non-decreasing.
        starts: First input position, shape (W,).
        stops: One past the last input position, shape (W,).
        first_scored: Inputs at the window's head that are context only, shape (W,): the input at
            ``starts + first_scored`` is the first whose successor is scored.
    """

    sequences: npt.NDArray[np.int64]
    starts: npt.NDArray[np.int64]
    stops: npt.NDArray[np.int64]
    first_scored: npt.NDArray[np.int64]


def plan_windows(
    num_inputs: npt.NDArray[np.int64], *, context_tokens: int, overlap_tokens: int
) -> Windows:
    """Cut each sequence into windows so that every input's successor is scored exactly once.

    Args:
        num_inputs: Inputs of each sequence (its length less one), shape (N,); zero gives no window.
        context_tokens: Most inputs in a window.
        overlap_tokens: Inputs that a window repeats from the one before, as context.

    Raises:
        ValueError: The overlap is negative or leaves a window nothing to score.
    """
    if not 0 <= overlap_tokens < context_tokens:
        msg = f"0 <= overlap_tokens < context_tokens, not {overlap_tokens} and {context_tokens}"
        raise ValueError(msg)
    stride = context_tokens - overlap_tokens
    beyond_first = np.maximum(num_inputs - context_tokens, 0)
    num_windows = (num_inputs > 0) * (1 + -(-beyond_first // stride))
    sequences = np.repeat(np.arange(num_inputs.size, dtype=np.int64), num_windows)
    window_zero = np.repeat(np.cumsum(num_windows) - num_windows, num_windows)
    indices = np.arange(sequences.size, dtype=np.int64) - window_zero
    starts = indices * stride
    return Windows(
        sequences=sequences,
        starts=starts,
        stops=np.minimum(starts + context_tokens, num_inputs[sequences]),
        first_scored=np.where(indices > 0, overlap_tokens, 0),
    )
