"""Accuracy: the likelier option per byte, half for two that tie, and paired differences."""

import numpy as np
import pytest

from samplemix_dagster.core.judging.accuracy import accuracy_difference, chance, right_answers

BEGINS = np.array([0, 2, 5])
"""Items of two, three and one options."""
BYTES = np.array([1, 1, 2, 2, 2, 4])


def right(*nats: float) -> list[float]:
    return right_answers(np.array([nats]), BYTES, BEGINS)[0].tolist()


def test_the_option_that_loses_least_is_taken() -> None:
    assert right(1.0, 2.0, 4.0, 3.0, 5.0, 9.0) == [1.0, 0.0, 1.0]


def test_a_longer_option_may_lose_more_in_all() -> None:
    found = right_answers(np.array([[6.0, 4.0]]), np.array([4, 2]), np.array([0]))
    assert found.tolist() == [[1.0]]


def test_of_options_that_are_alike_each_is_taken_as_often() -> None:
    assert right(1.0, 1.0, 2.0, 2.0, 2.0, 1.0) == pytest.approx([0.5, 1 / 3, 1.0])
    assert right(1.0, 1.0, 3.0, 2.0, 2.0, 1.0) == [0.5, 0.0, 1.0]


def test_who_knows_nothing_is_right_as_often_as_chance_says() -> None:
    luck = np.random.default_rng(0)
    begins = np.arange(0, 4_000, 4)
    found = right_answers(luck.normal(size=(3, 4_000)), np.ones(4_000, int), begins)
    assert chance(begins, 4_000) == 0.25
    assert found.mean() == pytest.approx(0.25, abs=0.03)
    assert chance(BEGINS, 6) == pytest.approx((1 / 2 + 1 / 3 + 1) / 3)


def test_a_difference_is_that_of_the_means_and_above_nothing_where_more_is_right() -> None:
    luck = np.random.default_rng(1)
    baseline = (luck.random((8, 200)) < 0.4).astype(float)
    arm = np.maximum(baseline, luck.random((8, 200)) < 0.2)
    found = accuracy_difference(arm, baseline)
    assert found.value == pytest.approx(arm.mean() - baseline.mean())
    assert 0.0 < found.low < found.value < found.high
    back = accuracy_difference(baseline, arm)
    assert (back.low, back.high) == pytest.approx((-found.high, -found.low))


def test_an_arm_does_not_differ_from_itself() -> None:
    same = (np.random.default_rng(2).random((8, 50)) < 0.5).astype(float)
    found = accuracy_difference(same, same)
    assert (found.low, found.value, found.high) == (0.0, 0.0, 0.0)
