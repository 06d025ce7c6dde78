"""Readers, one module a format. Which reader a file has is said in ``rows.py``."""
