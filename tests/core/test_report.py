"""Reports: exact in any order, right on documents counted by hand, with an honest control."""

from dataclasses import asdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from samplemix_dagster.core.mixture.report import MixtureReport, report_of
from samplemix_dagster.core.mixture.tally import (
    Grouping,
    LedgerColumns,
    merge_tallies,
    tally_of,
)


def ledger(size: int, seed: int = 0) -> LedgerColumns:
    rng = np.random.default_rng(seed)
    expected = rng.gamma(1.0, 0.5, size)
    source = rng.integers(0, 3, size)
    return LedgerColumns(
        quality=rng.beta(2, 3, size),
        diversity=rng.beta(3, 2, size),
        num_tokens=rng.integers(0, 5000, size),
        copies=np.floor(expected + rng.random(size)).astype(np.int32),
        expected_copies=expected,
        is_near_duplicate=rng.random(size) < 0.1,
        groupings={
            "source": Grouping(names=["books", "code", "web"], codes=source),
            "language": Grouping(names=["en", "de"], codes=rng.integers(0, 2, size)),
        },
    )


def rows_of(columns: LedgerColumns, rows: np.ndarray) -> LedgerColumns:
    flat = {
        name: getattr(columns, name)[rows]
        for name in LedgerColumns.__slots__
        if name != "groupings"
    }
    groupings = {
        name: Grouping(names=grouping.names, codes=grouping.codes[rows])
        for name, grouping in columns.groupings.items()
    }
    return LedgerColumns(**flat, groupings=groupings)


def reported(columns: LedgerColumns) -> MixtureReport:
    return report_of(tally_of(columns))


@settings(deadline=None, max_examples=30)
@given(size=st.integers(1, 60), seed=st.integers(0, 999), num_shards=st.integers(1, 5))
def test_shards_in_any_order_report_the_same_bits(size: int, seed: int, num_shards: int) -> None:
    columns = ledger(size, seed)
    order = np.random.default_rng(seed).permutation(size)
    parts = [tally_of(rows_of(columns, rows)) for rows in np.array_split(order, num_shards)]
    found, whole = report_of(merge_tallies(parts)), reported(columns)
    assert str(asdict(found)) == str(asdict(whole))


@settings(deadline=None, max_examples=30)
@given(size=st.integers(1, 200), seed=st.integers(0, 999))
def test_groups_add_up_to_the_whole(size: int, seed: int) -> None:
    columns = ledger(size, seed)
    report = reported(columns)
    for groups in report.shares.values():
        assert sum(group.documents for group in groups) == report.num_documents == size
        assert sum(group.drawn_tokens for group in groups) == report.realised_tokens
    assert sum(report.copies_histogram) == size
    weighted = [copies * count for copies, count in enumerate(report.copies_histogram)]
    assert sum(weighted) == report.num_draws == columns.copies.sum()


def test_means_agree_with_numpy() -> None:
    c = ledger(3000)
    report, drawn = reported(c), c.copies * c.num_tokens
    assert report.corpus.mean_quality == pytest.approx(
        np.average(c.quality, weights=c.num_tokens), abs=1e-7
    )
    assert report.mixture.mean_diversity == pytest.approx(
        np.average(c.diversity, weights=drawn), abs=1e-7
    )
    assert report.mixture.near_duplicate_share == pytest.approx(
        drawn[c.is_near_duplicate].sum() / drawn.sum()
    )
    assert report.realised_tokens == drawn.sum()
    assert report.num_documents_drawn == (c.copies > 0).sum()


def test_the_effective_sample_is_its_formula() -> None:
    c = ledger(3000)
    e, t = c.expected_copies, c.num_tokens
    expected = (e * t).sum() ** 2 / (e * e * t).sum()
    report = reported(c)
    assert report.effective_sample_tokens == pytest.approx(expected, rel=1e-9)
    assert report.effective_sample_share == pytest.approx(expected / t.sum(), rel=1e-9)


@pytest.mark.parametrize("copies", [1e-5, 0.3, 4.0])
def test_even_copies_are_the_whole_corpus_at_every_scale(copies: float) -> None:
    c = ledger(3000)
    even = {name: getattr(c, name) for name in LedgerColumns.__slots__}
    report = reported(LedgerColumns(**{**even, "expected_copies": np.full(3000, copies)}))
    # Sums are kept to 2^-32 of a token, which counts where a document expects 1e-5 copies.
    assert report.effective_sample_share == pytest.approx(1.0, abs=1e-3)
    assert report.kl_nats == pytest.approx(0.0, abs=1e-6)


def test_the_kl_of_half_a_corpus_is_a_bit() -> None:
    columns = LedgerColumns(
        quality=np.array([0.2, 0.8]),
        diversity=np.array([0.5, 0.5]),
        num_tokens=np.array([100, 100]),
        copies=np.array([0, 2]),
        expected_copies=np.array([0.0, 2.0]),
        is_near_duplicate=np.array([True, False]),
        groupings={"source": Grouping(names=["web"], codes=np.array([0, 0]))},
    )
    report = reported(columns)
    assert report.kl_nats == pytest.approx(np.log(2.0))
    assert report.effective_sample_tokens == 100.0
    assert report.copies_histogram == (1, 0, 1)
    assert (report.corpus.near_duplicate_share, report.mixture.near_duplicate_share) == (0.5, 0.0)


def two_sources() -> LedgerColumns:
    """The mixture takes the better source only, and both its documents alike."""
    return LedgerColumns(
        quality=np.array([0.25, 0.25, 0.5, 0.75]),
        diversity=np.array([0.5, 0.5, 0.5, 0.5]),
        num_tokens=np.array([100, 100, 100, 100]),
        copies=np.array([0, 0, 1, 1]),
        expected_copies=np.array([0.0, 0.0, 1.0, 1.0]),
        is_near_duplicate=np.array([False, False, True, False]),
        groupings={"source": Grouping(names=["web", "books"], codes=np.array([0, 0, 1, 1]))},
    )


def test_the_control_shows_what_changed_shares_alone_would_do() -> None:
    report = reported(two_sources())
    assert report.corpus.mean_quality == pytest.approx(0.4375)
    assert report.mixture.mean_quality == report.control.mean_quality == pytest.approx(0.625)
    assert report.control.near_duplicate_share == 0.5


def test_shares_name_who_pays() -> None:
    books, web = reported(two_sources()).shares["source"]
    assert (books.name, books.share, books.drawn_share, books.retention_ratio) == (
        "books",
        0.5,
        1.0,
        2.0,
    )
    assert web.retention_ratio == 0.0


def test_a_group_of_one_shard_only_is_kept() -> None:
    parts = [tally_of(rows_of(two_sources(), np.array(rows))) for rows in ([0, 1], [2, 3])]
    names = [group.name for group in report_of(merge_tallies(parts)).shares["source"]]
    assert names == ["books", "web"]


def test_a_mixture_that_draws_nothing_has_no_means() -> None:
    c = ledger(10)
    even = {name: getattr(c, name) for name in LedgerColumns.__slots__}
    nothing = {"copies": np.zeros(10, dtype=np.int32), "expected_copies": np.zeros(10)}
    report = reported(LedgerColumns(**{**even, **nothing}))
    assert report.realised_tokens == 0
    assert np.isnan(report.mixture.mean_quality)
    assert np.isnan(report.control.mean_quality)


def test_a_shard_without_documents_counts_for_nothing() -> None:
    columns = ledger(50)
    empty = tally_of(rows_of(columns, np.empty(0, dtype=np.int64)))
    merged = report_of(merge_tallies([empty, tally_of(columns)]))
    assert str(asdict(merged)) == str(asdict(reported(columns)))


def test_refuses_a_ledger_without_sources() -> None:
    c = ledger(3)
    even = {name: getattr(c, name) for name in LedgerColumns.__slots__}
    with pytest.raises(ValueError, match="needs the grouping source"):
        tally_of(LedgerColumns(**{**even, "groupings": {}}))


def test_refuses_to_report_no_shards() -> None:
    with pytest.raises(ValueError, match="at least one shard"):
        merge_tallies([])
