"""How small models are optimised here: AdamW, its rate warmed up and then let down by a cosine."""

import math
from typing import Any

import torch

GRADIENT_NORM = 1.0
"""What gradients are clipped to."""
_FINAL_RATE = 0.1
_BETAS = (0.9, 0.95)


def adamw(model: Any, learning_rate: float, weight_decay: float) -> torch.optim.AdamW:
    """Return the optimiser of a model; weights decay, scales do not."""
    matrices = [parameter for parameter in model.parameters() if parameter.ndim >= 2]
    scales = [parameter for parameter in model.parameters() if parameter.ndim < 2]
    groups = [
        {"params": matrices, "weight_decay": weight_decay},
        {"params": scales, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=learning_rate, betas=_BETAS)


def share_of_rate(step: int, num_steps: int, *, warm_up: float) -> float:
    """Return the share of the peak rate: linear warm-up, then a cosine to a tenth.

    Args:
        step: The step, from 0.
        num_steps: Steps in all.
        warm_up: Part of them in which the rate rises.
    """
    num_warm_up = max(1, round(warm_up * num_steps))
    if step < num_warm_up:
        return (step + 1) / num_warm_up
    done = (step - num_warm_up) / max(1, num_steps - num_warm_up)
    return _FINAL_RATE + (1.0 - _FINAL_RATE) * 0.5 * (1.0 + math.cos(math.pi * done))
