"""Stages on the n-grams of texts."""
