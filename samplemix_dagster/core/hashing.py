"""Identity and luck: document ids, fingerprints, and uniforms that are hashes of names.

Nothing in the project draws from a generator that two documents share: a document's luck is
``hash(seed, purpose, doc_id)``, the same on every machine, in every order, for every worker count.

Shape letters: N = documents.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)


def doc_id(text: str) -> str:
    """Return the 128-bit BLAKE2b digest of the text's UTF-8 bytes, as 32 hexadecimal digits."""
    return hashlib.blake2b(text.encode("utf-8"), digest_size=16).hexdigest()


def tokens_digest(ids: npt.NDArray[np.integer[Any]]) -> str:
    """Return the 128-bit BLAKE2b digest of token ids, whatever their width, as 32 hex digits."""
    wide = np.ascontiguousarray(ids, dtype="<u4")
    return hashlib.blake2b(wide.tobytes(), digest_size=16).hexdigest()


def fingerprint(value: Mapping[str, Any] | Sequence[Any] | str | float | None) -> str:
    """Return the digest of a value's canonical JSON (sorted keys, no spaces), as 24 hex digits."""
    canonical = json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )
    return hashlib.blake2b(canonical.encode("utf-8"), digest_size=12).hexdigest()


def id_words(doc_ids: Sequence[str] | npt.NDArray[np.bytes_]) -> npt.NDArray[np.uint64]:
    """Return the two 64-bit halves of each document id: shape (N, 2), big-endian value order.

    Args:
        doc_ids: N ids of 32 hexadecimal digits each.

    Raises:
        ValueError: An id is not 32 hexadecimal digits.
    """
    given = np.asarray(doc_ids)
    width = given.dtype.itemsize // (4 if given.dtype.kind == "U" else 1)
    if given.size and width > 32:
        msg = f"a document id has 32 hexadecimal digits; one here has {width}"
        raise ValueError(msg)
    raw = given.astype("S32")
    if raw.size == 0:
        return np.empty((0, 2), dtype=np.uint64)
    digits = raw.view(np.uint8).reshape(raw.size, 32)
    nibbles = _NIBBLE[digits]
    if (nibbles > 15).any():
        bad = raw[int((nibbles > 15).any(axis=1).argmax())]
        msg = f"a document id has 32 hexadecimal digits, not {bad!r}"
        raise ValueError(msg)
    octets = (nibbles[:, 0::2] << 4 | nibbles[:, 1::2]).astype(np.uint8)
    return np.ascontiguousarray(octets).view(">u8").astype(np.uint64)


def _nibble_table() -> npt.NDArray[np.uint8]:
    table = np.full(256, 255, dtype=np.uint8)
    for value, digit in enumerate("0123456789abcdef"):
        table[ord(digit)] = value
    return table


_NIBBLE = _nibble_table()


def mix64(words: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """Return the SplitMix64 finaliser of each word: a bijection that spreads every bit.

    Steele, Lea & Flood (2014), "Fast splittable pseudorandom number generators", figure 16.
    """
    with np.errstate(over="ignore"):
        mixed = words + _GOLDEN
        mixed = (mixed ^ (mixed >> np.uint64(30))) * _MIX_1
        mixed = (mixed ^ (mixed >> np.uint64(27))) * _MIX_2
        return mixed ^ (mixed >> np.uint64(31))


def keyed_hashes(
    words_N2: npt.NDArray[np.uint64], seed: int, purpose: str
) -> npt.NDArray[np.uint64]:
    """Return one 64-bit hash of (seed, purpose, document id) for each document: shape (N,)."""
    digest = hashlib.blake2b(f"{seed}/{purpose}".encode(), digest_size=16).digest()
    key = np.frombuffer(digest, dtype="<u8").astype(np.uint64)
    return mix64(mix64(words_N2[:, 0] ^ key[0]) ^ words_N2[:, 1] ^ key[1])


def uniforms(words_N2: npt.NDArray[np.uint64], seed: int, purpose: str) -> npt.NDArray[np.float64]:
    """Return each document's luck for one purpose: shape (N,), strictly inside (0, 1).

    Args:
        words_N2: Document ids as :func:`id_words` gives them.
        seed: The mixture's seed.
        purpose: What the luck is for: ``draw``, ``order``, ``sample``.
    """
    bits = keyed_hashes(words_N2, seed, purpose) >> np.uint64(12)
    # 52 bits and a half fit a double exactly; with 53 the largest would round to 1.
    return (bits.astype(np.float64) + 0.5) * 2.0**-52


def round_significant(values: npt.NDArray[np.float64], digits: int = 5) -> npt.NDArray[np.float64]:
    """Return the values rounded to a number of significant decimal digits; 0, NaN and inf pass.

    Stored scores are rounded so that another batch shape or machine, which differ in the last
    bits of a float32, store the same number (but for rare ties, which a test counts).
    """
    values = np.asarray(values, dtype=np.float64)
    result = values.copy()
    usable = np.isfinite(values) & (values != 0.0)
    # Through decimal text: scaling by a power of ten is not exact, and would store 0.12344999.
    result[usable] = [float(f"{value:.{digits - 1}e}") for value in values[usable]]
    return result


def round_unit(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return scores of (0, 1) rounded to 5 significant digits, still strictly inside.

    The nearest number below 1 that has 5 digits is 0.99999: what would round to 1 becomes that.
    """
    rounded = round_significant(values)
    return np.where(np.asarray(values) < 1.0, np.minimum(rounded, 0.99999), rounded)
