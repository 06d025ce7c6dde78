"""Bounds that the configuration checks when it is read, and the numbers when they are made."""

MAX_DIAL = 50.0
"""The strongest dial: beyond it a mixture is a handful of documents."""
SHARES_TOLERANCE = 1e-6
"""How far from 1 given shares may sum."""
