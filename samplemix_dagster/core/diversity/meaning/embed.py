"""Turn texts into unit sentence embeddings with an encoder that somebody else loaded.

Not here: which encoder, its device and its dtype (the loader's), and what embeddings are used for.

Shape letters: N = documents, B = documents in a batch, T = token positions, E = embedding width.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

_CHARACTERS_PER_TOKEN = 12
_LENGTH_STEP = 16


def embed_texts(
    encoder: "SentenceTransformer",
    texts: Sequence[str],
    *,
    max_tokens: int = 256,
    batch_size: int = 8,
) -> npt.NDArray[np.float16]:
    """Return one unit vector for each text: shape (N, E), pooled as the encoder's modules say.

    No prompt is put before the text.
    Only the first ``max_tokens`` tokens of a text are read, special tokens included, and no more
    than the encoder can read at once (see :func:`tokens_read`). Before the
    tokenizer sees it a text is cut to 12 characters for each of them, about three times what prose
    needs: it can matter only where tokens are longer than that on average, as in runs of blanks.

    A text is padded to the next multiple of 16 tokens, and a batch holds texts of one padded
    length: so a document's vector does not depend on the other documents of the call, but for the
    last bits of the encoder's dtype where a batch is not full.

    Args:
        encoder: In evaluation mode, on its device and in its dtype; bfloat16 runs as bfloat16.
        texts: N texts of any length.
        max_tokens: Tokens read from each text, at least 1; another value is another embedding.
        batch_size: Documents in a forward pass. On a CPU, 8 is faster than 32 or more.

    Returns:
        Rows of length 1 (to float16's precision). A text that is empty or blank has the row of
        zeros, so its cosine with everything is 0.

    Raises:
        ValueError: ``max_tokens`` or ``batch_size`` is below 1, or an embedding is not finite.
    """
    import torch

    max_tokens = tokens_read(encoder, max_tokens)
    if batch_size < 1:
        msg = f"batch_size must be at least 1, not {batch_size}"
        raise ValueError(msg)
    embeddings_NE = np.zeros((len(texts), _width(encoder)), dtype=np.float16)
    filled = [i for i, text in enumerate(texts) if text and not text.isspace()]
    if not filled:
        return embeddings_NE
    shown = [texts[i][: max_tokens * _CHARACTERS_PER_TOKEN] for i in filled]
    make = _static_inputs if _is_static(encoder) else _padded_inputs
    with torch.inference_mode():
        for batch, features in make(encoder, shown, max_tokens, batch_size):
            inputs = {name: tensor.to(encoder.device) for name, tensor in features.items()}
            pooled_BE = encoder(inputs)["sentence_embedding"].float()
            unit_BE = torch.nn.functional.normalize(pooled_BE, dim=1)
            embeddings_NE[[filled[i] for i in batch]] = unit_BE.cpu().numpy()
    if not np.isfinite(embeddings_NE).all():
        first = int((~np.isfinite(embeddings_NE)).any(axis=1).argmax())
        msg = f"an embedding must be finite; that of text {first} ({texts[first][:40]!r}...) is not"
        raise ValueError(msg)
    return embeddings_NE


def tokens_read(encoder: Any, max_tokens: int) -> int:
    """Return how many tokens of a text are read: as asked for, or what the encoder can read.

    A static encoder (a mean over the vectors of its tokens) reads as many as it is given.

    Raises:
        ValueError: ``max_tokens`` is below 1.
    """
    if max_tokens < 1:
        msg = f"max_tokens must be at least 1, not {max_tokens}"
        raise ValueError(msg)
    if _is_static(encoder):
        return max_tokens
    config = getattr(getattr(encoder[0], "auto_model", None), "config", None)
    limits = (
        getattr(encoder.tokenizer, "model_max_length", None),
        getattr(config, "max_position_embeddings", None),
    )
    return min([max_tokens, *(int(limit) for limit in limits if limit is not None and limit > 0)])


def _is_static(encoder: Any) -> bool:
    return type(encoder[0]).__name__ == "StaticEmbedding"


_Inputs = Iterator[tuple[list[int], dict[str, Any]]]
"""Positions of a batch's texts, and the tensors that the encoder takes for them."""


def _padded_inputs(encoder: Any, texts: list[str], max_tokens: int, batch_size: int) -> _Inputs:
    tokenizer = encoder.tokenizer
    encoded = tokenizer(texts, truncation=True, max_length=max_tokens)
    for batch in _batches([len(ids) for ids in encoded["input_ids"]], batch_size):
        yield (
            batch,
            tokenizer.pad(
                {name: [encoded[name][i] for i in batch] for name in encoded},
                padding="longest",
                pad_to_multiple_of=_LENGTH_STEP,
                return_tensors="pt",
            ),
        )


def _static_inputs(encoder: Any, texts: list[str], max_tokens: int, batch_size: int) -> _Inputs:
    """A static encoder takes all ids in one row, and where each text begins in it."""
    import torch

    tokenizer = encoder[0].tokenizer
    ids = [
        encoding.ids[:max_tokens]
        for encoding in tokenizer.encode_batch(texts, add_special_tokens=False)
    ]
    for first in range(0, len(ids), batch_size):
        chosen = ids[first : first + batch_size]
        offsets = np.cumsum([0, *(len(own) for own in chosen[:-1])])
        yield (
            list(range(first, first + len(chosen))),
            {
                "input_ids": torch.tensor([i for own in chosen for i in own], dtype=torch.long),
                "offsets": torch.from_numpy(offsets),
            },
        )


def _width(encoder: Any) -> int:
    # sentence-transformers renamed it in its version 5 and warns about the old name.
    name = "get_embedding_dimension"
    ask = getattr(encoder, name, None) or encoder.get_sentence_embedding_dimension
    return int(ask() or 0)


def _batches(num_tokens: Sequence[int], batch_size: int) -> Iterator[list[int]]:
    """Yield positions in batches of one padded length, longest first (memory peaks at once)."""
    padded = -(-np.asarray(num_tokens) // _LENGTH_STEP)
    for length in np.unique(padded)[::-1]:
        members = np.flatnonzero(padded == length).tolist()
        for start in range(0, len(members), batch_size):
            yield members[start : start + batch_size]
