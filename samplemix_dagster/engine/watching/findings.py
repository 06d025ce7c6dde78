"""What a look at a partition's files found."""

from collections.abc import Mapping
from dataclasses import dataclass, field

File = tuple[int, str]
"""Size in bytes and stamp: a time or an ETag."""

GONE: File = (-1, "")
"""What a look sees of a file that is not there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """A file that differs from what is recorded, as it was last seen."""

    file: File
    since: float
    """Unix time, in seconds, at which it was first seen so."""
    is_same: bool = False
    """Whether its content was read and is what is recorded."""


Sightings = Mapping[str, Sighting]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What a look at one partition found; each path stands in one of the lists at most."""

    partition: str
    num_files: int = 0
    new: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    arriving: tuple[str, ...] = ()
    """Unsettled files that are not recorded."""
    moving: tuple[str, ...] = ()
    """Recorded files that are being rewritten or removed, and are not settled yet."""
    touched: tuple[str, ...] = ()
    """Files of another time and the same content: no change."""
    markers: tuple[str, ...] = ()
    """Markers, which are no shards."""
    sightings: Sightings = field(default_factory=dict)
    problem: str = ""
    """Why the partition cannot be listed; empty when it can."""

    @property
    def taken(self) -> tuple[str, ...]:
        """Settled files that came, changed or went."""
        return (*self.new, *self.changed, *self.removed)

    @property
    def held(self) -> frozenset[str]:
        """Files that an automatic run leaves as they were recorded."""
        return frozenset((*self.arriving, *self.moving, *self.markers))
