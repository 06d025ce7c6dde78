"""A causal transformer in plain torch, trained on a draw from the weights that its seed gives.

Pre-norm blocks with rotary positions and a gated layer (Shazeer 2020), tied
embeddings, AdamW with warm-up and a cosine to a tenth. Two learners of one seed begin with the same
weights; what both drew they read in one order. Each training keeps to one thread, so that its
result does not depend on how many run at once.

Shape letters: B = rows of a batch, L = tokens of a row, E = width, H = heads, D = width of a head,
V = vocabulary, N = tokens of a batch that are predicted.
"""

import copy
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset

from samplemix_dagster.core.learners.layers.attention import attended, turned, turns
from samplemix_dagster.core.learners.layers.head import gradients_of_mean, target_losses
from samplemix_dagster.core.learners.layers.norm import Norm
from samplemix_dagster.core.learners.learner import Steps
from samplemix_dagster.core.learners.packing import Rows, packed
from samplemix_dagster.core.learners.ragged import TokenTexts
from samplemix_dagster.core.learners.sizes import SIZES, TransformerSize
from samplemix_dagster.core.modelling.optimising import GRADIENT_NORM, adamw, share_of_rate

_WARM_UP = 0.1
_DEVIATION = 0.02


class TokenRows(Dataset[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]):
    """Rows of a stream as a stock ``DataLoader`` reads them: inputs, targets, texts."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, number: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return a row; the last one may be shorter."""
        if number >= len(self):
            raise IndexError(number)
        at = self._rows.row(number)
        parts = (self._rows.inputs[at], self._rows.targets[at], self._rows.texts[at])
        inputs, targets, texts = (torch.from_numpy(part) for part in parts)
        return inputs, targets, texts


class _Block(nn.Module):
    def __init__(self, size: TransformerSize) -> None:
        super().__init__()
        inner = 8 * size.width // 3
        self.heads = size.heads
        self.attend = Norm(size.width)
        self.mixed = nn.Linear(size.width, 3 * size.width, bias=False)
        self.out = nn.Linear(size.width, size.width, bias=False)
        self.think = Norm(size.width)
        self.gate = nn.Linear(size.width, inner, bias=False)
        self.value = nn.Linear(size.width, inner, bias=False)
        self.down = nn.Linear(inner, size.width, bias=False)

    def forward(
        self,
        x_BLE: torch.Tensor,
        sees_B1LL: torch.Tensor,
        turns_LP: torch.Tensor,
        dtype: torch.dtype,
    ) -> torch.Tensor:
        x_BLE = x_BLE + self._from_others(self.attend(x_BLE, dtype), sees_B1LL, turns_LP)
        normed_BLE = self.think(x_BLE, dtype)
        thought: torch.Tensor = self.down(
            functional.silu(self.gate(normed_BLE)) * self.value(normed_BLE)
        )
        return x_BLE + thought

    def _from_others(
        self, x_BLE: torch.Tensor, sees_B1LL: torch.Tensor, turns_LP: torch.Tensor
    ) -> torch.Tensor:
        rows, length, width = x_BLE.shape
        mixed = self.mixed(x_BLE).view(rows, length, 3, self.heads, width // self.heads)
        q, k, v = (part.transpose(1, 2) for part in mixed.unbind(2))
        taken = attended(turned(q, turns_LP), turned(k, turns_LP), v, sees_B1LL)
        found: torch.Tensor = self.out(taken.transpose(1, 2).reshape(rows, length, width))
        return found


class Transformer(nn.Module):
    """The model; its vocabulary has the start token as its last entry."""

    def __init__(self, size: TransformerSize, vocabulary: int, length: int, seed: int) -> None:
        super().__init__()
        self.embed = nn.Embedding(vocabulary + 1, size.width)
        self.blocks = nn.ModuleList(_Block(size) for _ in range(size.layers))
        self.last = Norm(size.width)
        self.register_buffer("turns", turns(length, size.width // size.heads), persistent=False)
        self._begin(seed, size.layers)

    def _begin(self, seed: int, layers: int) -> None:
        luck = torch.Generator().manual_seed(seed)
        for name, weight in self.named_parameters():
            if weight.ndim < 2:
                nn.init.ones_(weight)
                continue
            is_output = name.endswith(("out.weight", "down.weight"))
            deviation = _DEVIATION / math.sqrt(2 * layers) if is_output else _DEVIATION
            nn.init.normal_(weight, std=deviation, generator=luck)

    @property
    def vocabulary(self) -> torch.Tensor:
        """The vector of each token, the start token's left out, which nobody predicts: (V, E)."""
        return self.embed.weight[:-1]

    def forward(
        self, inputs_BL: torch.Tensor, texts_BL: torch.Tensor, dtype: torch.dtype = torch.float32
    ) -> torch.Tensor:
        """Return what tells each next token, beside :attr:`vocabulary`: (B, L, E).

        Args:
            inputs_BL: What is read.
            texts_BL: The text of each token, by number.
            dtype: In which products are computed; what blocks add up stays in float32.
        """
        length = inputs_BL.shape[1]
        turns_LP: Any = self.turns
        is_earlier = torch.ones(length, length, dtype=torch.bool, device=inputs_BL.device).tril()
        sees_BLL = is_earlier & (texts_BL[:, :, None] == texts_BL[:, None, :])
        x_BLE = self.embed(inputs_BL)
        with torch.autocast(inputs_BL.device.type, dtype, enabled=dtype != torch.float32):
            for block in self.blocks:
                x_BLE = block(x_BLE, sees_BLL[:, None], turns_LP[:length], dtype)
        told: torch.Tensor = self.last(x_BLE, dtype)
        return told


class TransformerLearner:
    """Trains a transformer on each draw and judges texts with it."""

    name = "transformer"
    uses_luck = True
    reads_exports = True

    def __init__(
        self,
        texts: TokenTexts,
        *,
        size: str,
        vocabulary: int,
        options: TokenTexts | None = None,
        device: str = "cpu",
        dtype: str = "float32",
        learning_rate: float | None = None,
        weight_decay: float = 0.1,
        length: int = 256,
        batch_tokens: int = 4096,
    ) -> None:
        """Take what is judged and how it is trained.

        Args:
            texts: What is judged; ids below ``vocabulary``.
            size: One of :data:`.sizes.SIZES`.
            vocabulary: Number of token ids.
            options: What is judged after contexts, in rows of its own.
            device: Where it is trained.
            dtype: ``float32``, or ``bfloat16`` for what is computed; weights stay in float32.
            learning_rate: The peak; the size's own where none is given.
            weight_decay: Of the matrices.
            length: Tokens of a row, in training and in judging.
            batch_tokens: Tokens of a step.

        Raises:
            KeyError: There is no such size.
        """
        self.size, self.vocabulary = SIZES[size], vocabulary
        self.device, self.dtype = device, getattr(torch, dtype)
        self.side_by_side = device == "cpu"
        self.rate = learning_rate or self.size.learning_rate
        self.length, self.weight_decay = length, weight_decay
        self.batch = max(1, batch_tokens // length)
        self._judged = [
            packed(part, length=length, start=vocabulary)
            for part in (texts, options)
            if part is not None
        ]
        self.recipe: Mapping[str, object] = {
            "learner": self.name,
            "version": 2,
            "size": size,
            "vocabulary": vocabulary,
            "device": "cpu" if device == "cpu" else device.partition(":")[0],
            "dtype": dtype,
            "learning_rate": self.rate,
            "weight_decay": weight_decay,
            "length": length,
            "batch_tokens": self.batch * length,
        }

    def nats(self, draw: TokenTexts, seed: int, steps: Steps) -> npt.NDArray[np.float64]:
        """Return the loss of each text in nats after training on a draw: (D,)."""
        if self.side_by_side:
            torch.set_num_threads(1)  # sums of several threads differ in their last bits
        model = Transformer(self.size, self.vocabulary, self.length, seed).to(self.device)
        self._train(model, draw, steps)
        return np.concatenate([self._judge(model, rows) for rows in self._judged])

    def at_decay(self, weight_decay: float) -> "TransformerLearner":
        """Return the learner with another weight decay; what it judges is shared."""
        other = copy.copy(self)
        other.weight_decay = weight_decay
        other.recipe = {**self.recipe, "weight_decay": weight_decay}
        return other

    def _train(self, model: Transformer, draw: TokenTexts, steps: Steps) -> None:
        rows = TokenRows(packed(draw, length=self.length, start=self.vocabulary))
        optimiser = adamw(model, self.rate, self.weight_decay)
        loader = DataLoader(rows, batch_size=self.batch, collate_fn=_batch)
        first = _restore(model, optimiser, steps)
        for step, batch in enumerate(loader):
            if step < first:
                continue
            for group in optimiser.param_groups:
                group["lr"] = self.rate * share_of_rate(step, len(loader), warm_up=_WARM_UP)
            told, vocabulary, targets = self._told(model, batch)
            gradients = gradients_of_mean(told, vocabulary, targets)
            torch.autograd.backward((told, vocabulary), gradients)
            nn.utils.clip_grad_norm_(model.parameters(), GRADIENT_NORM)
            optimiser.step()
            optimiser.zero_grad()
            if steps.is_due() and step + 1 < len(loader):
                steps.save(_state(model, optimiser, step + 1))

    def _told(
        self, model: Transformer, batch: Sequence[torch.Tensor]
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return what tells each target that is one, the vocabulary, the targets.

        Those of a row that is filled up are none.
        """
        inputs, targets, texts = (part.to(self.device) for part in batch)
        is_real = targets >= 0
        return model(inputs, texts, self.dtype)[is_real], model.vocabulary, targets[is_real]

    @torch.no_grad()
    def _judge(self, model: Transformer, rows: Rows) -> npt.NDArray[np.float64]:
        loader = DataLoader(TokenRows(rows), batch_size=self.batch, collate_fn=_batch)
        found = [target_losses(*self._told(model, batch)) for batch in loader]
        losses = [part.double().cpu().numpy() for part in found]
        return rows.sums(np.concatenate(losses) if losses else np.empty(0))


def _batch(
    rows: Sequence[tuple[torch.Tensor, torch.Tensor, torch.Tensor]],
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Stack rows; a shorter last one is filled with what no token reads and nothing predicts."""
    most = max(len(inputs) for inputs, _, _ in rows)

    def filled(part: int, value: int) -> torch.Tensor:
        return torch.stack(
            [functional.pad(row[part], (0, most - len(row[part])), value=value) for row in rows]
        )

    return filled(0, 0), filled(1, -1), filled(2, -1)


def _state(
    model: Transformer, optimiser: torch.optim.AdamW, step: int
) -> dict[str, npt.NDArray[Any]]:
    """Return all that a training needs to go on: weights, moments, the step."""
    found = {f"weight/{name}": weight for name, weight in model.named_parameters()}
    for name, weight in model.named_parameters():
        moments = optimiser.state[weight]
        found[f"mean/{name}"], found[f"square/{name}"] = moments["exp_avg"], moments["exp_avg_sq"]
    arrays = {name: value.detach().cpu().numpy() for name, value in found.items()}
    return {**arrays, "step": np.array(step)}


def _restore(model: Transformer, optimiser: torch.optim.AdamW, steps: Steps) -> int:
    """Go on from what was saved; return how many steps are done."""
    saved = steps.load()
    if saved is None:
        return 0
    step = int(saved["step"])
    with torch.no_grad():
        for name, weight in model.named_parameters():
            weight.copy_(torch.from_numpy(saved[f"weight/{name}"]))
            optimiser.state[weight] = {
                "step": torch.tensor(float(step)),
                "exp_avg": torch.from_numpy(saved[f"mean/{name}"]).to(weight.device),
                "exp_avg_sq": torch.from_numpy(saved[f"square/{name}"]).to(weight.device),
            }
    return step
