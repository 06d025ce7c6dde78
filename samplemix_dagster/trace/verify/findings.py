"""What a check of a version found."""

from dataclasses import dataclass
from typing import Literal

_SHOWN = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What one check found."""

    check: str
    state: Literal["holds", "broken", "not_checked"]
    words: str


def finding_of(check: str, problems: list[str], good: str) -> Finding:
    """Return what a check found: that it holds, or its first problems."""
    if not problems:
        return Finding(check=check, state="holds", words=good)
    more = f"; and {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
    return Finding(check=check, state="broken", words="; ".join(problems[:_SHOWN]) + more)


def not_checked(check: str, words: str) -> Finding:
    """Return that a check could not be made, and why."""
    return Finding(check=check, state="not_checked", words=words)
