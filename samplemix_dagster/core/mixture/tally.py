"""A mixture's shards added up: exact integer sums that merge to the same bits in any order.

Scores and expected copies are in fixed point. What the sums say is
:mod:`samplemix_dagster.core.mixture.report`.

Shape letters: N = documents, B = bins of one axis of the plane, G = groups.
"""

import operator
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from samplemix_dagster.core.beta.plane import FIXED_POINT, NUM_BINS, bins_of, exact_sum

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

CONTROL_GROUPING = "source"
HELD_GROUPING = "group"
"""The grouping of mixtures whose shares are of other groups than sources."""
FRACTION_POINT = 1 << 32
_CHUNK = 1 << 18  # documents; the cache holds a chunk's columns, and doubles stay exact
_MAX_WHOLE = 2.0**32


@dataclass(frozen=True, slots=True, kw_only=True)
class Grouping:
    """One way to divide documents: a dictionary-encoded column.

    Attributes:
        names: G names.
        codes: N numbers in [0, G).
    """

    names: Sequence[str]
    codes: npt.NDArray[np.integer]


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerColumns:
    """One shard's part of a mixture, for N documents, drawn or not.

    Attributes:
        quality: Scores in [0, 1].
        diversity: Scores in [0, 1].
        num_tokens: Tokens of each document.
        copies: How often each is drawn.
        expected_copies: min(max_copies, s w).
        is_near_duplicate: True where another document has nearly the same text.
        groupings: By name; ``source`` must be among them.
    """

    quality: Floats
    diversity: Floats
    num_tokens: Integers
    copies: npt.NDArray[np.integer]
    expected_copies: Floats
    is_near_duplicate: npt.NDArray[np.bool_]
    groupings: Mapping[str, Grouping]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sums:
    """Integer sums over some documents; scores are in units of 1 / FIXED_POINT x tokens."""

    documents: int = 0
    documents_drawn: int = 0
    draws: int = 0
    tokens: int = 0
    drawn_tokens: int = 0
    quality: int = 0
    drawn_quality: int = 0
    diversity: int = 0
    drawn_diversity: int = 0
    near_duplicate_tokens: int = 0
    drawn_near_duplicate_tokens: int = 0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MixtureTally:
    """What adds up over shards.

    Attributes:
        total: Sums over all documents.
        groups: Sums by grouping and group name.
        copies_histogram: Documents by number of copies, from 0.
        tokens_BB: Tokens of the corpus on the plane.
        drawn_tokens_BB: Drawn tokens on the plane.
        expected_2BB: Sum of c t on the plane, c = expected copies: whole tokens, and the rest in
            units of 2^-32.
        squared_expected: Sum of c^2 t, in units of 2^-32.
    """

    total: Sums
    groups: Mapping[str, Mapping[str, Sums]]
    copies_histogram: tuple[int, ...]
    tokens_BB: Integers
    drawn_tokens_BB: Integers
    expected_2BB: Integers
    squared_expected: int


def tally_of(columns: LedgerColumns) -> MixtureTally:
    """Add up one shard.

    Raises:
        ValueError: The grouping ``source`` is missing, or a number is too large to be exact.
    """
    if CONTROL_GROUPING not in columns.groupings:
        msg = f"a tally needs the grouping source; there are {sorted(columns.groupings)}"
        raise ValueError(msg)
    starts = range(0, max(1, columns.num_tokens.size), _CHUNK)
    return merge_tallies(_tally_of_chunk(_rows(columns, start)) for start in starts)


def _rows(columns: LedgerColumns, start: int) -> LedgerColumns:
    rows = slice(start, start + _CHUNK)
    return LedgerColumns(
        quality=columns.quality[rows],
        diversity=columns.diversity[rows],
        num_tokens=columns.num_tokens[rows],
        copies=columns.copies[rows],
        expected_copies=columns.expected_copies[rows],
        is_near_duplicate=columns.is_near_duplicate[rows],
        groupings={
            name: Grouping(names=grouping.names, codes=grouping.codes[rows])
            for name, grouping in columns.groupings.items()
        },
    )


def _tally_of_chunk(columns: LedgerColumns) -> MixtureTally:
    terms = _terms(columns)
    cells = bins_of(columns.quality) * NUM_BINS + bins_of(columns.diversity)
    expected = columns.expected_copies * columns.num_tokens
    squared_whole, squared_rest = _parts(columns.expected_copies * expected)
    values = (terms["tokens"], terms["drawn_tokens"], *_parts(expected))
    planes = [
        _sums_by(cells, value, NUM_BINS**2).reshape(2, NUM_BINS, NUM_BINS) for value in values
    ]
    tokens_BB, drawn_tokens_BB, *expected_BB = [(high << 32) + low for high, low in planes]
    return MixtureTally(
        total=Sums(**{name: exact_sum(values) for name, values in terms.items()}),
        groups={name: _group_sums(group, terms) for name, group in columns.groupings.items()},
        copies_histogram=tuple(int(count) for count in np.bincount(columns.copies)),
        tokens_BB=tokens_BB,
        drawn_tokens_BB=drawn_tokens_BB,
        expected_2BB=np.stack(expected_BB),
        squared_expected=exact_sum(squared_whole) * FRACTION_POINT + exact_sum(squared_rest),
    )


def _terms(columns: LedgerColumns) -> dict[str, Integers]:
    tokens = columns.num_tokens.astype(np.int64)
    copies = columns.copies.astype(np.int64)
    drawn = tokens * copies
    quality = np.rint(columns.quality * FIXED_POINT).astype(np.int64)
    diversity = np.rint(columns.diversity * FIXED_POINT).astype(np.int64)
    if drawn.size and int(drawn.max()) >= 1 << 38:
        msg = f"copies x tokens of a document stay below 2^38; one has {int(drawn.max()):,}"
        raise ValueError(msg)
    return {
        "documents": np.ones_like(tokens),
        "documents_drawn": (copies > 0).astype(np.int64),
        "draws": copies,
        "tokens": tokens,
        "drawn_tokens": drawn,
        "quality": tokens * quality,
        "drawn_quality": drawn * quality,
        "diversity": tokens * diversity,
        "drawn_diversity": drawn * diversity,
        "near_duplicate_tokens": tokens * columns.is_near_duplicate,
        "drawn_near_duplicate_tokens": drawn * columns.is_near_duplicate,
    }


def _parts(values: Floats) -> tuple[Integers, Integers]:
    """Return the whole part, and the rest in units of 2^-32: sums of both are exact."""
    if values.size and not 0.0 <= float(values.min()) <= float(values.max()) < _MAX_WHOLE:
        msg = (
            f"expected copies^2 x tokens lie in [0, 2^32); they range from {values.min():g} to "
            f"{values.max():g}"
        )
        raise ValueError(msg)
    whole = np.floor(values)
    rest = np.rint((values - whole) * FRACTION_POINT)
    return whole.astype(np.int64), rest.astype(np.int64)


def _sums_by(codes: Integers, values: Integers, num_groups: int) -> Integers:
    """Return each group's sum as two rows: multiples of 2^32, and the rest."""
    halves = np.zeros((2, num_groups), dtype=np.int64)
    # A double adds integers exactly below 2^53: 2^20 numbers of 32 bits stay there.
    is_short = int(values.max(initial=0)) < 1 << 32
    low = values if is_short else values & np.int64(0xFFFFFFFF)
    halves[1] = np.bincount(codes, low, num_groups)
    if not is_short:
        halves[0] = np.bincount(codes, values >> np.int64(32), num_groups)
    return halves


def _group_sums(grouping: Grouping, terms: Mapping[str, Integers]) -> dict[str, Sums]:
    if len(set(grouping.names)) != len(grouping.names):
        msg = f"the names of a grouping differ from one another; there are {len(grouping.names)}"
        raise ValueError(msg)
    codes = grouping.codes.astype(np.int64)
    columns = {
        name: [(int(h) << 32) + int(w) for h, w in _sums_by(codes, values, len(grouping.names)).T]
        for name, values in terms.items()
    }
    return {
        group: Sums(**{name: sums[code] for name, sums in columns.items()})
        for code, group in enumerate(grouping.names)
        if columns["documents"][code] > 0
    }


def merge_tallies(tallies: Iterable[MixtureTally]) -> MixtureTally:
    """Return the tally of all shards together, the same in every order.

    Raises:
        ValueError: There is none.
    """
    found = list(tallies)
    if not found:
        msg = "a report needs at least one shard"
        raise ValueError(msg)
    merged = found[0]
    for other in found[1:]:
        merged = _merge_two(merged, other)
    return merged


def _merge_two(left: MixtureTally, right: MixtureTally) -> MixtureTally:
    longest = max(len(left.copies_histogram), len(right.copies_histogram))
    histogram = np.zeros(longest, dtype=np.int64)
    for side in (left, right):
        histogram[: len(side.copies_histogram)] += np.array(side.copies_histogram, dtype=np.int64)
    return MixtureTally(
        total=_add(left.total, right.total),
        groups={
            grouping: _add_groups(left.groups.get(grouping, {}), right.groups.get(grouping, {}))
            for grouping in {**left.groups, **right.groups}
        },
        copies_histogram=tuple(int(count) for count in histogram),
        tokens_BB=left.tokens_BB + right.tokens_BB,
        drawn_tokens_BB=left.drawn_tokens_BB + right.drawn_tokens_BB,
        expected_2BB=left.expected_2BB + right.expected_2BB,
        squared_expected=left.squared_expected + right.squared_expected,
    )


_SUM_NAMES = tuple(field.name for field in fields(Sums))
_values = operator.attrgetter(*_SUM_NAMES)


def _add_groups(left: Mapping[str, Sums], right: Mapping[str, Sums]) -> dict[str, Sums]:
    names = sorted(set(left) | set(right))
    return {name: _add(left.get(name, Sums()), right.get(name, Sums())) for name in names}


def _add(left: Sums, right: Sums) -> Sums:
    sums = map(operator.add, _values(left), _values(right))
    return Sums(**dict(zip(_SUM_NAMES, sums, strict=True)))
