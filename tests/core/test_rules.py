"""The published rules as one soft score: each bound is found, and clean prose lies inside all."""

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from samplemix_dagster.core.quality.rules import RULES, Rules, broken_rules, measures, score_of
from tests.projects import noise, prose

CLEAN = "\n\n".join(prose(f"clean-{number}", sentences=12) for number in range(4))
LUCK = random.Random(0)
MENU = "\n".join(LUCK.choice(["Home", "About us", "Contact", "Log in", "Cart"]) for _ in range(80))
TABLE = "\n".join(" ".join(str(LUCK.randrange(10**4)) for _ in range(8)) for _ in range(40))
SCRIPT = "\n".join(
    f"function f{n}(a) {{ return a.map(x => {{ return x * {n}; }}); }}" for n in range(40)
)
REPEATED = "\n".join([prose("again", sentences=3)] * 20)
STUFFED = " ".join(["cheap shoes buy cheap shoes online"] * 60) + "."
CHINESE = (
    "机器学习的数据混合需要质量和多样性。" * 3
    + "\n"
    + "今天天气很好，我们去公园散步吧。他说这本书很有意思。"
)

BROKEN = [
    ("nineteen words " * 5, "at least 50 words"),
    ("a b c d " * 40, "mean word length"),
    ("internationalisation " * 60, "mean word length"),
    (TABLE, "have a letter"),
    ("# tag " * 60, "ellipsis per word"),
    ("\n".join(f"- the item number {n} of a long list of things" for n in range(60)), "bullet"),
    ("\n".join(f"the line {n} of a story that is cut off here..." for n in range(60)), "ellipsis"),
    (STUFFED, "most frequent 2-gram"),
    (REPEATED, "repeated 5-grams"),
    (REPEATED, "repeated lines"),
    (MENU, "shorter than 30"),
    (MENU, "end in punctuation"),
    (SCRIPT, "curly braces"),
]


@pytest.mark.parametrize(("text", "says"), BROKEN)
def test_each_bound_is_found(text: str, says: str) -> None:
    assert any(says in source for source in broken_rules(text))


def test_every_rule_has_a_text_that_breaks_it() -> None:
    found = {source for text, _ in BROKEN for source in broken_rules(text)}
    assert {rule.source for rule in RULES} <= found


def test_prose_breaks_no_rule_and_scores_above_everything_that_does() -> None:
    assert broken_rules(CLEAN) == []
    scores = Rules().score([CLEAN, MENU, TABLE, SCRIPT, REPEATED, STUFFED])
    assert scores[0] > 0.9
    assert scores[0] > scores[1:].max() + 0.2


def test_a_script_without_spaces_is_not_asked_for_words() -> None:
    assert "word_length" not in measures(CHINESE)
    assert broken_rules(CHINESE) == []


@given(st.text(max_size=400))
def test_any_text_has_a_score_inside_the_unit_interval(text: str) -> None:
    (score,) = Rules().score([text])
    assert 0.0 < score < 1.0


@given(st.lists(st.sampled_from([CLEAN, MENU, TABLE, noise("a"), ""]), max_size=6))
def test_a_score_does_not_depend_on_the_other_texts(texts: list[str]) -> None:
    together = Rules().score(texts)
    alone = [Rules().score([text])[0] for text in texts]
    np.testing.assert_array_equal(together, alone)


def test_a_step_is_one_half_at_the_published_bound() -> None:
    for rule in RULES:
        assert rule.step(rule.bound) == pytest.approx(0.5)


def test_the_score_is_the_geometric_mean_of_the_rules_that_apply() -> None:
    found = measures(MENU)
    steps = [rule.step(found[rule.measure]) for rule in RULES]
    assert score_of(found) == pytest.approx(float(np.exp(np.mean(np.log(steps)))))
