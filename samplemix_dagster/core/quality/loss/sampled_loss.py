"""The loss of each text under a causal language model, from some of its tokens where it is long.

Which tokens, and how sure that makes the loss, is ``spread_windows.py``; the whole loss of a text
is ``token_loss.py``, and short texts have that one here too.

Shape letters: N = texts, K = windows of a long text, P = tokens of a text.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from tokenizers import Encoding, Tokenizer

from samplemix_dagster.core.quality.loss.spread_windows import (
    NUM_WINDOWS,
    SpreadPlan,
    ratio_error,
)
from samplemix_dagster.core.quality.loss.token_loss import (
    TextLosses,
    check_arguments,
    window_losses,
)
from samplemix_dagster.core.quality.loss.windows import Windows, plan_windows


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SampledLosses(TextLosses):
    """What N texts cost under one reference, as far as their tokens were scored.

    Attributes:
        num_scored_bytes: UTF-8 bytes of the scored tokens, shape (N,): all of a text that was
            scored whole.
        num_read_tokens: Tokens that the model read, those that were context counted, shape (N,).
        nats_per_byte_error: Standard error of the loss of a byte as that of the whole text's,
            shape (N,); 0 where the text was scored whole.
    """

    num_scored_bytes: npt.NDArray[np.int64]
    num_read_tokens: npt.NDArray[np.int64]
    nats_per_byte_error: npt.NDArray[np.float64]


def sampled_losses(
    model: Any,
    tokenizer: Tokenizer,
    texts: Sequence[str],
    luck_NK: npt.NDArray[np.float64],
    *,
    tokens_per_document: int | None,
    start_token_id: int | None,
    context_tokens: int,
    overlap_tokens: int,
    batch_tokens: int = 2048,
) -> SampledLosses:
    """Return what each text costs; of a long one, what windows spread over it cost.

    Args:
        model: A Hugging Face causal language model in evaluation mode.
        tokenizer: The model's tokenizer, without truncation and padding.
        texts: N texts.
        luck_NK: Each text's luck in (0, 1) for the place of each window, shape (N, K).
        tokens_per_document: Most tokens of a long text that are scored; None: all of them. A text
            that costs no more whole than in windows is scored whole.
        start_token_id: Goes before each text, so that its first token is scored too.
        context_tokens: Most inputs in one window, the start token counted.
        overlap_tokens: Tokens before a window that it is shown as context.
        batch_tokens: Most positions in a micro-batch, padding counted. It changes speed only.

    Raises:
        ModelError: The model is not causal, lacks a token of the tokenizer, or its loss is not
            finite.
        ValueError: The tokenizer truncates or pads, the model is in training mode, or the sizes
            make no sense.
    """
    check_arguments(model, tokenizer, batch_tokens)
    encode = tokenizer.encode_batch if tokens_per_document else tokenizer.encode_batch_fast
    encodings = encode(list(texts), add_special_tokens=False)
    head = [] if start_token_id is None else [start_token_id]
    sequences = [np.array(head + encoding.ids, dtype=np.int64) for encoding in encodings]
    num_tokens = np.array([len(encoding.ids) for encoding in encodings], dtype=np.int64)
    num_inputs = np.maximum(num_tokens + len(head) - 1, 0)
    plan = SpreadPlan(
        tokens_per_document=tokens_per_document,
        context_tokens=context_tokens,
        overlap_tokens=overlap_tokens,
    )
    is_long = plan.is_long(num_inputs)
    long = np.flatnonzero(is_long)
    whole = plan_windows(
        np.where(is_long, 0, num_inputs),
        context_tokens=context_tokens,
        overlap_tokens=overlap_tokens,
    )
    some = plan.windows(num_inputs[long], luck_NK[long])
    windows = _joined(whole, some, long)
    nll_W = window_losses(model, sequences, windows, batch_tokens)
    num_bytes = np.array([len(text.encode()) for text in texts], dtype=np.int64)
    error = np.zeros(num_tokens.size)
    if long.size:
        bytes_NK = _window_bytes(texts, encodings, some, long, len(head))
        num_bytes[long] = bytes_NK.sum(axis=1)
        nll_NK = nll_W[whole.sequences.size :].reshape(-1, NUM_WINDOWS)
        error[long] = ratio_error(nll_NK, bytes_NK, plan.num_cells(num_inputs[long]))
    read_W = windows.stops - windows.starts
    return SampledLosses(
        nll_nats=_summed(nll_W, windows, num_tokens.size),
        num_scored_tokens=_summed(read_W - windows.first_scored, windows, num_tokens.size),
        num_tokens=num_tokens,
        num_scored_bytes=num_bytes,
        num_read_tokens=_summed(read_W, windows, num_tokens.size),
        nats_per_byte_error=error,
    )


def _joined(whole: Windows, some: Windows, long: npt.NDArray[np.int64]) -> Windows:
    """Return the windows of short texts, and then those of the long ones."""
    return Windows(
        sequences=np.concatenate([whole.sequences, long[some.sequences]]),
        starts=np.concatenate([whole.starts, some.starts]),
        stops=np.concatenate([whole.stops, some.stops]),
        first_scored=np.concatenate([whole.first_scored, some.first_scored]),
    )


def _summed(values_W: npt.NDArray[Any], windows: Windows, num_texts: int) -> npt.NDArray[Any]:
    """Return the sum over each text's windows, shape (N,)."""
    total = np.zeros(num_texts, dtype=values_W.dtype)
    np.add.at(total, windows.sequences, values_W)
    return total


def _window_bytes(
    texts: Sequence[str],
    encodings: Sequence[Encoding],
    windows: Windows,
    long: npt.NDArray[np.int64],
    num_head: int,
) -> npt.NDArray[np.int64]:
    """Return the UTF-8 bytes of the tokens that each window scores, shape (N, K)."""
    found = np.zeros(windows.sequences.size, dtype=np.int64)
    for number, index in enumerate(long):
        mine = slice(number * NUM_WINDOWS, (number + 1) * NUM_WINDOWS)
        # The input at a place is followed by the token that is scored there.
        offset = 1 - num_head
        first = windows.starts[mine] + windows.first_scored[mine] + offset
        begins = _byte_places(texts[index], encodings[index])
        found[mine] = begins[windows.stops[mine] + offset] - begins[first]
    return found.reshape(-1, NUM_WINDOWS)


def _byte_places(text: str, encoding: Encoding) -> npt.NDArray[np.int64]:
    """Return where each token begins in a text's UTF-8, and where the text ends, shape (P + 1,).

    Bytes that no token claims, such as a space that is left off, are those of the token before.
    """
    points = np.frombuffer(text.encode("utf-32-le"), dtype="<u4")
    widths = 1 + (points >= 0x80).astype(np.int64) + (points >= 0x800) + (points >= 0x10000)
    bytes_before = np.concatenate([[0], np.cumsum(widths)])
    characters = np.array([begin for begin, _ in encoding.offsets], dtype=np.int64)
    begins = np.maximum.accumulate(bytes_before[characters])
    begins[:1] = 0
    return np.append(begins, bytes_before[-1])
