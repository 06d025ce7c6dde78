"""Activation histograms of many groups at once: only bins with tokens are kept in between.

Shape letters: K = bins that have tokens.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from samplemix_dagster.core.mixture.scale.activation import NUM_ACTIVATION_BINS, ActivationHistogram

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Packed:
    bins: Integers
    tokens: Integers
    max_document_tokens: int
    max_copies: int
    consumed_tokens: int


class GatheredHistograms(Mapping[str, ActivationHistogram]):
    """The merged histogram of each group; those of shards are added in any order."""

    def __init__(self) -> None:
        self._packed: dict[str, _Packed] = {}

    def add(self, name: str, histogram: ActivationHistogram) -> None:
        """Add a shard's histogram to a group's.

        Raises:
            ValueError: It was made with another cap.
        """
        bins = np.flatnonzero(histogram.tokens)
        found = _Packed(
            bins=bins,
            tokens=histogram.tokens[bins],
            max_document_tokens=histogram.max_document_tokens,
            max_copies=histogram.max_copies,
            consumed_tokens=histogram.consumed_tokens,
        )
        before = self._packed.get(name)
        self._packed[name] = found if before is None else _merged(before, found)

    def __getitem__(self, name: str) -> ActivationHistogram:
        """Return a group's histogram; it is unpacked at each asking."""
        packed = self._packed[name]
        tokens = np.zeros(NUM_ACTIVATION_BINS, dtype=np.int64)
        tokens[packed.bins] = packed.tokens
        return ActivationHistogram(
            tokens=tokens,
            max_document_tokens=packed.max_document_tokens,
            max_copies=packed.max_copies,
            consumed_tokens=packed.consumed_tokens,
        )

    def __iter__(self) -> Iterator[str]:
        """Yield the names of the groups."""
        return iter(self._packed)

    def __len__(self) -> int:
        """Return the number of groups."""
        return len(self._packed)

    def __contains__(self, name: object) -> bool:
        """Whether there is such a group; nothing is unpacked."""
        return name in self._packed


def _merged(one: _Packed, other: _Packed) -> _Packed:
    if one.max_copies != other.max_copies:
        caps = sorted((one.max_copies, other.max_copies))
        msg = f"histograms of one cap are merged, not of the caps {caps}"
        raise ValueError(msg)
    present, places = np.unique(np.concatenate([one.bins, other.bins]), return_inverse=True)
    sums = np.zeros(present.size, dtype=np.int64)
    np.add.at(sums, places, np.concatenate([one.tokens, other.tokens]))
    return _Packed(
        bins=present,
        tokens=sums,
        max_document_tokens=max(one.max_document_tokens, other.max_document_tokens),
        max_copies=one.max_copies,
        consumed_tokens=one.consumed_tokens + other.consumed_tokens,
    )
