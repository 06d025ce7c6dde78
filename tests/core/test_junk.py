"""Junk is what its kind claims, has its share, and depends on names alone."""

import random
import re
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from samplemix_dagster.core.junk.kind import Junk
from samplemix_dagster.core.junk.kinds.damaged import paragraphs
from samplemix_dagster.core.junk.luck import Luck
from samplemix_dagster.core.junk.material import CleanText, Material
from samplemix_dagster.core.junk.pool import Asked, Labelled, mix_source
from samplemix_dagster.core.junk.table import CLEAN, DEFAULT_WEIGHTS, KINDS
from samplemix_dagster.core.junk.words import join_words, lay_out, split_words
from samplemix_dagster.errors import ConfigError, InputError
from tests.projects import prose

TEXTS = ["\n".join(prose(f"junk-{n}-{m}") for m in range(1 + n % 4)) for n in range(60)]
CHINESE = [
    "机器学习的数据混合需要质量。今天天气很好，我们去公园散步吧！" + f"{n}年" * n for n in range(9)
]
MATERIAL = Material(
    [CleanText(str(n), text) for n, text in enumerate(TEXTS)], Luck("seed", "prose")
)
IN_CHINESE = Material(
    [CleanText(str(n), text) for n, text in enumerate(CHINESE)], Luck("seed", "zh")
)
FINITE = {"near", "salad", "foreign"}
"""Kinds of which one text gives only so many."""


def asked(**changed: Any) -> Asked:
    wanted: dict[str, Any] = {
        "share": 0.5,
        "weights": DEFAULT_WEIGHTS,
        "seed": "seed",
        "documents": 1.0,
    }
    return Asked(**{**wanted, **changed})


def mixed(texts: Sequence[str] = TEXTS, source: str = "prose", **changed: Any) -> list[Labelled]:
    found = [(f"own-{n}", text) for n, text in enumerate(texts)]
    return mix_source(source, found, asked(**changed), lambda text: bool(text.strip()))


def made(kind: str, count: int = 20, material: Material = MATERIAL) -> list[Junk]:
    return [KINDS[kind].make(material, Luck("test", kind, number)) for number in range(count)]


def original(junk: Junk) -> str:
    return TEXTS[int(junk.made_from or "")]


# -- every kind -----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_makes_the_same_of_the_same_names(kind: str) -> None:
    again = Material(MATERIAL.texts, Luck("seed", "prose"))
    assert made(kind) == made(kind, material=again)


@pytest.mark.parametrize("kind", KINDS)
def test_two_documents_of_a_kind_differ(kind: str) -> None:
    assert len({junk.text for junk in made(kind)}) > 15


@pytest.mark.parametrize("kind", KINDS)
def test_what_says_a_text_that_it_was_made_from_names_a_clean_one(kind: str) -> None:
    known = {text.id for text in MATERIAL.texts}
    assert {junk.made_from for junk in made(kind)} - {None} <= known


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_can_be_made_of_a_script_without_spaces(kind: str) -> None:
    assert all(junk.text.strip() for junk in made(kind, 5, IN_CHINESE))


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_can_be_made_of_one_short_text(kind: str) -> None:
    alone = Material([CleanText("0", "Some words that stand here in one row.")], Luck("alone"))
    assert isinstance(made(kind, 1, alone)[0].text, str)


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_says_what_it_imitates(kind: str) -> None:
    assert re.search(r"imitates|in a language that its source is not in", str(KINDS[kind].__doc__))


# -- what each claims -----------------------------------------------------------------------------


@pytest.mark.parametrize("material", [MATERIAL, IN_CHINESE], ids=["spaces", "none"])
def test_a_salad_has_exactly_the_words_of_a_clean_text(material: Material) -> None:
    texts = {clean.id: clean.text for clean in material.texts}
    for junk in made("salad", 5, material):
        words, clean = split_words(junk.text), split_words(texts[str(junk.made_from)])
        assert Counter(words) == Counter(clean)
        assert words != clean


def test_each_two_words_of_babble_follow_each_other_in_the_source() -> None:
    known = {pair for text in TEXTS for pair in pairwise(split_words(text))}
    last = {split_words(text)[-1] for text in TEXTS}
    for junk in made("babble", 5):
        pairs = set(pairwise(split_words(junk.text)))
        assert {pair for pair in pairs - known if pair[0] not in last} == set()


def test_babble_is_no_text_of_the_source() -> None:
    lines = {line for text in TEXTS for line in text.splitlines()}
    assert not lines & {junk.text for junk in made("babble")}


def grams(text: str) -> set[tuple[str, ...]]:
    words = split_words(text)
    return set(zip(*(words[n:] for n in range(5)), strict=False))


def test_a_near_copy_shares_most_of_its_5_grams_with_its_text() -> None:
    shared = [
        len(grams(junk.text) & grams(original(junk)))
        / len(grams(junk.text) | grams(original(junk)))
        for junk in made("near", 40)
    ]
    assert 0.55 < np.mean(shared) < 0.85  # 4 % of changed words leave .69 of the grams
    assert max(shared) < 1


def test_near_copies_are_of_few_texts() -> None:
    assert len({junk.made_from for junk in made("near", 60)}) == 5


def test_menus_are_short_lines_that_pages_of_one_site_share() -> None:
    pages = made("menus", 30)
    lines = [line for page in pages for line in page.text.splitlines()]
    assert np.median([len(line) for line in lines]) < 40
    assert len({page.text.splitlines()[0] for page in pages}) == 2  # so many sites


def test_numbers_are_mostly_digits_in_columns_of_equal_count() -> None:
    for junk in made("numbers"):
        body = junk.text.splitlines()[1:]
        assert sum(map(str.isdigit, "".join(body))) > 0.4 * len("".join(body))
        assert len({len(re.split(r", |\t|  |; ", line)) for line in body}) == 1


def test_each_line_of_a_log_has_a_time() -> None:
    lines = [line for junk in made("logs") for line in junk.text.splitlines()]
    assert [line for line in lines if not re.search(r"\d\d:\d\d:\d\d", line)] == []


def test_hex_is_hexadecimal_digits() -> None:
    for junk in made("hex"):
        assert re.fullmatch(r"[0-9a-f\s]+", junk.text)


def test_markup_is_brackets_and_braces() -> None:
    signs = [
        sum(junk.text.count(s) for s in "<>{}()=;:") / len(junk.text) for junk in made("markup")
    ]
    clean = [sum(text.count(s) for s in "<>{}()=;:") / len(text) for text in TEXTS]
    assert min(signs) > 0.04 > max(clean)


def test_keywords_say_few_words_again_and_again() -> None:
    for junk in made("keywords"):
        words = re.findall(r"\w+", junk.text)
        assert len(set(words)) < 0.6 * len(words)
        assert len(set(words)) < 45


def test_ocr_misreads_6_to_20_percent_of_the_characters() -> None:
    for junk in made("ocr"):
        text = original(junk)
        kept = sum((Counter(text) & Counter(junk.text)).values()) / len(text)
        assert 0.75 < kept < 0.99
        assert abs(len(junk.text) - len(text)) < 0.25 * len(text)
        assert junk.text != text


def test_a_cut_text_is_a_stretch_that_ends_before_its_sentence() -> None:
    for junk in made("cut", 60):
        body = re.sub(r"(\.\.\.|…| \[\.\.\.\])( ?Read more| \(more\))?$", "", junk.text)
        assert body in original(junk)
        assert not body.endswith((".", "!", "?"))
        assert len(body) <= 600


def test_a_foreign_text_keeps_its_layout_and_no_word() -> None:
    for junk in made("foreign"):
        text = original(junk)
        assert [len(word) for word in junk.text.split(" ")] == [len(w) for w in text.split(" ")]
        own = {word for word in split_words(text) if len(word) > 3}
        assert len(own & set(split_words(junk.text))) <= 0.05 * len(own)


def test_a_foreign_text_writes_a_letter_the_same_way_throughout() -> None:
    for junk in made("foreign", 6):
        letters = dict(zip(original(junk), junk.text, strict=True))
        assert all(letters[a] == b for a, b in zip(original(junk), junk.text, strict=True))


def test_no_alphabet_is_its_own_foreign_one() -> None:
    texts = ["Привет мир как дела", "שלום עולם מה שלומך", "नमस्ते दुनिया", "안녕하세요 세계"]
    material = Material([CleanText(str(n), text) for n, text in enumerate(texts)], Luck("many"))
    for junk in made("foreign", 20, material):
        assert junk.text not in texts


def test_repeats_say_at_most_three_paragraphs_at_least_four_times() -> None:
    for junk in made("repeats"):
        counts = Counter(paragraphs(junk.text))
        assert len(counts) <= 3
        assert min(counts.values()) >= 4
        assert counts.keys() <= set(paragraphs(original(junk)))


# -- words ----------------------------------------------------------------------------------------


@given(st.text(alphabet="ab ,.\n\t新聞ภ", max_size=60))
def test_words_put_together_are_the_same_words(text: str) -> None:
    assert split_words(join_words(split_words(text))) == split_words(text)


@given(st.text(alphabet="ab ,.\n\t新聞ภ", max_size=60))
def test_a_text_laid_out_with_its_own_words_is_itself(text: str) -> None:
    assert lay_out(text, split_words(text)) == text


@given(st.text(alphabet="ab ,.\n\t新聞ภ", max_size=60), st.randoms(use_true_random=False))
def test_no_word_is_lost_between_the_spaces_of_a_text(text: str, luck: random.Random) -> None:
    words = split_words(text)
    luck.shuffle(words)
    assert split_words(lay_out(text, words)) == words


# -- a source with its junk -----------------------------------------------------------------------


@settings(max_examples=25, deadline=None)
@given(
    share=st.floats(0.05, 0.9),
    count=st.integers(1, 60),
    seed=st.text(max_size=5),
    kinds=st.lists(st.sampled_from(sorted(KINDS.keys() - FINITE)), min_size=1, unique=True),
)
def test_junk_has_its_share_within_a_document(
    share: float, count: int, seed: str, kinds: list[str]
) -> None:
    weights = {kind: 1.0 + number for number, kind in enumerate(kinds)}
    found = mixed(TEXTS[:count], share=share, seed=seed, weights=weights)
    junk = [text for text in found if text.kind != CLEAN]
    longest = max(len(text.text) for text in junk)
    clean = sum(len(text.text) for text in found if text.kind == CLEAN)
    wanted = clean * share / (1 - share)
    assert -1 < sum(len(text.text) for text in junk) - wanted < longest
    for kind, weight in weights.items():
        own = sum(len(text.text) for text in junk if text.kind == kind)
        assert abs(own - wanted * weight / sum(weights.values())) <= longest


def test_clean_texts_stay_as_they_are() -> None:
    clean = [(text.original_id, text.text) for text in mixed() if text.kind == CLEAN]
    assert sorted(clean) == sorted((f"own-{n}", text) for n, text in enumerate(TEXTS))


def test_the_order_in_which_texts_were_found_does_not_matter() -> None:
    found = [(f"own-{n}", text) for n, text in enumerate(TEXTS)]
    backwards = mix_source("prose", found[::-1], asked(), lambda text: bool(text.strip()))
    assert backwards == mixed()


def test_a_text_that_stands_there_twice_is_kept_twice_under_two_ids() -> None:
    found = [text for text in mixed([*TEXTS, TEXTS[0]]) if text.text == TEXTS[0]]
    assert len({text.id for text in found}) == 2


def test_another_seed_or_source_gives_other_junk() -> None:
    texts = [
        {text.text for text in found if text.kind != CLEAN}
        for found in (mixed(), mixed(seed="other"), mixed(source="other"))
    ]
    common = (texts[0] & texts[1]) | (texts[0] & texts[2])
    assert len(common) < 0.05 * len(texts[0])


def test_ids_are_an_order_that_says_nothing_of_the_label() -> None:
    found = mixed(share=0.6)
    assert [text.id for text in found] == sorted({text.id for text in found})
    labels = [text.kind == CLEAN for text in found]
    clean = [place for place, is_clean in enumerate(labels) if is_clean]
    junk = [place for place, is_clean in enumerate(labels) if not is_clean]
    assert stats.mannwhitneyu(clean, junk).pvalue > 0.01


def test_every_text_of_the_pool_stands_there_once_but_for_clean_ones() -> None:
    found = mixed(share=0.8)
    junk = [text.text for text in found if text.kind != CLEAN]
    assert len(set(junk)) == len(junk)
    assert not set(junk) & set(TEXTS)


def test_a_fraction_of_documents_is_kept_and_junk_is_made_of_those() -> None:
    found = mixed(documents=0.25)
    clean = {text.id for text in found if text.kind == CLEAN}
    assert len(clean) == 15
    assert {text.made_from for text in found} - {None} <= clean


def test_a_smaller_fraction_is_part_of_a_larger_one() -> None:
    few, more = (
        {text.id for text in mixed(documents=part) if text.kind == CLEAN} for part in (0.2, 0.5)
    )
    assert few < more


def test_no_junk_is_a_pool_too() -> None:
    assert {text.kind for text in mixed(share=0.0)} == {CLEAN}


def test_a_kind_without_weight_is_not_made() -> None:
    found = mixed(weights={"salad": 1.0, "logs": 0.0})
    assert {text.kind for text in found} == {CLEAN, "salad"}


def test_a_kind_that_cannot_be_made_is_an_error_that_says_where() -> None:
    with pytest.raises(InputError, match=r"source lonely: 200 tries gave no 'salad'"):
        mixed(["word word word word word"], source="lonely", weights={"salad": 1.0})


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"share": 1.0}, "share of junk lies in 0 to 0.95, not 1"),
        ({"share": float("nan")}, "share of junk"),
        ({"documents": 0.0}, "fraction of documents"),
        ({"weights": {"spam": 1.0}}, "no kind 'spam'; there are salad, babble"),
        ({"weights": {"salad": -1.0}}, "weights of kinds"),
        ({"weights": {"salad": 0.0}}, "weights of kinds"),
        ({"weights": {}}, "weights of kinds"),
    ],
)
def test_what_no_pool_can_be_is_refused(changed: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        asked(**changed)


# -- luck -----------------------------------------------------------------------------------------


def test_luck_is_uniform_and_of_its_names() -> None:
    numbers = Luck("a").uniforms("x", 20_000)
    assert stats.kstest(numbers, "uniform").pvalue > 0.001
    assert abs(np.corrcoef(numbers, Luck("b").uniforms("x", 20_000))[0, 1]) < 0.03
    assert abs(np.corrcoef(numbers, Luck("a").uniforms("y", 20_000))[0, 1]) < 0.03


def test_names_do_not_run_together() -> None:
    lucks = [Luck("a", "b"), Luck("ab"), Luck("a").of("b"), Luck("a", 1), Luck("a", "1")]
    assert len({luck.uniform("x") for luck in lucks}) == 4


def test_an_order_has_every_place_once() -> None:
    assert sorted(Luck("a").order("x", 100)) == list(range(100))
