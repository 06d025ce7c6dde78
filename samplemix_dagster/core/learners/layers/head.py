"""The loss of each next token, and its gradient, without all logits at once.

The logits of a batch are its largest array by far: a row of the vocabulary for each token. Made a
few hundred tokens at a time they stay in the processor's cache. The gradient of a loss in its
logits is their softmax less the target's one (Bishop 2006, section 4.3.4), so training needs no
logarithm, keeps nothing for later, and computes nothing twice.

Shape letters: N = tokens, C = tokens of a part, E = width, V = vocabulary.
"""

from collections.abc import Iterator

import torch
from torch.nn import functional

_LOGITS_OF_A_PROCESSOR = 2**20
_LOGITS_OF_A_CARD = 2**26
_FEWEST_TOKENS = 64


@torch.no_grad()
def target_losses(
    told_NE: torch.Tensor, weight_VE: torch.Tensor, targets_N: torch.Tensor
) -> torch.Tensor:
    """Return the loss of each target in nats, in float32: (N,).

    Args:
        told_NE: What the model makes of each token, in the type in which logits are computed.
        weight_VE: The vectors of the vocabulary.
        targets_N: The tokens that follow, below V.
    """
    weight_VE = weight_VE.to(told_NE.dtype)
    losses = torch.empty(len(targets_N), device=told_NE.device)
    for part in _parts(told_NE, weight_VE):
        logs_CV = functional.linear(told_NE[part], weight_VE).float().log_softmax(-1)
        losses[part] = -logs_CV.gather(1, targets_N[part, None])[:, 0]
    return losses


@torch.no_grad()
def gradients_of_mean(
    told_NE: torch.Tensor, weight_VE: torch.Tensor, targets_N: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the gradients of the mean of :func:`target_losses`: (N, E) and (V, E)."""
    of_told_NE, of_weight_VE = torch.empty_like(told_NE), torch.zeros_like(weight_VE)
    weight_VE = weight_VE.to(told_NE.dtype)
    share = 1.0 / max(1, len(targets_N))
    for part in _parts(told_NE, weight_VE):
        errors_CV = functional.linear(told_NE[part], weight_VE).softmax(-1)
        targets_C1 = targets_N[part, None]
        errors_CV.scatter_add_(1, targets_C1, -torch.ones_like(targets_C1, dtype=errors_CV.dtype))
        of_told_NE[part] = (errors_CV @ weight_VE).mul_(share)
        of_weight_VE.add_(errors_CV.T @ told_NE[part], alpha=share)
    return of_told_NE, of_weight_VE


def _parts(told_NE: torch.Tensor, weight_VE: torch.Tensor) -> Iterator[slice]:
    most = _LOGITS_OF_A_PROCESSOR if told_NE.device.type == "cpu" else _LOGITS_OF_A_CARD
    size = max(_FEWEST_TOKENS, most // len(weight_VE))
    for begin in range(0, len(told_NE), size):
        yield slice(begin, begin + size)
