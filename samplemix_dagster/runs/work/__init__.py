"""Bringing a project up to date, and what was lost or passed over on the way."""
