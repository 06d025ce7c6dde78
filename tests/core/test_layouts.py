"""What a trainer sees: every id is kept, cropped or dropped, and rows are as full as is said."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from samplemix_dagster.core.layouts import Seen, best_fit, one_a_row, sequences_of, windows

lengths = st.lists(st.integers(0, 40), max_size=40).map(lambda x: np.array(x, dtype=np.int64))
sizes = st.integers(1, 30)


def in_files(documents: np.ndarray, files: int) -> np.ndarray:
    return np.arange(documents.size) * files // max(1, documents.size)


def all_of(seen: Seen) -> int:
    return int(seen.kept.sum()) + seen.cropped + seen.dropped


@given(lengths, sizes, st.integers(1, 3), st.booleans())
def test_windows_lose_no_id_without_saying_so(
    documents: np.ndarray, size: int, files: int, is_last_padded: bool
) -> None:
    streams = in_files(documents, files)
    seen = windows(documents, streams, size, size, is_last_padded=is_last_padded)
    assert all_of(seen) == documents.sum()
    assert seen.kept.sum() + seen.padded == seen.num_sequences * size
    assert seen.dropped < files * size
    assert not (is_last_padded and seen.dropped)


@given(lengths, sizes)
def test_sequences_that_share_an_id_keep_one_more_than_their_steps(
    documents: np.ndarray, size: int
) -> None:
    seen = windows(documents, np.zeros(documents.size, np.int64), size + 1, size)
    assert all_of(seen) == documents.sum()
    assert seen.kept.sum() == seen.num_sequences * size + (seen.num_sequences > 0)


@given(lengths, sizes)
def test_a_row_of_a_document_is_cut_or_filled_up(documents: np.ndarray, size: int) -> None:
    seen = one_a_row(documents, size)
    assert all_of(seen) == documents.sum()
    assert seen.kept.sum() + seen.padded == documents.size * size
    assert seen.cropped == np.maximum(0, documents - size).sum()


@given(lengths, sizes, st.integers(1, 9))
def test_packed_rows_are_full_and_lose_no_id_without_saying_so(
    documents: np.ndarray, size: int, num_waiting: int
) -> None:
    seen = best_fit(documents, size, num_waiting)
    assert all_of(seen) == documents.sum()
    assert seen.kept.sum() == seen.num_sequences * size
    assert (seen.kept <= documents).all()


def test_the_longest_that_fits_is_taken_and_the_shortest_is_cropped() -> None:
    # 10 fills a row; 7 leaves 3 to the 4; the first 6 leaves 4 to the 5; the other 6 fills none.
    seen = best_fit(np.array([6, 7, 4, 6, 5, 10]), 10)
    assert seen.num_sequences == 3
    assert seen.kept.tolist() == [6, 7, 3, 0, 4, 10]
    assert (seen.cropped, seen.dropped) == (2, 6)


def slow_best_fit(lengths: list[int], size: int) -> list[int]:
    """The same by looking through all that wait."""
    waiting, kept, rows = dict(enumerate(lengths)), [0] * len(lengths), 0
    while sum(waiting.values()):
        row, room = {}, size
        while room and waiting:
            fitting = [n for n, length in waiting.items() if length <= room]
            best = max(fitting, key=lambda n: waiting[n], default=None)
            chosen = min(waiting, key=lambda n: waiting[n]) if best is None else best
            row[chosen] = min(room, waiting.pop(chosen))
            room -= row[chosen]
        if room:
            break
        rows += 1
        for number, taken in row.items():
            kept[number] = taken
    return kept


@given(st.lists(st.integers(1, 40), max_size=30), sizes)
def test_packing_is_that_of_its_slow_twin(documents: list[int], size: int) -> None:
    seen = best_fit(np.array(documents, dtype=np.int64), size)
    assert seen.kept.tolist() == slow_best_fit(documents, size)


@pytest.mark.parametrize(
    ("num_ids", "size", "step", "starts"),
    [(10, 4, 4, [0, 4]), (10, 5, 4, [0, 4]), (9, 5, 4, [0, 4]), (8, 5, 4, [0]), (3, 4, 4, [])],
)
def test_sequences_begin_a_step_apart(
    num_ids: int, size: int, step: int, starts: list[int]
) -> None:
    assert sequences_of(np.array([num_ids]), size, step).start.tolist() == starts


def test_streams_have_sequences_of_their_own() -> None:
    found = sequences_of(np.array([5, 0, 9]), 4, 4, is_last_padded=True)
    assert found.stream.tolist() == [0, 0, 2, 2, 2]
    assert found.end.tolist() == [4, 5, 4, 8, 9]


def test_a_sequence_has_an_id() -> None:
    with pytest.raises(ValueError, match="at least one id, not 0 and 4"):
        sequences_of(np.array([5]), 0, 4)
