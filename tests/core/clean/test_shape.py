"""What a text is like by itself, and the parts that it is taken into."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from samplemix_dagster.core.hashing import mix64
from samplemix_dagster.core.quality.clean import kernel
from samplemix_dagster.core.quality.clean.characters import character_kinds, codes_of
from samplemix_dagster.core.quality.clean.shape import (
    MOST_CHARACTERS,
    grams,
    parse,
    shape_measures,
)

PROSE = (
    "The harbour was quiet that evening. Two boats lay at the quay, and nobody spoke.\n"
    "She asked whether the pilot had come back; he had not, said the old man.\n"
)


def words(text: str) -> list[str]:
    kinds = character_kinds()[codes_of(text)]
    return [text[first:end] for first, end in kernel.word_spans(kinds)]


def lines(text: str) -> list[str]:
    kinds = character_kinds()[codes_of(text)]
    return [text[first:end] for first, end in kernel.line_spans(kinds)]


@settings(deadline=None)
@given(st.text(st.characters(codec="utf-8"), max_size=300))
def test_every_character_that_is_no_space_is_in_one_word_and_in_one_line(text: str) -> None:
    kinds = character_kinds()[codes_of(text)]
    for spans in (kernel.word_spans(kinds), kernel.line_spans(kinds)):
        times = np.zeros(len(text), dtype=int)
        for first, end in spans:
            times[first:end] += 1
        assert times.max(initial=0) <= 1
        assert (times[~np.isin(kinds, (1, 2))] == 1).all()


@settings(deadline=None)
@given(st.text(st.characters(codec="utf-8"), max_size=300))
def test_every_text_has_finite_measures_and_shares_that_are_shares(text: str) -> None:
    found = shape_measures(parse(text))
    assert np.isfinite(list(found.values())).all()
    unbounded = ("log_", "word_", "zipped")
    shares = [value for name, value in found.items() if not name.startswith(unbounded)]
    assert 0.0 <= min(shares) <= max(shares) <= 1.0


@settings(deadline=None)
@given(st.text(st.sampled_from("aB1.,;!? \n\t漢字—“”"), max_size=120))
def test_words_of_a_script_with_spaces_are_what_split_gives(text: str) -> None:
    plain = "".join(character for character in text if character not in "漢字")
    assert words(plain) == plain.split()


def test_a_letter_of_a_script_without_spaces_is_a_word_with_the_signs_behind_it() -> None:
    assert words("我来。你好 ok。") == ["我", "来。", "你", "好", "ok。"]
    assert shape_measures(parse("我来。你好。"))["log_sentence"] == pytest.approx(np.log(3))


def test_lines_lose_the_spaces_around_them_and_blank_ones_are_none() -> None:
    assert lines("  a b \n\n \t\n- c") == ["a b", "- c"]


def test_sentences_are_counted_by_what_ends_a_word() -> None:
    found = shape_measures(parse('He said "Stop." Then he left! (Why?) no. 3.14 is no end'))
    assert found["log_sentence"] == pytest.approx(np.log1p(np.mean([3, 3, 1, 1, 4])))


def test_a_capital_after_a_stop_is_told_from_one_inside() -> None:
    turned = " ".join(reversed(PROSE.split()))
    gain = {name: shape_measures(parse(text))["log_capitals_gain"]
            for name, text in (("prose", PROSE), ("turned", turned))}  # fmt: skip
    assert gain["prose"] > 1.0 > gain["turned"]


def test_repetition_is_that_of_words_of_lines_and_of_bytes() -> None:
    once, often = (shape_measures(parse(text)) for text in (PROSE, PROSE * 6))
    assert once["repeated_lines"] == once["repeated_fives"] == 0.0
    assert often["repeated_lines"] == pytest.approx(5 / 6)
    assert often["repeated_fives"] > 0.75
    assert often["zipped"] < once["zipped"] / 2


def test_words_are_one_whatever_their_case_their_signs_and_their_digits() -> None:
    first, second = parse("Don't go, 1984!"), parse("dont GO 2024")
    np.testing.assert_array_equal(first.words, second.words)
    assert parse("a - b").words.size == 3


def test_a_text_is_measured_by_its_beginning() -> None:
    long = PROSE * 200
    assert len(long) > MOST_CHARACTERS
    assert shape_measures(parse(long)) == shape_measures(parse(long + "0123 " * 1000))


def test_grams_are_hashes_of_neighbours_or_of_words_further_apart() -> None:
    hashes = mix64(np.arange(6, dtype=np.uint64))
    np.testing.assert_array_equal(grams(hashes, 2, 3), grams(hashes[[0, 3]], 2).repeat(1).tolist()
                                  + [grams(hashes[[k, k + 3]], 2)[0] for k in (1, 2)])  # fmt: skip
    assert grams(hashes, 3).size == 4
    assert grams(hashes[:1], 2).size == 0
    assert grams(hashes, 2)[0] != grams(hashes[::-1], 2)[-1]


@settings(deadline=None)
@given(st.integers(0, (1 << 64) - 1))
def test_the_compiled_mixer_is_that_of_the_project(word: int) -> None:
    assert int(kernel.mixed(np.uint64(word))) == int(mix64(np.array([word], np.uint64))[0])
