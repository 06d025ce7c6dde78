"""Dagster, and no arithmetic."""
