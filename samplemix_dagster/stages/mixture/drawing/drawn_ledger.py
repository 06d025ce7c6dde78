"""What a draw gives beside its ledger: the scales of each source or group, digests, a report."""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from samplemix_dagster.core.mixture.scale.settle import Scale


@dataclass(frozen=True, slots=True, kw_only=True)
class Scales:
    """Both scales of each source, or of each group of what else shares are held by."""

    settled: dict[str, Scale]
    """At which the draws are the budget, to within one document; without one: no share."""
    design: dict[str, float]
    """At which the expected tokens are the budget, or the group's share of it."""
    shares: Mapping[str, Fraction] | None
    """The share of each group, exactly; None where shares are free."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawnLedger:
    """What a draw gave."""

    scales: dict[str, float]
    """The settled scale of each source or group."""
    design_scales: dict[str, float] | None
    """The scale of each at which copies are expected; None: at the settled one."""
    digests: dict[str, str]
    """Digest of each ledger file."""
    report: dict[str, Any]

    def to_json(self) -> dict[str, Any]:
        """Return what a manifest says of it."""
        design = {} if self.design_scales is None else {"design_scales": self.design_scales}
        return {"scales": self.scales, **design, "ledger": self.digests, "report": self.report}
