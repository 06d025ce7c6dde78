"""Documents of the demo: texts cut to size, in an order that a hash decides."""

import hashlib
import itertools
from collections.abc import Iterator
from dataclasses import dataclass

FEWEST_BYTES = 300
_MOST_BYTES = 6_000


Row = dict[str, str | None]
"""One document of the demo: id, text, package, path, licence."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a text was found, and under which terms."""

    id: str
    path: str
    package: str = "python"
    licence: str | None = "PSF-2.0"

    def document(self, text: str, number: int = 0) -> Row:
        """Return a document from here, the one of this number."""
        name = f"{self.id} {number + 1}" if number else self.id
        return {
            "id": name,
            "text": text,
            "package": self.package,
            "path": self.path,
            "licence": self.licence,
        }


def luck(name: str) -> str:
    """Return the hash of a name, by which things are put in order."""
    return hashlib.blake2b(name.encode("utf-8", "replace"), digest_size=8).hexdigest()


def in_turn(*streams: Iterator[Row]) -> Iterator[Row]:
    """Yield one of each in turn, until all are at their end."""
    for items in itertools.zip_longest(*streams):
        yield from (item for item in items if item is not None)


def in_paragraphs(text: str, place: Place, *, most: int = 4) -> Iterator[Row]:
    """Yield a text in whole paragraphs, as many together as fit a document; ``most`` documents."""
    blocks = _shortened(text, len(text) * 4).strip("\n").split("\n\n")
    yield from in_blocks(blocks, "\n\n", place, most=most)


def in_blocks(blocks: list[str], between: str, place: Place, *, most: int = 4) -> Iterator[Row]:
    """Yield whole blocks, as many together as fit a document; only a larger one is cut short."""
    parts: list[str] = [""]
    for block in blocks:
        joined = f"{parts[-1]}{between}{block}" if parts[-1] else block
        if len(joined.encode()) <= _MOST_BYTES:
            parts[-1] = joined
        else:
            parts.append(_shortened(block, _MOST_BYTES))
    fitting = [part for part in parts if len(part.encode()) >= FEWEST_BYTES]
    for number, part in enumerate(fitting[:most]):
        yield place.document(part, number)


def in_one_stretch(text: str, place: Place, *, from_start: bool = False) -> Iterator[Row]:
    """Yield one stretch of a text, from its middle, of a length that its path decides."""
    length = 1_000 + int(luck(place.path), 16) % (_MOST_BYTES - 1_000)
    start = 0 if from_start else max(0, (len(text) - length) // 2)
    piece = _shortened(text[start : start + length], _MOST_BYTES).strip("\n")
    if len(piece.encode()) >= FEWEST_BYTES:
        yield place.document(piece)


def _shortened(text: str, most: int) -> str:
    """Return the first bytes of a text, without a lone surrogate or half a character."""
    return text.encode("utf-8", "ignore")[:most].decode("utf-8", "ignore")
