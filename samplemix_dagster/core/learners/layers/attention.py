"""Attention within a row, by the fastest way that a device has to the same numbers.

Shape letters: B = rows of a batch, H = heads, L = tokens of a row, D = width of a head, P = pairs
of its entries, half of D.
"""

import math

import torch
from torch.nn import functional

_BLOCK_TOKENS = 128
_ROTARY_BASE = 10_000.0


def turns(length: int, width: int) -> torch.Tensor:
    """Return the turn of each pair at each place, as complex numbers of length 1: (L, P).

    Rotary positions: Su et al. (2021), "RoFormer", section 3.2.2.

    Args:
        length: Tokens of a row, L.
        width: Entries of a head, D; an even number.
    """
    rates_P = _ROTARY_BASE ** (-torch.arange(0, width, 2) / width)
    angles_LP = torch.outer(torch.arange(length), rates_P)
    return torch.polar(torch.ones_like(angles_LP), angles_LP)


def turned(x_BHLD: torch.Tensor, turns_LP: torch.Tensor) -> torch.Tensor:
    """Return heads, each pair of neighbouring entries turned as its place says: (B, H, L, D)."""
    pairs_BHLP = torch.view_as_complex(x_BHLD.float().view(*x_BHLD.shape[:-1], -1, 2))
    return torch.view_as_real(pairs_BHLP * turns_LP).flatten(-2).to(x_BHLD.dtype)


def attended(
    q_BHLD: torch.Tensor, k_BHLD: torch.Tensor, v_BHLD: torch.Tensor, sees_B1LL: torch.Tensor
) -> torch.Tensor:
    """Return what each token takes from those that it sees: (B, H, L, D).

    Args:
        q_BHLD: What a token looks for.
        k_BHLD: By what a token is found.
        v_BHLD: What a token gives.
        sees_B1LL: Whether a token, the row, sees another, the column: itself, and none behind it.
    """
    # A processor's fused kernel of bfloat16 takes twice as long as its two products one by one.
    if q_BHLD.device.type == "cpu" and q_BHLD.dtype == torch.bfloat16:
        return _in_blocks(q_BHLD, k_BHLD, v_BHLD, sees_B1LL)
    return functional.scaled_dot_product_attention(q_BHLD, k_BHLD, v_BHLD, attn_mask=sees_B1LL)


def _in_blocks(
    q_BHLD: torch.Tensor, k_BHLD: torch.Tensor, v_BHLD: torch.Tensor, sees_B1LL: torch.Tensor
) -> torch.Tensor:
    """Attend block by block of looking tokens, each beside what stands no further on than it."""
    q_BHLD = q_BHLD / math.sqrt(q_BHLD.shape[-1])
    hidden_B1LL = torch.zeros_like(sees_B1LL, dtype=q_BHLD.dtype)
    hidden_B1LL = hidden_B1LL.masked_fill_(~sees_B1LL, -math.inf)
    found = []
    for begin in range(0, q_BHLD.shape[2], _BLOCK_TOKENS):
        end = begin + _BLOCK_TOKENS
        alike = q_BHLD[:, :, begin:end] @ k_BHLD[:, :, :end].transpose(-1, -2)
        alike = alike + hidden_B1LL[:, :, begin:end, :end]
        found.append(alike.softmax(-1) @ v_BHLD[:, :, :end])
    return torch.cat(found, dim=2)
