"""The loss of each next token is that of all logits at once, and so is its gradient."""

import pytest
import torch
from torch.nn import functional

from samplemix_dagster.core.learners.layers.head import gradients_of_mean, target_losses

E = 8


def made(tokens: int, vocabulary: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    luck = torch.Generator().manual_seed(0)
    hidden = torch.randn(tokens, E, generator=luck)
    weight = torch.randn(vocabulary, E, generator=luck)
    return hidden, weight, torch.randint(vocabulary, (tokens,), generator=luck)


def at_once(hidden: torch.Tensor, weight: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    return functional.cross_entropy(hidden @ weight.T, targets, reduction="none")


# A vocabulary of 20,000 is taken 64 tokens at a time, so that the last part of 150 is shorter.
@pytest.mark.parametrize(("tokens", "vocabulary"), [(1, 3), (64, 20_000), (150, 20_000)])
def test_losses_are_those_of_all_logits(tokens: int, vocabulary: int) -> None:
    given = made(tokens, vocabulary)
    assert torch.allclose(target_losses(*given), at_once(*given), atol=1e-5)


def test_gradients_are_those_of_the_mean_of_all_losses() -> None:
    hidden, weight, targets = made(150, 20_000)
    found = gradients_of_mean(hidden, weight, targets)
    hidden.requires_grad_(), weight.requires_grad_()
    torch.autograd.backward(at_once(hidden, weight, targets).mean())
    assert torch.allclose(found[0], hidden.grad, atol=1e-6)
    assert torch.allclose(found[1], weight.grad, atol=1e-6)


def test_targets_far_from_likely_have_a_finite_loss() -> None:
    hidden, weight = torch.full((2, E), 100.0), torch.tensor([[1.0] * E, [-1.0] * E])
    losses = target_losses(hidden, weight, torch.tensor([0, 1]))
    assert losses.tolist() == [0.0, 1600.0]


def test_nothing_is_lost_where_nothing_is_predicted() -> None:
    hidden, weight, targets = made(0, 5)
    assert target_losses(hidden, weight, targets).tolist() == []
