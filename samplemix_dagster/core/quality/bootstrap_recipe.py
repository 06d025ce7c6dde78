"""What a bootstrapped reference is asked to be, and how it is kept from its own documents.

The training itself, which needs torch, is ``core/quality/bootstrap.py``; this file needs numpy
only, so a plan can be made and fingerprinted without torch.

Shape letters: N = documents.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from samplemix_dagster.core.hashing import keyed_hashes

_NUM_BYTES = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class BootstrapRecipe:
    """Everything a bootstrapped reference depends on, beside its texts.

    Attributes:
        tokens: Tokens to train on, each once; fewer texts end the epoch early.
        vocabulary: Entries of the tokenizer, the 256 bytes and the separator counted.
        layers: Transformer layers.
        width: Width of the residual stream, a multiple of 32; heads have 64 numbers where the
            width allows, else 32.
        context_tokens: Tokens of a training row, and the context of the model.
        batch_rows: Rows in a step.
        learning_rate: Peak rate of AdamW; warm-up over 5 % of the steps, cosine to a tenth.
        seed: Of the initial weights and of the order of texts and rows.
    """

    tokens: int = 5_000_000
    vocabulary: int = 4096
    layers: int = 2
    width: int = 128
    context_tokens: int = 256
    batch_rows: int = 8
    learning_rate: float = 2e-3
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse sizes from which no model can be built."""
        for name in ("tokens", "layers", "width", "batch_rows"):
            if getattr(self, name) < 1:
                msg = f"{name} of a bootstrapped reference must be at least 1, not "
                raise ValueError(msg + str(getattr(self, name)))
        if self.width % 32:
            msg = f"width of a bootstrapped reference must be a multiple of 32, not {self.width}"
            raise ValueError(msg)
        if self.context_tokens < 2 or not self.learning_rate > 0:
            msg = (
                "a bootstrapped reference needs context_tokens >= 2 and learning_rate > 0, not "
                f"{self.context_tokens} and {self.learning_rate}"
            )
            raise ValueError(msg)
        check_vocabulary(self.vocabulary)

    @property
    def heads(self) -> int:
        """Attention heads: of 64 numbers each where the width allows, else of 32."""
        return self.width // (64 if self.width % 64 == 0 else 32)


def memorisation_gap(
    *,
    member_bits_per_byte: npt.NDArray[np.float64],
    member_bytes: npt.NDArray[np.int64],
    other_bits_per_byte: npt.NDArray[np.float64],
    other_bytes: npt.NDArray[np.int64],
) -> float:
    """Return what a reference forgives the texts that it was trained on, in bits per byte.

    Byte-weighted mean of texts that it never saw, less that of members: near 0 is good; where it
    is not, two references that score each other's half (:func:`fold_of`) cure it.

    Args:
        member_bits_per_byte: Of texts that were trained on, shape (M,).
        member_bytes: Their weights, not all zero, shape (M,).
        other_bits_per_byte: Of texts like them that were not, shape (K,).
        other_bytes: Their weights, not all zero, shape (K,).

    Raises:
        ValueError: A side has no weight.
    """
    if member_bytes.sum() <= 0 or other_bytes.sum() <= 0:
        msg = (
            "a memorisation gap needs text on both sides: "
            f"{member_bytes.sum()} bytes of members, {other_bytes.sum()} of others"
        )
        raise ValueError(msg)
    others = np.average(other_bits_per_byte, weights=other_bytes)
    return float(others - np.average(member_bits_per_byte, weights=member_bytes))


def fold_of(words_N2: npt.NDArray[np.uint64], seed: int = 0) -> npt.NDArray[np.int8]:
    """Return the half, 0 or 1, that each document belongs to for cross-fitting: shape (N,).

    The reference that scores fold k is trained on the other fold.

    Args:
        words_N2: Document ids as :func:`samplemix_dagster.core.hashing.id_words` gives them.
        seed: Another seed gives another partition.
    """
    return (keyed_hashes(words_N2, seed, "fold") >> np.uint64(63)).astype(np.int8)


def check_vocabulary(vocabulary: int) -> None:
    """Raise ``ValueError`` where a vocabulary cannot hold the 256 bytes and the separator."""
    if vocabulary <= _NUM_BYTES:
        msg = f"a vocabulary holds 256 bytes and the separator, so at least 257, not {vocabulary}"
        raise ValueError(msg)
