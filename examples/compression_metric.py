"""How well a text compresses: the smallest metric there is, and an example of one."""

import zlib
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

_MAX_BYTES = 1 << 14
_MIDDLE = 0.5
_OVERHEAD_BYTES = 8  # what zlib makes of nothing


class CompressionRatio:
    """Repetition inside a text, as zlib sees it: compressed bytes / bytes.

    Shaib et al. (2024, arXiv 2403.00553) take the ratio over a set of texts; here each text stands
    for itself. Only its first 16 KiB are read, half of zlib's window, because longer texts compress
    better; among shorter ones length still shows.
    """

    name = "compression"
    version = "1"

    def score(self, texts: Sequence[str], /) -> npt.NDArray[np.float64]:
        """Return r / (r + 1/2) for each text's ratio r: shape (N,), strictly inside (0, 1).

        High for text that hardly repeats: prose of a few kilobytes has r about 1/2, and so a score
        of 1/2; an empty text has 1/2 by definition.
        """
        return np.array([self._score(text.encode()[:_MAX_BYTES]) for text in texts], dtype=float)

    @staticmethod
    def _score(octets: bytes) -> float:
        if not octets:
            return 0.5
        # The level is said, although it is the default: another one is another metric.
        compressed = len(zlib.compress(octets, level=6)) - _OVERHEAD_BYTES
        ratio = max(compressed, 1) / len(octets)
        return ratio / (ratio + _MIDDLE)
