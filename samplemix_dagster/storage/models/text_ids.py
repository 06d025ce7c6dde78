"""Texts as ids of a tokenizer: by ``tokenizers``, or by ``gigatoken`` beside it.

``tokenizers`` says what the ids are. ``gigatoken`` gives the same ones, some fifteen times as fast
on a core, where it can read the tokenizer (``compute.tokenize_with``). That they are the same is
looked at: for a list of awkward texts whenever a tokenizer is loaded, and for one text in 64, which
a hash of the text chooses. A difference is an error and not another result.
"""

import hashlib
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from samplemix_dagster.config.around import TokenizingLibrary
from samplemix_dagster.errors import ConfigError, ModelError
from samplemix_dagster.storage.models.tokenizer import as_model_errors

if TYPE_CHECKING:
    from tokenizers import Tokenizer

Ids = npt.NDArray[np.uint32]

_COMPARED_ONE_IN = 64
_RENEWED_AFTER_CHARACTERS = 32_000_000
_CURE = "leave `compute.tokenize_with` out, and `tokenizers` does it."
_AWKWARD = (
    "",
    " ",
    "\n\n\t \r\n  x",
    "it's they'll I'D we've ''tis don't",
    "1234567890 3.14 ½ ² ⅷ ٣ १२३ 100,000",
    "a\u00a0b\u2003c\u3000d\u200be\ufefff\u0085g\u2028h",
    "e\u0301 é İıŞß ŉ ﬁ Ǆ ſ K Å",
    "日本語 中文，。 한국어 ไทย हिन्दी العربية עברית ქართული አማርኛ",
    "👩‍👩‍👧‍👦🏳️‍🌈🇩🇪 ☃︎ 𝔘𝔫𝔦 𐍈 \U0010ffff",
    "\x00\x01\x7f\x80\ud7ff\ue000\ufffd",
    "<|endoftext|><s></s>[PAD]<unk>▁Ġ##",
    "def f(x):\n    return {'a': x**2}  # ok\n\n\n",
    "http://example.org/a_b?c=d&e=%20#f --- === ... !!!",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
)


class TextIds:
    """What turns texts into ids by ``tokenizers``."""

    def __init__(self, tokenizer: "Tokenizer") -> None:
        self.tokenizer = tokenizer

    def of(self, texts: Sequence[str]) -> list[Ids]:
        """Return the ids of each text, without BOS and EOS.

        Words of a text that look like a special token are text.

        Raises:
            ModelError: Another library gave other ids than ``tokenizers``.
        """
        encoded = self.tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)
        return [np.array(found.ids, dtype=np.uint32) for found in encoded]


class ComparedTextIds(TextIds):
    """What turns texts into ids by ``gigatoken``, and compares some with ``tokenizers``."""

    def __init__(self, tokenizer: "Tokenizer") -> None:
        super().__init__(tokenizer)
        self._written = _without_special_tokens(tokenizer)
        self._renew()
        with as_model_errors("it is compared with gigatoken"):
            self._compare(_AWKWARD, self._encoded(_AWKWARD))

    def of(self, texts: Sequence[str]) -> list[Ids]:
        """Return the ids of each text, without BOS and EOS; some are compared."""
        found = self._encoded(texts)
        chosen = [at for at, text in enumerate(texts) if _is_compared(text)]
        self._compare([texts[at] for at in chosen], [found[at] for at in chosen])
        return found

    def _encoded(self, texts: Sequence[str]) -> list[Ids]:
        found = []
        for text in texts:
            # It keeps the ids of each word that it met, and forgets none of them.
            if self._num_characters > _RENEWED_AFTER_CHARACTERS:
                self._renew()
            self._num_characters += len(text)
            found.append(self._fast.encode(text))
        return found

    def _renew(self) -> None:
        from gigatoken import Tokenizer

        with as_model_errors("gigatoken cannot read this tokenizer"):
            self._fast = Tokenizer.from_json(self._written)
        self._num_characters = 0

    def _compare(self, texts: Sequence[str], found: Sequence[Ids]) -> None:
        for text, fast, sure in zip(texts, found, super().of(texts), strict=True):
            if not np.array_equal(fast, sure):
                raise ModelError(
                    "gigatoken gives other ids than tokenizers, of the text that begins with "
                    f"{text[:40]!r} ({fast.size:,} and {sure.size:,}): {_CURE}"
                )


def text_ids(tokenizer: "Tokenizer", library: TokenizingLibrary) -> TextIds:
    """Return what turns texts into ids of a tokenizer by a library.

    Raises:
        ConfigError: The library is not installed.
        ModelError: It cannot read the tokenizer, or reads it otherwise than ``tokenizers``.
    """
    if library == "tokenizers":
        return TextIds(tokenizer)
    check_installed(library)
    try:
        return ComparedTextIds(tokenizer)
    except ModelError as error:
        message = str(error)
        raise error if _CURE in message else ModelError(f"{message}: {_CURE}") from error


def check_installed(library: TokenizingLibrary) -> None:
    """Refuse a library that is not there.

    Raises:
        ConfigError: It is not installed.
    """
    from importlib.util import find_spec

    if library == "gigatoken" and find_spec("gigatoken") is None:
        raise ConfigError(
            "compute.tokenize_with is `gigatoken`, which is not installed here: "
            "pip install 'samplemix-dagster[gigatoken]'."
        )


def _is_compared(text: str) -> bool:
    digest = hashlib.blake2b(text.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") % _COMPARED_ONE_IN == 0


def _without_special_tokens(tokenizer: "Tokenizer") -> str:
    """Return a tokenizer as JSON, so that words like a special token are text here, too."""
    written = json.loads(tokenizer.to_str())
    added = written.get("added_tokens") or []
    return json.dumps(
        written
        | {"added_tokens": [token for token in added if not token["special"]]}
        | {"post_processor": None, "truncation": None, "padding": None}
    )
