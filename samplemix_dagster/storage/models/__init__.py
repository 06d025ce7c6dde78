"""Models and tokenizers as files."""
