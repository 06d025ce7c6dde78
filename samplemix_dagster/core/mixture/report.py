"""What a mixture reports of itself, beside its corpus and beside a control.

The control is the mixture's source shares, drawn uniformly inside each source (or those of the
groups by which its shares are told, inside each group): it shows what changed shares alone would
have done. The sums come from
:mod:`samplemix_dagster.core.mixture.tally`.

Shape letters: B = bins of one axis of the plane.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from samplemix_dagster.core.beta.plane import FIXED_POINT
from samplemix_dagster.core.mixture.tally import (
    CONTROL_GROUPING,
    FRACTION_POINT,
    HELD_GROUPING,
    Grouping,
    LedgerColumns,
    MixtureTally,
    Sums,
    merge_tallies,
    tally_of,
)

__all__ = [
    "GroupShare",
    "Grouping",
    "LedgerColumns",
    "MixtureReport",
    "MixtureTally",
    "Profile",
    "merge_tallies",
    "report_of",
    "tally_of",
]

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """Token-weighted means of a set of draws; NaN where it has no tokens."""

    mean_quality: float
    mean_diversity: float
    near_duplicate_share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupShare:
    """One group before and after."""

    name: str
    documents: int
    documents_drawn: int
    tokens: int
    drawn_tokens: int
    share: float
    drawn_share: float

    @property
    def retention_ratio(self) -> float:
        """Return share after / share before; under 0.8 the group pays. NaN for an empty group."""
        return self.drawn_share / self.share if self.share > 0.0 else math.nan


@dataclass(frozen=True, slots=True, kw_only=True)
class MixtureReport:
    """What a mixture reports.

    Attributes:
        realised_tokens: Sum of copies x tokens.
        num_documents: Documents of the corpus.
        num_documents_drawn: Documents drawn at least once.
        num_draws: Sum of copies.
        copies_histogram: Documents by number of copies, from 0.
        effective_sample_tokens: (sum c t)^2 / sum c^2 t, c = expected copies: how many tokens,
            drawn evenly, would vary as little.
        effective_sample_share: The same over the corpus's tokens.
        kl_nats: KL(mixture || corpus) on the plane, of the expected mixture, so without the noise
            of the draw.
        corpus: The corpus as it is.
        mixture: What was drawn.
        control: The mixture's source shares, drawn uniformly inside each source.
        shares: Each grouping's groups, by name.
    """

    realised_tokens: int
    num_documents: int
    num_documents_drawn: int
    num_draws: int
    copies_histogram: tuple[int, ...]
    effective_sample_tokens: float
    effective_sample_share: float
    kl_nats: float
    corpus: Profile
    mixture: Profile
    control: Profile
    shares: Mapping[str, tuple[GroupShare, ...]]


def report_of(tally: MixtureTally) -> MixtureReport:
    """Return what a merged tally says."""
    total = tally.total
    expected = float(_expected_tokens(tally).sum())
    squared = tally.squared_expected / FRACTION_POINT
    sample = expected * expected / squared if squared > 0.0 else 0.0
    return MixtureReport(
        realised_tokens=total.drawn_tokens,
        num_documents=total.documents,
        num_documents_drawn=total.documents_drawn,
        num_draws=total.draws,
        copies_histogram=tally.copies_histogram,
        effective_sample_tokens=sample,
        effective_sample_share=sample / total.tokens if total.tokens else math.nan,
        kl_nats=_kl_nats(tally),
        corpus=_weighted([(total, 1.0)] if total.tokens else []),
        mixture=_drawn_profile(total),
        control=_control(tally),
        shares={name: _shares(groups, total) for name, groups in sorted(tally.groups.items())},
    )


def _weighted(parts: Sequence[tuple[Sums, float]]) -> Profile:
    """Return the means of groups of the corpus, each with the share it is given."""
    quality = math.fsum(share * sums.quality / sums.tokens for sums, share in parts)
    diversity = math.fsum(share * sums.diversity / sums.tokens for sums, share in parts)
    return Profile(
        mean_quality=quality / FIXED_POINT if parts else math.nan,
        mean_diversity=diversity / FIXED_POINT if parts else math.nan,
        near_duplicate_share=math.fsum(
            share * sums.near_duplicate_tokens / sums.tokens for sums, share in parts
        )
        if parts
        else math.nan,
    )


def _drawn_profile(total: Sums) -> Profile:
    drawn = Sums(
        tokens=total.drawn_tokens,
        quality=total.drawn_quality,
        diversity=total.drawn_diversity,
        near_duplicate_tokens=total.drawn_near_duplicate_tokens,
    )
    return _weighted([(drawn, 1.0)] if drawn.tokens else [])


def _control(tally: MixtureTally) -> Profile:
    drawn = tally.total.drawn_tokens
    groups = tally.groups.get(HELD_GROUPING, tally.groups[CONTROL_GROUPING]).values()
    return _weighted([(sums, sums.drawn_tokens / drawn) for sums in groups if sums.drawn_tokens])


def _expected_tokens(tally: MixtureTally) -> Floats:
    tokens_BB: Floats = tally.expected_2BB[0] + tally.expected_2BB[1] / FRACTION_POINT
    return tokens_BB


def _kl_nats(tally: MixtureTally) -> float:
    expected_BB = _expected_tokens(tally)
    total = float(expected_BB.sum())
    if total == 0.0:
        return math.nan
    is_drawn = expected_BB > 0.0
    corpus = tally.tokens_BB[is_drawn] / tally.total.tokens
    mixture = expected_BB[is_drawn] / total
    return max(0.0, math.fsum(mixture * np.log(mixture / corpus)))


def _shares(groups: Mapping[str, Sums], total: Sums) -> tuple[GroupShare, ...]:
    return tuple(
        GroupShare(
            name=name,
            documents=sums.documents,
            documents_drawn=sums.documents_drawn,
            tokens=sums.tokens,
            drawn_tokens=sums.drawn_tokens,
            share=sums.tokens / total.tokens if total.tokens else math.nan,
            drawn_share=sums.drawn_tokens / total.drawn_tokens if total.drawn_tokens else math.nan,
        )
        for name, sums in sorted(groups.items())
    )
