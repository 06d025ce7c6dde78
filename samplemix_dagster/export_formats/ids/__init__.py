"""Formats of token ids."""
