"""Scores of different groups made comparable, and brought into (0, 1)."""
