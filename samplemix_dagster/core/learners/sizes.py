"""Sizes of the transformer learner, which need no torch."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class TransformerSize:
    """A causal transformer.

    Attributes:
        layers: Blocks.
        width: Of the residual stream.
        heads: Attention heads, each of width / heads, an even number.
        learning_rate: Peak of the ordinary judge.
    """

    layers: int
    width: int
    heads: int
    learning_rate: float

    def num_parameters(self, vocabulary: int) -> int:
        """Return the number of parameters, tied embeddings once and the start token with them."""
        block = 12 * self.width**2 + 2 * self.width
        return self.layers * block + (vocabulary + 1) * self.width + self.width

    def flops_per_token(self, vocabulary: int, context: int) -> int:
        """Return the operations of a training step for each token.

        Six for each weight that multiplies (Kaplan et al. 2020, section 2.1), the head among them,
        and twelve for each layer, width and place attended to.
        """
        weights = 12 * self.layers * self.width**2 + vocabulary * self.width
        return 6 * weights + 12 * self.layers * self.width * context // 2


SIZES = {
    "0.9M": TransformerSize(layers=4, width=128, heads=4, learning_rate=4e-3),
    "3M": TransformerSize(layers=6, width=192, heads=6, learning_rate=3e-3),
    "10M": TransformerSize(layers=8, width=320, heads=5, learning_rate=2e-3),
    "30M": TransformerSize(layers=10, width=512, heads=8, learning_rate=1.2e-3),
    "60M": TransformerSize(layers=12, width=640, heads=10, learning_rate=1e-3),
    "125M": TransformerSize(layers=12, width=896, heads=14, learning_rate=8e-4),
}
"""By what its blocks have of parameters, roughly; embeddings come on top."""
SMALL_RATE = 1e-5
"""Learning rate of the second judge: at such a rate small models rank recipes as large ones do
(arXiv 2512.24503)."""
