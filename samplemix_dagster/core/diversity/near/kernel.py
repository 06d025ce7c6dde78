"""The compiled loop that takes minima of hashes. Imported only where it runs: numba."""

import numpy as np
import numpy.typing as npt

from samplemix_dagster.core.compiled import compiled

_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)


@compiled
def least_hashes(
    grams: npt.NDArray[np.uint64],
    offsets: npt.NDArray[np.int64],
    keys: npt.NDArray[np.uint64],
) -> npt.NDArray[np.uint16]:
    """Return 16 bits of the least hash of each document's grams under each key: shape (N, K)."""
    num_documents, num_keys = offsets.size - 1, keys.size
    found = np.zeros((num_documents, num_keys), dtype=np.uint16)
    for document in range(num_documents):
        start, stop = offsets[document], offsets[document + 1]
        for key in range(num_keys):
            least = np.uint64(0xFFFFFFFFFFFFFFFF)
            for at in range(start, stop):
                # A bijection of the gram: the first rounds of SplitMix64's finaliser.
                word = (grams[at] ^ keys[key]) * _MIX_1
                word ^= word >> np.uint64(32)
                least = min(least, word * _MIX_2)
            # The top bits of a least one are nearly all 0; its product's are not.
            found[document, key] = np.uint16((least * _MIX_1) >> np.uint64(48))
    return found
