"""Stages on the meaning of texts."""
