"""Token-weighted histograms of a score by group: a summary that merges in any order.

What is fitted to them is ``calibration.py`` beside this file. A group's name is any string; ``""``
stands for no group: such a document counts in the pool of everything alone.

Shape letters: N = documents, G = groups, B = bins.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

Groups = Sequence[str] | npt.NDArray[np.str_]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Histogram:
    """One group: tokens by bin, shape (B,), and the number of documents behind them."""

    weights: npt.NDArray[np.int64]
    num_documents: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class GroupHistograms:
    """Token-weighted histograms by group over equal bins of [lower, upper].

    Integer sums are exact, so merging is associative and commutative to the last digit.
    """

    lower: float
    upper: float
    num_bins: int
    groups: Mapping[str, Histogram]

    def __post_init__(self) -> None:
        """Refuse an empty range."""
        if not (np.isfinite([self.lower, self.upper]).all() and self.lower < self.upper):
            msg = f"a histogram needs finite lower < upper, not {self.lower} and {self.upper}"
            raise ValueError(msg)
        if self.num_bins < 1:
            msg = f"a histogram needs at least one bin, not {self.num_bins}"
            raise ValueError(msg)

    def merge(self, *others: "GroupHistograms") -> "GroupHistograms":
        """Return the sum of this and others, in any order the same.

        Raises:
            ValueError: The bins differ.
        """
        bins = (self.lower, self.upper, self.num_bins)
        weights: dict[str, npt.NDArray[np.int64]] = {}
        num_documents: dict[str, int] = defaultdict(int)
        for part in (self, *others):
            if (part.lower, part.upper, part.num_bins) != bins:
                msg = f"histograms to merge need the same bins: {bins} and "
                raise ValueError(msg + str((part.lower, part.upper, part.num_bins)))
            for name, histogram in part.groups.items():
                held = weights.get(name)
                weights[name] = histogram.weights if held is None else held + histogram.weights
                num_documents[name] += histogram.num_documents
        groups = {
            name: Histogram(weights=weights[name], num_documents=num_documents[name])
            for name in sorted(weights)
        }
        return GroupHistograms(
            lower=self.lower, upper=self.upper, num_bins=self.num_bins, groups=groups
        )

    def to_arrays(self) -> tuple[list[str], dict[str, npt.NDArray[Any]]]:
        """Return the group names and plain arrays that hold the filled bins only.

        The arrays are ``range`` (lower, upper), ``num_bins`` (one number), ``num_documents`` by
        group, and ``group``, ``bin``, ``weight`` by filled bin.
        """
        names = sorted(self.groups)
        rows = [self.groups[name].weights for name in names]
        weights_GB = np.array(rows, dtype=np.int64).reshape(len(names), self.num_bins)
        group, bins = np.nonzero(weights_GB)
        counts = [self.groups[name].num_documents for name in names]
        return names, {
            "range": np.array([self.lower, self.upper]),
            "num_bins": np.array([self.num_bins], dtype=np.int64),
            "num_documents": np.array(counts, dtype=np.int64),
            "group": group.astype(np.int32),
            "bin": bins.astype(np.int32),
            "weight": weights_GB[group, bins],
        }

    @staticmethod
    def from_arrays(
        names: Sequence[str], arrays: Mapping[str, npt.NDArray[Any]]
    ) -> "GroupHistograms":
        """Return what :meth:`to_arrays` was given."""
        num_bins = int(arrays["num_bins"][0])
        weights_GB = np.zeros((len(names), num_bins), dtype=np.int64)
        weights_GB[arrays["group"], arrays["bin"]] = arrays["weight"]
        counts = arrays["num_documents"]
        groups = {
            name: Histogram(weights=weights_GB[row], num_documents=int(counts[row]))
            for row, name in enumerate(names)
        }
        lower, upper = (float(edge) for edge in arrays["range"])
        return GroupHistograms(lower=lower, upper=upper, num_bins=num_bins, groups=groups)


def group_histograms(
    values: npt.NDArray[np.float64],
    weights: npt.NDArray[np.int64],
    groups: Groups,
    *,
    lower: float,
    upper: float,
    num_bins: int = 4096,
) -> GroupHistograms:
    """Count tokens by group and bin.

    Args:
        values: One score per document, shape (N,); outside the range, infinities too, go to the
            end bins.
        weights: Tokens of each document, not negative, shape (N,).
        groups: Group of each document, shape (N,); ``""`` counts in the pool alone.
        lower: Left edge of the first bin.
        upper: Right edge of the last bin.
        num_bins: Bins of equal width.

    Raises:
        ValueError: A value is NaN, a weight is negative or not whole, or the shapes differ.
    """
    names = np.asarray(groups, dtype=np.str_)
    if not values.shape == weights.shape == names.shape:
        msg = f"one weight and group per value: {values.shape}, {weights.shape}, {names.shape}"
        raise ValueError(msg)
    if np.isnan(values).any():
        msg = f"values must be numbers; {int(np.isnan(values).sum())} of {values.size} are NaN"
        raise ValueError(msg)
    if not np.issubdtype(weights.dtype, np.integer) or (weights < 0).any():
        msg = "weights count tokens: whole numbers, none negative"
        raise ValueError(msg)
    # Clipped before the cast, which is undefined for what an integer cannot hold.
    scaled = (np.clip(values, lower, upper) - lower) * (num_bins / (upper - lower))
    bins = np.minimum(scaled.astype(np.int64), num_bins - 1)
    present, group = np.unique(names, return_inverse=True)
    weights_GB = np.zeros((present.size, num_bins), dtype=np.int64)
    np.add.at(weights_GB, (group, bins), weights)
    num_documents = np.bincount(group, minlength=present.size)
    counted = {
        str(name): Histogram(weights=weights_GB[row], num_documents=int(num_documents[row]))
        for row, name in enumerate(present)
    }
    return GroupHistograms(lower=lower, upper=upper, num_bins=num_bins, groups=counted)


def with_guests(
    members: GroupHistograms, guests: GroupHistograms, fewest: int = 40
) -> GroupHistograms:
    """Return the histograms of members, and of guests where a group has too few members.

    A guest is compared with a group and is none of it, so that it has no say in what is usual
    there. Where there are more guests than members, or hardly any members, they are what is usual.

    Args:
        members: The histograms of members, over the same bins; names can have levels.
        guests: Those of guests, by the group that they are compared with.
        fewest: Members of a group, those of its parts counted, that do without guests.
    """

    def num_members(name: str) -> int:
        return sum(
            histogram.num_documents
            for group, histogram in members.groups.items()
            if name in ("", group) or group.startswith(f"{name}/")
        )

    invited = {
        name: histogram
        for name, histogram in guests.groups.items()
        if num_members(name) < max(fewest, histogram.num_documents)
    }
    return members.merge(replace(guests, groups=invited))


def language_length_group(
    languages: Groups, num_bytes: npt.NDArray[np.int64]
) -> npt.NDArray[np.str_]:
    """Return ``language/octave`` of each document, shape (N,): ``en/11`` for 2048 to 4095 bytes.

    Args:
        languages: Language of each document, shape (N,).
        num_bytes: UTF-8 length of each document, at least 1, shape (N,).
    """
    octaves = np.frexp(np.maximum(num_bytes, 1))[1] - 1
    names = np.asarray(languages, dtype=np.str_)
    return np.char.add(np.char.add(names, "/"), octaves.astype(np.str_))
