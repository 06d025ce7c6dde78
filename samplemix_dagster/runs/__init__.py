"""Bringing a project up to date."""
