"""Directions of texts: clusters of them, and how densely they lie."""
