"""What a draw gives beside its ledger: the scales of each source, digests and a report."""

from dataclasses import dataclass
from typing import Any

from samplemix_dagster.core.mixture.settle import Scale


@dataclass(frozen=True, slots=True, kw_only=True)
class Scales:
    """Both scales of each source."""

    settled: dict[str, Scale]
    """At which the draws are the budget, to within one document; without one: no share."""
    design: dict[str, float]
    """At which the expected tokens are the budget, or the source's share of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawnLedger:
    """What a draw gave."""

    scales: dict[str, float]
    """The settled scale of each source."""
    design_scales: dict[str, float] | None
    """The scale of each source at which copies are expected; None: at the settled one."""
    digests: dict[str, str]
    """Digest of each ledger file."""
    report: dict[str, Any]

    def to_json(self) -> dict[str, Any]:
        """Return what a manifest says of it."""
        design = {} if self.design_scales is None else {"design_scales": self.design_scales}
        return {"scales": self.scales, **design, "ledger": self.digests, "report": self.report}
