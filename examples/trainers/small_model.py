"""A small causal model in plain torch, and what trains it: for loaders without a trainer."""

import itertools
from collections.abc import Iterable

import torch
from torch import nn
from torch.nn import functional

STEPS, BATCH, SEQUENCE = 50, 8, 128
WIDTH, HEADS, LAYERS = 128, 4, 2


class Small(nn.Module):
    """Two layers of attention between an embedding and its transpose."""

    def __init__(self, vocabulary_size: int) -> None:
        super().__init__()
        self.tokens = nn.Embedding(vocabulary_size, WIDTH)
        self.places = nn.Embedding(SEQUENCE, WIDTH)
        layer = nn.TransformerEncoderLayer(
            WIDTH, HEADS, 4 * WIDTH, dropout=0.0, batch_first=True, norm_first=True
        )
        self.layers = nn.TransformerEncoder(layer, LAYERS, enable_nested_tensor=False)
        nn.init.normal_(self.tokens.weight, std=0.02)

    def forward(self, ids_BL: torch.Tensor) -> torch.Tensor:
        """Return a score of each next id at each place: (B, L) ids to (B, L, V)."""
        length = ids_BL.shape[1]
        mask = nn.Transformer.generate_square_subsequent_mask(length)
        hidden = self.tokens(ids_BL) + self.places.weight[:length]
        return self.layers(hidden, mask=mask, is_causal=True) @ self.tokens.weight.T


def train(batches: Iterable[torch.Tensor], vocabulary_size: int) -> list[float]:
    """Train for 50 steps on batches of (B, L + 1) ids; return the loss of each, in nats."""
    torch.manual_seed(0)
    model = Small(vocabulary_size)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    losses = []
    for ids in itertools.islice(batches, STEPS):
        scores = model(ids[:, :-1])
        loss = functional.cross_entropy(scores.flatten(0, 1), ids[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses
