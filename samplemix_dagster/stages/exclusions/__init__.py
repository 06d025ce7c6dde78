"""Exclusions: documents that no version may draw, each with a reason from a closed list."""
