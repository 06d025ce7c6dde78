"""Root mean square norm (Zhang & Sennrich 2019), with its gradient written out.

Plain operations on a processor read what they are given some ten times more than these do.
Shape letters: ... = any, E = width.
"""

from typing import Any

import torch
from torch import nn
from torch.autograd.function import once_differentiable

_LEAST = torch.finfo(torch.float32).eps


class Norm(nn.Module):
    """Vectors at a mean square of 1, each entry scaled by a weight."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x_E: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
        """Return vectors of float32 normed, in another type: (..., E)."""
        apply: Any = _Norm.apply
        found: torch.Tensor = apply(x_E, self.weight, dtype)
        return found


class _Norm(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x_E: torch.Tensor, weight_E: torch.Tensor, dtype: torch.dtype
    ) -> torch.Tensor:
        mean_square = torch.linalg.vecdot(x_E, x_E).div_(x_E.shape[-1])[..., None]
        scale = mean_square.add_(_LEAST).rsqrt_()
        ctx.save_for_backward(x_E, scale, weight_E)
        found: torch.Tensor = (x_E * scale).mul_(weight_E).to(dtype)
        return found

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *wanted: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, None]:
        x_E, scale, weight_E = ctx.saved_tensors
        normed_E, wanted_E = x_E * scale, wanted[0].float()
        of_weight_E = (wanted_E * normed_E).flatten(0, -2).sum(0)
        of_normed_E = wanted_E * weight_E
        along = torch.linalg.vecdot(of_normed_E, normed_E).div_(x_E.shape[-1])[..., None]
        return of_normed_E.addcmul_(along, normed_E, value=-1.0).mul_(scale), of_weight_E, None
