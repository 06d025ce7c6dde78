"""Make an n-gram reference: a tokenizer of its own, and counts of a sample of the corpus."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from samplemix_dagster.config.scoring.models import NgramReference
from samplemix_dagster.core.hashing import id_words
from samplemix_dagster.engine.fitting.writer import FitWriter
from samplemix_dagster.engine.stages import Facts
from samplemix_dagster.errors import InputError

if TYPE_CHECKING:
    from tokenizers import Tokenizer

    from samplemix_dagster.core.diversity.near.groups import NearGroups
    from samplemix_dagster.core.quality.ngram.counted_once import CountedOnce
    from samplemix_dagster.storage.models.ngram import LoadedNgram

_TOKENIZER_BYTES = 12_000_000
"""Of the sample, whose pairs the tokenizer is made of: more changes little and takes long."""
_TEXTS_AT_ONCE = 256
_TESTED_TEXTS = 500

Tokens = npt.NDArray[np.uint32]
Names = npt.NDArray[np.uint64]


def count_reference(
    ids: list[str],
    texts: list[str],
    writer: FitWriter,
    settings: NgramReference,
    progress: Callable[[int, int], None],
) -> Facts:
    """Count texts until there are as many tokens as wanted, write the model, say what is known.

    Args:
        ids: Of the texts of the sample, in its order.
        texts: Enough of them, or all that there are.
        writer: Fills the folder of the version.
        settings: How it is made.
        progress: Told how many tokens of how many are there.

    Raises:
        InputError: The sample has no token.
    """
    from samplemix_dagster.core.quality.bootstrap import train_tokenizer
    from samplemix_dagster.core.quality.ngram.model import Counted, NgramModel
    from samplemix_dagster.storage.models.load import digest_model
    from samplemix_dagster.storage.models.ngram import LoadedNgram, save_ngram

    names, near = id_words(ids)[:, 0], None
    if settings.near == "once":
        names, texts, near = _firsts(names, texts)
    tokenizer = train_tokenizer(_first_bytes(texts), settings.vocabulary)
    counted = list(_encoded(tokenizer, texts, settings.tokens, progress))
    vocabulary = tokenizer.get_vocab_size()
    num_tokens = sum(tokens.size for tokens in counted)
    if num_tokens == 0:
        raise InputError("a reference cannot be made: the texts of its sample have no token.")
    names = names[: len(counted)]
    grams = Counted.of(names, counted, order=settings.order, vocabulary=vocabulary)
    once = None if near is None else _counted_once(near, names, counted)
    folder = writer.folder / "model"
    save_ngram(grams, tokenizer, folder, order=settings.order, vocabulary=vocabulary, once=once)
    model = NgramModel(grams, order=settings.order, vocabulary=vocabulary)
    loaded = LoadedNgram(model=model, tokenizer=tokenizer, once=once)
    return {
        "kind": "ngram",
        "num_training_tokens": num_tokens,
        "num_training_documents": len(counted),
        **({} if once is None else {"num_near_duplicates": once.num_near_duplicates}),
        "num_grams": model.num_grams,
        "num_bytes_in_memory": model.num_bytes,
        # Of each order a probability is made of a count, a sum and three counts of counts.
        "num_parameters_of_a_token": 5 * settings.order,
        **_tested(loaded, names, counted, texts),
        "model_digest": digest_model(folder),
    }


def _firsts(names: Names, texts: list[str]) -> tuple[Names, list[str], "NearGroups"]:
    """Return the first text of each group of near-duplicates, its name, and the groups."""
    from samplemix_dagster.core.quality.ngram.counted_once import first_of_each, near_groups

    near = near_groups(names, texts)
    kept = first_of_each(near.groups_of(names))
    return names[kept], [texts[at] for at in kept], near


def _counted_once(near: "NearGroups", names: Names, counted: list[Tokens]) -> "CountedOnce":
    from samplemix_dagster.core.quality.ngram.counted_once import CountedOnce

    return CountedOnce.of(near, near.groups_of(names), counted)


def _first_bytes(texts: list[str]) -> Iterator[str]:
    num_bytes = 0
    for text in texts:
        yield text
        num_bytes += len(text.encode())
        if num_bytes >= _TOKENIZER_BYTES:
            return


def _encoded(
    tokenizer: "Tokenizer", texts: list[str], most: int, progress: Callable[[int, int], None]
) -> Iterator[Tokens]:
    """Yield the tokens of texts until there are so many; the last text is whole."""
    sizes = np.cumsum([len(text) for text in texts])
    done = 0
    for first in range(0, len(texts), _TEXTS_AT_ONCE):
        batch = texts[first : first + _TEXTS_AT_ONCE]
        for encoding in tokenizer.encode_batch_fast(batch, add_special_tokens=False):
            if done >= most:
                return
            yield np.array(encoding.ids, dtype=np.uint32)
            done += len(encoding.ids)
        # Of a corpus that has fewer tokens than are wanted, about so many are still to come.
        in_all = int(done * (sizes[-1] / max(1, sizes[first + len(batch) - 1])))
        progress(min(done, most), max(1, min(in_all, most)))


def _tested(loaded: "LoadedNgram", names: Names, counted: list[Tokens], texts: list[str]) -> Facts:
    """Return bits per byte of some texts, each left out of the counts, and with it in them."""
    some = counted[:_TESTED_TEXTS]
    num_bytes = sum(len(text.encode()) for text in texts[: len(some)])
    held_out = float(loaded.nats(names[: len(some)], texts[: len(some)], some).sum())
    seen = -sum(float(np.log(loaded.model.probabilities(tokens)).sum()) for tokens in some)
    return {
        "num_tested_documents": len(some),
        "held_out_bits_per_byte": round(held_out / (np.log(2.0) * num_bytes), 4),
        "bits_per_byte_with_itself": round(seen / (np.log(2.0) * num_bytes), 4),
    }
