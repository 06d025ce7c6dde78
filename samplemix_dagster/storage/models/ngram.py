"""An n-gram reference as files: its counts, its tokenizer, and the sizes of both.

What is counted is ``core/quality/ngram``.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from samplemix_dagster.core.quality.ngram.counted_once import CountedOnce
from samplemix_dagster.core.quality.ngram.model import Counted, NgramModel
from samplemix_dagster.errors import ModelError
from samplemix_dagster.storage.models.tokenizer import load_tokenizer

if TYPE_CHECKING:
    from tokenizers import Tokenizer

_COUNTS = "counts.safetensors"
_ONCE = "counted_once.safetensors"
_SIZES = "ngram.json"


Tokens = npt.NDArray[np.uint32]


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedNgram:
    """An n-gram reference that is ready to score."""

    model: NgramModel
    tokenizer: "Tokenizer"
    """Neither truncates nor pads."""
    once: CountedOnce | None = None
    """The counted text of each group of near-duplicates; None: each text was counted."""

    def nats(
        self, names: npt.NDArray[np.uint64], texts: Sequence[str], tokens: Sequence[Tokens]
    ) -> npt.NDArray[np.float64]:
        """Return the loss of each text in nats, left out of the counts with its near-duplicates.

        Args:
            names: First half of the id of each of N texts: (N,).
            texts: The texts.
            tokens: Of each.

        Raises:
            ValueError: A text has the id of one that was counted, and other tokens.
        """
        met = self.model.own(names, tokens) if self.once is None else self.once.met(names, texts)
        return self.model.nats(tokens, met)


def save_ngram(
    counted: Counted,
    tokenizer: "Tokenizer",
    folder: Path,
    *,
    order: int,
    vocabulary: int,
    once: CountedOnce | None = None,
) -> None:
    """Write a model and its tokenizer into a folder that is not there yet.

    Token 0 of the tokenizer stands before texts: it becomes its BOS and EOS.
    """
    from safetensors.numpy import save_file

    folder.mkdir(parents=True)
    save_file(counted.to_arrays(), str(folder / _COUNTS))
    if once is not None:
        save_file(once.to_arrays(), str(folder / _ONCE))
    sizes = {"order": order, "vocabulary": vocabulary}
    (folder / _SIZES).write_text(json.dumps(sizes, indent=1) + "\n", encoding="utf-8")
    tokenizer.save(str(folder / "tokenizer.json"))
    separator = tokenizer.id_to_token(0)
    words = {
        "bos_token": separator,
        "eos_token": separator,
        "tokenizer_class": "PreTrainedTokenizerFast",
    }
    stated = json.dumps(words, indent=1) + "\n"
    (folder / "tokenizer_config.json").write_text(stated, encoding="utf-8")


def load_ngram(folder: Path) -> LoadedNgram:
    """Load what :func:`save_ngram` wrote.

    Raises:
        ModelError: A file is not there, or is not what was written.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        sizes = json.loads((folder / _SIZES).read_text(encoding="utf-8"))
        counted = Counted.from_arrays(load_file(str(folder / _COUNTS)))
        model = NgramModel(counted, order=sizes["order"], vocabulary=sizes["vocabulary"])
        once = None
        if (folder / _ONCE).exists():
            once = CountedOnce.from_arrays(load_file(str(folder / _ONCE)))
    except (OSError, KeyError, TypeError, ValueError, SafetensorError) as error:
        raise ModelError(f"{folder} holds no n-gram reference that can be read: {error}") from error
    return LoadedNgram(model=model, tokenizer=load_tokenizer(folder), once=once)
