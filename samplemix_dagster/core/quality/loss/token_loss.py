"""The loss of each text under a causal language model: the number that quality is made of.

Any Hugging Face ``AutoModelForCausalLM`` will do, on the device and in the dtype that it stands in.
Loading models is ``storage/models/load.py``; turning losses into quality,
``core/calibrating/calibration.py``.

Texts are cut into windows that fit the context; all windows of a call are sorted by length and run
in right-padded micro-batches without an attention mask. Under a causal model padding on the right
reaches no earlier position, so no mask is needed and attention keeps its fastest form. The output
head runs on the positions that are scored, in chunks, and on no padding.

Shape letters: N = texts, W = windows, B = windows in a micro-batch, T = positions of a micro-batch,
P = scored positions, E = model width, V = vocabulary.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from tokenizers import Tokenizer
from torch.nn import functional

from samplemix_dagster.core.quality.loss.windows import Windows, plan_windows
from samplemix_dagster.errors import ModelError

# Floats of logits held at once: 2**22 are 16 MiB, which stays near a CPU's caches.
_CPU_LOGITS = 2**22
_ACCELERATOR_LOGITS = 2**27
_PROBE_TOKENS = 8
# Settings by which Hugging Face models change logits after the head (Gemma, Cohere, Granite, ...).
_LOGIT_TRANSFORMS = (
    "final_logit_softcapping",
    "logit_scale",
    "logits_scaling",
    "logits_scale",
    "lm_head_multiplier",
    "output_multiplier_scale",
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TextLosses:
    """What N texts cost under one reference.

    Attributes:
        nll_nats: Summed negative log-likelihood of the scored tokens, shape (N,).
        num_scored_tokens: Tokens with a prediction, shape (N,): all of a text's tokens when there
            is a start token, all but the first otherwise.
        num_tokens: Tokens of the text, special tokens not counted, shape (N,).
    """

    nll_nats: npt.NDArray[np.float64]
    num_scored_tokens: npt.NDArray[np.int64]
    num_tokens: npt.NDArray[np.int64]

    def bits_per_byte(self, num_bytes: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        """Return nll / (ln 2 * UTF-8 bytes), shape (N,); NaN where nothing is scored.

        It is comparable between tokenizers: 8 for a byte model that knows nothing.

        Args:
            num_bytes: UTF-8 length of each text, shape (N,).

        Raises:
            ValueError: The shapes differ.
        """
        if num_bytes.shape != self.nll_nats.shape:
            msg = f"one length per text: {self.nll_nats.size} texts, not {num_bytes.shape} lengths"
            raise ValueError(msg)
        is_scored = (self.num_scored_tokens > 0) & (num_bytes > 0)
        result = np.full(self.nll_nats.shape, np.nan)
        np.divide(self.nll_nats, math.log(2.0) * num_bytes, out=result, where=is_scored)
        return result

    def perplexity(self) -> npt.NDArray[np.float64]:
        """Return exp(nll / scored tokens), shape (N,), at least 1; NaN where nothing is scored.

        A mean so large that exp would overflow gives the largest float64, never infinity.
        """
        mean_nats = np.full(self.nll_nats.shape, np.nan)
        np.divide(
            self.nll_nats, self.num_scored_tokens, out=mean_nats, where=self.num_scored_tokens > 0
        )
        with np.errstate(over="ignore"):
            perplexities: npt.NDArray[np.float64] = np.exp(mean_nats)
        perplexities[np.isposinf(perplexities)] = np.finfo(np.float64).max
        return perplexities


def text_losses(
    model: Any,
    tokenizer: Tokenizer,
    texts: Sequence[str],
    *,
    start_token_id: int | None,
    context_tokens: int,
    overlap_tokens: int,
    batch_tokens: int = 2048,
) -> TextLosses:
    """Return what each text costs under a causal language model.

    Args:
        model: A Hugging Face causal language model in evaluation mode; its device and dtype are
            used. Log-softmax is float32 and sums are float64 whatever they are.
        tokenizer: The model's tokenizer, without truncation and padding.
        texts: N texts; an empty one costs nothing and has no scored token.
        start_token_id: Goes before each text, so that its first token is scored too. ``None``
            leaves the first token unscored.
        context_tokens: Most inputs in one window, the start token counted.
        overlap_tokens: Context that a window repeats from the one before.
        batch_tokens: Most positions in a micro-batch, padding counted. It changes speed only.

    Raises:
        ModelError: The model is not causal, lacks a token of the tokenizer, or its loss is not
            finite.
        ValueError: The tokenizer truncates or pads, the model is in training mode, or the sizes
            make no sense.
    """
    check_arguments(model, tokenizer, batch_tokens)
    encodings = tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)
    head = [] if start_token_id is None else [start_token_id]
    sequences = [np.array(head + encoding.ids, dtype=np.int64) for encoding in encodings]
    num_tokens = np.array([len(encoding.ids) for encoding in encodings], dtype=np.int64)
    num_inputs = np.maximum(num_tokens + len(head) - 1, 0)
    windows = plan_windows(num_inputs, context_tokens=context_tokens, overlap_tokens=overlap_tokens)
    nll_nats = np.zeros(num_tokens.size)
    np.add.at(nll_nats, windows.sequences, window_losses(model, sequences, windows, batch_tokens))
    return TextLosses(nll_nats=nll_nats, num_scored_tokens=num_inputs, num_tokens=num_tokens)


def window_losses(
    model: Any, sequences: Sequence[npt.NDArray[np.int64]], windows: Windows, batch_tokens: int
) -> npt.NDArray[np.float64]:
    """Return what the scored tokens of each window cost, in nats, shape (W,).

    Args:
        model: As :func:`text_losses` takes it, and checked.
        sequences: N sequences of tokens, the start token at their head where there is one.
        windows: W windows over them.
        batch_tokens: Most positions in a micro-batch, padding counted.

    Raises:
        ModelError: The model is not causal, lacks a token of the tokenizer, or a loss is not
            finite.
    """
    if not windows.sequences.size:
        return np.zeros(0)
    _check_vocabulary(model, sequences)
    nll_W = _window_losses(model, sequences, windows, batch_tokens)
    if not np.isfinite(nll_W).all():
        window = int(np.flatnonzero(~np.isfinite(nll_W))[0])
        msg = (
            f"a loss must be finite; text {windows.sequences[window]} costs {nll_W[window]} nats "
            f"in {model.dtype}. A wider dtype (float32) is the usual cure."
        )
        raise ModelError(msg)
    return nll_W


def check_arguments(model: Any, tokenizer: Tokenizer, batch_tokens: int) -> None:
    """Raise ValueError where model, tokenizer or batch stand otherwise than losses need them."""
    if tokenizer.truncation is not None or tokenizer.padding is not None:
        msg = "the tokenizer must neither truncate nor pad: call no_truncation() and no_padding()"
        raise ValueError(msg)
    if model.training:
        msg = "the model is in training mode, where dropout is random: call model.eval()"
        raise ValueError(msg)
    if batch_tokens < 1:
        msg = f"batch_tokens must be at least 1, not {batch_tokens}"
        raise ValueError(msg)


def _check_vocabulary(model: Any, sequences: Sequence[npt.NDArray[np.int64]]) -> None:
    largest = max(int(sequence.max()) for sequence in sequences if sequence.size)
    num_embeddings = model.get_input_embeddings().weight.shape[0]
    if largest >= num_embeddings:
        msg = (
            f"the tokenizer gives token {largest} but the model has {num_embeddings} embeddings: "
            "this tokenizer does not belong to this model"
        )
        raise ModelError(msg)


@torch.inference_mode()
def _window_losses(
    model: Any, sequences: Sequence[npt.NDArray[np.int64]], windows: Windows, batch_tokens: int
) -> npt.NDArray[np.float64]:
    """Return the summed loss of each window in nats, shape (W,)."""
    lengths = windows.stops - windows.starts
    # Longest first: a micro-batch holds little padding, and too big a one fails at once.
    order = np.argsort(-lengths, kind="stable")
    has_plain_head = _has_plain_head(model)
    if not has_plain_head:
        batch_tokens = min(batch_tokens, max(1, _logits_at_once(model) // _vocabulary(model)))
    losses = [
        _batch_losses(model, sequences, windows, order[rows], has_plain_head)
        for rows in _micro_batches(lengths[order], batch_tokens)
    ]
    nll_P = torch.cat(losses).cpu().numpy().astype(np.float64)
    num_scored = (lengths - windows.first_scored)[order]
    nll_W = np.empty(order.size)
    nll_W[order] = np.add.reduceat(nll_P, np.cumsum(num_scored) - num_scored)
    return nll_W


def _micro_batches(lengths: npt.NDArray[np.int64], batch_tokens: int) -> Iterator[slice]:
    """Yield slices of windows, sorted longest first, that hold at most ``batch_tokens`` padded."""
    first = 0
    while first < lengths.size:
        num_rows = max(1, batch_tokens // int(lengths[first]))
        yield slice(first, first + num_rows)
        first += num_rows


def _batch_losses(
    model: Any,
    sequences: Sequence[npt.NDArray[np.int64]],
    windows: Windows,
    rows: npt.NDArray[np.int64],
    has_plain_head: bool,
) -> torch.Tensor:
    """Run one micro-batch; return the float32 loss of its scored positions, window by window."""
    num_positions = int((windows.stops[rows] - windows.starts[rows]).max())
    ids_BT = np.zeros((rows.size, num_positions), dtype=np.int64)
    positions, targets = [], []
    for row, window in enumerate(rows):
        sequence = sequences[windows.sequences[window]]
        start, stop = windows.starts[window], windows.stops[window]
        first = windows.first_scored[window]
        ids_BT[row, : stop - start] = sequence[start:stop]
        positions.append(np.arange(first, stop - start) + row * num_positions)
        targets.append(sequence[start + first + 1 : stop + 1])
    inputs_BT = torch.from_numpy(ids_BT).to(model.device)
    positions_P = torch.from_numpy(np.concatenate(positions)).to(model.device)
    targets_P = torch.from_numpy(np.concatenate(targets)).to(model.device)
    if not has_plain_head:
        logits_BTV = model(input_ids=inputs_BT, use_cache=False).logits
        logits_PV = logits_BTV.flatten(0, 1)[positions_P].float()
        return functional.cross_entropy(logits_PV, targets_P, reduction="none")
    hidden_PE = _hidden_states(model, inputs_BT).flatten(0, 1)[positions_P]
    head = model.get_output_embeddings()
    chunk = max(1, _logits_at_once(model) // _vocabulary(model))
    pieces = zip(torch.split(hidden_PE, chunk), torch.split(targets_P, chunk), strict=True)
    return torch.cat(
        [functional.cross_entropy(head(h).float(), t, reduction="none") for h, t in pieces]
    )


def _hidden_states(model: Any, inputs_BT: torch.Tensor) -> torch.Tensor:
    hidden_BTE: torch.Tensor = model.get_decoder()(input_ids=inputs_BT, use_cache=False)[0]
    return hidden_BTE


def _vocabulary(model: Any) -> int:
    return int(model.get_input_embeddings().weight.shape[0])


def _logits_at_once(model: Any) -> int:
    return _CPU_LOGITS if model.device.type == "cpu" else _ACCELERATOR_LOGITS


def _has_plain_head(model: Any) -> bool:
    """Tell whether the logits are just the head of the backbone's states; refuse one not causal.

    Settings that are known to change the logits decide first; a run on two rows of a few tokens
    that differ in the last one decides the rest.

    Raises:
        ModelError: An earlier position sees a later token, so windows can't be padded or scored.
    """
    num_tokens = min(_PROBE_TOKENS, _vocabulary(model))
    ids_BT = torch.arange(num_tokens, device=model.device).repeat(2, 1)
    ids_BT[1, -1] = 0
    logits_BTV = model(input_ids=ids_BT, use_cache=False).logits.float()
    tolerance = 0.01 * float(logits_BTV.abs().max())
    if float((logits_BTV[0, :-1] - logits_BTV[1, :-1]).abs().max()) > tolerance:
        msg = (
            f"a reference must be causal; in {type(model).__name__} a later token changes the "
            "prediction of an earlier one"
        )
        raise ModelError(msg)
    config = model.config.get_text_config()
    settings = [getattr(config, name, None) for name in _LOGIT_TRANSFORMS]
    if any(value not in (None, 1.0) for value in settings):
        return False
    head = model.get_output_embeddings()
    decoder = getattr(model, "get_decoder", None)
    if head is None or decoder is None or decoder() is model:
        return False
    own_logits_BTV = head(_hidden_states(model, ids_BT)).float()
    if own_logits_BTV.shape != logits_BTV.shape:
        return False
    return float((own_logits_BTV - logits_BTV).abs().max()) <= tolerance
