"""What a run did, as it is told: what was made, what failed, what was mended."""

from dataclasses import dataclass, field
from typing import TypedDict


class Made(TypedDict):
    """What a run did of an asset, all its partitions together, as a JSON value."""

    stage: str
    asset: str
    num_shards: int
    num_documents: int
    why: str
    seconds: float


@dataclass(kw_only=True)
class RunReport:
    """What a run of everything stale did."""

    done: list[Made] = field(default_factory=list)
    """One entry an asset."""
    failures: list[str] = field(default_factory=list)
    """One sentence a failure: the asset, its partition and the error."""
    failed_assets: set[str] = field(default_factory=set)
    """The assets that failed, not those that wait for them."""
    repairs: list[str] = field(default_factory=list)
    """One sentence a damaged file: it was removed and made again."""
    warnings: list[dict[str, str]] = field(default_factory=list)
    """Checks that did not hold and block nothing: kind, where, words; each once."""
    run_ids: list[str] = field(default_factory=list)
    can_pass: bool = False
    """Whether something failed for a reason that can pass: the same run can work later."""

    @property
    def succeeded(self) -> bool:
        """Whether nothing failed."""
        return not self.failures
