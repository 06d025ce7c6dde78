"""Texts that are nearly the same: sketches of their n-grams, and the groups that they make."""
