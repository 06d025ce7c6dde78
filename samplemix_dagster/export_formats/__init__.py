"""Formats of exports: one module a format, and a line for each in ``table.py``."""
