"""Identity and luck: what the digests are, and that luck is uniform and belongs to a document."""

import hashlib
import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from samplemix_dagster.core.hashing import (
    doc_id,
    fingerprint,
    id_words,
    keyed_hashes,
    mix64,
    round_significant,
    round_unit,
    uniforms,
)

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
WORDS_N2 = id_words([doc_id(str(number)) for number in range(20_000)])
FINITE = st.floats(allow_nan=False, allow_infinity=False, width=64)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | FINITE | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)


# -- identity --------------------------------------------------------------------------------------


@given(text=TEXT)
def test_a_document_id_is_blake2b_of_its_utf_8_bytes(text: str) -> None:
    assert doc_id(text) == hashlib.blake2b(text.encode("utf-8"), digest_size=16).hexdigest()


def test_a_document_id_has_not_moved() -> None:
    assert doc_id("") == "cae66941d9efbd404e4d88758ea67670"
    assert doc_id("Straße 😀") == "65c18b85124df8d5f49b65b92194fe40"


def test_texts_that_only_look_alike_are_other_documents() -> None:
    alike = ["é", "e\u0301", "é ", "É", "é\n", "\ufeffé"]
    assert len({doc_id(text) for text in alike}) == len(alike)


@given(value=JSON)
def test_a_fingerprint_is_blake2b_of_canonical_json(value: object) -> None:
    canonical = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    expected = hashlib.blake2b(canonical.encode(), digest_size=12).hexdigest()
    assert fingerprint({"x": value}) == fingerprint(json.loads(json.dumps({"x": value})))
    assert fingerprint(value) == expected  # type: ignore[arg-type]


@given(value=st.dictionaries(TEXT, JSON, min_size=2, max_size=5), luck=st.randoms())
def test_a_fingerprint_does_not_see_the_order_of_keys(
    value: dict[str, object], luck: object
) -> None:
    keys = list(value)
    luck.shuffle(keys)  # type: ignore[attr-defined]
    assert fingerprint({key: value[key] for key in keys}) == fingerprint(value)


def test_a_fingerprint_sees_the_order_of_a_list() -> None:
    assert fingerprint([1, 2]) != fingerprint([2, 1])


def test_a_fingerprint_tells_types_apart() -> None:
    values: list[object] = [1, 1.5, "1", True, None, [1], {"1": 1}]
    assert len({fingerprint(value) for value in values}) == len(values)  # type: ignore[arg-type]


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_refuses_the_fingerprint_of_what_json_cannot_say(value: float) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        fingerprint({"x": value})


# -- words of an id --------------------------------------------------------------------------------


@given(numbers=st.lists(st.integers(0, 2**128 - 1), max_size=5))
def test_id_words_are_the_two_halves_of_the_number(numbers: list[int]) -> None:
    words_N2 = id_words([f"{number:032x}" for number in numbers])
    assert words_N2.shape == (len(numbers), 2)
    assert words_N2.dtype == np.uint64
    back = [(int(high) << 64) | int(low) for high, low in words_N2]
    assert back == numbers


def test_id_words_takes_bytes_as_well_as_text() -> None:
    ids = [doc_id(str(number)) for number in range(5)]
    np.testing.assert_array_equal(id_words(np.array(ids, dtype="S32")), id_words(ids))


@pytest.mark.parametrize("bad", ["", "0" * 31, "g" * 32, "A" * 32, "0" * 31 + " "])
def test_refuses_an_id_that_is_not_32_hexadecimal_digits(bad: str) -> None:
    with pytest.raises(ValueError, match="32 hexadecimal digits"):
        id_words([doc_id("good"), bad])


# -- luck ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("purpose", ["draw", "order", "sample"])
@pytest.mark.parametrize("seed", [0, 1, 12345])
def test_luck_is_uniform(purpose: str, seed: int) -> None:
    luck = uniforms(WORDS_N2, seed, purpose)
    # One in a thousand seeds would fail by chance; these are fixed, so they never do.
    assert stats.kstest(luck, "uniform").pvalue > 0.001


def unmix64(word: int) -> int:
    """The inverse of :func:`mix64`: each of its steps is a bijection."""
    mask = 2**64 - 1
    word ^= word >> 31 ^ word >> 62
    word = word * pow(0x94D049BB133111EB, -1, 2**64) & mask
    word ^= word >> 27 ^ word >> 54
    word = word * pow(0xBF58476D1CE4E5B9, -1, 2**64) & mask
    word ^= word >> 30 ^ word >> 60
    return (word - 0x9E3779B97F4A7C15) & mask


@pytest.mark.parametrize("target", [0, 2**64 - 1])
def test_luck_lies_strictly_inside_0_and_1_even_for_the_extreme_hashes(target: int) -> None:
    origin = int(keyed_hashes(np.zeros((1, 2), dtype=np.uint64), 0, "draw")[0])
    document = np.array([[0, unmix64(target) ^ unmix64(origin)]], dtype=np.uint64)
    assert int(keyed_hashes(document, 0, "draw")[0]) == target
    assert 0.0 < float(uniforms(document, 0, "draw")[0]) < 1.0


def test_luck_belongs_to_the_document_alone() -> None:
    order = np.random.default_rng(0).permutation(len(WORDS_N2))
    whole = uniforms(WORDS_N2, 0, "draw")
    np.testing.assert_array_equal(uniforms(WORDS_N2[order], 0, "draw"), whole[order])
    np.testing.assert_array_equal(uniforms(WORDS_N2[:7], 0, "draw"), whole[:7])


@pytest.mark.parametrize(("seed", "purpose"), [(1, "draw"), (0, "order"), (10, "draw")])
def test_another_seed_or_purpose_is_independent_luck(seed: int, purpose: str) -> None:
    one, other = uniforms(WORDS_N2, 0, "draw"), uniforms(WORDS_N2, seed, purpose)
    # Four standard errors of a correlation of independent numbers.
    assert abs(stats.spearmanr(one, other).statistic) < 4 / math.sqrt(len(one))


def test_documents_of_similar_ids_have_unrelated_luck() -> None:
    near = id_words([f"{number:032x}" for number in range(20_000)])
    luck = uniforms(near, 0, "draw")
    assert stats.kstest(luck, "uniform").pvalue > 0.001
    assert abs(np.corrcoef(luck[1:], luck[:-1])[0, 1]) < 4 / math.sqrt(len(luck))


def test_luck_has_not_moved() -> None:
    words_N2 = id_words([doc_id("a"), doc_id("b")])
    assert uniforms(words_N2, 0, "draw").tolist() == [
        0.008025077006092451,
        0.13897034001274833,
    ]


@given(number=st.integers(0, 2**64 - 1))
def test_mix64_is_the_finaliser_of_splitmix64(number: int) -> None:
    mask = 2**64 - 1
    word = (number + 0x9E3779B97F4A7C15) & mask
    word = ((word ^ (word >> 30)) * 0xBF58476D1CE4E5B9) & mask
    word = ((word ^ (word >> 27)) * 0x94D049BB133111EB) & mask
    assert int(mix64(np.array([number], dtype=np.uint64))[0]) == word ^ (word >> 31)


def test_hashes_of_many_documents_do_not_collide() -> None:
    assert len(np.unique(keyed_hashes(WORDS_N2, 0, "draw"))) == len(WORDS_N2)


# -- rounding --------------------------------------------------------------------------------------


@settings(max_examples=200)
@given(value=st.floats(1e-300, 1e300) | st.floats(-1e300, -1e-300))
def test_rounding_keeps_five_digits_and_nothing_else(value: float) -> None:
    rounded = float(round_significant(np.array([value]))[0])
    assert abs(rounded - value) <= 0.5001e-4 * abs(value)
    assert rounded == float(f"{rounded:.4e}")


@given(value=st.floats(1e-9, 1e9), digits=st.integers(1, 8))
def test_rounding_twice_is_rounding_once(value: float, digits: int) -> None:
    once = round_significant(np.array([value]), digits)
    np.testing.assert_array_equal(round_significant(once, digits), once)


@given(values=st.lists(st.floats(1e-9, 1e9), min_size=2, max_size=5))
def test_rounding_keeps_the_order(values: list[float]) -> None:
    rounded = round_significant(np.sort(np.array(values)))
    assert (np.diff(rounded) >= 0).all()


def test_zero_nan_and_infinity_pass_unrounded() -> None:
    values = np.array([0.0, np.nan, np.inf, -np.inf])
    np.testing.assert_array_equal(round_significant(values), values)


def test_a_stored_score_reads_as_its_five_digits() -> None:
    values = np.array([0.1234451, 0.1234449, 2 / 3, 123456.7])
    assert [repr(float(value)) for value in round_significant(values)] == [
        "0.12345",
        "0.12344",
        "0.66667",
        "123460.0",
    ]


@given(value=st.floats(0, 1, exclude_min=True, exclude_max=True))
def test_a_score_inside_0_and_1_stays_inside_when_it_is_rounded(value: float) -> None:
    rounded = float(round_unit(np.array([value]))[0])
    assert 0.0 < rounded < 1.0
    assert abs(rounded - value) <= max(0.5001e-4 * value, 1e-5)


@pytest.mark.parametrize("value", [1.0, 1.5, -0.5])
def test_a_score_outside_stays_outside_so_that_a_check_sees_it(value: float) -> None:
    assert float(round_unit(np.array([value]))[0]) == value
