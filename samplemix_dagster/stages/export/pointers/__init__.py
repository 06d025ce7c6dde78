"""Exports that point into the ids of the whole corpus."""
