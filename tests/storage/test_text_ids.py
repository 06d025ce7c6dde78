"""Ids of texts by another library are those of `tokenizers`, or there is an error."""

import importlib.util
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tokenizers import Tokenizer
from tokenizers.models import WordLevel

from samplemix_dagster.core.quality.bootstrap import train_tokenizer
from samplemix_dagster.errors import ConfigError, ModelError
from samplemix_dagster.storage.models import text_ids as module
from samplemix_dagster.storage.models.load import load_tokenizer
from samplemix_dagster.storage.models.text_ids import ComparedTextIds, text_ids

TEXTS = [
    "The quick brown fox jumps over the lazy dog. " * 4,
    "Es war einmal ein König, der hatte drei Töchter; it's 1999, isn't it?",
    "日本語のテキスト、そして中文。 한국어도 있습니다.",
    "<|endoftext|> stands here as words, and <s> too",
]
needs_gigatoken = pytest.mark.skipif(
    importlib.util.find_spec("gigatoken") is None, reason="gigatoken is not installed"
)


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    path = tmp_path_factory.mktemp("tokenizer") / "tokenizer.json"
    train_tokenizer(TEXTS * 20, 600).save(str(path))
    return load_tokenizer(path)


def sure(tokenizer: Tokenizer, texts: list[str]) -> list[list[int]]:
    encoded = tokenizer.encode_batch(texts, add_special_tokens=False)
    return [found.ids for found in encoded]


def as_lists(found: list[Any]) -> list[list[int]]:
    return [ids.tolist() for ids in found]


def test_tokenizers_gives_its_own_ids(tokenizer: Tokenizer) -> None:
    found = text_ids(tokenizer, "tokenizers").of([*TEXTS, ""])

    assert as_lists(found) == sure(tokenizer, [*TEXTS, ""])
    assert {ids.dtype for ids in found} == {np.dtype(np.uint32)}


@needs_gigatoken
def test_every_character_has_the_same_ids(tokenizer: Tokenizer) -> None:
    characters = [chr(at) for at in range(0x30000) if not 0xD800 <= at < 0xE000]
    texts = [
        "".join(f"a{one}b {one} 1{one}2{one}{one}." for one in characters[first : first + 64])
        for first in range(0, len(characters), 64)
    ]

    assert as_lists(text_ids(tokenizer, "gigatoken").of(texts)) == sure(tokenizer, texts)


@needs_gigatoken
def test_texts_by_chance_have_the_same_ids(tokenizer: Tokenizer) -> None:
    luck = random.Random(7)
    pools = [
        "abcXYZ 0123456789'.,;!?-\n\t\r  ",
        "'s't're've'm'll'd'S'T aA",
        "é́ß ﬁ日本한ไह👩‍👧\u00a0\u3000\ufeff",
    ]
    texts = [
        "".join(luck.choice(luck.choice(pools)) for _ in range(luck.randint(0, 80)))
        for _ in range(5000)
    ]
    texts += ["a" * 50_000, " " * 50_000, "\n" * 5000, "<|endoftext|>" * 30]

    assert as_lists(text_ids(tokenizer, "gigatoken").of(texts)) == sure(tokenizer, texts)


@needs_gigatoken
def test_ids_are_the_same_when_what_it_remembers_is_dropped(
    tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_RENEWED_AFTER_CHARACTERS", 100)

    assert as_lists(text_ids(tokenizer, "gigatoken").of(TEXTS)) == sure(tokenizer, TEXTS)


class Differing:
    """A library that gives other ids for the texts that hold a word."""

    def __init__(self, sure: Tokenizer, word: str) -> None:
        self.sure, self.word = sure, word

    def encode(self, text: str) -> Any:
        ids = self.sure.encode(text, add_special_tokens=False).ids
        return np.array([*ids, 1] if self.word in text else ids, dtype=np.uint32)


@needs_gigatoken
def test_a_difference_in_an_awkward_text_is_an_error_at_once(
    tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def renew(self: ComparedTextIds) -> None:
        self._fast, self._num_characters = Differing(tokenizer, "日本語"), 0

    monkeypatch.setattr(ComparedTextIds, "_renew", renew)

    with pytest.raises(ModelError, match=r"other ids than tokenizers.*日本語.*tokenize_with"):
        text_ids(tokenizer, "gigatoken")


@needs_gigatoken
def test_of_the_texts_that_differ_some_are_found_whatever_stands_beside_them(
    tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def renew(self: ComparedTextIds) -> None:
        self._fast, self._num_characters = Differing(tokenizer, "wombat"), 0

    monkeypatch.setattr(ComparedTextIds, "_renew", renew)
    found = text_ids(tokenizer, "gigatoken")
    texts = [f"wombat number {number}" for number in range(400)]
    refused = []
    for text in texts:
        try:
            found.of([text])
        except ModelError:
            refused.append(text)

    assert 0 < len(refused) < 30
    with pytest.raises(ModelError, match=r"of the text that begins with 'wombat number"):
        found.of(texts[::-1])


@needs_gigatoken
def test_a_tokenizer_that_it_cannot_read_is_an_error_with_a_cure() -> None:
    words = Tokenizer(WordLevel({"a": 0, "b": 1}, unk_token="a"))

    with pytest.raises(ModelError, match=r"gigatoken cannot read.*leave `compute\.tokenize_with`"):
        text_ids(words, "gigatoken")


def test_a_library_that_is_not_there_is_an_error_with_a_cure(
    tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)

    with pytest.raises(ConfigError, match=r"not installed here: pip install .*\[gigatoken\]"):
        text_ids(tokenizer, "gigatoken")


def test_what_loads_a_tokenizer_gives_one_that_it_can_compare(tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    tokenizer = train_tokenizer(TEXTS * 20, 400)
    tokenizer.enable_truncation(3)
    tokenizer.enable_padding(length=9)
    tokenizer.save(str(path))
    loaded = load_tokenizer(path)

    assert as_lists(text_ids(loaded, "tokenizers").of(TEXTS)) == sure(loaded, TEXTS)
    if importlib.util.find_spec("gigatoken") is not None:
        assert as_lists(text_ids(loaded, "gigatoken").of(TEXTS)) == sure(loaded, TEXTS)
