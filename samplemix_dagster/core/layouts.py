"""What becomes of documents when a trainer cuts them into sequences.

D documents stand in files, in order. A trainer either takes sequence after sequence out of the
stream of their ids (:func:`windows`), packs whole documents into rows (:func:`best_fit`), or takes
a document a row (:func:`one_a_row`). Each is a simulation by the layout's rules, of one pass.

Shape letters: D = documents, S = sequences.
"""

import bisect
import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Integers = npt.NDArray[np.int64]
_BATCH = 128
"""Documents that nanochat tokenizes at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What a trainer takes of documents in one pass: kept + cropped + dropped = all ids."""

    kept: Integers
    """Ids of each of D documents that stand in a sequence."""
    cropped: int
    """Ids cut off a document because its row was full."""
    dropped: int
    """Ids that fill no sequence, so that they are in none."""
    padded: int
    """Places of sequences that no document fills."""
    num_sequences: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Sequences:
    """Where each of S sequences lies: in which stream, from which id of it, to which."""

    stream: Integers
    start: Integers
    end: Integers


def sequences_of(
    num_ids: Integers, size: int, step: int, *, is_last_padded: bool = False
) -> Sequences:
    """Return the sequences of some streams, stream after stream.

    Args:
        num_ids: Ids of each stream.
        size: Ids of a sequence.
        step: By how many ids the next begins after it; below ``size``, sequences overlap.
        is_last_padded: Whether what is left over at the end of a stream is a sequence, too.

    Raises:
        ValueError: A sequence has no id, or the next does not begin after it.
    """
    if size < 1 or step < 1:
        msg = f"a sequence and its step have at least one id, not {size} and {step}"
        raise ValueError(msg)
    counts = np.maximum(0, (num_ids - size) // step + 1)
    if is_last_padded:
        counts = np.where(num_ids > 0, -(-np.maximum(0, num_ids - size) // step) + 1, 0)
    stream = np.repeat(np.arange(num_ids.size), counts)
    start = (np.arange(stream.size) - np.repeat(np.cumsum(counts) - counts, counts)) * step
    return Sequences(stream=stream, start=start, end=np.minimum(start + size, num_ids[stream]))


def windows(
    lengths: Integers, streams: Integers, size: int, step: int, *, is_last_padded: bool = False
) -> Seen:
    """Return what is seen of documents that stand one behind the other in streams.

    Args:
        lengths: Ids of D documents.
        streams: In which stream each stands, from 0, never falling.
        size: Ids of a sequence.
        step: By how many ids the next begins after it.
        is_last_padded: Whether what is left over is filled up, rather than dropped.
    """
    num_streams = int(streams.max()) + 1 if streams.size else 0
    num_ids = np.bincount(streams, weights=lengths, minlength=num_streams).astype(np.int64)
    found = sequences_of(num_ids, size, step, is_last_padded=is_last_padded)
    # Between two sequences nothing is left out, unless the step is wider than a sequence.
    end = np.zeros(num_streams, dtype=np.int64)
    np.maximum.at(end, found.stream, found.end)
    before = np.cumsum(num_ids) - num_ids
    starts = np.cumsum(lengths) - lengths - before[streams]
    kept = np.clip(end[streams] - starts, 0, lengths)
    num_sequences = int(found.stream.size)
    return Seen(
        kept=kept,
        cropped=0,
        dropped=int(lengths.sum() - kept.sum()),
        padded=num_sequences * size - int((found.end - found.start).sum()),
        num_sequences=num_sequences,
    )


def one_a_row(lengths: Integers, size: int) -> Seen:
    """Return what is seen where each document is a row of its own, cut where the row ends.

    Args:
        lengths: Ids of D documents.
        size: Ids of a row.
    """
    kept = np.minimum(lengths, size)
    return Seen(
        kept=kept,
        cropped=int((lengths - kept).sum()),
        dropped=0,
        padded=int(lengths.size * size - kept.sum()),
        num_sequences=int(lengths.size),
    )


def best_fit(lengths: Integers, size: int, num_waiting: int = 1000) -> Seen:
    """Return what is seen where rows are packed by best fit, and a document is cropped to fill one.

    The longest waiting document that fits is taken, again and again; where none fits, the shortest
    is cropped. A trainer that goes on for ever drops nothing; of one pass, the last row is dropped
    that its documents do not fill. The rule is nanochat's, of rows that begin with a document.

    Args:
        lengths: Ids of D documents, with what is put before each.
        size: Ids of a row.
        num_waiting: Documents among which is chosen.
    """
    kept = np.zeros(lengths.size, dtype=np.int64)
    cropped, num_rows = 0, 0
    for row, left in _rows(lengths.tolist(), size, num_waiting):
        if left:
            break
        num_rows += 1
        for document, taken in row:
            kept[document] = taken
            cropped += int(lengths[document]) - taken
    return Seen(
        kept=kept,
        cropped=cropped,
        dropped=int(lengths.sum() - kept.sum()) - cropped,
        padded=0,
        num_sequences=num_rows,
    )


def _rows(
    lengths: list[int], size: int, num_waiting: int
) -> Iterator[tuple[list[tuple[int, int]], int]]:
    """Yield each row: its documents with the ids taken of each, and how many places are left."""
    # Of documents of one length the first comes first, so numbers fall where lengths are equal.
    coming = ((length, -number) for number, length in enumerate(lengths))
    waiting: list[tuple[int, int]] = []
    while True:
        row: list[tuple[int, int]] = []
        room = size
        while room:
            while len(waiting) < num_waiting and (some := list(itertools.islice(coming, _BATCH))):
                for one in some:
                    bisect.insort(waiting, one)
            if not waiting:
                break
            fitting = bisect.bisect_right(waiting, (room, 0))
            last = fitting or bisect.bisect_right(waiting, (waiting[0][0], 0))
            length, document = waiting.pop(last - 1)
            taken = min(length, room)
            row.append((-document, taken))
            room -= taken
        if not row:
            return
        yield row, room
