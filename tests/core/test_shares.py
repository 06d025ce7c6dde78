"""Held shares: every token is handed out, and the whole is within one document."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from samplemix_dagster.core.mixture.scale.activation import (
    ActivationHistogram,
    activation_histogram,
    boundary_activations,
)
from samplemix_dagster.core.mixture.scale.settle import Scale, copies
from samplemix_dagster.core.mixture.shares import (
    held_shares,
    largest_remainder,
    settle_sources,
    source_budgets,
)
from samplemix_dagster.errors import ConfigError, InfeasibleMixtureError

TOKENS = {"books": 600, "code": 300, "web": 100}
parts_of = st.dictionaries(
    st.sampled_from("abcdefg"), st.integers(0, 10**6).map(Fraction), min_size=1
)


@given(total=st.integers(0, 10**15), parts=parts_of)
def test_hands_out_the_whole_budget_within_one_of_each_quota(
    total: int, parts: dict[str, Fraction]
) -> None:
    whole = sum(parts.values())
    assume(whole > 0)
    found = largest_remainder(total, parts)
    assert sum(found.values()) == total
    assert all(abs(found[name] - total * parts[name] / whole) < 1 for name in parts)
    assert all(found[name] == 0 for name in parts if parts[name] == 0)


def test_equal_remainders_go_to_the_first_name() -> None:
    thirds = {name: Fraction(1) for name in ("c", "a", "b")}
    assert largest_remainder(4, thirds) == {"a": 2, "b": 1, "c": 1}


def test_free_shares_are_not_held() -> None:
    assert held_shares("free", TOKENS) is None


def test_proportional_and_uniform_shares_are_exact() -> None:
    assert held_shares("proportional", TOKENS) == {
        "books": Fraction(3, 5),
        "code": Fraction(3, 10),
        "web": Fraction(1, 10),
    }
    assert held_shares("uniform", TOKENS) == dict.fromkeys(TOKENS, Fraction(1, 3))


def test_sources_left_out_have_no_share() -> None:
    assert held_shares({"code": 1.0}, TOKENS) == {"books": 0, "code": 1, "web": 0}


def test_shares_within_rounding_of_one_are_made_one() -> None:
    found = held_shares({"books": 0.1, "code": 0.2, "web": 0.7}, TOKENS)
    assert found is not None
    assert sum(found.values()) == 1


@pytest.mark.parametrize(
    ("shares", "message"),
    [
        ({"books": 0.5, "code": 0.4}, r"these sum to 0\.900000"),
        ({"book": 1.0}, "shares name book, but the sources are books, code, web"),
        ({"books": 1.5, "code": -0.5}, r"shares.books is 1\.5"),
        ({"books": float("nan")}, "shares.books is nan"),
        ("even", "not 'even'"),
    ],
)
def test_refuses_shares_that_are_none(shares: dict[str, float], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        held_shares(shares, TOKENS)


class Source:
    def __init__(self, seed: int, size: int, longest: int, cap: int) -> None:
        rng = np.random.default_rng(seed)
        self.weights = np.exp(rng.normal(0.0, 1.0, size))
        self.luck = rng.random(size)
        self.tokens = rng.integers(1, longest + 1, size)
        self.words = rng.integers(0, 2**63, (size, 2)).astype(np.uint64)
        self.cap = cap

    def histogram(self) -> ActivationHistogram:
        return activation_histogram(self.weights, self.luck, self.tokens, self.cap)

    def draw(self, scale: Scale) -> np.ndarray:
        return copies(self.weights, self.luck, self.words, scale, self.cap)


def drawn_by_source(
    sources: dict[str, Source], shares: dict[str, Fraction], budget: int
) -> dict[str, np.ndarray]:
    histograms = {name: source.histogram() for name, source in sources.items()}
    budgets = source_budgets(budget, shares, histograms)
    activations = {
        name: boundary_activations(
            s.weights, s.luck, s.tokens, s.words, max_copies=s.cap, bins=budgets[name].bins
        )
        for name, s in sources.items()
        if name in budgets
    }
    scales = settle_sources(budgets, histograms, activations)
    return {name: sources[name].draw(scale) for name, scale in scales.items()}


@st.composite
def mixtures(draw: st.DrawFn) -> tuple[dict[str, Source], dict[str, Fraction], int]:
    cap = draw(st.integers(1, 3))
    names = draw(st.lists(st.sampled_from("abcd"), min_size=1, unique=True))
    sources = {
        name: Source(draw(st.integers(0, 999)), draw(st.integers(1, 40)), 500, cap)
        for name in names
    }
    parts = {name: Fraction(draw(st.integers(1, 9))) for name in names}
    whole = sum(parts.values(), Fraction(0))
    shares = {name: part / whole for name, part in parts.items()}
    capacities = {name: source.histogram().capacity_tokens for name, source in sources.items()}
    highest = min(int(capacities[name] / shares[name]) for name in names) - 1
    return sources, shares, draw(st.integers(501 * len(names), max(highest, 501 * len(names))))


@settings(deadline=None, max_examples=150)
@given(mixture=mixtures())
def test_the_whole_is_within_one_document_and_never_over(
    mixture: tuple[dict[str, Source], dict[str, Fraction], int],
) -> None:
    sources, shares, budget = mixture
    capacities = {name: source.histogram().capacity_tokens for name, source in sources.items()}
    assume(all(capacities[name] > budget * shares[name] for name in sources))
    found = drawn_by_source(sources, shares, budget)
    realised = sum(int(found[name] @ sources[name].tokens) for name in found)
    longest = max(int(source.tokens.max()) for source in sources.values())
    assert 0 <= budget - realised < longest


@settings(deadline=None, max_examples=60)
@given(mixture=mixtures())
def test_each_source_is_within_two_documents_of_its_share(
    mixture: tuple[dict[str, Source], dict[str, Fraction], int],
) -> None:
    sources, shares, budget = mixture
    capacities = {name: source.histogram().capacity_tokens for name, source in sources.items()}
    assume(all(capacities[name] > budget * shares[name] for name in sources))
    found = drawn_by_source(sources, shares, budget)
    longest = max(int(source.tokens.max()) for source in sources.values())
    realised = {name: int(found[name] @ sources[name].tokens) for name in found}
    assert all(abs(realised[name] - budget * shares[name]) <= longest for name in found)


def test_draws_are_nested_where_every_budget_grows_by_a_document() -> None:
    sources = {name: Source(seed, 300, 100, 2) for seed, name in enumerate("abc")}
    shares = {name: Fraction(1, 3) for name in sources}
    small, large = (drawn_by_source(sources, shares, budget) for budget in (9000, 9600))
    assert all((large[name] >= small[name]).all() for name in sources)


def test_a_source_without_a_share_draws_nothing() -> None:
    sources = {name: Source(seed, 50, 100, 2) for seed, name in enumerate("ab")}
    found = drawn_by_source(sources, {"a": Fraction(0), "b": Fraction(1)}, 1000)
    assert set(found) == {"b"}


def test_a_share_beyond_its_source_names_the_nearest_budget() -> None:
    sources = {"a": Source(0, 100, 100, 1), "b": Source(1, 3, 10, 1)}
    shares = {"a": Fraction(1, 2), "b": Fraction(1, 2)}
    histograms = {name: source.histogram() for name, source in sources.items()}
    short = histograms["b"].capacity_tokens
    message = rf"b would draw 500 of at most {short} .* feasible budget is {2 * short + 1}"
    with pytest.raises(InfeasibleMixtureError, match=message):
        source_budgets(1000, shares, histograms)


def test_the_nearest_budget_is_feasible_and_one_more_is_not() -> None:
    sources = {"a": Source(0, 100, 100, 1), "b": Source(1, 3, 10, 1)}
    shares = {"a": Fraction(1, 2), "b": Fraction(1, 2)}
    histograms = {name: source.histogram() for name, source in sources.items()}
    nearest = 2 * histograms["b"].capacity_tokens + 1
    assert source_budgets(nearest, shares, histograms)["b"].tokens * 2 <= nearest
    with pytest.raises(InfeasibleMixtureError):
        source_budgets(nearest + 1, shares, histograms)


def test_a_budget_that_fits_no_document_is_refused() -> None:
    sources = {name: Source(seed, 5, 1, 1) for seed, name in enumerate("ab")}
    for source in sources.values():
        source.tokens = np.full(5, 400)
    with pytest.raises(InfeasibleMixtureError, match="nothing can be drawn for 20 tokens"):
        drawn_by_source(sources, {name: Fraction(1, 2) for name in sources}, 20)
