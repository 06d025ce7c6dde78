"""Luck that is a hash of names: what two kinds, documents or lines share is no generator."""

import hashlib
import json
from collections.abc import Sequence
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from samplemix_dagster.core.hashing import mix64

Thing = TypeVar("Thing")


class Luck:
    """Numbers for one thing that has a name; the same names and purpose give the same numbers.

    A purpose is asked for once: asked for again it says the same again.
    """

    def __init__(self, *names: str | int) -> None:
        """Take the names, from the widest to the narrowest; ``1`` and ``"1"`` are two names."""
        self.names = names
        self._key = hashlib.blake2b(json.dumps(names).encode(), digest_size=32).digest()

    def of(self, *names: str | int) -> "Luck":
        """Return the luck of a part of this thing."""
        return Luck(*self.names, *names)

    def uniform(self, purpose: str) -> float:
        """Return a number in [0, 1)."""
        return (self._word(purpose) >> 11) * 2.0**-53

    def number(self, purpose: str, low: int, high: int) -> int:
        """Return an integer, at least ``low`` and below ``high``."""
        return low + int(self.uniform(purpose) * (high - low))

    def pick(self, purpose: str, things: Sequence[Thing]) -> Thing:
        """Return one of some things."""
        return things[self.number(purpose, 0, len(things))]

    def uniforms(self, purpose: str, count: int) -> npt.NDArray[np.float64]:
        """Return numbers in [0, 1), each for a place of its own: shape (count,)."""
        key = np.uint64(self._word(purpose))
        bits = mix64(mix64(np.arange(count, dtype=np.uint64)) ^ key) >> np.uint64(11)
        return bits.astype(np.float64) * 2.0**-53

    def numbers(self, purpose: str, low: int, high: int, count: int) -> list[int]:
        """Return integers, each at least ``low`` and below ``high``."""
        found = low + (self.uniforms(purpose, count) * (high - low)).astype(np.int64)
        return [int(number) for number in found]

    def picks(self, purpose: str, things: Sequence[Thing], count: int) -> list[Thing]:
        """Return some things, each picked anew."""
        return [things[place] for place in self.numbers(purpose, 0, len(things), count)]

    def order(self, purpose: str, count: int) -> list[int]:
        """Return the places 0 to ``count - 1`` in an order of luck."""
        return [int(place) for place in np.argsort(self.uniforms(purpose, count), kind="stable")]

    def _word(self, purpose: str) -> int:
        found = hashlib.blake2b(purpose.encode(), key=self._key, digest_size=8).digest()
        return int.from_bytes(found, "little")
