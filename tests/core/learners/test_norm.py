"""The norm that is written out is the norm that plain operations make, and so is its gradient."""

import torch
from torch import nn

from samplemix_dagster.core.learners.layers.norm import Norm


def test_norm_and_gradients_are_those_of_plain_operations() -> None:
    luck = torch.Generator().manual_seed(0)
    ours, plain = Norm(16), nn.RMSNorm(16)
    scales = torch.rand(16, generator=luck)
    found = []
    for norm in (lambda x: ours(x, torch.float32), plain):
        x = torch.randn(3, 5, 16, generator=luck.manual_seed(1)).requires_grad_()
        ours.weight.data.copy_(scales), plain.weight.data.copy_(scales)
        normed = norm(x)
        torch.autograd.backward(normed, torch.randn(3, 5, 16, generator=luck))
        found.append([normed.detach(), x.grad])
    found[0].append(ours.weight.grad), found[1].append(plain.weight.grad)
    for one, other in zip(*found, strict=True):
        assert torch.allclose(one, other, atol=1e-6)


def test_a_vector_of_zeros_stays_one() -> None:
    assert Norm(4)(torch.zeros(2, 4), torch.bfloat16).tolist() == [[0.0] * 4] * 2
