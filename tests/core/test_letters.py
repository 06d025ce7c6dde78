"""Letters: the same text in another alphabet is as long, and ideographs are as long as in bytes."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from samplemix_dagster.core.quality.loss.letters import num_letters

CYRILLIC = str.maketrans("abcdefghijklmnoprstuvz", "абцдефгхийклмнопрстувз")
GREEK = str.maketrans("abdefgiklmnoprstuxz", "αβδεφγικλμνοπρστυχζ")


@given(st.text(alphabet=st.characters(max_codepoint=127)))
def test_a_text_in_ascii_has_a_letter_a_byte(text: str) -> None:
    assert num_letters(text) == len(text.encode())


@pytest.mark.parametrize("table", [CYRILLIC, GREEK])
@given(text=st.text(alphabet="abdefgiklmnoprstuz .,\n"))
def test_another_alphabet_changes_nothing(table: dict[int, int], text: str) -> None:
    assert num_letters(text.translate(table)) == len(text)


@pytest.mark.parametrize(
    "text", ["中文维基百科", "日本語のテキスト", "한국어", "\U00020000", "々〆〇", "ヴァイオリン"]
)
def test_what_is_written_in_ideographs_and_syllables_counts_three(text: str) -> None:
    assert num_letters(text) == 3 * len(text)


@pytest.mark.parametrize("text", ["สวัสดี", "नमस्ते", "שלום", "مرحبا", "გამარჯობა", "“quoted” – so"])
def test_other_characters_count_one(text: str) -> None:
    assert num_letters(text) == len(text)


@given(st.text(), st.text())
def test_letters_add_up(one: str, other: str) -> None:
    assert num_letters(one + other) == num_letters(one) + num_letters(other)


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"]), min_size=1))
def test_there_are_no_more_letters_than_bytes_and_no_fewer_than_characters(text: str) -> None:
    assert len(text) <= num_letters(text) <= len(text.encode())


def test_letters_with_accents_count_once_where_they_are_one_character() -> None:
    text = unicodedata.normalize("NFC", "déjà vu")
    assert num_letters(text) == 7
