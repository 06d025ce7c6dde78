"""The loss of a text under a causal language model."""
