"""Attention is the same whichever way a device takes."""

import pytest
import torch

from samplemix_dagster.core.learners.layers.attention import attended

B, H, D = 2, 3, 16


def made(length: int, dtype: torch.dtype) -> list[torch.Tensor]:
    luck = torch.Generator().manual_seed(length)
    return [torch.randn(B, H, length, D, generator=luck).to(dtype) for _ in range(3)]


def seen(length: int) -> torch.Tensor:
    """Two texts in the first row, one in the second."""
    of_text = torch.zeros(B, length, dtype=torch.long)
    of_text[0, length // 3 :] = 1
    earlier = torch.ones(length, length, dtype=torch.bool).tril()
    return (earlier & (of_text[:, :, None] == of_text[:, None, :]))[:, None]


@pytest.mark.parametrize("length", [5, 128, 300])
def test_bfloat16_takes_from_others_nearly_what_float32_takes(length: int) -> None:
    rough = attended(*made(length, torch.bfloat16), seen(length))
    exact = attended(*(part.float() for part in made(length, torch.bfloat16)), seen(length))
    assert rough.dtype == torch.bfloat16
    # bfloat16 has 8 bits: values of about 1, taken by shares of which each is rounded.
    assert torch.allclose(rough.float(), exact, atol=0.03)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_token_that_sees_itself_alone_takes_its_own(dtype: torch.dtype) -> None:
    q, k, v = made(200, dtype)
    alone = torch.eye(200, dtype=torch.bool).expand(B, 1, 200, 200)
    assert torch.allclose(attended(q, k, v, alone), v, atol=1e-6)


def test_gradients_of_bfloat16_are_nearly_those_of_float32() -> None:
    found = []
    for dtype in (torch.bfloat16, torch.float32):
        parts = [part.to(dtype).requires_grad_() for part in made(200, torch.bfloat16)]
        torch.autograd.backward(attended(*parts, seen(200)).float().square().mean())
        found.append([part.grad.float() for part in parts if part.grad is not None])
    for rough, exact in zip(*found, strict=True):
        assert (rough - exact).norm() < 0.03 * exact.norm()
