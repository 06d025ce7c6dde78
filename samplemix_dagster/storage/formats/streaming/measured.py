"""Bytes of a stream by the number: formats that state how long what follows is."""

from samplemix_dagster.storage.formats.streaming.streams import Break, Stream


class Measured:
    """Reads so many bytes, or skips them. ``broken`` says how the stream ended, if not well."""

    def __init__(self, stream: Stream) -> None:
        self._blocks = iter(stream)
        self._held = b""
        self._at = 0
        self.broken: Break | None = None

    def _more(self) -> bool:
        """Hold another block behind what is held."""
        block = next(self._blocks, None)
        if isinstance(block, Break):
            self.broken = block
            return False
        if block is None:
            return False
        self._held, self._at = self._held[self._at :] + block, 0
        return True

    def read(self, size: int) -> bytes:
        """Return so many bytes; fewer only at the end."""
        pieces, missing = [], size
        while missing > 0:
            piece = self._held[self._at : self._at + missing]
            self._at += len(piece)
            missing -= len(piece)
            pieces.append(piece)
            if missing and not self._more():
                break
        return b"".join(pieces)

    def skip(self, size: int) -> int:
        """Skip so many bytes; return how many there were."""
        skipped = 0
        while skipped < size:
            step = min(size - skipped, len(self._held) - self._at)
            self._at += step
            skipped += step
            if skipped < size and not self._more():
                break
        return skipped

    def line(self, limit: int) -> bytes | None:
        """Return the next line with its end, or what is left; None where it is above a limit."""
        seen = 0
        while (end := self._held.find(b"\n", self._at + seen)) < 0:
            seen = len(self._held) - self._at
            if seen > limit:
                return None
            if not self._more():
                return self.read(seen)
        return self.read(end + 1 - self._at)

    def skip_to(self, mark: bytes) -> bool:
        """Skip to where a mark begins; return whether there is one."""
        while (found := self._held.find(mark, self._at)) < 0:
            self._at = max(self._at, len(self._held) - len(mark) + 1)
            if not self._more():
                self._at = len(self._held)
                return False
        self._at = found
        return True
