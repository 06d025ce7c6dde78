"""Train a small reference on the spot: a byte-level tokenizer and a small Llama, for one epoch.

Which texts to train on, and how many, decides what quality means and is the caller's; saving the
result is ``storage/models/load.py``. No clock runs here: the caller measures. The recipe and the
folds, which need no torch, are in ``core/quality/bootstrap_recipe.py`` and offered here too.

The order of the texts has no effect: it is a hash of each text. The same texts, recipe, number of
threads and machine give the same weights, bit for bit.

Shape letters: N = texts or documents, B = rows of a batch, C = context, R = rows of the epoch.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from torch.nn import functional
from transformers import LlamaConfig, LlamaForCausalLM

from samplemix_dagster.core.hashing import doc_id, id_words, keyed_hashes
from samplemix_dagster.core.modelling.model_lock import MODEL_LOCK
from samplemix_dagster.core.modelling.optimising import GRADIENT_NORM, adamw, share_of_rate
from samplemix_dagster.core.quality.bootstrap_recipe import (
    BootstrapRecipe,
    check_vocabulary,
    fold_of,
    memorisation_gap,
)
from samplemix_dagster.errors import InputError

__all__ = [
    "SEPARATOR",
    "BootstrapRecipe",
    "TrainingReport",
    "fold_of",
    "memorisation_gap",
    "train_reference",
    "train_tokenizer",
]

SEPARATOR = "<|endoftext|>"
_WEIGHT_DECAY = 0.1
_WARM_UP = 0.05
_TEXTS_AT_ONCE = 256
# A mean over a few steps at either end, since one batch alone says little.
_REPORTED_STEPS = 10


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TrainingReport:
    """What a training run did.

    Attributes:
        num_tokens: Tokens predicted in training, each once, separators counted.
        num_steps: Optimiser steps.
        num_parameters: Parameters of the model, tied ones once.
        first_bits_per_token: Loss of the first step, before any learning.
        last_bits_per_token: Mean loss of the last ten steps (of all, if fewer), each before its
            update, so on text that was not yet seen.
        is_member: True for each text that was trained on, in part or in whole, shape (N,).
    """

    num_tokens: int
    num_steps: int
    num_parameters: int
    first_bits_per_token: float
    last_bits_per_token: float
    is_member: npt.NDArray[np.bool_]


def train_tokenizer(texts: Iterable[str], vocabulary: int = 4096) -> Tokenizer:
    """Train a byte-level BPE on texts; any text comes back unchanged from its tokens.

    The separator is token 0. A text that holds the words of the separator does not get that token.

    Args:
        texts: Texts to count pairs in; their order has no effect.
        vocabulary: Most entries, at least 257: the 256 bytes and the separator come first.

    Raises:
        ValueError: The vocabulary cannot hold the bytes and the separator.
    """
    check_vocabulary(vocabulary)
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=[SEPARATOR],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer=trainer)
    tokenizer.encode_special_tokens = True
    return tokenizer


def train_reference(
    texts: Sequence[str],
    tokenizer: Tokenizer,
    recipe: BootstrapRecipe,
    *,
    progress: Callable[[int, int], None] | None = None,
    device: str = "cpu",
) -> tuple[Any, TrainingReport]:
    """Train a small Llama with tied embeddings on texts, each token once.

    Texts in the order of their hashes, a separator before each, make one stream that is cut into
    rows; the rows are shuffled. Training stops after ``recipe.tokens``. Texts that do not fill one
    row are one shorter row: next to nothing is learnt from them, and the corpus is still scored.

    Args:
        texts: N texts. Longer samples than the recipe needs are used in part: see the report.
        tokenizer: As :func:`train_tokenizer` gives it.
        recipe: Sizes, seed and number of tokens.
        progress: Called after each step with the tokens done and the tokens in all.
        device: Where to train; the model comes back on the CPU.

    Returns:
        The ``LlamaForCausalLM`` in float32, in evaluation mode, and the report.

    Raises:
        InputError: The texts have no token to predict.
        ValueError: The tokenizer has no separator.
    """
    separator_id = tokenizer.token_to_id(SEPARATOR)
    if separator_id is None:
        msg = f"a reference's tokenizer must have the token {SEPARATOR}; train_tokenizer adds it"
        raise ValueError(msg)
    stream, is_member = _token_stream(texts, tokenizer, separator_id, recipe)
    context = min(recipe.context_tokens, stream.size - 1)
    if context < 1:
        msg = (
            f"a reference needs a token to train on; the {len(texts)} texts of its sample have none"
        )
        raise InputError(msg)
    with MODEL_LOCK, torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        model: Any = LlamaForCausalLM(_model_config(recipe, tokenizer, separator_id))
    model.to(device).train()
    whole = stream[: (stream.size - 1) // context * context + 1]
    losses = _train(model, torch.from_numpy(whole), context, recipe, progress)
    last = losses[-_REPORTED_STEPS:]
    report = TrainingReport(
        num_tokens=whole.size - 1,
        num_steps=len(losses),
        num_parameters=sum(parameter.numel() for parameter in model.parameters()),
        first_bits_per_token=losses[0] / math.log(2.0),
        last_bits_per_token=math.fsum(last) / len(last) / math.log(2.0),
        is_member=is_member,
    )
    return model.to("cpu").eval(), report


def _token_stream(
    texts: Sequence[str], tokenizer: Tokenizer, separator_id: int, recipe: BootstrapRecipe
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Return the tokens of an epoch and which texts are in it; stops when there are enough."""
    keys = keyed_hashes(id_words([doc_id(text) for text in texts]), recipe.seed, "order")
    order = np.argsort(keys, kind="stable")
    is_member = np.zeros(len(texts), dtype=np.bool_)
    # One more than the inputs: the last input needs a successor.
    num_wanted = recipe.tokens + 1
    stream: list[int] = []
    for first in range(0, order.size, _TEXTS_AT_ONCE):
        chosen = order[first : first + _TEXTS_AT_ONCE]
        chunk = [texts[position] for position in chosen]
        encodings = tokenizer.encode_batch_fast(chunk, add_special_tokens=False)
        for position, encoding in zip(chosen, encodings, strict=True):
            if len(stream) >= num_wanted:
                return np.array(stream[:num_wanted], dtype=np.int64), is_member
            stream.append(separator_id)
            stream.extend(encoding.ids)
            is_member[position] = True
    return np.array(stream[:num_wanted], dtype=np.int64), is_member


def _model_config(recipe: BootstrapRecipe, tokenizer: Tokenizer, separator_id: int) -> Any:
    return LlamaConfig(
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=recipe.width,
        # Eight thirds of the width keep a gated layer at the cost of a plain one of four widths
        # (Shazeer 2020, "GLU variants improve Transformer", section 3).
        intermediate_size=32 * math.ceil(recipe.width / 12),
        num_hidden_layers=recipe.layers,
        num_attention_heads=recipe.heads,
        num_key_value_heads=recipe.heads,
        max_position_embeddings=recipe.context_tokens,
        tie_word_embeddings=True,
        bos_token_id=separator_id,
        eos_token_id=separator_id,
        pad_token_id=None,
        use_cache=False,
    )


def _train(
    model: Any,
    stream: torch.Tensor,
    context: int,
    recipe: BootstrapRecipe,
    progress: Callable[[int, int], None] | None,
) -> list[float]:
    """Train for one epoch; return the loss of each step in nats per token."""
    num_tokens = stream.numel() - 1
    num_rows = num_tokens // context
    inputs_RC = stream[:-1].view(num_rows, context)
    targets_RC = stream[1:].view(num_rows, context)
    shuffle = torch.Generator().manual_seed(recipe.seed)
    batches = torch.split(torch.randperm(num_rows, generator=shuffle), recipe.batch_rows)
    optimiser = adamw(model, recipe.learning_rate, _WEIGHT_DECAY)
    losses, num_done = [], 0
    for step, rows in enumerate(batches):
        for group in optimiser.param_groups:
            group["lr"] = recipe.learning_rate * share_of_rate(step, len(batches), warm_up=_WARM_UP)
        inputs_BC = inputs_RC[rows].to(model.device)
        targets_BC = targets_RC[rows].to(model.device)
        hidden_BCE = model.model(input_ids=inputs_BC, use_cache=False)[0]
        logits_BCV = model.lm_head(hidden_BCE)
        loss = functional.cross_entropy(logits_BCV.flatten(0, 1), targets_BC.flatten())
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(model.parameters(), GRADIENT_NORM)
        optimiser.step()
        optimiser.zero_grad()
        losses.append(loss.item())
        num_done += rows.numel() * context
        if progress is not None:
            progress(num_done, num_tokens)
    return losses
